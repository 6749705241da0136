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
// unless Overwrite is given. After an error nothing new stands under the final name,
// save for one case: a file that replaced another, and whose name could not be made
// durable.
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
	p := &published{root: root, final: base, temp: tempPrefix + base, overwrite: o.overwrite, hook: o.hook}
	if err := p.open(); err != nil {
		root.Close()
		return nil, &layer.Error{Op: "create tar", Layer: path, Offset: -1, Err: err}
	}
	w := NewWriter(p, opts...)
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
	hook        func(op string) error // fails operations in tests
}

// may asks the hook whether an operation succeeds.
func (p *published) may(op string) error {
	if p.hook == nil {
		return nil
	}
	return p.hook(op)
}

// withHook has every operation of Create's file ask before it is done.
func withHook(hook func(op string) error) Option { return func(o *options) { o.hook = hook } }

// Write writes to the temporary file.
func (p *published) Write(b []byte) (int, error) {
	if err := p.may("write"); err != nil {
		return 0, err
	}
	return p.file.Write(b)
}

// close closes the temporary file, whatever the hook says.
func (p *published) close() error {
	err := p.may("close")
	if cerr := p.file.Close(); err == nil {
		err = cerr
	}
	p.file = nil
	return err
}

// remove removes a file and does not mind if there is none.
func (p *published) remove(name string) error {
	if err := p.may("remove"); err != nil {
		return err
	}
	if err := p.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (p *published) open() error {
	if err := p.free(); err != nil {
		return err
	}
	if err := p.remove(p.temp); err != nil {
		return err
	}
	if err := p.may("create"); err != nil {
		return err
	}
	f, err := p.root.OpenFile(p.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	p.file = f
	return err
}

// free reports whether the final name may be taken.
func (p *published) free() error {
	if err := p.may("stat"); err != nil {
		return err
	}
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

// publish makes the file durable and gives it its name.
func (p *published) publish() error {
	if err := p.may("sync"); err != nil {
		return err
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := p.mine(); err != nil {
		return err
	}
	if err := p.close(); err != nil {
		return err
	}
	if err := p.free(); err != nil {
		return err
	}
	if err := p.may("rename"); err != nil {
		return err
	}
	if err := p.root.Rename(p.temp, p.final); err != nil {
		return err
	}
	p.temp = ""
	err := p.syncDir()
	if err != nil && !p.overwrite {
		// The name may be lost in a crash: that is an error, after which there is no
		// file. One that was replaced does not come back, so the new one stays.
		p.temp = p.final
	}
	return err
}

// mine tells whether the temporary file is still this writer's: another writer of the
// same path removes it and makes its own, which is not ours to publish or to remove.
func (p *published) mine() error {
	if err := p.may("stat"); err != nil {
		return err
	}
	mine, err := p.file.Stat()
	if err != nil {
		return err
	}
	there, err := p.root.Lstat(p.temp)
	if err == nil && !os.SameFile(mine, there) {
		p.temp = ""
		err = errors.New("another writer has begun to write the same file")
	}
	return err
}

// syncDir makes the new name durable, where directories can be synced.
func (p *published) syncDir() error {
	if err := p.may("sync directory"); err != nil {
		return err
	}
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
		err = p.close()
	}
	if p.temp != "" {
		if rerr := p.remove(p.temp); err == nil {
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
