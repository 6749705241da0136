package compare

import (
	"context"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Kind is the kind of a difference.
type Kind uint8

// The kinds of differences.
const (
	Added   Kind = iota + 1 // only the second side has it
	Removed                 // only the first side has it
	Changed                 // both sides have it, with different content
	Renamed                 // a file of the first side that has another path on the second
)

// String returns added, removed, changed or renamed.
func (k Kind) String() string {
	switch k {
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Changed:
		return "changed"
	case Renamed:
		return "renamed"
	}
	return "invalid kind"
}

// FileChange is a difference between two trees.
type FileChange struct {
	Kind Kind
	// What is the set of properties that differ if Kind is Changed or Renamed; in the latter
	// it can be empty.
	What layer.Aspect
	// Before is nil for an added path, After for a removed one.
	Before, After *File
}

// Path returns the path on the second side, on the first if it was removed.
func (c *FileChange) Path() string {
	if c.After != nil {
		return c.After.Path
	}
	return c.Before.Path
}

// FileOptions select the differences that count.
type FileOptions struct {
	// Ignore is the set of properties that are not compared.
	Ignore layer.Aspect
	// Keep reports whether a path is compared; nil keeps all. It is called with paths of
	// both sides, and must give the same answer for paths that differ in case only.
	Keep func(path string) bool
	// NoRenames reports files that were renamed as removed and added.
	NoRenames bool
}

// FileChanges are the differences between two trees, in the order of paths. A renamed file
// is at its new path.
type FileChanges struct {
	a, b *Tree
	list []change
	// Compared is the number of paths that were compared.
	Compared int
}

type change struct {
	a, b int32 // names, -1 if there is none
	what layer.Aspect
	kind Kind
}

// Files compares two trees, whose tables must be of one scanner.
func Files(ctx context.Context, a, b *Tree, opt FileOptions) (*FileChanges, error) {
	out := &FileChanges{a: a, b: b}
	keep := func(t *Tree, i int) bool {
		return opt.Keep == nil || opt.Keep(string(t.path(int32(i))))
	}
	for i, j, n := 0, 0, 0; i < len(a.names) || j < len(b.names); n++ {
		if n%4096 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		switch order := out.order(i, j); {
		case order < 0:
			if keep(a, i) {
				out.list = append(out.list, change{a: int32(i), b: -1, kind: Removed})
				out.Compared++
			}
			i++
		case order > 0:
			if keep(b, j) {
				out.list = append(out.list, change{a: -1, b: int32(j), kind: Added})
				out.Compared++
			}
			j++
		default:
			if keep(b, j) {
				if what := out.aspects(int32(i), int32(j)) &^ opt.Ignore; what != 0 {
					out.list = append(out.list, change{a: int32(i), b: int32(j), kind: Changed, what: what})
				}
				out.Compared++
			}
			i++
			j++
		}
	}
	if !opt.NoRenames {
		out.renames(opt.Ignore)
	}
	return out, nil
}

// order compares the paths i of a and j of b; a tree that is exhausted is behind the other.
func (f *FileChanges) order(i, j int) int {
	switch {
	case i == len(f.a.names):
		return 1
	case j == len(f.b.names):
		return -1
	}
	x, y := &f.a.names[i], &f.b.names[j]
	if c := comparePaths(f.a.path(int32(i)), f.b.views[1].of(&f.b.paths, y.path)); c != 0 {
		return c
	}
	return effect(x.kind) - effect(y.kind)
}

// aspects returns the properties in which name i of a differs from name j of b.
func (f *FileChanges) aspects(i, j int32) layer.Aspect {
	m, n := &f.a.names[i], &f.b.names[j]
	x, y := f.a.entry(m), f.b.entry(n)
	var what layer.Aspect
	differ := func(aspect layer.Aspect, unequal bool) {
		if unequal {
			what |= aspect
		}
	}
	differ(layer.AspectKind, m.kind != n.kind)
	differ(layer.AspectName, string(f.a.path(i)) != string(f.b.views[1].of(&f.b.paths, n.path)))
	differ(layer.AspectAttributes, x.attributes != y.attributes)
	differ(layer.AspectCreation, x.times.Creation != y.times.Creation)
	differ(layer.AspectLastAccess, x.times.LastAccess != y.times.LastAccess)
	differ(layer.AspectLastWrite, x.times.LastWrite != y.times.LastWrite)
	differ(layer.AspectChange, x.times.Change != y.times.Change)
	differ(layer.AspectSecurity, x.security != y.security)
	differ(layer.AspectEAs, x.eas != y.eas)
	differ(layer.AspectReparse, x.reparse != y.reparse)
	differ(layer.AspectObjectID, x.object != y.object)
	differ(layer.AspectSize, x.size != y.size)
	differ(layer.AspectContent, x.sum != y.sum)
	differ(layer.AspectStreams, x.streams != y.streams)
	if m.kind == layer.Link || n.kind == layer.Link { // the file is in a layer below
		differ(layer.AspectLinks, !f.sameTarget(x, y))
	} else {
		alone := m.first == i && n.first == j
		differ(layer.AspectLinks, !alone && comparePaths(f.a.path(m.first), f.b.views[1].of(&f.b.paths, f.b.names[n.first].path)) != 0)
	}
	return what
}

func (f *FileChanges) sameTarget(x, y *entry) bool {
	if x.target == y.target {
		return true
	}
	a, errA := f.a.scan.store.get(x.target)
	b, errB := f.b.scan.store.get(y.target)
	return errA == nil && errB == nil && winfs.EqualFold(string(a), string(b))
}

// Len returns the number of differences.
func (f *FileChanges) Len() int { return len(f.list) }

// Kind returns the kind of difference number i, from 0.
func (f *FileChanges) Kind(i int) Kind { return f.list[i].kind }

// Change returns difference number i, from 0.
func (f *FileChanges) Change(i int) (*FileChange, error) {
	x := f.list[i]
	c := &FileChange{Kind: x.kind, What: x.what}
	var err error
	if x.a >= 0 {
		if c.Before, err = f.a.File(int(x.a)); err != nil {
			return nil, err
		}
	}
	if x.b >= 0 {
		c.After, err = f.b.File(int(x.b))
	}
	return c, err
}

// Fold describes a directory that one side alone has, with all that is below it.
type Fold struct {
	// Next is the number of the first difference that is not below the directory.
	Next int
	// Files and Dirs count what is below the directory and of the same kind of difference,
	// Bytes is the size of the main streams of the files, each once.
	Files, Dirs int
	Bytes       int64
}

// Fold returns the extent of the added or removed directory of difference number i. ok is
// false if that is none. Differences of another kind can be below a directory: a file that
// was renamed into it, say.
func (f *FileChanges) Fold(i int) (fold Fold, ok bool) {
	x := f.list[i]
	t, at := f.b, x.b
	if x.kind == Removed {
		t, at = f.a, x.a
	}
	if x.kind != Added && x.kind != Removed || t.names[at].kind != layer.Dir {
		return Fold{}, false
	}
	dir := t.paths.get(t.names[at].path)
	j := i + 1
	for ; j < len(f.list); j++ {
		y := f.list[j]
		u, n := f.b, y.b
		if n < 0 {
			u, n = f.a, y.a
		}
		if !winfs.Under(string(u.path(n)), dir) {
			break
		}
		if y.kind != x.kind {
			continue
		}
		if m := &u.names[n]; m.kind == layer.Dir {
			fold.Dirs++
		} else {
			fold.Files++
			if m.first == n {
				fold.Bytes += u.entry(m).size
			}
		}
	}
	fold.Next = j
	return fold, true
}

// Totals count differences.
type Totals struct {
	Added, Removed, Changed, Renamed int
	// BytesAdded and BytesRemoved are the sizes of the main streams on the side that has
	// more: of added files, and of what changed files have grown; each file once.
	BytesAdded, BytesRemoved int64
}

// Any reports whether there are differences.
func (t Totals) Any() bool { return t.Added+t.Removed+t.Changed+t.Renamed > 0 }

// Count adds one difference.
func (t *Totals) Count(k Kind) {
	switch k {
	case Added:
		t.Added++
	case Removed:
		t.Removed++
	case Changed:
		t.Changed++
	case Renamed:
		t.Renamed++
	}
}

// Totals counts the differences.
func (f *FileChanges) Totals() Totals {
	var t Totals
	for _, x := range f.list {
		t.Count(x.kind)
		if x.a >= 0 && f.a.names[x.a].first == x.a {
			t.BytesRemoved += f.a.entry(&f.a.names[x.a]).size
		}
		if x.b >= 0 && f.b.names[x.b].first == x.b {
			t.BytesAdded += f.b.entry(&f.b.names[x.b]).size
		}
		if x.a >= 0 && x.b >= 0 { // what both have does not count
			common := min(f.a.entry(&f.a.names[x.a]).size, f.b.entry(&f.b.names[x.b]).size)
			if f.a.names[x.a].first == x.a {
				t.BytesRemoved -= common
			}
			if f.b.names[x.b].first == x.b {
				t.BytesAdded -= common
			}
		}
	}
	return t
}
