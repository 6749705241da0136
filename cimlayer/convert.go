package cimlayer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// ConvertToBaseLayer completes a plain directory, with the tree of a system in Files,
// to a base layer in place (docs/spec/layers.md, "Base layers"): the config directory
// is made if it is missing, and in it minimal hives for those of the five that are
// missing, with the version v; Hives gets the five under their base names, as hard
// links or, where the host has none, copies; layout is written. Names are found without
// regard to case.
//
// An existing hive is kept, but must be valid (ErrHive): hcsshim tries to create it
// again, so it can only convert directories without hives. A utility VM needs its
// boot configuration (ErrUtilityVM). Both are checked before anything is written. No
// disk is made; the machine that runs the layer does that.
//
// Each file appears complete or not at all, so the next call completes a conversion that
// was interrupted. The result is a final directory for package wclayer.
func ConvertToBaseLayer(dir string, v hives.OSVersion) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fail("convert to base layer", dir, "", err)
	}
	c := converter{root: root}
	err = c.run(v)
	if cerr := root.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fail("convert to base layer", dir, strings.ReplaceAll(c.at, "/", `\`), err)
	}
	return nil
}

type converter struct {
	root *os.Root
	at   string // path that is being checked or written, with slashes
}

func (c *converter) run(v hives.OSVersion) error {
	if err := c.checkUtilityVM(); err != nil {
		return err
	}
	have := map[hives.Name]string{}
	for _, n := range hives.All() {
		p, err := c.find(n.Path(hives.Config), fs.FileMode.IsRegular)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = c.checkHive(p)
		}
		if err != nil {
			return err
		}
		have[n] = p
	}
	config, err := c.directory(hives.ConfigDir)
	if err != nil {
		return err
	}
	base, err := c.directory(hives.HivesDir)
	if err != nil {
		return err
	}
	for _, dir := range []string{".", config, base} {
		if err := c.sweep(dir); err != nil {
			return err
		}
	}
	for _, n := range hives.All() {
		p, ok := have[n]
		if !ok {
			b, err := hives.Minimal(n, v)
			if err != nil {
				return err
			}
			p = path.Join(config, n.File(hives.Config))
			if err := c.write(p, func(f io.Writer) error { _, err := f.Write(b); return err }); err != nil {
				return err
			}
		}
		if err := c.link(p, base, n.File(hives.Base)); err != nil {
			return err
		}
	}
	p, err := c.find(layoutName, fs.FileMode.IsRegular)
	if errors.Is(err, fs.ErrNotExist) {
		p, err = layoutName, nil
	}
	if err != nil {
		return err
	}
	return c.write(p, func(f io.Writer) error { _, err := io.WriteString(f, layoutText); return err })
}

// checkUtilityVM refuses a utility VM that cannot be started.
func (c *converter) checkUtilityVM() error {
	const bcd = `EFI\Microsoft\Boot\BCD`
	_, err := c.find(`UtilityVM\Files`, fs.FileMode.IsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if _, err = c.find(`UtilityVM\Files\`+bcd, fs.FileMode.IsRegular); err != nil {
			return fmt.Errorf("%w: UtilityVM must contain %s: %w", ErrUtilityVM, bcd, err)
		}
	}
	return err
}

func (c *converter) checkHive(p string) error {
	f, err := c.root.Open(p)
	if err != nil {
		return err
	}
	err = hives.Valid(f)
	if cerr := f.Close(); err == nil {
		return cerr
	}
	return fmt.Errorf("%w: %w", ErrHive, err)
}

// find returns a path of the layer as the host spells it. No component may be a
// symbolic link of the host, each one but the last must be a directory, and is reports
// whether the last one has the right type.
func (c *converter) find(p string, is func(fs.FileMode) bool) (string, error) {
	at, last := ".", false
	for rest := p; !last; {
		var name string
		var more bool
		name, rest, more = strings.Cut(rest, `\`)
		last = !more
		next, err := c.child(at, name)
		if err != nil {
			return "", err
		}
		st, err := c.root.Lstat(next)
		if err != nil {
			return "", err
		}
		switch {
		case !last && !st.IsDir() || last && !is(st.Mode()) && is(fs.ModeDir):
			return "", layer.ErrNotDirectory
		case last && !is(st.Mode()):
			return "", &translated{fmt.Errorf("it is a %v, not a file", st.Mode().Type()), layer.ErrUnsupported}
		}
		at = next
	}
	return at, nil
}

// child finds a name in a directory without regard to case; in its own case first.
func (c *converter) child(dir, name string) (string, error) {
	c.at = path.Join(dir, name)
	_, err := c.root.Lstat(c.at)
	if !errors.Is(err, fs.ErrNotExist) {
		return c.at, err
	}
	list, lerr := fs.ReadDir(c.root.FS(), dir)
	if lerr != nil {
		return "", lerr
	}
	for _, e := range list {
		if winfs.EqualFold(e.Name(), name) {
			return path.Join(dir, e.Name()), nil
		}
	}
	return "", err
}

// directory finds a directory and creates the missing parts of it.
func (c *converter) directory(p string) (string, error) {
	at := "."
	for name := range strings.SplitSeq(p, `\`) {
		next, err := c.child(at, name)
		if errors.Is(err, fs.ErrNotExist) {
			next = path.Join(at, name)
			if err = c.root.Mkdir(next, 0o755); err == nil {
				err = c.sync(at)
			}
		}
		if err != nil {
			return "", err
		}
		if st, err := c.root.Lstat(next); err != nil {
			return "", err
		} else if !st.IsDir() {
			return "", layer.ErrNotDirectory
		}
		at = next
	}
	return at, nil
}

// write makes or replaces a file.
func (c *converter) write(p string, fill func(w io.Writer) error) error {
	c.at = p
	dir, err := c.folder(path.Dir(p))
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := publish.CreateIn(dir, path.Base(p), publish.Options{Replace: true, Private: p != layoutName})
	if err != nil {
		return err
	}
	if err = fill(f); err == nil {
		err = f.Commit()
	}
	return errors.Join(err, f.Close())
}

// sweep removes the leftovers of a killed conversion from a directory.
func (c *converter) sweep(p string) error {
	dir, err := c.folder(p)
	if err != nil {
		return err
	}
	return errors.Join(publish.Sweep(dir, publish.Options{}), dir.Close())
}

// folder opens a directory of the layer, following no link.
func (c *converter) folder(p string) (*os.Root, error) {
	at, err := c.root.OpenRoot(".")
	for name := range strings.SplitSeq(p, "/") {
		if err != nil || name == "." {
			break
		}
		up := at
		at, err = publish.OpenFolder(up, name)
		err = errors.Join(err, up.Close())
	}
	return at, err
}

// link links a hive under its base name and replaces any file of that name.
func (c *converter) link(hive, dir, name string) error {
	p, err := c.child(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		p, err = path.Join(dir, name), nil
	}
	if err != nil {
		return err
	}
	from, err := c.root.Stat(hive)
	if err != nil {
		return err
	}
	to, err := c.root.Lstat(p)
	switch {
	case err == nil && os.SameFile(from, to):
		return nil
	case err == nil && !to.Mode().IsRegular():
		return &translated{fmt.Errorf("it is a %v, not a file", to.Mode().Type()), layer.ErrUnsupported}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if done, err := c.hardLink(hive, p); done || err != nil {
		return err
	}
	return c.write(p, func(f io.Writer) error {
		src, err := c.root.Open(hive)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, src)
		return errors.Join(err, src.Close())
	})
}

// hardLink adds a name to a file of the layer and replaces any file of that name. It
// returns false if the host has no hard links.
func (c *converter) hardLink(hive, p string) (done bool, err error) {
	dir, err := c.folder(path.Dir(p))
	if err != nil {
		return false, err
	}
	defer dir.Close()
	set, err := publish.OpenSet(dir, path.Base(p), publish.Options{})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	const name = "link"
	if c.root.Link(hive, path.Join(path.Dir(p), set.Name(), name)) != nil {
		return false, nil
	}
	if err := set.Publish(name, path.Base(p)); err != nil {
		return false, err
	}
	return true, publish.SyncDir(dir)
}

// sync makes the names in a directory durable.
func (c *converter) sync(dir string) error {
	d, err := c.folder(dir)
	if err != nil {
		return err
	}
	return errors.Join(publish.SyncDir(d), d.Close())
}
