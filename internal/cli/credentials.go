package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/mullion/mullion/internal/publish"
)

// credentialFile is the configuration file of docker, or the one of podman, in which the
// credentials of registries or the names of the programs that keep them are.
type credentialFile struct{ *configfile.ConfigFile }

// openCredentials opens the file that the registry client reads (package authn of
// go-containerregistry): that of docker if it exists, otherwise one of podman that
// exists. If there is none, it is docker's, which is made.
func openCredentials() (*credentialFile, error) {
	if path := podmanFile(); path != "" && !dockerFileExists() {
		b, err := readRegular(path)
		if err != nil {
			return nil, about(path, plain(err))
		}
		f := configfile.New(path)
		if err := f.LoadFromReader(bytes.NewReader(b)); err != nil {
			return nil, about(path, err)
		}
		return &credentialFile{f}, nil
	}
	f, err := config.Load(os.Getenv("DOCKER_CONFIG"))
	if err != nil {
		return nil, fmt.Errorf("docker's configuration: %w", err)
	}
	return &credentialFile{f}, nil
}

func dockerFileExists() bool {
	var dirs []string
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".docker"))
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, d := range dirs {
		if isFile(filepath.Join(d, config.ConfigFileName)) {
			return true
		}
	}
	return false
}

// podmanFile returns the file of podman that exists, or "" (containers-auth.json(5)).
func podmanFile() string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if home, err := os.UserHomeDir(); err == nil && dir == "" {
		dir = filepath.Join(home, ".config")
	}
	candidates := []string{os.Getenv("REGISTRY_AUTH_FILE")}
	for _, d := range []string{os.Getenv("XDG_RUNTIME_DIR"), dir} {
		if d != "" {
			candidates = append(candidates, filepath.Join(d, "containers", "auth.json"))
		}
	}
	for _, p := range candidates {
		if p != "" && isFile(p) {
			return p
		}
	}
	return ""
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}

// credentialKey returns the name under which the credentials of a registry are stored.
func credentialKey(registry string) string {
	if registry == name.DefaultRegistry {
		return authn.DefaultAuthKey
	}
	return registry
}

// helper returns the name of the program that keeps the credentials of a registry,
// docker-credential-NAME, or "" if they are in the file.
func (f *credentialFile) helper(key string) string {
	if h := f.CredentialHelpers[key]; h != "" {
		return h
	}
	return f.CredentialsStore
}

// store keeps credentials. It reports whether they are in the file, which is not
// encrypted.
func (f *credentialFile) store(key, user, password string) (inFile bool, err error) {
	auth := types.AuthConfig{ServerAddress: key, Username: user, Password: password}
	if h := f.helper(key); h != "" {
		return false, helperError(h, credentials.NewNativeStore(f, h).Store(auth))
	}
	f.AuthConfigs[key] = auth
	return true, f.Save()
}

// erase removes credentials. It reports whether there were any.
func (f *credentialFile) erase(key string) (bool, error) {
	if h := f.helper(key); h != "" {
		s := credentials.NewNativeStore(f, h)
		have, err := s.Get(key)
		if err != nil {
			return false, helperError(h, err)
		}
		if have.Username == "" && have.IdentityToken == "" {
			return false, nil
		}
		return true, helperError(h, s.Erase(key))
	}
	if _, ok := f.AuthConfigs[key]; !ok {
		return false, nil
	}
	delete(f.AuthConfigs, key)
	return true, f.Save()
}

func helperError(helper string, err error) error {
	if err == nil {
		return nil
	}
	return hintf(fmt.Errorf("docker-credential-%s: %w", helper, err), "credsStore and credHelpers in docker's config.json name the program")
}

// Save replaces the file as a whole. It keeps permissions, an owner and a symbolic link;
// a new file is readable by its owner only. Package credentials calls it too.
func (f *credentialFile) Save() error {
	path := f.Filename
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	switch {
	case isNew:
		target = path
	case err != nil:
		return err
	}
	out, err := publish.Create(target, publish.Options{Replace: true})
	if err != nil {
		return about(path, err)
	}
	defer out.Close()
	if isNew {
		if err := out.MakePrivate(); err != nil {
			return about(path, err)
		}
	}
	if err := f.SaveToWriter(out); err != nil {
		return about(path, err)
	}
	return about(path, out.Commit())
}
