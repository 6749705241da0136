//go:build linux || darwin

package fusefs

import (
	"io/fs"
	"sync"
)

// finder finds files by number.
type finder interface {
	file(id uint64) (File, error)
	// entry returns the file that a directory lists.
	entry(dir uint64, e *Entry) (File, error)
	// given and forget count how often the kernel was passed a file.
	given(f File)
	forget(id, n uint64)
}

// newFinder returns a finder without state if the tree can find files by number itself, as
// that of an image can.
func newFinder(t Tree, root File) finder {
	if n, ok := t.(numbered); ok {
		return direct{n}
	}
	return &remembered{root: root, known: map[uint64]*knownFile{}}
}

// numbered is a tree that finds its files by number.
type numbered interface{ File(id uint64) (File, error) }

type direct struct{ tree numbered }

func (d direct) file(id uint64) (File, error)           { return d.tree.File(id) }
func (d direct) entry(_ uint64, e *Entry) (File, error) { return d.tree.File(e.ID) }
func (d direct) given(File)                             {}
func (d direct) forget(uint64, uint64)                  {}

// remembered keeps the files that the kernel knows.
type remembered struct {
	root  File
	mu    sync.Mutex
	known map[uint64]*knownFile
}

type knownFile struct {
	File
	count uint64
}

func (r *remembered) file(id uint64) (File, error) {
	if id == r.root.ID() {
		return r.root, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.known[id]; k != nil {
		return k.File, nil
	}
	return nil, fs.ErrNotExist
}

func (r *remembered) entry(dir uint64, e *Entry) (File, error) {
	d, err := r.file(dir)
	if err != nil {
		return nil, err
	}
	return d.Child(e.Name)
}

func (r *remembered) given(f File) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.known[f.ID()]
	if k == nil {
		k = &knownFile{File: f}
		r.known[f.ID()] = k
	}
	k.count++
}

func (r *remembered) forget(id, n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.known[id]; k != nil {
		if k.count -= min(n, k.count); k.count == 0 {
			delete(r.known, id)
		}
	}
}
