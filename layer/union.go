package layer

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/mullion/mullion/internal/wtf8"
	"github.com/mullion/mullion/winfs"
)

// View is the merged tree of a chain of layers, as a container sees it. It holds an index
// of names, at most 400 bytes for each entry of the layers, part of it in a temporary file
// if the layers are large, and no content: that is read from the sources again. A View is
// used by one goroutine at a time. Close removes the temporary file.
type View struct {
	sources []Source
	indexed []EntrySource // those of them that have their entries at hand, otherwise nil
	tree    *tree
	stash   *stash
	objects []object
	// byOrdinal has for each layer the objects of its entries.
	byOrdinal [][]int32
	limits    Limits
	fsys      *ViewFS // made by FS
	counts    []int32 // of the names of each object, nil until one has many
}

// object is a file or directory of one layer, with any number of names.
type object struct {
	meta    int64  // in the stash, or -1: the source has it
	streams int64  // alternate streams of a directory in the stash, or -1
	names   nodeID // first living name; node.next links the others
	ordinal int32  // number of the entry in its layer, from 0
	layer   int16
	kind    Kind
	node    nodeID // name that its entry gave it; a link can keep the object when the name is gone
}

// UnionOption is an option of [Union].
type UnionOption func(*View)

// WithUnionLimits bounds the index: Entries is the number of entries in one layer and, with
// the directories that no layer mentions, in all of them; FileSize, TotalSize and Streams
// bound the streams of directories in one layer, which are stored with the index.
func WithUnionLimits(l Limits) UnionOption { return func(v *View) { v.limits = l } }

// Union merges a chain of layers, the lowest (base) layer first, the topmost
// last. It reads every source once, without the content of files.
//
// Names are compared without regard to case. A file or directory of an upper layer replaces
// a file below it; a directory over a directory changes its metadata only. Explicit and
// opaque whiteouts hide entries of lower layers, and never any of their own layer, in any
// order. A hard link finds its target in its own layer before itself, else in the layers
// below, even if its own layer hides or replaces the target there, else after itself.
//
// A layer that contradicts itself is refused with an *Error around ErrDuplicate,
// ErrCaseConflict, ErrNotDirectory or ErrLinkTarget. A directory that no layer mentions is
// implied by its contents, without metadata.
//
// Hives are ordinary files here: package hives handles delta hives, which add to the base
// instead of replacing it.
func Union(ctx context.Context, layers []Source, opts ...UnionOption) (*View, error) {
	return union(ctx, layers, nil, opts)
}

// union is Union; before is called before each layer is added.
func union(ctx context.Context, layers []Source, before func(v *View, layer int), opts []UnionOption) (*View, error) {
	v := &View{sources: layers, tree: newTree(), stash: newStash()}
	for _, o := range opts {
		o(v)
	}
	v.limits = v.limits.WithDefaults()
	if len(layers) > math.MaxInt16 {
		return nil, &Error{Op: "union", Offset: -1, Err: &LimitError{Limit: "layers", Max: math.MaxInt16}}
	}
	for i := range layers {
		if before != nil {
			before(v, i)
		}
		b := merger{View: v, ctx: ctx, layer: i}
		if err := b.run(); err != nil {
			v.Close()
			return nil, err
		}
	}
	v.gatherNames()
	return v, nil
}

// Close releases the index and removes its temporary file, if there is one.
func (v *View) Close() error { return v.stash.close() }

// gatherNames links the living names of every object, in the order in which the names first
// appeared.
func (v *View) gatherNames() {
	for id := nodeID(len(v.tree.nodes) - 1); id > 0; id-- {
		n := &v.tree.nodes[id]
		if n.kind == 0 || n.object == noObject {
			continue
		}
		o := &v.objects[n.object]
		n.next = o.names
		o.names = id
	}
}

// merger adds one layer to a view.
type merger struct {
	*View
	kept      int64 // bytes of streams of directories
	ctx       context.Context
	layer     int
	ordinal   int32
	path      string
	links     []pendingLink
	conflicts []nodeID

	// The directory of the last entry, for the next.
	lastDir string
	lastID  nodeID
	// The directory of the target that was looked up last.
	targetDir string
	targetID  nodeID
}

// pendingLink is a hard link whose target is looked up when the layer is
// complete. Until then its node's object is -2 minus its index.
type pendingLink struct {
	node   nodeID
	target int64 // path in the stash
	state  linkState
}

type linkState uint8

const (
	linkOpen linkState = iota
	linkBusy
	linkDone
)

func (m *merger) run() error {
	src := m.sources[m.layer]
	x := entriesOf(src)
	m.indexed = append(m.indexed, x)
	if x != nil {
		src = x
		// The number of entries is an upper bound of what is new.
		m.reserve(min(x.Len(), m.limits.Entries))
	}
	r, err := src.Open()
	if err != nil {
		return m.fail(err)
	}
	defer r.Close()
	m.byOrdinal = append(m.byOrdinal, nil)
	for m.ordinal = 0; ; m.ordinal++ {
		if m.ordinal%1024 == 0 {
			if err := m.ctx.Err(); err != nil {
				return m.fail(err)
			}
		}
		m.path = ""
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return m.fail(err)
		}
		m.path = e.Path
		if int64(m.ordinal) >= m.limits.Entries || m.ordinal == math.MaxInt32 {
			return m.fail(&LimitError{Limit: "Entries", Max: m.limits.Entries})
		}
		if e.MetadataSize() > m.limits.MetadataLen {
			return m.fail(&LimitError{Limit: "MetadataLen", Max: m.limits.MetadataLen})
		}
		if err := m.limits.CheckDepth(e.Path); err != nil {
			return m.fail(err)
		}
		m.byOrdinal[m.layer] = append(m.byOrdinal[m.layer], noObject)
		if err := m.entry(e, r); err != nil {
			return m.fail(err)
		}
	}
	for _, id := range m.conflicts {
		if m.tree.nodes[id].flags&nodeConflict != 0 {
			m.path = m.tree.path(id)
			return m.fail(fmt.Errorf("%w: a lower layer has a file here and this one has entries below it", ErrNotDirectory))
		}
	}
	return m.resolveLinks()
}

// reserve makes room for n more names.
func (m *merger) reserve(n int64) {
	if n = min(n, math.MaxInt32-int64(len(m.tree.nodes))); n > 0 {
		m.tree.nodes = slices.Grow(m.tree.nodes, int(n))
		m.objects = slices.Grow(m.objects, int(n))
	}
}

func (m *merger) fail(err error) error {
	return &Error{Op: "union", Layer: fmt.Sprintf("layer %d", m.layer), Entry: m.path, Index: int64(m.ordinal) + 1, Offset: -1, Err: err}
}

func (m *merger) entry(e *Entry, r Reader) error {
	switch e.Kind {
	case Whiteout:
		if id, ok := m.tree.lookup(e.Path); ok && id != 0 {
			m.whiteout(id)
		}
		return nil
	case Opaque:
		if id, ok := m.tree.lookup(e.Path); ok {
			m.tree.hideBelow(id, m.layer)
		}
		return nil
	case File, Dir, Link:
	default:
		return fmt.Errorf("%w: %v", ErrCorrupt, e.Kind)
	}
	if e.Path == "" {
		return fmt.Errorf("%w: the root cannot be an entry", ErrCorrupt)
	}
	dir, name := winfs.SplitPath(e.Path)
	parent, err := m.parents(dir)
	if err != nil {
		return err
	}
	h := m.tree.hash(parent, name)
	id, existed := m.tree.childAt(h, parent, name)
	if !existed {
		if id, err = m.newNode(h, parent, name); err != nil {
			return err
		}
	}
	if e.Kind == Dir {
		err = m.makeRoomForDir(id, name, e)
	} else {
		err = m.makeRoomForFile(id, name)
	}
	if err != nil {
		return err
	}
	n := &m.tree.nodes[id]
	n.layer, n.flags = int16(m.layer), 0
	if e.Kind == Link {
		if below := m.fileBelow(id, e.Target); below != noObject {
			n.kind, n.object = File, below
			return nil
		}
		target, err := m.stash.putString(e.Target)
		if err != nil {
			return err
		}
		n.kind, n.object = File, noObject-1-int32(len(m.links))
		m.links = append(m.links, pendingLink{node: id, target: target})
		return nil
	}
	n.kind = e.Kind
	if isSurrogate(e) {
		n.flags |= nodeSurrogate
	}
	o := object{streams: -1, names: none, ordinal: m.ordinal, layer: int16(m.layer), kind: e.Kind, node: id}
	if m.indexed[m.layer] != nil {
		o.meta = -1
	} else if o.meta, err = m.stash.put(e); err != nil {
		return err
	}
	if e.Kind == Dir {
		if o.streams, err = m.keepStreams(r); err != nil {
			return err
		}
	}
	n.object = int32(len(m.objects))
	m.byOrdinal[m.layer][m.ordinal] = n.object
	m.objects = append(m.objects, o)
	return nil
}

// fileBelow returns the file of a lower layer at the target of a link, if this layer has
// not added anything there so far: the link then refers to it, as in importers on Windows,
// which create links while they read.
func (m *merger) fileBelow(link nodeID, target string) int32 {
	id, ok := m.lookupHidden(target)
	if !ok || id == link {
		return noObject
	}
	n := &m.tree.nodes[id]
	if n.object < 0 || m.objects[n.object].kind != File || int(m.objects[n.object].layer) == m.layer {
		return noObject
	}
	if n.layer == int16(m.layer) && n.kind != 0 {
		return noObject // a link of this layer to such a file: the file that the layer has added there
	}
	return n.object
}

func (m *merger) newNode(h uint32, parent nodeID, name string) (nodeID, error) {
	if int64(len(m.tree.nodes)) > m.limits.Entries || len(m.tree.nodes) == math.MaxInt32 {
		return none, &LimitError{Limit: "Entries", Max: m.limits.Entries}
	}
	return m.tree.add(h, parent, name, m.layer), nil
}

// parents finds the directory of an entry, implying directories that no layer mentions.
func (m *merger) parents(dir string) (nodeID, error) {
	if n := &m.tree.nodes[m.lastID]; dir == m.lastDir && n.kind == Dir && n.flags == 0 {
		return m.lastID, nil // as are all above it
	}
	id := nodeID(0)
	m.lastDir, m.lastID = "", 0
	whole := dir
	for dir != "" {
		name, rest := cutPath(dir)
		h := m.tree.hash(id, name)
		next, ok := m.tree.childAt(h, id, name)
		if !ok {
			var err error
			if next, err = m.newNode(h, id, name); err != nil {
				return none, err
			}
		}
		n := &m.tree.nodes[next]
		switch {
		case n.kind == 0:
			n.kind, n.object, n.flags = Dir, noObject, 0
			n.layer, n.cleared = int16(m.layer), int16(m.layer)
		case n.kind == Dir && n.flags&nodeSurrogate == 0:
		case n.layer == int16(m.layer):
			return none, fmt.Errorf("%w: %s is a %s of the same layer", ErrNotDirectory, wtf8.Quote(m.tree.path(next)), nodeNoun(n))
		default:
			// A whiteout or a directory later in the layer may still remove the file below.
			n.kind, n.object, n.flags = Dir, noObject, nodeConflict
			n.layer, n.cleared = int16(m.layer), int16(m.layer)
			m.conflicts = append(m.conflicts, next)
		}
		id, dir = next, rest
	}
	m.lastDir, m.lastID = strings.Clone(whole), id
	return id, nil
}

func nodeNoun(n *node) string {
	if n.flags&nodeSurrogate != 0 {
		return "link"
	}
	return n.kind.String()
}

func cutPath(p string) (first, rest string) {
	for i := range len(p) {
		if p[i] == '\\' {
			return p[:i], p[i+1:]
		}
	}
	return p, ""
}

// isSurrogate reports whether an entry is a symbolic link or junction, which cannot have
// children. Other reparse points, such as placeholders, are directories with children.
func isSurrogate(e *Entry) bool {
	return len(e.Reparse) >= 4 && winfs.IsNameSurrogate(binary.LittleEndian.Uint32(e.Reparse))
}

func (m *merger) makeRoomForDir(id nodeID, name string, e *Entry) error {
	n := &m.tree.nodes[id]
	switch {
	case n.kind == 0:
		n.name, n.cleared = keepName(n.name, name), int16(m.layer)
	case n.kind == File && n.layer == int16(m.layer):
		return duplicate(n, name)
	case n.kind == File:
		n.name, n.cleared = keepName(n.name, name), int16(m.layer)
	case isSurrogate(e):
		return m.emptyDir(id)
	}
	return nil
}

func (m *merger) makeRoomForFile(id nodeID, name string) error {
	n := &m.tree.nodes[id]
	if n.kind != 0 && n.layer == int16(m.layer) && (n.kind == File || n.object != noObject) {
		return duplicate(n, name)
	}
	if n.kind == Dir {
		if err := m.emptyDir(id); err != nil {
			return err
		}
	}
	n.name, n.cleared = keepName(n.name, name), int16(m.layer)
	return nil
}

// keepName returns the new spelling of a name, without retaining the string that it is part
// of.
func keepName(old, name string) string {
	if old == name {
		return old
	}
	return string([]byte(name))
}

func duplicate(n *node, name string) error {
	if n.name != name {
		return fmt.Errorf("%w: the same layer has %q", ErrCaseConflict, n.name)
	}
	return fmt.Errorf("%w: the same layer has a %s of this name", ErrDuplicate, nodeNoun(n))
}

// emptyDir removes a directory's content because something that is not a directory replaces
// it; its own layer must not have added anything there.
func (m *merger) emptyDir(id nodeID) error {
	m.tree.hideBelow(id, m.layer)
	for c := m.tree.nodes[id].child; c != none; c = m.tree.nodes[c].sibling {
		if m.tree.nodes[c].kind != 0 {
			return fmt.Errorf("%w: the same layer has %q below it", ErrNotDirectory, m.tree.nodes[c].name)
		}
	}
	return nil
}

func (m *merger) whiteout(id nodeID) {
	m.tree.hideBelow(id, m.layer)
	n := &m.tree.nodes[id]
	n.flags &^= nodeConflict
	if n.layer != int16(m.layer) {
		m.tree.hide(id, m.layer)
	}
}

// keepStreams puts the alternate streams of a directory into the stash, because
// a directory may have to be yielded long before its own layer is read again.
func (m *merger) keepStreams(r Reader) (int64, error) {
	at := int64(-1)
	for n := int64(1); ; n++ {
		s, err := r.NextStream()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		if n > m.limits.Streams {
			return 0, &LimitError{Limit: "Streams", Max: m.limits.Streams}
		}
		if s.Size > m.limits.FileSize {
			return 0, &LimitError{Limit: "FileSize", Max: m.limits.FileSize}
		}
		if s.Size > m.limits.TotalSize-m.kept {
			return 0, &LimitError{Limit: "TotalSize", Max: m.limits.TotalSize}
		}
		m.kept += s.Size
		if at < 0 {
			at = m.stash.size
		}
		if err := m.stash.putStream(s, &untilDone{m.ctx, r}); err != nil {
			return 0, err
		}
	}
	if at >= 0 {
		return at, m.stash.endStreams()
	}
	return at, nil
}

// untilDone reads until a context is done.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// resolveLinks finds the target of every hard link of the layer.
func (m *merger) resolveLinks() error {
	for i := range m.links {
		if err := m.resolveLink(i); err != nil {
			m.path = m.tree.path(m.links[i].node)
			m.ordinal = -1
			return m.fail(err)
		}
	}
	return nil
}

func (m *merger) resolveLink(i int) error {
	// A link may lead to another one; chain holds the links followed so far.
	chain := []int{i}
	var found int32
	for {
		l := &m.links[chain[len(chain)-1]]
		if n := &m.tree.nodes[l.node]; n.kind != File || n.object >= 0 || l.state == linkDone {
			if l.state != linkDone {
				return nil // something else has taken its place, which was refused before
			}
			found = n.object
			break
		}
		l.state = linkBusy
		target, err := m.stash.getString(l.target)
		if err != nil {
			return err
		}
		id, ok := m.lookupHidden(target)
		if !ok {
			return fmt.Errorf("%w: there is no %s in this layer or below", ErrLinkTarget, wtf8.Quote(target))
		}
		n := &m.tree.nodes[id]
		if n.object >= 0 {
			if m.objects[n.object].kind != File {
				return fmt.Errorf("%w: %s is a directory", ErrLinkTarget, wtf8.Quote(target))
			}
			found = n.object
			break
		}
		if n.object == noObject {
			return fmt.Errorf("%w: %s is a directory", ErrLinkTarget, wtf8.Quote(target))
		}
		next := int(noObject - 1 - n.object)
		if m.links[next].state == linkBusy {
			return fmt.Errorf("%w: links lead in a circle", ErrLinkTarget)
		}
		chain = append(chain, next)
	}
	for _, c := range chain {
		m.links[c].state = linkDone
		m.tree.nodes[m.links[c].node].object = found
	}
	return nil
}

// lookupHidden finds a name that exists, or that this very layer has hidden.
func (m *merger) lookupHidden(path string) (nodeID, bool) {
	dir, name := winfs.SplitPath(path)
	id := m.targetID
	if n := &m.tree.nodes[id]; dir != m.targetDir || n.kind != Dir || n.flags != 0 {
		var ok bool
		if id, ok = m.walkHidden(dir); !ok {
			return none, false
		}
		m.targetDir, m.targetID = dir, id
	}
	id, ok := m.hiddenChild(id, name)
	return id, ok && id != 0
}

func (m *merger) walkHidden(path string) (nodeID, bool) {
	id := nodeID(0)
	for path != "" {
		name, rest := cutPath(path)
		next, ok := m.hiddenChild(id, name)
		if !ok {
			return none, false
		}
		id, path = next, rest
	}
	return id, true
}

func (m *merger) hiddenChild(id nodeID, name string) (nodeID, bool) {
	id, ok := m.tree.childOf(id, name)
	if !ok {
		return none, false
	}
	n := &m.tree.nodes[id]
	return id, n.kind != 0 || n.layer == int16(m.layer)
}
