package layer

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/mullion/mullion/internal/nametree"
	"github.com/mullion/mullion/winfs"
)

// Scanned is an entry of one layer of a chain, as [Scan] meets it.
type Scanned struct {
	// Entry is valid until the function returns.
	*Entry
	Layer   int   // number of its layer, from 0, the base
	Ordinal int32 // number of the entry in its layer, from 0
	// Shown reports that the merged tree has the name from this entry: no layer above has
	// the name or hides it. It is false for whiteouts. For a hard link the name alone counts:
	// its file can be one of a layer below, or have a name of its own that is hidden.
	Shown bool
}

// Scan reads every layer of a chain once, the topmost first and each to its end, and calls fn
// with each entry, whiteouts and hidden entries included, and a reader that is at the entry,
// from which fn may read its streams. It is for programs that look at the content of what a
// container sees: other than for [Union], that need not be read again. Scan ends at the first
// error, which is that of fn as it is, or an *Error.
//
// The rules are those of Union, with two differences: a layer that contradicts itself is not
// refused, and of two entries of one layer for the same name both are shown.
//
// The names of all layers but the lowest are kept until Scan returns, in at most 400 bytes for
// each entry. limits bounds the entries of each layer, and the kept names, by Entries, and the
// depth of paths; see [WithUnionLimits].
func Scan(ctx context.Context, layers []Source, limits Limits, fn func(Scanned, Reader) error) error {
	s := scanner{ctx: ctx, limits: limits.WithDefaults(), hasher: nametree.NewHasher(), nodes: []shadow{{}}}
	if len(layers) > math.MaxInt16 {
		return &Error{Op: "scan", Offset: -1, Err: &LimitError{Limit: "layers", Max: math.MaxInt16}}
	}
	for i := len(layers) - 1; i >= 0; i-- {
		s.layer = i
		if err := s.run(layers[i], fn); err != nil {
			return err
		}
	}
	return nil
}

// A shadow is a name that a layer gives or hides, and what that means for the layers below.
type shadow struct {
	name   string
	parent uint32
	flags  shadowFlags
}

type shadowFlags uint8

const (
	// shadowTaken hides an entry of the name itself.
	shadowTaken shadowFlags = 1 << iota
	// shadowClosed hides the entries below the name.
	shadowClosed
	// shadowImplied hides an entry of the name that is no directory.
	shadowImplied
	// shadowOwn is the number of bits by which the flags are shifted that the layer which
	// is read has given: they count from the next layer on.
	shadowOwn = 4

	shadowAbove = 1<<shadowOwn - 1
)

type scanner struct {
	ctx    context.Context
	limits Limits
	nodes  []shadow // 0 is the root
	index  nametree.Index
	hasher nametree.Hasher

	layer   int
	ordinal int32
	path    string
	touched []uint32 // nodes with flags of the layer

	// The directory of the last entry.
	lastDir    string
	lastKnown  bool
	lastNode   uint32
	lastHidden bool
	lastExists bool
}

func (s *scanner) fail(err error) error {
	return &Error{Op: "scan", Layer: fmt.Sprintf("layer %d", s.layer), Entry: s.path, Index: int64(s.ordinal) + 1, Offset: -1, Err: err}
}

// run reads one layer.
func (s *scanner) run(src Source, fn func(Scanned, Reader) error) (err error) {
	s.ordinal, s.path, s.lastKnown = 0, "", false
	r, err := src.Open()
	if err != nil {
		return s.fail(err)
	}
	defer func() {
		if cerr := r.Close(); err == nil && cerr != nil {
			err = s.fail(cerr)
		}
	}()
	for ; ; s.ordinal++ {
		if s.ordinal%1024 == 0 && s.ctx.Err() != nil {
			return s.fail(context.Cause(s.ctx))
		}
		s.path = ""
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return s.fail(err)
		}
		s.path = e.Path
		if int64(s.ordinal) >= s.limits.Entries || s.ordinal == math.MaxInt32 {
			return s.fail(&LimitError{Limit: "Entries", Max: s.limits.Entries})
		}
		if e.MetadataSize() > s.limits.MetadataLen {
			return s.fail(&LimitError{Limit: "MetadataLen", Max: s.limits.MetadataLen})
		}
		if err := s.limits.CheckDepth(e.Path); err != nil {
			return s.fail(err)
		}
		shown, err := s.entry(e)
		if err != nil {
			return s.fail(err)
		}
		if err := fn(Scanned{Entry: e, Layer: s.layer, Ordinal: s.ordinal, Shown: shown}, r); err != nil {
			return err
		}
	}
	for _, id := range s.touched {
		n := &s.nodes[id]
		n.flags = n.flags&shadowAbove | n.flags>>shadowOwn
	}
	s.touched = s.touched[:0]
	return nil
}

// entry reports whether an entry is shown, and keeps what it means for the layers below.
func (s *scanner) entry(e *Entry) (shown bool, err error) {
	var flags shadowFlags // for the layers below
	switch e.Kind {
	case Whiteout:
		if e.Path == "" {
			return false, nil
		}
		flags = shadowTaken | shadowClosed
	case Opaque:
		flags = shadowClosed
	case Dir:
		if flags = shadowTaken; isSurrogate(e) {
			flags |= shadowClosed
		}
	case File, Link:
		flags = shadowTaken | shadowClosed
	default:
		return false, fmt.Errorf("%w: %v", ErrCorrupt, e.Kind)
	}
	adds := e.Kind != Whiteout && e.Kind != Opaque
	if e.Path == "" && adds {
		return false, fmt.Errorf("%w: the root cannot be an entry", ErrCorrupt)
	}
	dir, name := "", ""
	if e.Path != "" {
		dir, name = winfs.SplitPath(e.Path)
	}
	parent, hidden, exists, err := s.directory(dir, adds)
	if err != nil || hidden {
		return false, err // nothing of it matters for the layers below
	}
	id := parent
	if e.Path != "" {
		if id, exists, err = s.child(parent, exists, name); err != nil {
			return false, err
		}
	}
	if exists {
		above := s.nodes[id].flags
		shown = above&shadowTaken == 0 && (above&shadowImplied == 0 || e.Kind == Dir && flags&shadowClosed == 0)
	} else {
		shown = true
	}
	if s.layer > 0 {
		s.set(id, flags)
	}
	return shown && adds, nil
}

// set gives a name flags that count from the next layer on.
func (s *scanner) set(id uint32, flags shadowFlags) {
	n := &s.nodes[id]
	if n.flags>>shadowOwn == 0 {
		s.touched = append(s.touched, id)
	}
	n.flags |= flags << shadowOwn
}

// directory finds a directory. It is hidden if what is below it, except in layers above, is
// not shown. In the lowest layer it need not exist. If an entry is added to it, it is implied.
func (s *scanner) directory(dir string, adds bool) (id uint32, hidden, exists bool, err error) {
	if s.lastKnown && adds && dir == s.lastDir {
		return s.lastNode, s.lastHidden, s.lastExists, nil
	}
	exists = true
	hidden = s.nodes[0].flags&shadowClosed != 0
	for rest := dir; rest != "" && !hidden && exists; {
		var name string
		name, rest = cutPath(rest)
		if id, exists, err = s.child(id, true, name); err != nil {
			return 0, false, false, err
		}
		if exists {
			hidden = s.nodes[id].flags&shadowClosed != 0
			if adds && s.layer > 0 && !hidden {
				s.set(id, shadowImplied)
			}
		}
	}
	if adds {
		// The string is part of an entry that ends with the next.
		s.lastDir, s.lastKnown = strings.Clone(dir), true
		s.lastNode, s.lastHidden, s.lastExists = id, hidden, exists
	}
	return id, hidden, exists, nil
}

// child finds a name in a directory. In a layer that is not the lowest, it is added.
func (s *scanner) child(parent uint32, parentExists bool, name string) (id uint32, exists bool, err error) {
	if !parentExists {
		return 0, false, nil
	}
	h := s.hasher.Hash(parent, name)
	for n, skip := s.index.Next(h, 0); n != 0; n, skip = s.index.Next(h, skip) {
		if c := &s.nodes[n]; c.parent == parent && (c.name == name || winfs.EqualFold(c.name, name)) {
			return n, true, nil
		}
	}
	if s.layer == 0 {
		return 0, false, nil
	}
	if int64(len(s.nodes)) > s.limits.Entries || len(s.nodes) == math.MaxInt32 {
		return 0, false, &LimitError{Limit: "Entries", Max: s.limits.Entries}
	}
	id = uint32(len(s.nodes))
	s.nodes = append(s.nodes, shadow{name: strings.Clone(name), parent: parent})
	s.index.Add(h, id)
	return id, true, nil
}
