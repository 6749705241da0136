package offline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// memFiles is a tree in memory: the plainest thing that satisfies Files.
type memFiles struct {
	nodes map[string]*memNode // by folded path
	now   winfs.Filetime
}

type memNode struct {
	path string
	*memData
}

// memData is what hard links share.
type memData struct {
	layer.Entry
	data    []byte
	streams map[string]string
}

func newMemFiles(paths ...string) *memFiles {
	m := &memFiles{nodes: map[string]*memNode{}, now: 132223104000000000}
	sd, err := winsec.ParseSDDL("O:BAG:SYD:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)")
	if err != nil {
		panic(err)
	}
	b, err := sd.Bytes()
	if err != nil {
		panic(err)
	}
	m.nodes[winfs.Fold(root)] = &memNode{root, &memData{Entry: layer.Entry{Kind: layer.Dir, Attributes: winfs.AttrDirectory, Security: b}}}
	for _, p := range paths {
		p, content, isFile := strings.Cut(p, "=")
		for i, c := range p {
			if c == '\\' {
				m.mustDir(p[:i])
			}
		}
		if !isFile {
			m.mustDir(p)
		} else if err := m.Write(root+`\`+p, bytesContent(content), Meta{}); err != nil {
			panic(err)
		}
	}
	return m
}

func (m *memFiles) mustDir(p string) {
	if p = root + `\` + p; m.nodes[winfs.Fold(p)] == nil {
		if err := m.Mkdir(p, Meta{}); err != nil {
			panic(err)
		}
	}
}

func (m *memFiles) err(op, p string, err error) error {
	return &fs.PathError{Op: op, Path: p, Err: err}
}

func (m *memFiles) get(op, p string) (*memNode, error) {
	if n := m.nodes[winfs.Fold(p)]; n != nil {
		return n, nil
	}
	return nil, m.err(op, p, fs.ErrNotExist)
}

func (m *memFiles) item(n *memNode) *layer.Item {
	it := &layer.Item{Entry: n.Entry.Clone()}
	it.Path = n.path
	it.Size = int64(len(n.data))
	return it
}

func (m *memFiles) Lookup(p string) (*layer.Item, error) {
	n, err := m.get("lookup", p)
	if err != nil {
		return nil, err
	}
	return m.item(n), nil
}

func (m *memFiles) below(p string) []*memNode {
	var out []*memNode
	for _, n := range m.nodes {
		if winfs.Under(n.path, p) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *memNode) int { return winfs.CompareFold(a.path, b.path) })
	return out
}

func (m *memFiles) Children(p string) iter.Seq2[*layer.Item, error] {
	return func(yield func(*layer.Item, error) bool) {
		if _, err := m.get("list", p); err != nil {
			yield(nil, err)
			return
		}
		for _, n := range m.below(p) {
			if dir, _ := winfs.SplitPath(n.path); winfs.EqualFold(dir, p) && !yield(m.item(n), nil) {
				return
			}
		}
	}
}

// memReader reads one entry.
type memReader struct {
	n     *memNode
	state int
	r     *bytes.Reader
}

func (r *memReader) Next() (*layer.Entry, error) {
	if r.state++; r.state > 1 {
		return nil, io.EOF
	}
	e := r.n.Entry.Clone()
	e.Path, e.Size = r.n.path, int64(len(r.n.data))
	return &e, nil
}

func (r *memReader) NextStream() (*layer.Stream, error) {
	if r.state++; r.state > 2 {
		return nil, io.EOF
	}
	r.r = bytes.NewReader(r.n.data)
	return &layer.Stream{Size: int64(len(r.n.data))}, nil
}
func (r *memReader) Read(p []byte) (int, error) { return r.r.Read(p) }
func (r *memReader) Close() error               { return nil }

func (m *memFiles) Open(p string) (layer.Reader, error) {
	n, err := m.get("open", p)
	if err != nil {
		return nil, err
	}
	return &memReader{n: n}, nil
}

// add makes a node, whose parent must exist and whose name must be free.
func (m *memFiles) add(p string, meta Meta, e layer.Entry) (*memNode, error) {
	if err := winfs.ValidatePath(p); err != nil {
		return nil, err
	}
	if m.nodes[winfs.Fold(p)] != nil {
		return nil, m.err("make", p, fs.ErrExist)
	}
	dir, _ := winfs.SplitPath(p)
	parent, err := m.get("make", dir)
	if err != nil {
		return nil, err
	}
	if parent.Kind != layer.Dir || parent.Reparse != nil {
		return nil, m.err("make", p, errors.New("the parent is not a directory"))
	}
	e.Attributes |= meta.Attributes
	if e.Kind == layer.Dir {
		e.Attributes |= winfs.AttrDirectory
	} else if e.Attributes&^winfs.AttrReparsePoint == 0 {
		e.Attributes |= winfs.AttrArchive
	}
	e.Times = meta.Times
	if e.Times.LastWrite == 0 {
		e.Times.LastWrite = m.now
	}
	if e.Security = meta.Security; e.Security == nil {
		if e.Security, err = winsec.InheritFile(parent.Security, winsec.SID{}, winsec.SID{}, e.Kind == layer.Dir); err != nil {
			return nil, err
		}
	}
	n := &memNode{p, &memData{Entry: e}}
	m.nodes[winfs.Fold(p)] = n
	return n, nil
}

func (m *memFiles) Mkdir(p string, meta Meta) error {
	_, err := m.add(p, meta, layer.Entry{Kind: layer.Dir})
	return err
}

func (m *memFiles) Write(p string, c Content, meta Meta) error {
	r, err := c.Open()
	if err != nil {
		return err
	}
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != c.Size() {
		return errors.Join(err, fmt.Errorf("%d bytes, not %d", len(b), c.Size()))
	}
	return m.put(p, b, nil, meta)
}

func (m *memFiles) put(p string, b []byte, streams map[string]string, meta Meta) error {
	n := m.nodes[winfs.Fold(p)]
	if n == nil {
		var err error
		if n, err = m.add(p, meta, layer.Entry{Kind: layer.File}); err != nil {
			return err
		}
	} else {
		if n.Kind != layer.File || n.Reparse != nil {
			return m.err("write", p, fs.ErrExist)
		}
		if meta.Attributes != 0 {
			n.Attributes = meta.Attributes
		}
		if meta.Times.LastWrite != 0 {
			n.Times = meta.Times
		}
		if meta.Security != nil {
			n.Security = meta.Security
		}
	}
	n.data, n.streams = b, streams
	return nil
}

func (m *memFiles) Copy(from, to string, meta Meta) error {
	n, err := m.get("copy", from)
	if err != nil {
		return err
	}
	if n.Kind != layer.File || n.Reparse != nil {
		return m.err("copy", from, errors.New("not a file"))
	}
	return m.put(to, n.data, n.streams, meta)
}

func (m *memFiles) Link(p, target string) error {
	t, err := m.get("link", target)
	if err != nil {
		return err
	}
	n, err := m.add(p, Meta{}, layer.Entry{Kind: layer.File})
	if err == nil {
		n.memData = t.memData
	}
	return err
}

func (m *memFiles) Reparse(p string, dir bool, buffer []byte, meta Meta) error {
	kind := layer.File
	if dir {
		kind = layer.Dir
	}
	_, err := m.add(p, meta, layer.Entry{Kind: kind, Reparse: buffer, Attributes: winfs.AttrReparsePoint})
	return err
}

func (m *memFiles) Remove(p string) error {
	n, err := m.get("remove", p)
	if err != nil {
		return err
	}
	if len(m.below(p)) > 0 {
		return m.err("remove", p, errors.New("directory is not empty"))
	}
	delete(m.nodes, winfs.Fold(n.path))
	return nil
}

func (m *memFiles) RemoveAll(p string) error {
	if _, err := m.get("remove", p); err != nil {
		return err
	}
	for _, n := range m.below(p) {
		delete(m.nodes, winfs.Fold(n.path))
	}
	return m.Remove(p)
}

func (m *memFiles) Rename(from, to string) error {
	n, err := m.get("rename", from)
	if err != nil {
		return err
	}
	if old := m.nodes[winfs.Fold(to)]; old != nil && old != n {
		return m.err("rename", to, fs.ErrExist)
	}
	dir, _ := winfs.SplitPath(to)
	if _, err := m.get("rename", dir); err != nil {
		return err
	}
	if winfs.Under(to, from) {
		return m.err("rename", to, errors.New("below itself"))
	}
	list := append(m.below(from), n)
	for _, n := range list {
		delete(m.nodes, winfs.Fold(n.path))
	}
	for _, n := range list {
		n.path = to + n.path[len(from):]
		m.nodes[winfs.Fold(n.path)] = n
	}
	return nil
}

func (m *memFiles) Set(p string, f func(*layer.Entry) error) error {
	n, err := m.get("set", p)
	if err != nil {
		return err
	}
	return f(&n.Entry)
}

// tree lists everything below C:\, one line each.
func (m *memFiles) tree() string {
	var b strings.Builder
	for _, n := range m.below(root) {
		b.WriteString(n.path[len(root)+1:])
		switch {
		case n.Reparse != nil:
			r, err := winfs.ParseReparse(n.Reparse)
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(&b, " -> %s", r.Target())
			if n.Kind == layer.Dir {
				b.WriteString(" (dir)")
			}
		case n.Kind == layer.Dir:
			b.WriteString(`\`)
		default:
			fmt.Fprintf(&b, "=%s", strings.ReplaceAll(string(n.data), "\r\n", "|"))
		}
		if a := n.Attributes &^ (winfs.AttrDirectory | winfs.AttrArchive | winfs.AttrReparsePoint | winfs.AttrNormal); a != 0 {
			fmt.Fprintf(&b, " [%s]", strings.Trim(a.String(), "-"))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
