package layer

import (
	"context"
	"fmt"
	"io"
	"io/fs"
)

// Flat is several layers of a chain as one: above the layers below them it shows what they
// show. It is a Source, and is used by one goroutine at a time.
type Flat struct {
	view     *View
	from     int
	selected []uint64 // one bit for each node whose file or directory is read from its layer
	wanted   []bool   // layers that are read
	first    []nodeID // directories, whiteouts and links that come before all others
}

var _ Source = (*Flat)(nil)

// Flatten merges a chain as Union does, and returns the layers from the one with the number
// from on as one layer. Into it go only names that these layers have added, changed or
// hidden, and the directories above them:
//
//   - What they hide of the layers below is whiteouts, one for each name; there are no opaque
//     ones. Of a directory that was removed and made again these are the names in it.
//   - A hard link to a file below stays one, as long as a name of the file below is as it was.
//     Otherwise the content of the file becomes part of the layer.
//   - A directory that no layer mentions is an entry without metadata.
//   - A directory that was removed and made again keeps the spelling that it has below.
//
// With from 0 it is the view itself. Memory is that of the view and one byte for each name.
// The caller closes it.
func Flatten(ctx context.Context, layers []Source, from int, opts ...UnionOption) (*Flat, error) {
	if from < 0 || from >= len(layers) {
		return nil, &Error{Op: "flatten", Offset: -1, Err: fmt.Errorf("%w: there is no layer %d", fs.ErrInvalid, from)}
	}
	f := &Flat{from: from}
	var below []Kind // of the names that the layers below have
	v, err := union(ctx, layers, func(v *View, layer int) {
		if layer == from {
			below = make([]Kind, len(v.tree.nodes))
			for i := range below {
				below[i] = v.tree.nodes[i].kind
			}
		}
	}, opts)
	if err != nil {
		return nil, err
	}
	f.view = v
	if from > 0 {
		f.choose(below)
	}
	return f, nil
}

// choose decides for each name whether and how it is part of the layer.
func (f *Flat) choose(below []Kind) {
	v := f.view
	f.selected = make([]uint64, len(v.tree.nodes)/64+1)
	f.wanted = make([]bool, len(v.sources))
	for i := range v.tree.nodes {
		id, n := nodeID(i), &v.tree.nodes[i]
		switch {
		case id == 0 || int(n.layer) < f.from:
		case n.kind == 0:
			// A name in a directory that is gone is hidden with it, and one under a file or
			// link by that.
			p := &v.tree.nodes[n.parent]
			if i < len(below) && below[i] != 0 && p.kind == Dir && p.flags&nodeSurrogate == 0 {
				f.first = append(f.first, id)
			}
		case n.object == noObject:
			f.first = append(f.first, id)
		case int(v.objects[n.object].layer) < f.from && f.untouched(n.object) != none:
			f.first = append(f.first, id)
		default:
			f.selected[id/64] |= 1 << (id % 64)
			f.wanted[v.objects[n.object].layer] = true
		}
	}
}

// untouched returns a name of a file that the layers below have given it and those of f have
// not, none if there is no such name.
func (f *Flat) untouched(object int32) nodeID {
	nodes := f.view.tree.nodes
	id := f.view.objects[object].names
	for id != none && int(nodes[id].layer) >= f.from {
		id = nodes[id].next
	}
	return id
}

// View returns the view of the whole chain, which is closed with f.
func (f *Flat) View() *View { return f.view }

// Close releases the view.
func (f *Flat) Close() error { return f.view.Close() }

// Open returns a reader of the layer: first the whiteouts, then the rest as [View.Reader]
// yields it. It reads each of the layers that are flattened once more, and one below only if
// content of it is needed.
func (f *Flat) Open() (Reader, error) {
	r := f.view.Reader().(*unionReader)
	if f.from == 0 {
		return r, nil
	}
	r.selected, r.wanted = f.selected, f.wanted
	return &flatReader{unionReader: r, f: f, special: none}, nil
}

// flatReader yields the names in first before those of the view's reader.
type flatReader struct {
	*unionReader
	f       *Flat
	at      int    // in first
	special nodeID // whiteout or link that follows its directories, or none
}

func (r *flatReader) Next() (*Entry, error) {
	for r.err == nil && len(r.queue) == 0 {
		if r.special != none {
			id := r.special
			r.special = none
			return r.yieldSpecial(id)
		}
		if r.at == len(r.f.first) {
			break
		}
		id := r.f.first[r.at]
		r.at++
		n := &r.view.tree.nodes[id]
		if n.kind == Dir {
			r.enqueue(id)
			continue
		}
		r.enqueue(n.parent)
		r.special = id
	}
	return r.unionReader.Next()
}

func (r *flatReader) yieldSpecial(id nodeID) (*Entry, error) {
	v := r.view
	r.fromLayer, r.nextStream, r.stream, r.dataLeft = false, -1, nil, 0
	n := &v.tree.nodes[id]
	e := &r.out
	*e = Entry{Path: v.tree.path(id), Kind: Whiteout}
	if n.kind == 0 {
		return e, nil
	}
	if err := v.metadata(&v.objects[n.object], e); err != nil {
		r.err = err
		return nil, err
	}
	*e = Entry{Path: e.Path, Kind: Link, Target: v.tree.path(r.f.untouched(n.object)), Attributes: e.Attributes, Times: e.Times}
	return e, nil
}

var _ interface {
	Reader
	ExtentReader
	io.Reader
} = (*flatReader)(nil)
