package wintar

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/layer"
)

// ownedFile is a file that the reader or writer has opened itself.
type ownedFile struct{ *os.File }

func (f ownedFile) close() error {
	err := f.File.Close()
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// Open opens an uncompressed layer tar. Close closes the file.
func Open(path string, opts ...Option) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return NewReader(ownedFile{f}, append([]Option{Label(path)}, opts...)...), nil
}

// Create returns a writer of a new file. The archive is written to a temporary
// file beside it, which Commit makes durable and gives the final name; without a
// Commit, Close removes it. A path that exists is refused with layer.ErrExists
// unless Overwrite is given.
func Create(path string, opts ...Option) (*Writer, error) {
	o := gather(opts)
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	p := &published{root: root, final: base, temp: tempPrefix + base, overwrite: o.overwrite}
	if err := p.open(); err != nil {
		root.Close()
		return nil, &layer.Error{Op: "create tar", Layer: path, Offset: -1, Err: err}
	}
	w := NewWriter(p.file, opts...)
	w.out = p
	w.label = path
	return w, nil
}

// tempPrefix marks files that are not complete. A writer that was killed leaves
// one behind, which the next writer of the same path replaces.
const tempPrefix = ".mullion-partial-"

// published is a file that gets its name when it is complete.
type published struct {
	root        *os.Root
	file        *os.File
	final, temp string
	overwrite   bool
}

func (p *published) open() error {
	if err := p.free(); err != nil {
		return err
	}
	if err := p.root.Remove(p.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := p.root.OpenFile(p.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	p.file = f
	return err
}

// free reports whether the final name may be taken.
func (p *published) free() error {
	info, err := p.root.Lstat(p.final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w and is not a file", layer.ErrExists)
	case !p.overwrite:
		return layer.ErrExists
	}
	return nil
}

func (p *published) publish() error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	// Another writer of the same path removes the temporary file and makes its
	// own; that one is not ours to publish.
	mine, err := p.file.Stat()
	if err != nil {
		return err
	}
	there, err := p.root.Lstat(p.temp)
	if err == nil && !os.SameFile(mine, there) {
		p.temp = ""
		err = errors.New("another writer has begun to write the same file")
	}
	if err != nil {
		return err
	}
	err = p.file.Close()
	p.file = nil
	if err != nil {
		return err
	}
	if err := p.free(); err != nil {
		return err
	}
	if err := p.root.Rename(p.temp, p.final); err != nil {
		return err
	}
	p.temp = ""
	return p.syncDir()
}

// syncDir makes the new name durable, where directories can be synced.
func (p *published) syncDir() error {
	d, err := p.root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !cannotSyncDir(err) {
		return err
	}
	return nil
}

// discard removes what is not published, and lets go of everything.
func (p *published) discard() error {
	var err error
	if p.file != nil {
		err = p.file.Close()
		p.file = nil
	}
	if p.temp != "" {
		if rerr := p.root.Remove(p.temp); rerr != nil && err == nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = rerr
		}
		p.temp = ""
	}
	if cerr := p.root.Close(); err == nil {
		err = cerr
	}
	return err
}

var _ io.Seeker = ownedFile{}
