package mend

import (
	"io"
	"slices"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Reader returns a reader of the corrected layer over r, which yields the same entries as
// the reader that the plan was made from. Closing it closes r. Holes of sparse streams stay
// holes if r knows them.
func (p *Plan) Reader(r layer.Reader) layer.Reader {
	m := &reader{Reader: r, plan: p, above: map[key]bool{}, spelled: map[key]string{}}
	for _, root := range p.first {
		m.queue = append(m.queue, &layer.Entry{Path: root, Kind: layer.Dir, Attributes: winfs.AttrDirectory})
	}
	x, extents := r.(layer.ExtentReader)
	meter, metered := r.(layer.Metered)
	switch {
	case extents && metered:
		return &struct {
			*reader
			layer.ExtentReader
			layer.Metered
		}{m, x, meter}
	case extents:
		return &struct {
			*reader
			layer.ExtentReader
		}{m, x}
	}
	return m
}

type reader struct {
	layer.Reader
	plan    *Plan
	index   int64
	above   map[key]bool   // directories that were added or moved, or need neither
	spelled map[key]string // files of Plan.spell

	queue  []*layer.Entry // before held
	held   *layer.Entry   // of the layer, has streams
	ending []*layer.Entry // links behind the entry that was returned last
	alone  bool           // the current entry is not that of the layer: it has no streams
}

// Next implements layer.Reader.
func (m *reader) Next() (*layer.Entry, error) {
	for {
		switch {
		case len(m.queue) > 0:
			e := m.queue[0]
			m.queue, m.alone = m.queue[1:], true
			return m.emit(e), nil
		case m.held != nil:
			e := m.held
			m.held, m.alone = nil, false
			return m.emit(e), nil
		case len(m.ending) > 0:
			e := *m.ending[0] // emit changes it, and others may read the plan too
			if m.parents(e.Path); len(m.queue) > 0 {
				continue
			}
			m.ending, m.alone = m.ending[1:], true
			return m.emit(&e), nil
		}
		e, err := m.Reader.Next()
		if err != nil {
			return nil, err
		}
		m.index++
		if m.plan.drop[m.index] || m.useless(e) {
			continue
		}
		if target, ok := m.plan.retarget[m.index]; ok {
			e.Target = target
		}
		if e.Kind != layer.Whiteout && e.Kind != layer.Opaque {
			m.parents(e.Path)
		}
		m.held = e
	}
}

// NextStream implements layer.Reader.
func (m *reader) NextStream() (*layer.Stream, error) {
	if m.alone {
		return nil, io.EOF
	}
	return m.Reader.NextStream()
}

// emit corrects an entry and queues the links that follow it.
func (m *reader) emit(e *layer.Entry) *layer.Entry {
	m.normalise(e)
	if len(m.plan.after)+len(m.plan.spell) > 0 && e.Kind == layer.File {
		k := m.plan.keyOf(e.Path)
		m.ending = m.plan.after[k]
		if m.plan.spell[k] {
			m.spelled[k] = strings.Clone(e.Path)
		}
	}
	if len(m.spelled) > 0 && e.Kind == layer.Link {
		if path, ok := m.spelled[m.plan.keyOf(e.Target)]; ok {
			e.Target = path
		}
	}
	return e
}

// parents queues the directories above a path that have no entry before it.
func (m *reader) parents(path string) {
	if len(m.plan.parents) == 0 {
		return
	}
	for dir, _ := winfs.SplitPath(path); dir != ""; dir, _ = winfs.SplitPath(dir) {
		k := m.plan.keyOf(dir)
		if m.above[k] {
			break // and so are those above it
		}
		m.above[k] = true
		if d, ok := m.plan.parents[k]; ok {
			c := d.Clone()
			m.queue = append(m.queue, &c)
		}
	}
	slices.Reverse(m.queue)
}

// useless reports whether an entry hides a file that the utility VM does not have.
func (m *reader) useless(e *layer.Entry) bool {
	o := m.plan.opts
	return e.Kind == layer.Whiteout && o.HasParents && o.Below != nil && winfs.Under(e.Path, utilityFiles) && o.Below.Find(e.Path) == 0
}

// wrapped is FILETIME 0 after a conversion to 64-bit nanoseconds since 1970 and back
// (docs/spec/layers.md, "Times").
const wrapped winfs.Filetime = 184467440737095516

// normalise corrects what one entry alone shows.
func (m *reader) normalise(e *layer.Entry) {
	e.Path = rootCase(e.Path)
	if e.Target != "" {
		e.Target = rootCase(e.Target)
	}
	t := &e.Times
	for _, x := range []*winfs.Filetime{&t.Creation, &t.LastAccess, &t.LastWrite, &t.Change} {
		switch *x {
		case wrapped:
			*x = 0
		case layer.GoZeroTime:
			// An importer that finds no time sets it; others take the time of the last write.
			if x != &t.LastWrite {
				*x = t.LastWrite
			}
		}
	}
	if e.Kind == layer.File && e.Attributes == 0 && !e.IsReparsePoint() {
		e.Attributes = m.plan.opts.FileAttributes
	}
	if m.plan.vm && e.Kind == layer.Dir && winfs.EqualFold(e.Path, layer.RootUtilityVM) && !e.IsReparsePoint() {
		e.Security, e.EAs = nil, nil
	}
}

// rootCase spells the first component of a path as importers expect it.
func rootCase(path string) string {
	for _, root := range []string{layer.RootFiles, layer.RootHives, layer.RootUtilityVM} {
		if winfs.EqualFold(path, root) || winfs.Under(path, root) {
			if path[:len(root)] != root {
				return root + path[len(root):]
			}
		}
	}
	return path
}
