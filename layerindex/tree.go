package layerindex

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"sort"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Tree is the merged tree of a chain of layers, kept after layer.Union has made it: it
// answers Lookup, Children, Walk and Open as the layer.View does, without merging, from the
// names in a file and the entries in the indexes of the layers. It holds the file, some 45
// bytes for a name. A Tree is used by one goroutine at a time.
type Tree struct {
	head    treeHead
	sources []layer.EntrySource
	// A row for each name, in the order of layer.View.Levels, and one more at the end of the
	// columns whose values begin something.
	names    column // where the name begins in text
	children column // number of the first name in the directory
	ordinals column
	links    column
	layers   column // 1 more than the number of the layer; treeFile is set for a file
	text     []byte
	linked   []int32 // names of files with several, those of one file together; nil until NamesOf
}

// treeHead is the first part of a file.
type treeHead struct {
	// Chain is what the layers are, Entries their numbers of entries, base first.
	Chain   string       `json:"chain"`
	Entries []int64      `json:"entries"`
	Limits  layer.Limits `json:"limits"` // that they were merged under
	Names   int64        `json:"names"`
	Text    int64        `json:"text"` // bytes
}

const (
	treeMagic   = "MLNNAMES"
	treeVersion = 1
	treeHeader  = sha256.Size + len(treeMagic) + 8
	treeColumns = 5
	treeFile    = 1 << 31
)

// MaxTree is the largest file of a Tree in bytes. The names of a larger one are not kept.
const MaxTree = 1 << 30

// column is numbers of 32 bits.
type column []byte

func (c column) at(i int32) uint32 { return binary.LittleEndian.Uint32(c[4*int(i):]) }

// EncodeTree writes the file of the tree that a view shows. chain names the layers and the
// order of their entries, as a chain ID does; sources are those that the view merges. The
// error is a layer.LimitError for a view that would take more than OpenTree reads.
func EncodeTree(w io.Writer, v *layer.View, chain string, sources []layer.EntrySource) error {
	var columns [treeColumns][]byte
	var text []byte
	head := treeHead{Chain: chain, Limits: v.Limits()}
	for _, s := range sources {
		head.Entries = append(head.Entries, s.Len())
	}
	row := func(values ...uint32) {
		for i, v := range values {
			columns[i] = binary.LittleEndian.AppendUint32(columns[i], v)
		}
	}
	next := uint32(1) // first name that is in no directory so far
	for n := range v.Levels() {
		origin := uint32(n.Layer + 1)
		if n.Kind == layer.File {
			origin |= treeFile
		}
		row(uint32(len(text)), next, uint32(n.Ordinal+1), uint32(n.Links), origin)
		text = append(text, n.Name...)
		next += uint32(n.Children)
		head.Names++
		if int64(len(text))+4*treeColumns*head.Names > MaxTree/2 {
			return &layer.LimitError{Limit: "size of the names", Max: MaxTree}
		}
	}
	head.Text = int64(len(text))
	row(uint32(len(text)), next)
	raw, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if len(raw) > maxHead {
		return &layer.LimitError{Limit: "size of the head", Max: maxHead}
	}
	prefix := append(make([]byte, sha256.Size), treeMagic...)
	prefix = binary.LittleEndian.AppendUint32(prefix, treeVersion)
	prefix = binary.LittleEndian.AppendUint32(prefix, uint32(len(raw)))
	parts := append([][]byte{prefix[sha256.Size:], raw}, append(columns[:], text)...)
	hash := sha256.New()
	for _, p := range parts {
		hash.Write(p)
	}
	for _, p := range append([][]byte{hash.Sum(nil)}, parts...) {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// OpenTree reads the file of a tree, of size bytes. chain and sources are those of EncodeTree.
// The error is ErrVersion for the file of another version, and ErrDamaged for anything else
// that EncodeTree has not written for such layers.
func OpenTree(f io.Reader, size int64, chain string, sources []layer.EntrySource) (*Tree, error) {
	if size < int64(treeHeader) || size > MaxTree {
		return nil, fmt.Errorf("%w: names of %d bytes", ErrDamaged, size)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	fixed, rest := b[sha256.Size:treeHeader], b[treeHeader:]
	if string(fixed[:len(treeMagic)]) != treeMagic {
		return nil, fmt.Errorf("%w: no names of layers", ErrDamaged)
	}
	if v := binary.LittleEndian.Uint32(fixed[len(treeMagic):]); v != treeVersion {
		return nil, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	if sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b) {
		return nil, fmt.Errorf("%w: names", ErrDamaged)
	}
	n := int64(binary.LittleEndian.Uint32(fixed[len(treeMagic)+4:]))
	if n > maxHead || n > int64(len(rest)) {
		return nil, fmt.Errorf("%w: head of the names", ErrDamaged)
	}
	t := &Tree{sources: sources}
	d := json.NewDecoder(bytes.NewReader(rest[:n]))
	d.DisallowUnknownFields()
	if err := d.Decode(&t.head); err != nil {
		return nil, fmt.Errorf("%w: head of the names: %w", ErrDamaged, err)
	}
	return t, t.split(rest[n:], chain)
}

// split finds the columns and checks that their numbers lead nowhere else.
func (t *Tree) split(b []byte, chain string) error {
	h := &t.head
	same := h.Chain == chain && len(h.Entries) == len(t.sources)
	for i := 0; same && i < len(t.sources); i++ {
		same = h.Entries[i] == t.sources[i].Len()
	}
	if !same {
		return fmt.Errorf("%w: the names are those of other layers", ErrDamaged)
	}
	if h.Names < 1 || h.Names >= math.MaxInt32 || h.Text < 0 || h.Text > MaxTree || int64(len(b)) != (treeColumns*h.Names+2)*4+h.Text {
		return fmt.Errorf("%w: %d names", ErrDamaged, h.Names)
	}
	n := int32(h.Names)
	for i, c := range [treeColumns]*column{&t.names, &t.children, &t.ordinals, &t.links, &t.layers} {
		size := 4 * int(n)
		if i < 2 {
			size += 4
		}
		*c, b = b[:size:size], b[size:]
	}
	t.text = b
	for i := range n {
		from := t.layers.at(i)
		file, from := from&treeFile != 0, from&^treeFile
		ordinal := t.ordinals.at(i)
		ok := t.names.at(i) <= t.names.at(i+1) && t.children.at(i) <= t.children.at(i+1) && t.children.at(i) > uint32(i) &&
			from <= uint32(len(t.sources)) && t.links.at(i) >= 1 && t.links.at(i) <= math.MaxInt32
		switch {
		case !ok:
		case from == 0:
			ok = ordinal == 0 && !file
		default:
			ok = ordinal >= 1 && int64(ordinal) <= h.Entries[from-1]
		}
		if !ok || file && (i == 0 || t.children.at(i) != t.children.at(i+1)) {
			return fmt.Errorf("%w: name %d", ErrDamaged, i)
		}
	}
	if t.children.at(0) != 1 || t.children.at(n) != uint32(n) || t.names.at(n) != uint32(len(t.text)) {
		return fmt.Errorf("%w: the names do not end where the file does", ErrDamaged)
	}
	return nil
}

// Within reports whether the layers can be merged under limits, as far as is known: they
// were merged under others that are not larger.
func (t *Tree) Within(l layer.Limits) bool { return l.Allow(t.head.Limits) }

// Close does nothing: a Tree holds no file. It makes Tree and layer.View alike.
func (t *Tree) Close() error { return nil }

func (t *Tree) name(i int32) string { return string(t.text[t.names.at(i):t.names.at(i+1)]) }

// in returns the numbers of the names in a directory: from the first to before the last.
func (t *Tree) in(i int32) (first, last int32) {
	return int32(t.children.at(i)), int32(t.children.at(i + 1))
}

// find returns the number of the name at a path, and the path as the tree spells it. If there
// is none, path is the deepest that there is.
func (t *Tree) find(path string) (i int32, spelled string, ok bool) {
	for path != "" {
		name, rest := path, ""
		for k := range len(path) {
			if path[k] == '\\' {
				name, rest = path[:k], path[k+1:]
				break
			}
		}
		first, last := t.in(i)
		k := first + int32(sort.Search(int(last-first), func(k int) bool { return winfs.CompareFold(t.name(first+int32(k)), name) >= 0 }))
		if k == last || !winfs.EqualFold(t.name(k), name) {
			return 0, spelled, false
		}
		i, spelled, path = k, winfs.JoinPath(spelled, t.name(k)), rest
	}
	return i, spelled, true
}

// Lookup returns the item at a path; see layer.View.
func (t *Tree) Lookup(path string) (*layer.Item, error) {
	i, spelled, ok := t.find(path)
	if !ok {
		return nil, missing(path, spelled)
	}
	return t.item(i, spelled)
}

func missing(path, deepest string) error {
	if deepest == "" {
		deepest = "the root"
	} else {
		deepest = `"` + deepest + `"`
	}
	return &layer.Error{Op: "lookup", Entry: path, Offset: -1, Err: fmt.Errorf("%w, the deepest that exists is %s", fs.ErrNotExist, deepest)}
}

// item returns what is at a name.
func (t *Tree) item(i int32, path string) (*layer.Item, error) {
	if err := winfs.ValidatePath(path); err != nil {
		return nil, &layer.Error{Op: "lookup", Entry: path, Offset: -1, Err: fmt.Errorf("%w: %w", ErrDamaged, err)}
	}
	it := &layer.Item{Layer: int(t.layers.at(i)&^treeFile) - 1, Links: int(t.links.at(i))}
	kind := t.kind(i)
	if it.Layer < 0 {
		it.Attributes = winfs.AttrDirectory
	} else {
		e, err := t.sources[it.Layer].EntryAt(t.ordinal(i))
		if err != nil {
			return nil, err
		}
		if e.Kind != kind {
			return nil, t.foreign(i, path, e)
		}
		it.Entry = *e
	}
	it.Path, it.Kind = path, kind
	return it, nil
}

func (t *Tree) ordinal(i int32) int32 { return int32(t.ordinals.at(i)) - 1 }

func (t *Tree) kind(i int32) layer.Kind {
	if t.layers.at(i)&treeFile != 0 {
		return layer.File
	}
	return layer.Dir
}

func (t *Tree) foreign(i int32, path string, e *layer.Entry) error {
	return &layer.Error{Op: "lookup", Layer: fmt.Sprintf("layer %d", t.layers.at(i)&^treeFile-1), Entry: path, Index: int64(t.ordinal(i)) + 1, Offset: -1,
		Err: fmt.Errorf("%w: the names are those of other layers: the entry is the %v %.200q", ErrDamaged, e.Kind, e.Path)}
}

// Children yields the entries of a directory in the order of NTFS; see layer.View.
func (t *Tree) Children(path string) iter.Seq2[*layer.Item, error] { return t.walk(path, false) }

// Walk yields the entries under a directory, each directory before its content, in the order
// of NTFS; see layer.View.
func (t *Tree) Walk(path string) iter.Seq2[*layer.Item, error] { return t.walk(path, true) }

func (t *Tree) walk(path string, deep bool) iter.Seq2[*layer.Item, error] {
	type level struct {
		next, last int32
		path       string
	}
	return func(yield func(*layer.Item, error) bool) {
		i, spelled, ok := t.find(path)
		if !ok {
			yield(nil, missing(path, spelled))
			return
		}
		first, last := t.in(i)
		stack := []level{{first, last, spelled}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.next == top.last {
				stack = stack[:len(stack)-1]
				continue
			}
			i := top.next
			top.next++
			path := winfs.JoinPath(top.path, t.name(i))
			it, err := t.item(i, path)
			if !yield(it, err) || err != nil {
				return
			}
			if first, last := t.in(i); deep && first < last {
				stack = append(stack, level{first, last, path})
			}
		}
	}
}

// Open returns a reader of the single entry at a path, with its streams; see layer.View. The
// caller closes it.
func (t *Tree) Open(path string) (layer.Reader, error) {
	i, spelled, ok := t.find(path)
	if !ok {
		return nil, missing(path, spelled)
	}
	it, err := t.item(i, spelled)
	if err != nil {
		return nil, err
	}
	r := &itemReader{item: it, number: it.Layer, ordinal: t.ordinal(i)}
	if it.Layer < 0 {
		return r, nil
	}
	if r.Reader, err = t.sources[it.Layer].OpenAt(r.ordinal); err != nil {
		return nil, r.fail(err)
	}
	return r, nil
}

// itemReader yields one entry under a path of the tree. It reads nothing of a directory that
// no layer mentions.
type itemReader struct {
	layer.Reader // of the layer, or nil
	item         *layer.Item
	number       int // of the layer
	ordinal      int32
	done         bool
	closed       bool
}

func (r *itemReader) fail(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &layer.Error{Op: "union", Layer: fmt.Sprintf("layer %d", r.number), Entry: r.item.Path, Index: int64(r.ordinal) + 1, Offset: -1, Err: err}
}

func (r *itemReader) Next() (*layer.Entry, error) {
	switch {
	case r.closed:
		return nil, layer.ErrClosed
	case r.done:
		return nil, io.EOF
	}
	r.done = true
	if r.Reader != nil {
		e, err := r.Reader.Next()
		if err == io.EOF {
			err = fmt.Errorf("%w: the layer ends", ErrDamaged)
		}
		if err != nil {
			return nil, r.fail(err)
		}
		if e.Kind != r.item.Kind {
			return nil, r.fail(fmt.Errorf("%w: the entry is a %v", ErrDamaged, e.Kind))
		}
	}
	return &r.item.Entry, nil
}

func (r *itemReader) NextStream() (*layer.Stream, error) {
	switch {
	case r.closed:
		return nil, layer.ErrClosed
	case r.Reader == nil || !r.done:
		return nil, io.EOF
	}
	s, err := r.Reader.NextStream()
	return s, r.fail(err)
}

func (r *itemReader) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, layer.ErrClosed
	case r.Reader == nil || !r.done:
		return 0, io.EOF
	}
	n, err := r.Reader.Read(p)
	return n, r.fail(err)
}

// NextExtent moves to the next stored range of the stream; see layer.ExtentReader.
func (r *itemReader) NextExtent() (layer.Extent, error) {
	x, ok := r.Reader.(layer.ExtentReader)
	switch {
	case r.closed:
		return layer.Extent{}, layer.ErrClosed
	case !ok || !r.done:
		return layer.Extent{}, io.EOF
	}
	e, err := x.NextExtent()
	return e, r.fail(err)
}

// StreamSum returns the SHA-256 of the current stream; see layer.StreamHasher.
func (r *itemReader) StreamSum() (sum [32]byte, ok bool) {
	if h, is := r.Reader.(layer.StreamHasher); is && r.done && !r.closed {
		return h.StreamSum()
	}
	return sum, false
}

func (r *itemReader) Close() error {
	if r.closed || r.Reader == nil {
		r.closed = true
		return nil
	}
	r.closed = true
	return r.Reader.Close()
}

var (
	_ layer.Reader       = (*itemReader)(nil)
	_ layer.ExtentReader = (*itemReader)(nil)
	_ layer.StreamHasher = (*itemReader)(nil)
)
