package layer

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// ChangeKind is the kind of a difference: the side that has the path.
type ChangeKind uint8

// The kinds of change.
const (
	Added ChangeKind = iota + 1
	Removed
	Changed
)

// String returns added, removed or changed.
func (k ChangeKind) String() string {
	switch k {
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Changed:
		return "changed"
	}
	return "invalid change"
}

// Aspect is a set of properties in which two entries of one path may differ.
type Aspect uint32

// The aspects, in the order in which String lists them.
const (
	AspectKind Aspect = 1 << iota
	AspectName        // spelled in another case
	AspectAttributes
	AspectCreation
	AspectLastAccess
	AspectLastWrite
	AspectChange
	AspectSecurity
	AspectEAs
	AspectReparse
	AspectObjectID
	AspectSize    // of the main stream
	AspectContent // of the main stream
	AspectStreams // alternate streams: their names or their content
	AspectLinks   // the sets of names that are links to one file
	// AspectTimes is the set of all four times.
	AspectTimes = AspectCreation | AspectLastAccess | AspectLastWrite | AspectChange
)

var aspectNames = []string{
	"kind", "name", "attributes", "created", "accessed", "written", "changed", "security",
	"eas", "reparse", "objectid", "size", "content", "streams", "links",
}

// String lists the aspects, separated by commas.
func (a Aspect) String() string {
	var list []string
	for i, name := range aspectNames {
		if a&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return strings.Join(list, ",")
}

// Side is one side of a Change.
type Side struct {
	Path       string
	Kind       Kind
	Target     string // of a Link
	Attributes winfs.Attributes
	Times      winfs.Times
	Size       int64 // of the main stream
}

// Change is one difference.
type Change struct {
	Kind ChangeKind
	// Path has the spelling of the second side, of the first if it was removed.
	Path string
	// What is the set of differences if Kind is Changed.
	What Aspect
	// Before is nil for an added path, After for a removed one.
	Before, After *Side
}

// DiffOption is an option of [Diff].
type DiffOption func(*differ)

// IgnoreAspects leaves aspects out of the comparison.
func IgnoreAspects(a Aspect) DiffOption { return func(d *differ) { d.ignore = a } }

// WithDiffLimits bounds the number of entries of each side and the size of their
// metadata.
func WithDiffLimits(l Limits) DiffOption { return func(d *differ) { d.limits = l } }

// Diff compares two layers, or two merged views through [View.Reader], and returns the
// differences in the order of paths as NTFS sorts them. Names are compared without regard
// to case. The order of entries does not matter, nor does the choice of the name of a file
// that is the File while the others are Links. Both sources are read once, with all
// content; memory is at most 400 bytes per entry, plus the changes themselves.
func Diff(ctx context.Context, before, after Source, opts ...DiffOption) ([]Change, error) {
	d := &differ{ctx: ctx, seed: maphash.MakeSeed()}
	for _, o := range opts {
		o(d)
	}
	d.limits = d.limits.WithDefaults()
	a, err := d.read(before)
	if err != nil {
		return nil, err
	}
	b, err := d.read(after)
	if err != nil {
		return nil, err
	}
	return d.compare(a, b), nil
}

type differ struct {
	ctx    context.Context
	seed   maphash.Seed
	limits Limits
	ignore Aspect
	buf    []byte
}

// summary is the retained part of an entry. Content and buffers are retained as keyed
// hashes, so that no input can cause a collision on purpose.
type summary struct {
	Side
	file    int32  // index of the file that a Link resolves to, of itself otherwise
	first   int32  // smallest name of the file, as an index; set for file
	content uint64 // of the main stream
	streams uint64 // of names and bytes of alternate streams, in any order
	secured uint64
	eas     uint64
	reparse uint64
	object  uint64
}

type summaries struct {
	list []summary
	at   map[string]int32 // by kind of effect and folded path
}

// sideKey distinguishes a whiteout from an entry of the same layer with the same path.
func sideKey(k Kind, path string) string {
	switch k {
	case Whiteout:
		return "w" + winfs.Fold(path)
	case Opaque:
		return "o" + winfs.Fold(path)
	}
	return "e" + winfs.Fold(path)
}

func (d *differ) read(src Source) (*summaries, error) {
	r, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	s := &summaries{at: map[string]int32{}}
	for {
		if err := d.ctx.Err(); err != nil {
			return nil, err
		}
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if int64(len(s.list)) >= d.limits.Entries {
			err = &LimitError{Limit: "Entries", Max: d.limits.Entries}
		} else if e.MetadataSize() > d.limits.MetadataLen {
			err = &LimitError{Limit: "MetadataLen", Max: d.limits.MetadataLen}
		} else {
			err = d.add(s, e, r)
		}
		if err != nil {
			return nil, &Error{Op: "diff", Entry: e.Path, Index: int64(len(s.list)) + 1, Offset: -1, Err: err}
		}
	}
	s.resolve()
	return s, nil
}

func (d *differ) add(s *summaries, e *Entry, r Reader) error {
	x := summary{
		Side:    Side{Path: strings.Clone(e.Path), Kind: e.Kind, Target: strings.Clone(e.Target), Attributes: e.Attributes, Times: e.Times, Size: e.Size},
		file:    int32(len(s.list)),
		secured: maphash.Bytes(d.seed, e.Security),
		reparse: maphash.Bytes(d.seed, e.Reparse),
		object:  maphash.Bytes(d.seed, e.ObjectID),
		eas:     d.hashEAs(e.EAs),
	}
	if e.Kind == File || e.Kind == Dir {
		for {
			st, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			h, err := d.hashStream(r)
			if err != nil {
				return err
			}
			if st.Name == "" {
				x.content, x.Size = h, st.Size
			} else {
				// Addition makes the sum independent of the order of streams.
				var b [16]byte
				binary.LittleEndian.PutUint64(b[:], h)
				binary.LittleEndian.PutUint64(b[8:], maphash.String(d.seed, winfs.Fold(st.Name)))
				x.streams += maphash.Bytes(d.seed, b[:])
			}
		}
	}
	key := sideKey(e.Kind, e.Path)
	if old, ok := s.at[key]; ok {
		// A directory may be repeated; the last entry counts.
		if e.Kind == File || e.Kind == Link || s.list[old].Kind != e.Kind {
			return fmt.Errorf("%w: %q came before", ErrDuplicate, s.list[old].Path)
		}
		x.file = old
		s.list[old] = x
		return nil
	}
	s.at[key] = x.file
	s.list = append(s.list, x)
	return nil
}

func (d *differ) hashEAs(list []winfs.EA) uint64 {
	var sum uint64
	for i := range list {
		var h maphash.Hash
		h.SetSeed(d.seed)
		h.WriteByte(list[i].Flags)
		h.WriteString(strings.ToUpper(list[i].Name))
		h.WriteByte(0)
		h.Write(list[i].Value)
		sum += h.Sum64()
	}
	return sum
}

func (d *differ) hashStream(r io.Reader) (uint64, error) {
	if d.buf == nil {
		d.buf = make([]byte, 256<<10)
	}
	var h maphash.Hash
	h.SetSeed(d.seed)
	for {
		n, err := r.Read(d.buf)
		h.Write(d.buf[:n])
		if err == io.EOF {
			return h.Sum64(), nil
		}
		if err == nil {
			err = d.ctx.Err()
		}
		if err != nil {
			return 0, err
		}
	}
}

// maxLinkHops bounds how far a link to a link is followed, so that a long chain takes no
// more than linear time.
const maxLinkHops = 8

// resolve sets the content of links to that of their files, and for every file the smallest
// of its names.
func (s *summaries) resolve() {
	for i := range s.list {
		s.list[i].first = int32(i)
	}
	for i := range s.list {
		x := &s.list[i]
		at := int32(i)
		for hops := 0; s.list[at].Kind == Link && hops < maxLinkHops; hops++ {
			next, ok := s.at[sideKey(File, s.list[at].Target)]
			if !ok {
				break
			}
			at = next
		}
		f := &s.list[at]
		x.file = at
		if winfs.CompareFold(x.Path, s.list[f.first].Path) < 0 {
			f.first = int32(i)
		}
	}
	for i := range s.list {
		x := &s.list[i]
		if x.Kind != Link || x.file == int32(i) || s.list[x.file].Kind != File {
			continue
		}
		f := &s.list[x.file]
		x.content, x.streams, x.Size = f.content, f.streams, f.Size
		x.secured, x.eas, x.reparse, x.object = f.secured, f.eas, f.reparse, f.object
		x.Attributes, x.Times = f.Attributes, f.Times
	}
}

func (d *differ) compare(a, b *summaries) []Change {
	var out []Change
	for key, i := range b.at {
		y := &b.list[i]
		j, ok := a.at[key]
		if !ok {
			out = append(out, Change{Kind: Added, Path: y.Path, After: y.side()})
			continue
		}
		if what := d.aspects(a, b, j, i) &^ d.ignore; what != 0 {
			out = append(out, Change{Kind: Changed, Path: y.Path, What: what, Before: a.list[j].side(), After: y.side()})
		}
	}
	for key, i := range a.at {
		if _, ok := b.at[key]; !ok {
			out = append(out, Change{Kind: Removed, Path: a.list[i].Path, Before: a.list[i].side()})
		}
	}
	slices.SortFunc(out, func(x, y Change) int {
		if c := winfs.CompareFold(x.Path, y.Path); c != 0 {
			return c
		}
		return int(x.effect()) - int(y.effect())
	})
	return out
}

// side copies, so that a few changes do not keep a large table in memory.
func (x *summary) side() *Side {
	s := x.Side
	return &s
}

// effect orders changes of one path: the entry, then a whiteout of the same path.
func (c *Change) effect() Kind {
	s := c.After
	if s == nil {
		s = c.Before
	}
	if s.Kind < Whiteout {
		return File
	}
	return s.Kind
}

func (d *differ) aspects(a, b *summaries, i, j int32) Aspect {
	x, y := &a.list[i], &b.list[j]
	var what Aspect
	differ := func(aspect Aspect, unequal bool) {
		if unequal {
			what |= aspect
		}
	}
	fx, fy := &a.list[x.file], &b.list[y.file]
	differ(AspectKind, fx.Kind != fy.Kind)
	differ(AspectName, x.Path != y.Path)
	differ(AspectAttributes, x.Attributes != y.Attributes)
	differ(AspectCreation, x.Times.Creation != y.Times.Creation)
	differ(AspectLastAccess, x.Times.LastAccess != y.Times.LastAccess)
	differ(AspectLastWrite, x.Times.LastWrite != y.Times.LastWrite)
	differ(AspectChange, x.Times.Change != y.Times.Change)
	differ(AspectSecurity, x.secured != y.secured)
	differ(AspectEAs, x.eas != y.eas)
	differ(AspectReparse, x.reparse != y.reparse)
	differ(AspectObjectID, x.object != y.object)
	differ(AspectSize, x.Size != y.Size)
	differ(AspectContent, x.content != y.content)
	differ(AspectStreams, x.streams != y.streams)
	if fx.Kind == Link || fy.Kind == Link { // the file is in a layer below
		differ(AspectLinks, !winfs.EqualFold(fx.Target, fy.Target))
	} else {
		differ(AspectLinks, !winfs.EqualFold(a.list[fx.first].Path, b.list[fy.first].Path))
	}
	return what
}
