package history

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Action is what a layer did to a file or a key.
type Action uint8

// The actions.
const (
	Added    Action = iota + 1 // there was nothing
	Restored                   // a lower layer had it, and one above had removed it
	Changed                    // the same file or key, with differences
	Replaced                   // something new in the place of what was there
	Repeated                   // the layer has the same again
	Linked                     // the path is a further name of a file elsewhere
	Emptied                    // what the layers below have in the directory is hidden
	Removed                    // there is nothing any more
)

var actionNames = [...]string{Added: "added", Restored: "restored", Changed: "changed", Replaced: "replaced",
	Repeated: "repeated", Linked: "linked", Emptied: "emptied", Removed: "removed"}

// String returns the lower-case name of the action.
func (a Action) String() string {
	if int(a) < len(actionNames) && actionNames[a] != "" {
		return actionNames[a]
	}
	return "invalid action"
}

// FileEvent is what one layer did to a path.
type FileEvent struct {
	Layer  int // from 0, the base
	Action Action
	// Entry has the metadata of the layer's entry at the path. It is nil if the layer has
	// none, because it removes the path or implies a directory by what is below it.
	Entry *layer.Entry
	// SHA256 is that of the main stream of a File in lower-case hexadecimal, and Size its
	// length in bytes. They are not known of a Link.
	SHA256 string
	Size   int64
	// What are the differences from the layers below, for Changed and Replaced. It is empty
	// for the metadata of a directory that was implied.
	What layer.Aspect
	// Cause is the entry that removes, empties or replaces: a whiteout of the path or of a
	// directory above it, or a file in the place of such a directory. It is nil if the
	// entry at the path does it.
	Cause *Cause
}

// Cause is an entry that affects what is below it.
type Cause struct {
	Kind layer.Kind // Whiteout, Opaque, or the kind of what is there instead of a directory
	Path string
}

// String formats as "whiteout of Files\dir" or "file at Files\dir".
func (c Cause) String() string {
	if c.Kind == layer.Whiteout || c.Kind == layer.Opaque {
		return fmt.Sprintf("%v of %s", c.Kind, c.Path)
	}
	return fmt.Sprintf("%v at %s", c.Kind, c.Path)
}

// fileState is what a path is after some layers.
type fileState struct {
	entry   *layer.Entry // nil for an implied directory
	sha256  string
	size    int64
	streams map[string]string // digests of alternate streams by folded name
}

func (s *fileState) isDir() bool { return s.entry == nil || s.entry.Kind == layer.Dir }

// File returns what each layer did to a path, in the order of layers, base first. Layers
// that did nothing to it have no event. Only the content of entries at the path is read.
//
// A hard link is not followed: later changes of its target, in other layers, make a new
// file there and do not affect it. If no layer has the path, errors.Is(err, fs.ErrNotExist)
// holds. limits bound the metadata and the streams of an entry at the path.
func File(ctx context.Context, layers []layer.Source, path string, limits layer.Limits) ([]FileEvent, error) {
	f := fileHistory{ctx: ctx, path: path, limits: limits.WithDefaults()}
	for i, src := range layers {
		if err := f.layer(i, src); err != nil {
			return nil, err
		}
	}
	if len(f.events) == 0 {
		return nil, missing(`"` + path + `"`)
	}
	return f.events, nil
}

// missing is the error about what no layer has: a path, a key, a value or a hive.
type missing string

func (m missing) Error() string        { return "no layer has " + string(m) }
func (m missing) Is(target error) bool { return target == fs.ErrNotExist }

type fileHistory struct {
	ctx    context.Context
	path   string
	limits layer.Limits
	now    *fileState // nil if there is nothing
	ever   bool       // there has been something
	events []FileEvent
}

// layerEffect is what the entries of one layer say about the path, in any order.
type layerEffect struct {
	own     *fileState
	hidden  *Cause // of what is below
	emptied *Cause
	implied bool // an entry below the path makes it a directory
}

func (f *fileHistory) layer(index int, src layer.Source) (err error) {
	r, err := src.Open()
	if err != nil {
		return err
	}
	defer func() {
		if cerr := r.Close(); err == nil {
			err = cerr
		}
	}()
	var x layerEffect
	for n := 0; ; n++ {
		if n%1024 == 0 && f.ctx.Err() != nil {
			return f.ctx.Err()
		}
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := f.entry(&x, e, r); err != nil {
			return err
		}
	}
	f.apply(index, &x)
	return nil
}

func (f *fileHistory) entry(x *layerEffect, e *layer.Entry, r layer.Reader) error {
	at, above := winfs.EqualFold(e.Path, f.path), winfs.Under(f.path, e.Path)
	if e.Path == "" { // of an opaque whiteout of the root
		above = true
	}
	switch e.Kind {
	case layer.Whiteout:
		if at || above {
			x.hidden = &Cause{e.Kind, e.Path}
		}
	case layer.Opaque:
		if above {
			x.hidden = &Cause{e.Kind, e.Path}
		} else if at {
			x.emptied = &Cause{e.Kind, e.Path}
		}
	default:
		switch {
		case at:
			own, err := f.read(e, r)
			x.own = own
			return err
		case above && (e.Kind != layer.Dir || surrogate(e)):
			x.hidden = &Cause{e.Kind, e.Path}
		case winfs.Under(e.Path, f.path):
			x.implied = true
		}
	}
	return nil
}

// surrogate reports whether a directory is a link, which has nothing below it.
func surrogate(e *layer.Entry) bool {
	p, err := winfs.ParseReparse(e.Reparse)
	return len(e.Reparse) > 0 && err == nil && winfs.IsNameSurrogate(p.Tag)
}

// read keeps the metadata of an entry and the digests of its streams.
func (f *fileHistory) read(e *layer.Entry, r layer.Reader) (*fileState, error) {
	fail := func(limit string, n int64) error {
		return &layer.Error{Op: "read history", Entry: f.path, Offset: -1, Err: &layer.LimitError{Limit: limit, Max: n}}
	}
	if e.MetadataSize() > f.limits.MetadataLen {
		return nil, fail("MetadataLen", f.limits.MetadataLen)
	}
	s := &fileState{entry: cloneEntry(e), streams: map[string]string{}}
	if e.Kind == layer.Link {
		return s, nil
	}
	if e.Kind == layer.File {
		s.sha256 = hex.EncodeToString(sha256.New().Sum(nil)) // of an empty stream
	}
	for n := int64(1); ; n++ {
		st, err := r.NextStream()
		switch {
		case err == io.EOF:
			return s, nil
		case err != nil:
			return nil, err
		case n > f.limits.Streams:
			return nil, fail("Streams", f.limits.Streams)
		case st.Size > f.limits.FileSize:
			return nil, fail("FileSize", f.limits.FileSize)
		}
		name := st.Name
		h := sha256.New()
		size, err := f.copy(h, r)
		if err != nil {
			return nil, err
		}
		sum := hex.EncodeToString(h.Sum(nil))
		if name == "" {
			s.sha256, s.size = sum, size
		} else {
			s.streams[winfs.Fold(name)] = sum
		}
	}
}

func (f *fileHistory) copy(h hash.Hash, r io.Reader) (total int64, err error) {
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf)
		_, _ = h.Write(buf[:n])
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err == nil {
			err = f.ctx.Err()
		}
		if err != nil {
			return total, err
		}
	}
}

// cloneEntry copies an entry, which its reader uses again.
func cloneEntry(e *layer.Entry) *layer.Entry {
	c := *e
	c.Security, c.Reparse, c.ObjectID = slices.Clone(e.Security), slices.Clone(e.Reparse), slices.Clone(e.ObjectID)
	c.EAs = make([]winfs.EA, len(e.EAs))
	for i, ea := range e.EAs {
		c.EAs[i] = winfs.EA{Flags: ea.Flags, Name: ea.Name, Value: slices.Clone(ea.Value)}
	}
	return &c
}

// apply adds the events of one layer.
func (f *fileHistory) apply(index int, x *layerEffect) {
	was := f.now
	if x.hidden != nil {
		f.now = nil
	}
	event := func(a Action, what layer.Aspect, cause *Cause) {
		e := FileEvent{Layer: index, Action: a, What: what, Cause: cause}
		if x.own != nil && a != Emptied && a != Removed {
			e.Entry, e.SHA256, e.Size = x.own.entry, x.own.sha256, x.own.size
		}
		f.events = append(f.events, e)
	}
	next := x.own
	if next == nil && x.implied && (f.now == nil || !f.now.isDir()) {
		next = &fileState{}
	}
	if x.emptied != nil && f.now != nil && f.now.isDir() && (next == nil || next.isDir()) {
		event(Emptied, 0, x.emptied)
	}
	switch {
	case next == nil:
		if was != nil && x.hidden != nil {
			event(Removed, 0, x.hidden)
		}
		return
	case next.entry != nil && next.entry.Kind == layer.Link:
		event(Linked, 0, x.hidden)
	case was == nil && f.ever:
		event(Restored, 0, nil)
	case was == nil:
		event(Added, 0, nil)
	case f.now == nil:
		event(Replaced, aspects(was, next), x.hidden)
	case was.isDir() != next.isDir() || was.entry != nil && was.entry.Kind == layer.Link:
		event(Replaced, aspects(was, next), nil)
	default:
		if what := aspects(was, next); what != 0 || was.entry == nil && next.entry != nil {
			event(Changed, what, nil)
		} else if next.entry != nil {
			event(Repeated, 0, nil)
		}
	}
	f.now, f.ever = next, true
}

// aspects returns the differences between two states of a path.
func aspects(a, b *fileState) layer.Aspect {
	var what layer.Aspect
	differ := func(aspect layer.Aspect, unequal bool) {
		if unequal {
			what |= aspect
		}
	}
	differ(layer.AspectKind, a.isDir() != b.isDir())
	if a.entry == nil || b.entry == nil || a.entry.Kind == layer.Link || b.entry.Kind == layer.Link {
		return what // one of them has no metadata of its own
	}
	x, y := a.entry, b.entry
	differ(layer.AspectName, x.Path != y.Path)
	differ(layer.AspectAttributes, x.Attributes != y.Attributes)
	differ(layer.AspectCreation, x.Times.Creation != y.Times.Creation)
	differ(layer.AspectLastAccess, x.Times.LastAccess != y.Times.LastAccess)
	differ(layer.AspectLastWrite, x.Times.LastWrite != y.Times.LastWrite)
	differ(layer.AspectChange, x.Times.Change != y.Times.Change)
	differ(layer.AspectSecurity, !bytes.Equal(x.Security, y.Security))
	differ(layer.AspectEAs, !slices.EqualFunc(x.EAs, y.EAs, func(a, b winfs.EA) bool {
		return a.Flags == b.Flags && a.Name == b.Name && bytes.Equal(a.Value, b.Value)
	}))
	differ(layer.AspectReparse, !bytes.Equal(x.Reparse, y.Reparse))
	differ(layer.AspectObjectID, !bytes.Equal(x.ObjectID, y.ObjectID))
	differ(layer.AspectSize, x.Kind == y.Kind && a.size != b.size)
	differ(layer.AspectContent, x.Kind == y.Kind && a.sha256 != b.sha256)
	differ(layer.AspectStreams, !maps.Equal(a.streams, b.streams))
	return what
}
