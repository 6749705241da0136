package wclayer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/wctransport"
	"github.com/mullion/mullion/winfs"
)

var errInjected = errors.New("injected fault")

// faults counts the operations that change the host, and fails one of them.
type faults struct {
	n, at int
	last  string
}

func (c *faults) hit(op string) error {
	c.n++
	if c.n == c.at {
		c.last = op
		return errInjected
	}
	return nil
}

// faultyDirectory and faultyFile put faults between the writers and the host.
type faultyDirectory struct {
	hostfs.Directory
	c *faults
}

type faultyFile struct {
	hostfs.File
	c *faults
}

func (d faultyDirectory) Create(name string, mode fs.FileMode) (hostfs.File, error) {
	if err := d.c.hit("create"); err != nil {
		return nil, err
	}
	f, err := d.Directory.Create(name, mode)
	if err != nil {
		return nil, err
	}
	return faultyFile{f, d.c}, nil
}

func (d faultyDirectory) Open(name string) (hostfs.File, error) {
	f, err := d.Directory.Open(name)
	if err != nil {
		return nil, err
	}
	return faultyFile{f, d.c}, nil
}

func (d faultyDirectory) Enter(name string) (hostfs.Directory, error) {
	sub, err := d.Directory.Enter(name)
	if err != nil {
		return nil, err
	}
	return faultyDirectory{sub, d.c}, nil
}

func (d faultyDirectory) Mkdir(name string) error {
	return hostfs.FirstError(d.c.hit("mkdir"), d.Directory.Mkdir(name))
}

func (d faultyDirectory) Link(old hostfs.Directory, oldname, newname string) error {
	if err := d.c.hit("link"); err != nil {
		return err
	}
	return d.Directory.Link(old, oldname, newname)
}

func (d faultyDirectory) Rename(oldname, newname string) error {
	if err := d.c.hit("rename"); err != nil {
		return err
	}
	return d.Directory.Rename(oldname, newname)
}

func (d faultyDirectory) SetRecord(b []byte) error {
	if err := d.c.hit("set record of directory"); err != nil {
		return err
	}
	return d.Directory.SetRecord(b)
}

func (d faultyDirectory) SetTimes(t winfs.Times) error {
	if err := d.c.hit("set times of directory"); err != nil {
		return err
	}
	return d.Directory.SetTimes(t)
}

func (d faultyDirectory) Sync() error {
	return d.c.hit("sync directory") // that the disk really writes is not what is tested
}

func (d faultyDirectory) SyncVolume() error {
	if err := d.c.hit("sync volume"); err != nil {
		return err
	}
	return errors.ErrUnsupported // so that files and directories are synced one by one
}

func (f faultyFile) Write(p []byte) (int, error) {
	if err := f.c.hit("write"); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f faultyFile) Truncate(n int64) error {
	if err := f.c.hit("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(n)
}

func (f faultyFile) SetRecord(b []byte) error {
	if err := f.c.hit("set record"); err != nil {
		return err
	}
	return f.File.SetRecord(b)
}

func (f faultyFile) SetTimes(t winfs.Times) error {
	if err := f.c.hit("set times"); err != nil {
		return err
	}
	return f.File.SetTimes(t)
}

func (f faultyFile) Sync() error {
	return f.c.hit("sync")
}

func (f faultyFile) Close() error {
	err := f.File.Close()
	if fault := f.c.hit("close"); fault != nil {
		return fault
	}
	return err
}

// TestFaults fails every operation in turn: an error, nothing at the destination,
// nothing left beside it.
func TestFaults(t *testing.T) {
	base := emptyBase(t, filepath.Join(t.TempDir(), "base"))
	want := layertest.Random(3, layertest.Shape{Entries: 14, MaxSize: 2000, Without: layertest.Opaques | layertest.UtilityVM})
	for _, form := range []struct {
		name   string
		create func(path string, o Option) (layer.Writer, error)
	}{
		{"final", func(path string, o Option) (layer.Writer, error) { return Create(path, []string{base}, o) }},
		{"base", func(path string, o Option) (layer.Writer, error) {
			return Create(path, nil, o, WithMetadata(MetadataIndex))
		}},
		{"transport", func(path string, o Option) (layer.Writer, error) { return wctransport.Create(path, o) }},
	} {
		t.Run(form.name, func(t *testing.T) {
			run := func(at int) (*faults, string, error) {
				dir := t.TempDir()
				c := &faults{at: at}
				inject := func(o *layerdir.Options) {
					o.Wrap = func(d hostfs.Directory) hostfs.Directory { return faultyDirectory{d, c} }
				}
				w, err := form.create(filepath.Join(dir, "layer"), inject)
				if err != nil {
					return c, dir, err
				}
				defer w.Close()
				l := want
				if form.name == "base" {
					l = layertest.Random(3, layertest.Shape{Entries: 14, MaxSize: 2000, Base: true, Without: layertest.UtilityVM})
				}
				if err := write(w, l); err != nil {
					return c, dir, err
				}
				return c, dir, w.Commit()
			}
			clean, _, err := run(0)
			if err != nil {
				t.Fatal(err)
			}
			if clean.n < 60 {
				t.Errorf("only %d operations", clean.n)
			}
			seen := map[string]bool{}
			for at := 1; at <= clean.n; at++ {
				c, dir, err := run(at)
				seen[c.last] = true
				list, _ := os.ReadDir(dir)
				published := false
				for _, e := range list {
					published = published || e.Name() == "layer"
					if e.Name() != "layer" {
						t.Errorf("fault %d (%s): left behind: %s", at, c.last, e.Name())
					}
				}
				switch {
				case c.last == "":
					t.Errorf("fault %d of %d did not happen", at, clean.n)
				case err == nil && !published:
					t.Errorf("fault %d (%s): no error and no layer", at, c.last)
				case err == nil && c.last != "close":
					t.Errorf("fault %d (%s) is ignored", at, c.last)
				case err != nil && published:
					t.Errorf("fault %d (%s): error and a layer: %v", at, c.last, err)
				case err != nil && !errors.Is(err, errInjected):
					t.Errorf("fault %d (%s): %v", at, c.last, err)
				}
				os.RemoveAll(dir)
			}
			for _, op := range []string{"create", "mkdir", "write", "close", "set times"} {
				if !seen[op] {
					t.Errorf("no fault in %s", op)
				}
			}
		})
	}
}

// write writes a layer as a copy would.
func write(w layer.Writer, l *layertest.Layer) error {
	for i := range l.Items {
		it := &l.Items[i]
		if err := w.Add(&it.Entry); err != nil {
			return err
		}
		for j := range it.Streams {
			s := &it.Streams[j]
			if err := w.AddStream(&layer.Stream{Name: s.Name, Size: int64(len(s.Data)), Sparse: s.Sparse}); err != nil {
				return err
			}
			if _, err := w.Write(s.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestExists holds that nothing that stands at the destination is touched.
func TestExists(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"file", "folder"} {
		path := filepath.Join(dir, name)
		var err error
		if name == "file" {
			err = os.WriteFile(path, []byte("mine"), 0o600)
		} else {
			err = os.Mkdir(path, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Create(path, nil, WithSync(SyncNone)); !errors.Is(err, layer.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What appears while the layer is written.
	path := filepath.Join(dir, "late")
	w, err := Create(path, nil, WithSync(SyncNone))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := os.MkdirAll(filepath.Join(path, "theirs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err == nil {
		t.Error("commit over somebody's folder")
	}
	if _, err := os.Stat(filepath.Join(path, "theirs")); err != nil {
		t.Error(err)
	}
	w.Close()
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		if publish.IsTemp(e.Name(), "") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

// TestTwoWriters holds that a second writer for the same destination does not
// take the first one's work for a leftover.
func TestTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layer")
	a, err := Create(path, nil, WithSync(SyncNone))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Create(path, nil, WithSync(SyncNone))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i, w := range []*Writer{a, b} {
		if err := w.Add(&layer.Entry{Path: fmt.Sprintf(`Files\%d`, i), Kind: layer.Dir}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); !errors.Is(err, fs.ErrExist) && !errors.Is(err, layer.ErrExists) {
		t.Errorf("second commit: %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, "Files", "0")); err != nil {
		t.Error(err)
	}
}
