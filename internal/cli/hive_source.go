package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

// registryLongRoots are the keys at which Windows mounts the hives, as .reg files name
// them.
var registryLongRoots = map[hives.Name]string{
	hives.Default: `HKEY_USERS\.DEFAULT`, hives.SAM: `HKEY_LOCAL_MACHINE\SAM`, hives.Security: `HKEY_LOCAL_MACHINE\SECURITY`,
	hives.Software: `HKEY_LOCAL_MACHINE\SOFTWARE`, hives.System: `HKEY_LOCAL_MACHINE\SYSTEM`,
}

const imageHiveHelp = `In place of a hive, an image or a layer can be named, with a KEY that begins
with the hive: HKLM\SOFTWARE\Vendor, or SOFTWARE\Vendor. The answer comes from
the registry of the image, with the deltas of all layers merged in; with
--layer N, from the hive or delta of that layer alone. A file that exists is a
hive, whatever its name. Otherwise a name with the scheme of an image or layer
reference is one, and so is the name of an image in a registry whose host has
a dot or a port or is localhost: registry.example.com/app:1.`

// hiveSource opens the hives of commands that only read them: from files, images and
// layers.
type hiveSource struct {
	*hiveFlags
	content contentFlags
}

func newHiveSource(f *hiveFlags) *hiveSource {
	return &hiveSource{hiveFlags: f, content: contentFlags{layer: -1}}
}

func (s *hiveSource) add(cmd *cobra.Command) {
	s.content.add(cmd)
	s.content.options.addParents(cmd)
}

// namesImage reports whether the argument of a hive command is an image or a layer.
func namesImage(arg string) bool {
	if _, err := os.Lstat(arg); err == nil {
		return false
	}
	if _, ok := parseLayerRef(arg); ok {
		return true
	}
	for _, scheme := range []string{image.Layout, image.OCIArchive, image.DockerArchive, image.Registry, image.Containerd} {
		if rest, ok := strings.CutPrefix(arg, scheme+":"); ok && rest != "" {
			return true
		}
	}
	// The rule of docker for the part of a name that is a host.
	host, _, ok := strings.Cut(arg, "/")
	if !ok || filepath.IsAbs(arg) || strings.HasPrefix(host, ".") || strings.ContainsAny(arg, `\ `) {
		return false
	}
	return host == "localhost" || strings.ContainsAny(host, ".:")
}

// hive returns the hive that KEY names, if the arguments HIVE [KEY] name an image.
func (s *hiveSource) hive(args []string) hives.Name {
	if len(args) < 2 || !namesImage(args[0]) {
		return 0
	}
	n, _, _ := hives.ParseKeyPath(args[1])
	return n
}

// open opens the hive of an argument and resolves KEY in it. The returned function closes
// the hive and what it comes from.
func (s *hiveSource) open(ctx context.Context, c *console, arg, key string) (*regf.Hive, string, func() error, error) {
	if namesImage(arg) {
		return s.openImage(ctx, c, arg, key)
	}
	if given := s.content.image.given(); given != "" || s.content.layer >= 0 || len(s.content.options.parents) > 0 {
		if given == "" {
			given = "layer"
			if s.content.layer < 0 {
				given = "parent"
			}
		}
		return nil, "", nil, usagef("--%s has no effect on a hive file", given)
	}
	h, err := s.hiveFlags.open(ctx, c, arg)
	if err != nil {
		return nil, "", nil, err
	}
	path, err := c.resolveKey(h, arg, key)
	if err != nil {
		return nil, "", nil, errors.Join(err, h.Close())
	}
	return h, path, h.Close, nil
}

func (s *hiveSource) openImage(ctx context.Context, c *console, arg, key string) (*regf.Hive, string, func() error, error) {
	if err := s.content.check(arg); err != nil {
		return nil, "", nil, err
	}
	if s.allowDirty || len(s.logs) > 0 || s.mode != regf.Strict.String() {
		return nil, "", nil, usagef("--allow-dirty, --log and --mode are for hive files, not for %s", arg)
	}
	n, below, ok := hives.ParseKeyPath(key)
	if !ok {
		err := usagef("%s is no file here, and as an image it needs a KEY", arg)
		if key != "" {
			err = usagef("key %s names no hive of %s", quotePath(key), arg)
		}
		if strings.Contains(key, "/") {
			return nil, "", nil, keyHint(key, err)
		}
		return nil, "", nil, hintf(err, `KEY begins with the hive, as in 'HKLM\SOFTWARE\Vendor' or 'SYSTEM\Select'`)
	}
	r, err := s.content.openRegistry(ctx, c, arg, n)
	if err != nil {
		return nil, "", nil, about(arg, err)
	}
	h, err := s.hiveOf(ctx, r, arg, n)
	if err == nil && strings.EqualFold(firstName(below), "CurrentControlSet") {
		var resolved string
		if resolved, err = hives.ResolveKey(h, n, below); err == nil {
			c.noteKey(key, resolved, n.String())
			below = resolved
		}
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}
	if err != nil {
		return nil, "", nil, errors.Join(about(arg, registryHint(err)), r.Close())
	}
	return h, below, func() error { return errors.Join(h.Close(), r.Close()) }, nil
}

// hiveOf opens a merged hive, or for a single layer its delta or base hive.
func (s *hiveSource) hiveOf(ctx context.Context, r imageRegistry, arg string, n hives.Name) (*regf.Hive, error) {
	_, isLayer := parseLayerRef(arg)
	if s.content.layer >= 0 || isLayer && len(s.content.options.parents) == 0 {
		h, err := r.OpenHive(n, hives.Delta)
		if !errors.Is(err, fs.ErrNotExist) {
			return h, err
		}
		h, err = r.Open(ctx, n)
		if errors.Is(err, hives.ErrNoBase) {
			err = fmt.Errorf("the layer has neither the hive %s nor a delta of it", n)
		}
		return h, err
	}
	h, err := r.Open(ctx, n)
	if errors.Is(err, hives.ErrNoBase) {
		err = fmt.Errorf("%s: %w", n, err)
	}
	return h, err
}

func firstName(path string) string {
	if names := regf.SplitPath(path); len(names) > 0 {
		return names[0]
	}
	return ""
}

// read opens the hive and the key named by the arguments HIVE [KEY], calls fn with the key
// and its path, and prints the findings of the hive.
func (s *hiveSource) read(ctx context.Context, c *console, args []string, fn func(*regf.Hive, regf.Key, string) error) (err error) {
	key := ""
	if len(args) > 1 {
		key = args[1]
	}
	h, path, done, err := s.open(ctx, c, args[0], key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	k, path, err := hiveKey(h, args[0], path)
	if err != nil {
		return err
	}
	if err := fn(h, k, path); err != nil {
		return err
	}
	return c.findings(args[0], h)
}

// pair opens a key in two hives, calls fn and prints the findings of the hives.
func (s *hiveSource) pair(ctx context.Context, c *console, args []string, key string, fn func(a, b *regf.Hive, keys [2]string) error) (err error) {
	var open [2]*regf.Hive
	var keys [2]string
	for i, arg := range args {
		h, path, done, err := s.open(ctx, c, arg, key)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		open[i], keys[i] = h, path
	}
	err = fn(open[0], open[1], keys)
	if err != nil && !silent(err) {
		return err
	}
	return errors.Join(err, c.findings(args[0], open[0]), c.findings(args[1], open[1]))
}

// resolveKey returns the path below the root of a hive file that KEY means, and notes how
// it was read.
func (c *console) resolveKey(h *regf.Hive, file, key string) (string, error) {
	path, err := hives.ResolveKey(h, hiveOfFile(file), key)
	if errors.Is(err, hives.ErrOtherHive) {
		return "", about(file, hintf(fmt.Errorf("key %s: %w", quotePath(key), err), "name the hive that has the key; a KEY that begins with a backslash is taken as it is"))
	}
	if err != nil {
		return "", hiveError(file, err)
	}
	c.noteKey(key, path, filepath.Base(file))
	return path, nil
}

// noteKey says how a key was read, if it was not read as it is.
func (c *console) noteKey(key, path, hive string) {
	if path == key || c.quiet {
		return
	}
	in := quotePath(path)
	if path == "" {
		in = "the root"
	}
	fmt.Fprintf(c.err, "note: %s is %s of %s\n", quotePath(key), in, visible(hive))
}

// hiveOfFile returns the hive that a file is by its name, or 0.
func hiveOfFile(file string) hives.Name {
	base := filepath.Base(file)
	for _, n := range hives.All() {
		for _, f := range []hives.Form{hives.Config, hives.Base, hives.Delta} {
			if strings.EqualFold(base, n.File(f)) {
				return n
			}
		}
	}
	return 0
}

// importedKey returns the function that places the keys of a .reg file in a hive. Without
// --prefix the file must be for this hive.
func (c *console) importedKey(h *regf.Hive, file string, prefixed bool) func(root, path string) (string, error) {
	checked, set := prefixed, ""
	return func(root, path string) (string, error) {
		if !checked && root != "" {
			if _, err := hives.ResolveKey(h, hiveOfFile(file), root); err != nil {
				if errors.Is(err, hives.ErrOtherHive) {
					err = hintf(err, "--prefix %s applies the file to this hive nevertheless", root)
				}
				return "", err
			}
			checked = true
		}
		first, rest, below := strings.Cut(path, `\`)
		if !strings.EqualFold(first, "CurrentControlSet") {
			return path, nil
		}
		if set == "" {
			named := hiveOfFile(file)
			if n, _, ok := hives.ParseKeyPath(root); ok && named == 0 {
				named = n
			}
			var err error
			if set, err = hives.ResolveKey(h, named, first); err != nil {
				return "", err
			}
			c.noteKey(first, set, filepath.Base(file))
		}
		if !below {
			return set, nil
		}
		return set + `\` + rest, nil
	}
}
