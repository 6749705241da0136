package hives

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// Directory opens the hives in the directory of an unpacked layer. Names are found without
// regard to case, and links of the host are not followed. It is used by one goroutine at a
// time.
type Directory struct {
	// Warn receives the faults of hives that cannot change the result, see [regf.Harmless].
	// It must not call the hive.
	Warn func(finding.Finding)

	root  *os.Root
	files []*os.File
}

var _ Layer = (*Directory)(nil)

// OpenDirectory opens the directory of a layer. Close closes it, after its hives.
func OpenDirectory(dir string) (*Directory, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Directory{root: root}, nil
}

// OpenHive implements Layer. Errors are those of package regf and of the file system, with the
// path of the hive.
func (d *Directory) OpenHive(n Name, f Form) (*regf.Hive, error) {
	p := n.Path(f)
	name, err := find(d.root, p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	file, err := d.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	opt := &regf.Options{AllowHarmless: true}
	if d.Warn != nil {
		opt.Warn = func(x finding.Finding) { d.Warn(x.In(p)) }
	}
	h, err := regf.OpenFile(file, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, errors.Join(err, file.Close()))
	}
	d.files = append(d.files, file) // which the hive does not close
	return h, nil
}

// Close closes the directory.
func (d *Directory) Close() error {
	var errs []error
	for _, f := range d.files {
		errs = append(errs, f.Close())
	}
	d.files = nil
	return errors.Join(append(errs, d.root.Close())...)
}

// CheckDirectory returns an error if a hive of a layer directory cannot be used, before the
// layer is published: of a base layer one in the config directory that [Valid] refuses, of
// another a delta that cannot be read to its end. Names are found without regard to case,
// and links of the host are not followed. A hive that is missing is no error. Errors are
// those of package regf, with the path of the hive.
func CheckDirectory(ctx context.Context, root *os.Root, base bool) error {
	for _, n := range All() {
		form, check := Delta, readable
		if base {
			form, check = Config, func(_ context.Context, f *os.File) error { return Valid(f) }
		}
		p := n.Path(form)
		name, err := find(root, p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		f, err := root.Open(name)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if err := errors.Join(check(ctx, f), f.Close()); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// readable reads all keys and values of a hive.
func readable(ctx context.Context, f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	h, err := regf.OpenReaderAt(f, st.Size(), &regf.Options{AllowHarmless: true})
	if err != nil {
		return err
	}
	defer h.Close()
	for k, err := range h.Root().Walk() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		for _, err := range k.Values() {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// find returns a path of a layer directory as the host spells it. It is fs.ErrNotExist if a
// component is missing or is no plain file or directory.
func find(root *os.Root, p string) (string, error) {
	at := "."
	parts := strings.Split(p, `\`)
	for i, part := range parts {
		next := path.Join(at, part)
		st, err := root.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) {
			list, lerr := fs.ReadDir(root.FS(), at)
			if lerr != nil {
				return "", lerr
			}
			for _, e := range list {
				if winfs.EqualFold(e.Name(), part) {
					next = path.Join(at, e.Name())
					st, err = root.Lstat(next)
					break
				}
			}
		}
		if err != nil {
			return "", err
		}
		if last := i == len(parts)-1; last && !st.Mode().IsRegular() || !last && !st.IsDir() {
			return "", &fs.PathError{Op: "open", Path: next, Err: fs.ErrNotExist}
		}
		at = next
	}
	return at, nil
}
