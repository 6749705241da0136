package mend

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"io"
	"math"
	"unsafe"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

const (
	// budget bounds the bytes of entries and names that a plan holds. What does not fit
	// stays as it is.
	budget = 64 << 20
	// heldSize is what an entry takes besides its metadata.
	heldSize = int64(unsafe.Sizeof(layer.Entry{}))
)

// Options say what is known about a layer.
type Options struct {
	// Base is set for a layer without parents, HasParents for one with some. With neither
	// set, the faults whose correction depends on it stay.
	Base, HasParents bool
	// Below knows the names of the layers below, nil if they are not known.
	Below *layer.Below
	// FileAttributes are given to files that have none, as those of a tar without records of
	// them; 0 leaves them without.
	FileAttributes winfs.Attributes
	// Limits bound the layer. Entries and MetadataLen count.
	Limits layer.Limits
}

// Plan holds the corrections of one layer. A plan is made by [Learn] and not changed by its
// readers.
type Plan struct {
	opts Options
	seed maphash.Seed

	first    []string               // directories of the root that are missing
	parents  map[key]*layer.Entry   // directories that come late or are missing
	missing  []string               // paths of those that are missing, uppermost first
	after    map[key][]*layer.Entry // links behind a file
	drop     map[int64]bool         // entries, counted from 1
	retarget map[int64]string       // of links
	spell    map[key]bool           // files that links spell in another case
	vm       bool                   // the entry UtilityVM has attributes and times alone
}

// key is a hash of a folded path. It is keyed, so that nobody can construct a collision.
type key [2]uint64

func (p *Plan) keyOf(path string) key {
	f := winfs.Fold(path)
	var h maphash.Hash
	h.SetSeed(p.seed)
	h.WriteString(f)
	a := h.Sum64()
	h.WriteByte(0)
	return key{a, h.Sum64()}
}

// Missing returns the paths of directories that the layer has entries in and no entry for,
// each after those that it is in. The caller may know them from the layers below and set
// their metadata with [Plan.Provide]; otherwise they get none.
func (p *Plan) Missing() []string { return p.missing }

// Provide sets the metadata of a missing directory. The plan keeps a copy of e, with the
// spelling of its own path.
func (p *Plan) Provide(path string, e *layer.Entry) {
	if d, ok := p.parents[p.keyOf(path)]; ok && e.Kind == layer.Dir && !e.IsReparsePoint() {
		spelled := d.Path
		*d = e.Clone()
		d.Path = spelled
	}
}

// exact hashes a path as the corrected layer spells it.
func (p *Plan) exact(path string) uint64 { return maphash.String(p.seed, rootCase(path)) }

// node is what is known of a path.
type node struct {
	index    int64  // of the first entry that is no whiteout; 0 if there is none
	target   string // of a link; finish shortens it to the end of the chain, "" if there is none
	exact    uint64 // hash of the path as it is spelled
	meta     uint64 // hash of the metadata of a directory
	pending  bool   // a link that comes before the file that it leads to
	walking  bool   // a link of the chain that finish follows
	kind     layer.Kind
	entries  uint8 // that are no whiteouts, saturating
	implied  bool  // entries in it come before it, or it has none
	whiteout int64 // index of the first whiteout
	opaque   int64
}

// learner makes a plan.
type learner struct {
	*Plan
	nodes   map[key]*node
	implied []string // paths of the directories that had no entry when they were needed
	links   []link
	left    int // of the budget
	hasSAM  bool
}

// link is a hard link whose target may have to be found.
type link struct {
	index  int64
	self   key
	target key
	path   string       // of the target, as the link has it
	entry  *layer.Entry // of a link before the file that it leads to
}

// Learn reads the entries of a layer to its end, without their content, and plans its
// corrections. The caller closes r. Errors are those of r and of ctx, and a
// *layer.LimitError.
func Learn(ctx context.Context, r layer.Reader, opts Options) (*Plan, error) {
	p := &Plan{opts: opts, seed: maphash.MakeSeed(), parents: map[key]*layer.Entry{}, after: map[key][]*layer.Entry{}, drop: map[int64]bool{}, retarget: map[int64]string{}, spell: map[key]bool{}}
	l := &learner{Plan: p, nodes: map[key]*node{}, left: budget}
	limits := opts.Limits.WithDefaults()
	for index := int64(1); ; index++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, err := r.Next()
		if err == io.EOF {
			l.finish()
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		if index > limits.Entries {
			return nil, &layer.LimitError{Limit: "Entries", Max: limits.Entries}
		}
		if e.MetadataSize() > limits.MetadataLen {
			return nil, &layer.LimitError{Limit: "MetadataLen", Max: limits.MetadataLen}
		}
		if err := limits.CheckDepth(e.Path); err != nil {
			return nil, err
		}
		streams := false
		if e.Kind == layer.Dir {
			if _, err := r.NextStream(); err == nil {
				streams = true
			} else if err != io.EOF {
				return nil, err
			}
		}
		l.entry(e, index, streams)
	}
}

// take reserves bytes of the budget.
func (l *learner) take(n int64) bool {
	if n > int64(l.left) {
		return false
	}
	l.left -= int(n)
	return true
}

func (l *learner) node(k key) *node {
	n := l.nodes[k]
	if n == nil {
		n = &node{}
		l.nodes[k] = n
	}
	return n
}

func (l *learner) entry(e *layer.Entry, index int64, streams bool) {
	k := l.keyOf(e.Path)
	n := l.node(k)
	switch e.Kind {
	case layer.Whiteout:
		l.hide(&n.whiteout, index)
		return
	case layer.Opaque:
		l.hide(&n.opaque, index)
		return
	}
	l.parentsOf(e.Path)
	meta := uint64(0)
	if e.Kind == layer.Dir {
		meta = l.metadata(e)
	}
	if n.entries < math.MaxUint8 {
		n.entries++
	}
	if n.entries > 1 {
		// A directory twice, with the same metadata, is one.
		if n.kind == layer.Dir && e.Kind == layer.Dir && n.meta == meta && !streams {
			l.drop[index] = true
			n.entries--
		}
		return
	}
	n.index, n.kind, n.meta, n.exact = index, e.Kind, meta, l.exact(e.Path)
	l.hasSAM = l.hasSAM || winfs.EqualFold(e.Path, `Files\Windows\System32\config\SAM`)
	switch {
	case e.Kind == layer.Dir && n.implied:
		if !streams && !e.IsReparsePoint() && l.take(heldSize+e.MetadataSize()) {
			c := e.Clone()
			l.parents[k] = &c
			l.drop[index] = true
		}
	case e.Kind == layer.Link && l.take(int64(2*len(e.Path)+2*len(e.Target))):
		x := link{index: index, self: k, target: l.keyOf(e.Target), path: e.Target}
		n.target = e.Target
		if t := l.nodes[x.target]; (t == nil || t.entries == 0 || t.pending) && x.target != k {
			n.pending = true
			if l.take(heldSize + e.MetadataSize()) {
				c := e.Clone()
				x.entry = &c
			}
		}
		l.links = append(l.links, x)
	}
}

// hide drops a second whiteout of the same kind, and any in a base layer, which has
// nothing below it.
func (l *learner) hide(seen *int64, index int64) {
	if *seen != 0 || l.opts.Base {
		l.drop[index] = true
		return
	}
	*seen = index
}

// parentsOf notes the directories above a path that have no entry yet.
func (l *learner) parentsOf(path string) {
	for dir, _ := winfs.SplitPath(path); dir != ""; dir, _ = winfs.SplitPath(dir) {
		n := l.node(l.keyOf(dir))
		if n.entries > 0 || n.implied {
			return
		}
		n.implied = true
		if l.take(int64(len(dir))) {
			l.implied = append(l.implied, dir)
		}
	}
}

// metadata hashes what two entries for one directory must have in common.
func (l *learner) metadata(e *layer.Entry) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	var b [8]byte
	for _, v := range []uint64{uint64(e.Attributes), uint64(e.Times.Creation), uint64(e.Times.LastAccess), uint64(e.Times.LastWrite), uint64(e.Times.Change), uint64(len(e.EAs))} {
		binary.LittleEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	part := func(p []byte) {
		binary.LittleEndian.PutUint64(b[:], uint64(len(p)))
		h.Write(b[:])
		h.Write(p)
	}
	part([]byte(rootCase(e.Path)))
	part(e.Security)
	part(e.Reparse)
	part(e.ObjectID)
	for i := range e.EAs {
		part([]byte(e.EAs[i].Name))
		part(e.EAs[i].Value)
		h.WriteByte(e.EAs[i].Flags)
	}
	return h.Sum64()
}
