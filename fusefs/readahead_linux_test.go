package fusefs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// manyFiles makes an image of small files, some empty, some too large to be read ahead.
func manyFiles(t *testing.T) (*cimfs.Image, map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	w, err := cimfs.Create(dir, "many.cim", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	want := map[string][]byte{}
	for d := range 3 {
		name := fmt.Sprintf("d%d", d)
		if err := w.AddDir(name, &cimfs.Meta{Attributes: winfs.AttrDirectory}); err != nil {
			t.Fatal(err)
		}
		for f := range 400 {
			size := f * 37 % 5000
			if f%100 == 99 {
				size = aheadFile + f
			}
			b := bytes.Repeat([]byte(fmt.Sprintf("%d/%d,", d, f)), size/4+1)[:size]
			path := fmt.Sprintf(`%s\f%03d`, name, f)
			if err := w.AddFile(path, &cimfs.Meta{Attributes: winfs.AttrArchive}, int64(size)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := w.CloseStream(); err != nil {
				t.Fatal(err)
			}
			want[filepath.FromSlash(winfs.ToSlash(path))] = b
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(dir, "many.cim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im, want
}

// rootOnly hides that a tree can find files by number.
type rootOnly struct{ t Tree }

func (r rootOnly) Root() (File, error) { return r.t.Root() }

// Files that are read ahead, in order and by several programs at once, have their content,
// with every kind of tree.
func TestReadAhead(t *testing.T) {
	im, want := manyFiles(t)
	for name, tree := range map[string]Tree{"by number": CimTree(im), "by name": rootOnly{CimTree(im)}} {
		t.Run(name, func(t *testing.T) {
			dir := mount(t, tree)
			var wait sync.WaitGroup
			for range 3 {
				wait.Go(func() {
					seen := 0
					err := filepath.Walk(dir, func(path string, st os.FileInfo, err error) error {
						if err != nil || st.IsDir() {
							return err
						}
						rel, err := filepath.Rel(dir, path)
						if err != nil {
							return err
						}
						b, err := os.ReadFile(path)
						if err != nil {
							return err
						}
						if !bytes.Equal(b, want[rel]) {
							return fmt.Errorf("%s has %d bytes, want %d", rel, len(b), len(want[rel]))
						}
						seen++
						// Another spelling is the same file.
						other, err := os.Stat(filepath.Join(dir, strings.ToUpper(rel)))
						if err != nil || !os.SameFile(st, other) {
							return fmt.Errorf("%s in upper case: %v", rel, err)
						}
						return nil
					})
					if err != nil || seen != len(want) {
						t.Errorf("%d files, %v; want %d", seen, err, len(want))
					}
				})
			}
			wait.Wait()
		})
	}
}

// countedReads counts the files whose start the kernel requests.
type countedReads struct {
	*readonly
	mu    sync.Mutex
	files map[uint64]int
}

func (c *countedReads) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	if in.Offset == 0 {
		c.mu.Lock()
		c.files[in.NodeId]++
		c.mu.Unlock()
	}
	return c.readonly.Read(cancel, in, buf)
}

func (c *countedReads) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.files)
	clear(c.files)
	return n
}

// rest waits until nothing is being stored.
func (c *countedReads) rest(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.ahead.mu.Lock()
		busy := c.ahead.busy
		c.ahead.mu.Unlock()
		if busy == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a batch does not end")
		}
	}
}

// directories makes an image of directories of small files that are named like their
// content.
func directories(t *testing.T, dirs, files int) *cimfs.Image {
	t.Helper()
	dir := t.TempDir()
	w, err := cimfs.Create(dir, "dirs.cim", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for d := range dirs {
		name := fmt.Sprintf("d%02d", d)
		if err := w.AddDir(name, &cimfs.Meta{Attributes: winfs.AttrDirectory}); err != nil {
			t.Fatal(err)
		}
		for f := range files {
			file := fmt.Sprintf("f%04d", f)
			if err := w.AddFile(name+`\`+file, &cimfs.Meta{}, int64(len(file))); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(file)); err != nil {
				t.Fatal(err)
			}
			if err := w.CloseStream(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(dir, "dirs.cim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

// A program that reads in order asks for the mark of each batch and no other file; in
// the directories after that it asks for one file of every aheadTrust directories; and
// it stops being trusted when it lists directories and reads nothing in them.
func TestReadAheadMessages(t *testing.T) {
	needFUSE(t)
	const dirs, files = 3 * aheadTrust, 400
	o := (&Options{SameProcess: true}).withDefaults()
	v, err := newReadonly(CimTree(directories(t, dirs, files)), o)
	if err != nil {
		t.Fatal(err)
	}
	v.ahead.wait = time.Minute
	c := &countedReads{readonly: v, files: map[uint64]int{}}
	dir := t.TempDir()
	s, err := serveReadonly(dir, c, v, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Unmount(); err != nil {
			t.Error(err)
		}
	}()
	list := func(d int) {
		l, err := os.ReadDir(filepath.Join(dir, fmt.Sprintf("d%02d", d)))
		if err != nil || len(l) != files {
			t.Fatalf("directory %d has %d files, %v", d, len(l), err)
		}
		c.rest(t)
	}
	read := func(d, from, to int) int {
		for f := from; f < to; f++ {
			name := fmt.Sprintf("f%04d", f)
			b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("d%02d", d), name))
			if err != nil || string(b) != name {
				t.Fatalf("%s has %q, %v", name, b, err)
			}
			c.rest(t)
		}
		return c.count()
	}

	list(0)
	if n := read(0, 0, 2); n != 2 {
		t.Fatalf("the first two files: %d were asked for", n)
	}
	// The mark is in the midst of the batch.
	if n := read(0, 2, aheadFiles); n != 1 {
		t.Errorf("%d files of the first batch were asked for", n)
	}
	if n, most := read(0, aheadFiles, files), files/aheadFiles+1; n == 0 || n > most {
		t.Errorf("%d of %d files were asked for", n, files)
	}
	total := 0
	for d := 1; d <= aheadTrust; d++ {
		list(d)
		n := read(d, 0, 30)
		if want := map[bool]int{true: 1}[d == aheadTrust]; n != want {
			t.Errorf("directory %d: %d of the first files were asked for, want %d", d, n, want)
		}
		total += n
	}
	if total != 1 {
		t.Errorf("%d first files were asked for", total)
	}
	for d := aheadTrust + 1; d < dirs-1; d++ {
		list(d)
	}
	list(dirs - 1)
	if n := read(dirs-1, 5, 15); n == 0 {
		t.Error("files were stored that no one was going to read")
	}
}

// slowTree has streams that wait.
type slowTree struct {
	overlay.Lower
	gate    chan struct{}
	waiting atomic.Int32
}

type slowFile struct {
	File
	t *slowTree
}

type slowStream struct {
	Stream
	t *slowTree
}

func (t *slowTree) File(id uint64) (File, error) {
	f, err := t.Lower.File(id)
	return slowFile{f, t}, err
}

func (f slowFile) Open() (Stream, error) {
	s, err := f.File.Open()
	return slowStream{s, f.t}, err
}

func (s slowStream) ReadAt(b []byte, off int64) (int, error) {
	if _, err := s.Stream.ReadAt(b, off); err != nil && err != io.EOF {
		return 0, err
	}
	// The first two files are read by a program.
	if name := string(b[:5]); name > "f0001" {
		s.t.waiting.Add(1)
		<-s.t.gate
		s.t.waiting.Add(-1)
	}
	return s.Stream.ReadAt(b, off)
}

// Unmount returns when nothing uses the tree any more, and soon.
func TestReadAheadUnmount(t *testing.T) {
	needFUSE(t)
	tree := &slowTree{Lower: CimTree(directories(t, 1, 100)), gate: make(chan struct{})}
	dir := t.TempDir()
	s, err := Mount(dir, tree, &Options{SameProcess: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadDir(filepath.Join(dir, "d00")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"f0000", "f0001"} {
		if b, err := os.ReadFile(filepath.Join(dir, "d00", name)); err != nil || string(b) != name {
			t.Fatalf("%q, %v", b, err)
		}
	}
	for tree.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	done := make(chan error)
	go func() { done <- s.Unmount() }()
	select {
	case err := <-done:
		t.Fatalf("unmounted while the tree is read: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(tree.gate)
	select {
	case err := <-done:
		if err != nil || tree.waiting.Load() != 0 {
			t.Fatalf("%v, %d files are being read", err, tree.waiting.Load())
		}
	case <-time.After(time.Minute):
		t.Fatal("the view is not unmounted")
	}
}
