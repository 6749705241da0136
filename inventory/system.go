package inventory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// NewSystem returns a system of one layer: a file system whose root has the directory Files,
// nil for none, and open hives, which stay the caller's. In Files its names are found as fsys
// finds them.
func NewSystem(fsys fs.FS, registry map[hives.Name]*regf.Hive) System {
	if fsys == nil {
		fsys = noFiles{}
	}
	return &plainSystem{fsys, registry}
}

// noFiles is an empty file system.
type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

type plainSystem struct {
	fs.FS
	registry map[hives.Name]*regf.Hive
}

func (s *plainSystem) Hive(n hives.Name) (*regf.Hive, error) {
	if h := s.registry[n]; h != nil {
		return h, nil
	}
	return nil, hives.ErrNoBase
}

func (s *plainSystem) Users() iter.Seq2[User, error] { return users(s) }

func (s *plainSystem) Layer(name string) int {
	if _, err := fs.Stat(s, name); err != nil {
		return -1
	}
	return 0
}

func (s *plainSystem) KeyLayer(n hives.Name, key string) int {
	if h := s.registry[n]; h != nil {
		if _, err := h.Key(key); err == nil {
			return 0
		}
	}
	return -1
}

// slashPath is the name in a System of a path in a layer.
func slashPath(path string) string {
	return strings.ReplaceAll(winfs.EscapeFSName(path), `\`, "/")
}

// layerPath is the path in a layer of a name in a System.
func layerPath(name string) string {
	if path, ok := winfs.UnescapeFSName(name); ok {
		name = path
	}
	return strings.ReplaceAll(name, "/", `\`)
}

// walkFiles gives the files of a system to the catalogers that look at single files.
func (r *run) walkFiles(ctx context.Context, catalogers []Cataloger) error {
	var takers []FileCataloger
	for _, c := range catalogers {
		if c, ok := c.(FileCataloger); ok {
			takers = append(takers, c)
		}
	}
	if len(takers) == 0 {
		return nil
	}
	err := fs.WalkDir(r.sys, ".", func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && name == "." && errors.Is(err, fs.ErrNotExist) {
			return fs.SkipAll
		}
		path := layerPath(name)
		if err == nil && d.Type().IsRegular() {
			err = r.walkFile(ctx, takers, name, path, d)
		}
		if err != nil && ctx.Err() == nil {
			r.skip("files", Skip(FileEvidence(path), err))
			return nil
		}
		return err
	})
	return err
}

func (r *run) walkFile(ctx context.Context, takers []FileCataloger, name, path string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	takers = wanting(takers, path, info.Size())
	if len(takers) == 0 {
		return nil
	}
	f, err := r.sys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	file, release, err := spoolFile(ctx, path, info.Size(), f)
	if err != nil {
		return err
	}
	defer release()
	file.Layer = r.sys.Layer(name)
	return r.catalogFile(ctx, takers, file)
}

// wanting returns the catalogers that want a file.
func wanting(all []FileCataloger, path string, size int64) []FileCataloger {
	var want []FileCataloger
	for _, c := range all {
		if c.Wants(path, size) {
			want = append(want, c)
		}
	}
	return want
}

func (r *run) catalogFile(ctx context.Context, takers []FileCataloger, f *File) error {
	for _, c := range takers {
		first := len(r.inv.Components)
		if err := r.collect(ctx, c, c.CatalogFile(ctx, f)); err != nil {
			return err
		}
		for _, x := range r.inv.Components[first:] {
			for i := range x.Evidence {
				if e := &x.Evidence[i]; e.Layer < 0 && e.Path == f.Path {
					e.Layer = f.Layer
				}
			}
		}
	}
	return nil
}

// smallFile is the size up to which a file is catalogued from memory.
const smallFile = 4 << 20

// spoolFile reads the content of a file, of size bytes, into memory or a temporary file.
func spoolFile(ctx context.Context, path string, size int64, r io.Reader) (f *File, release func() error, err error) {
	f = &File{Path: path, Layer: -1, Size: size}
	release = func() error { return nil }
	if size <= smallFile {
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, nil, err
		}
		f.Content = bytes.NewReader(b)
	} else {
		temp, err := tempfile.Create("", "mullion-file-")
		if err != nil {
			return nil, nil, err
		}
		if _, err := io.Copy(temp, ctxio.Reader(ctx, io.LimitReader(r, size))); err != nil {
			return nil, nil, errors.Join(err, temp.Close())
		}
		f.Content, release = temp, temp.Close
	}
	if err := f.hash(ctx); err != nil {
		return nil, nil, errors.Join(err, release())
	}
	return f, release, nil
}

// hash computes the hash of the content.
func (f *File) hash(ctx context.Context) error {
	sum := sha256.New()
	n, err := io.Copy(sum, ctxio.Reader(ctx, io.NewSectionReader(f.Content, 0, f.Size)))
	if err == nil && n < f.Size {
		err = io.ErrUnexpectedEOF
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return err
}

// registryOnly is embedded in catalogers that open no file.
type registryOnly struct{}

// Wants implements Cataloger.
func (registryOnly) Wants(string, int64) bool { return false }
