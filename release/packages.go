package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

//go:embed nfpm.yaml
var nfpmConfig []byte

// writePackage writes the .deb or .rpm package for p, by the description in nfpm.yaml.
func (r *release) writePackage(p platform, format string) error {
	man, err := r.compressMan()
	if err != nil {
		return err
	}
	variables := map[string]string{
		"ARCH": p.arch, "VERSION": r.number(), "SOURCE": r.root, "MAN": man,
		"PACKAGE": filepath.Join(r.root, "release", "package"),
		"PROGRAM": r.program(p), "NOTICES": r.notices(p), "COMPLETIONS": filepath.Join(r.stage, "completions"),
	}
	unknown := ""
	variable := func(name string) string {
		v, ok := variables[name]
		if !ok && !strings.HasPrefix(name, "NFPM_") { // those are passphrases, of which there are none
			unknown = name
		}
		return v
	}
	config, err := nfpm.ParseWithEnvMapping(bytes.NewReader(nfpmConfig), variable)
	if err != nil {
		return err
	}
	info, err := config.Get(format)
	if err != nil {
		return err
	}
	info.MTime = r.time
	// nfpm expands no variables here.
	info.Scripts.PostInstall = os.Expand(info.Scripts.PostInstall, variable)
	info.Scripts.PreRemove = os.Expand(info.Scripts.PreRemove, variable)
	for _, c := range info.Contents {
		if c.FileInfo == nil {
			return fmt.Errorf("nfpm.yaml: %s has no file_info", c.Destination)
		}
		c.FileInfo.MTime = r.time
	}
	if unknown != "" {
		return fmt.Errorf("nfpm.yaml: unknown variable %s", unknown)
	}
	info = nfpm.WithDefaults(info)
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(r.dist, r.stem(p)+"."+format))
	if err != nil {
		return err
	}
	if err := packager.Package(info, out); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// compressMan compresses the man pages, as distributions keep them, once for all packages.
func (r *release) compressMan() (string, error) {
	dir := filepath.Join(r.stage, "man1")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(filepath.Join(r.stage, "man"))
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(r.stage, "man", e.Name()))
		if err != nil {
			return "", err
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return "", err
		}
		if _, err := z.Write(text); err != nil {
			return "", err
		}
		if err := z.Close(); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()+".gz"), b.Bytes(), 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}
