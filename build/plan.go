package build

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"math"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// plan knows the names of a source before it is converted, in some 50 bytes for each: which of
// several entries for a name counts, what a link leads to. It keeps hashes instead of names,
// with a secret seed, so that a hostile source cannot make them equal.
type plan struct {
	seeds [3]maphash.Seed
	names map[nameKey]planned
	limit int64
	dir   string // the last one whose ancestors were registered
}

type nameKey [2]uint64

// planned is what a source has under a name.
type planned struct {
	entry    int32  // number of the entry that counts; -1 for a directory that only its content mentions
	spelling uint32 // hash of the path with its case
	kind     layer.Kind
	link     bool // symbolic
}

func newPlan(limits layer.Limits) *plan {
	p := &plan{names: map[nameKey]planned{}, limit: min(limits.WithDefaults().Entries, math.MaxInt32)}
	for i := range p.seeds {
		p.seeds[i] = maphash.MakeSeed()
	}
	return p
}

func (p *plan) key(path string) nameKey {
	f := winfs.Fold(path)
	return nameKey{maphash.String(p.seeds[0], f), maphash.String(p.seeds[1], f)}
}

// find returns what the source has at a path.
func (p *plan) find(path string) (planned, bool) {
	n, ok := p.names[p.key(path)]
	return n, ok
}

// learn reads a source to its end. Its content is not read.
func (p *plan) learn(ctx context.Context, r layer.Reader) error {
	for n := int32(0); ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if int64(n) >= p.limit {
			return &layer.LimitError{Limit: "Entries", Max: p.limit}
		}
		if err := p.entry(e, n); err != nil {
			return &layer.Error{Op: "read", Entry: e.Path, Index: int64(n) + 1, Offset: -1, Err: err}
		}
	}
}

func (p *plan) entry(e *layer.Entry, n int32) error {
	dir, _ := winfs.SplitPath(e.Path)
	if e.Kind == layer.Opaque {
		dir = e.Path
	}
	if err := p.ancestors(dir); err != nil {
		return err
	}
	if e.Kind == layer.Whiteout || e.Kind == layer.Opaque {
		return nil
	}
	if err := winfs.CheckPath(e.Path); err != nil {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	is := planned{entry: n, kind: e.Kind, link: e.Reparse != nil}
	if is.link {
		is.kind = layer.File // of whatever kind its target is
	}
	return p.add(e.Path, is)
}

// ancestors registers a directory and those that it is in.
func (p *plan) ancestors(dir string) error {
	if dir == "" || dir == p.dir {
		return nil
	}
	above, _ := winfs.SplitPath(dir)
	if err := p.ancestors(above); err != nil {
		return err
	}
	if err := winfs.CheckPath(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	if err := p.add(dir, planned{entry: -1, kind: layer.Dir}); err != nil {
		return err
	}
	p.dir = dir
	return nil
}

// add registers a name. Of several files with it the last counts, as in an archive to which
// newer versions were appended.
func (p *plan) add(path string, is planned) error {
	is.spelling = uint32(maphash.String(p.seeds[2], path))
	k := p.key(path)
	was, ok := p.names[k]
	switch {
	case !ok:
		if int64(len(p.names)) >= p.limit {
			return &layer.LimitError{Limit: "Entries", Max: p.limit}
		}
	case was.spelling != is.spelling:
		return fmt.Errorf("%w: %q and a name before it", layer.ErrCaseConflict, path)
	case was.kind == layer.Dir && is.kind == layer.Dir:
		if was.entry >= 0 {
			is.entry = was.entry
		}
	case was.kind == layer.Dir || is.kind == layer.Dir:
		if was.link || is.link {
			return fmt.Errorf("%w: %q", ErrThroughLink, path)
		}
		return fmt.Errorf("%w: %q is a file too", layer.ErrNotDirectory, path)
	}
	p.names[k] = is
	return nil
}
