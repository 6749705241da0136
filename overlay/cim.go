package overlay

import (
	"errors"
	"io/fs"
	"iter"
	"sync"

	"github.com/mullion/mullion/cimfs"
)

// cimCache is the number of bytes of an image's files to keep in memory.
const cimCache = 16 << 20

// CimLower returns the tree of a CimFS image, which must stay open. The image gets a cache
// of 16 MiB.
func CimLower(im *cimfs.Image) Lower {
	im.UseCache(cimCache)
	return &cimLower{im: im}
}

type cimLower struct {
	im *cimfs.Image

	// Before version 3 a record does not have the number of names. counts has it for the
	// files with several; once counts the names of all files.
	once   sync.Once
	counts map[cimfs.FileID]int
	err    error
}

func (t *cimLower) Root() (File, error) {
	f, err := t.im.Root()
	if err != nil {
		return nil, err
	}
	return cimFile{f, t}, nil
}

func (t *cimLower) File(id uint64) (File, error) {
	if id > 1<<32-1 {
		return nil, fs.ErrNotExist
	}
	f, err := t.im.File(cimfs.FileID(id))
	if err != nil {
		return nil, err
	}
	return cimFile{f, t}, nil
}

func (t *cimLower) Identity() string { return "cim " + t.im.GUID().String() }

// count reads the whole image once.
func (t *cimLower) count() {
	seen := make([]uint64, t.im.NumFiles()/64+1)
	t.counts = map[cimfs.FileID]int{}
	t.err = t.im.Walk(func(_ string, f *cimfs.File) error {
		word, bit := f.ID()/64, uint64(1)<<(f.ID()%64)
		if seen[word]&bit != 0 {
			t.counts[f.ID()] = max(t.counts[f.ID()], 1) + 1
		}
		seen[word] |= bit
		return nil
	})
}

// cimFile adapts the methods whose types differ; the others are those of the image's file.
type cimFile struct {
	*cimfs.File
	tree *cimLower
}

func (f cimFile) ID() uint64 { return uint64(f.File.ID()) }

func (f cimFile) NumLinks() (int, error) {
	if f.IsDir() {
		return 1, nil
	}
	if f.tree.im.Version() >= cimfs.V3 {
		n, err := f.NumNames()
		// A fork may have removed some of them from a file of its parent.
		if err != nil || n <= 1 || len(f.tree.im.Parents()) == 0 {
			return max(n, 1), err
		}
	}
	f.tree.once.Do(f.tree.count)
	return max(f.tree.counts[f.File.ID()], 1), f.tree.err
}

// EAs omits the hashes of executables: they belong to the image, and a changed file no
// longer has them.
func (f cimFile) EAs() ([]byte, error) { return f.GivenEAs() }

func (f cimFile) Child(name string) (File, error) {
	c, err := f.File.Child(name)
	if err != nil {
		if errors.Is(err, cimfs.ErrNotDirectory) || errors.Is(err, cimfs.ErrName) {
			err = fs.ErrNotExist
		}
		return nil, err
	}
	return cimFile{c, f.tree}, nil
}

func (f cimFile) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for e, err := range f.File.Entries() {
			if !yield(Entry{Name: e.Name, ID: uint64(e.ID)}, err) || err != nil {
				return
			}
		}
	}
}

func (f cimFile) Open() (Stream, error) { return f.Data() }

func (f cimFile) Streams() ([]Stream, error) {
	if !f.HasStreams() {
		return nil, nil
	}
	list, err := f.File.Streams()
	out := make([]Stream, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out, err
}
