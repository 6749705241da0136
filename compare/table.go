package compare

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// maxHive is the largest hive that is taken out of a layer: the base block and 2 GiB of
// bins, more than Windows loads.
const maxHive = 2<<30 + 4096

// Sum is the SHA-256 of the content of a stream.
type Sum [sha256.Size]byte

// emptySum is the sum of no bytes.
var emptySum = Sum(sha256.Sum256(nil))

// Scanner reads layers into tables. It is used by one goroutine at a time.
type Scanner struct {
	limits layer.Limits
	store  *store
	byKey  map[string]*Table
	tables []*Table
	buf    []byte
	hash   hash.Hash
}

// NewScanner returns a scanner that bounds the entries and metadata of each layer. The
// caller closes it after all tables, trees and comparisons that come from it.
func NewScanner(limits layer.Limits) *Scanner {
	return &Scanner{limits: limits.WithDefaults(), store: newStore(), byKey: map[string]*Table{},
		buf: make([]byte, 256<<10), hash: sha256.New()}
}

// Close releases all tables and removes their temporary files.
func (s *Scanner) Close() error {
	errs := []error{s.store.close()}
	for _, t := range s.tables {
		for i := range t.hives {
			if f := t.hives[i].file; f != nil {
				errs = append(errs, f.Close())
			}
		}
	}
	s.tables = nil
	return errors.Join(errs...)
}

// Table holds the entries of one layer.
type Table struct {
	scan  *Scanner
	list  []entry
	paths paths
	hives []hiveEntry
}

// entry is the retained part of an entry. The fields of type uint32 without a comment
// number records of the store, so that entries of all tables can be compared by them.
type entry struct {
	times      winfs.Times
	size       int64 // of the main stream
	sum        Sum   // of the main stream
	path       place
	attributes winfs.Attributes
	security   uint32
	eas        uint32
	reparse    uint32
	object     uint32
	streams    uint32
	target     uint32
	kind       layer.Kind
	surrogate  bool
}

// hiveEntry is an entry at the place of a hive.
type hiveEntry struct {
	path string
	kind layer.Kind
	name hives.Name
	form hives.Form
	file *tempfile.File // of a layer.File
	size int64
	sum  Sum
}

// Layer reads a layer once and to its end. A layer whose key was used before is not read
// again; "" is no key. The error is that of the source, or a *layer.Error.
func (s *Scanner) Layer(ctx context.Context, key string, src layer.Source) (*Table, error) {
	if t := s.byKey[key]; t != nil && key != "" {
		return t, nil
	}
	r, err := src.Open()
	if err != nil {
		return nil, err
	}
	t := &Table{scan: s}
	s.tables = append(s.tables, t)
	if err := errors.Join(t.read(ctx, r), r.Close()); err != nil {
		return nil, err
	}
	if key != "" {
		s.byKey[key] = t
	}
	return t, nil
}

func (t *Table) read(ctx context.Context, r layer.Reader) error {
	defer t.paths.done()
	for n := int64(0); ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		if err == io.EOF {
			t.list = slices.Clip(t.list)
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case n >= t.scan.limits.Entries:
			err = &layer.LimitError{Limit: "Entries", Max: t.scan.limits.Entries}
		case e.MetadataSize() > t.scan.limits.MetadataLen:
			err = &layer.LimitError{Limit: "MetadataLen", Max: t.scan.limits.MetadataLen}
		default:
			err = t.add(ctx, e, r)
		}
		if err != nil {
			return &layer.Error{Op: "compare", Entry: e.Path, Index: n + 1, Offset: -1, Err: err}
		}
	}
}

func (t *Table) add(ctx context.Context, e *layer.Entry, r layer.Reader) error {
	x := entry{path: t.paths.add(e.Path), times: e.Times, sum: emptySum, attributes: e.Attributes, kind: e.Kind, surrogate: isSurrogate(e)}
	st := t.scan.store
	for _, record := range []struct {
		id *uint32
		b  []byte
	}{{&x.security, e.Security}, {&x.reparse, e.Reparse}, {&x.object, e.ObjectID}, {&x.eas, encodeEAs(e.EAs)}, {&x.target, []byte(e.Target)}} {
		var err error
		if *record.id, err = st.put(record.b); err != nil {
			return err
		}
	}
	hive, err := t.hive(e)
	if err != nil {
		return err
	}
	if e.Kind == layer.File || e.Kind == layer.Dir {
		var alternate []Stream
		for {
			s, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			if s.Name != "" {
				if int64(len(alternate)) >= t.scan.limits.Streams {
					return &layer.LimitError{Limit: "Streams", Max: t.scan.limits.Streams}
				}
				sum, err := t.scan.sum(ctx, r, nil)
				if err != nil {
					return err
				}
				alternate = append(alternate, Stream{strings.Clone(s.Name), s.Size, sum})
				continue
			}
			var w io.Writer
			if hive != nil {
				if s.Size > maxHive {
					return &layer.LimitError{Limit: "hive size", Max: maxHive}
				}
				w = hive.file
			}
			x.size = s.Size
			if x.sum, err = t.scan.sum(ctx, r, w); err != nil {
				return err
			}
		}
		if x.streams, err = st.put(encodeStreams(alternate)); err != nil {
			return err
		}
	}
	if hive != nil {
		hive.size, hive.sum = x.size, x.sum
	}
	t.list = append(t.list, x)
	return nil
}

// hive records an entry at the place of a hive. It returns nil if there is nothing to take
// out. Which hives count is decided when the chain of layers is known.
func (t *Table) hive(e *layer.Entry) (*hiveEntry, error) {
	n, form, ok := hives.Match(e.Path)
	if !ok || e.Kind == layer.Whiteout || e.Kind == layer.Opaque {
		return nil, nil
	}
	t.hives = append(t.hives, hiveEntry{path: strings.Clone(e.Path), kind: e.Kind, name: n, form: form})
	h := &t.hives[len(t.hives)-1]
	if e.Kind != layer.File {
		return nil, nil
	}
	f, err := tempfile.Create("", "mullion-hive-")
	if err != nil {
		return nil, err
	}
	h.file = f
	return h, nil
}

// sum reads the current stream to its end, and copies it to w if that is not nil.
func (s *Scanner) sum(ctx context.Context, r layer.Reader, w io.Writer) (Sum, error) {
	if known, ok := r.(layer.StreamHasher); ok && w == nil {
		if sum, ok := known.StreamSum(); ok {
			return sum, nil
		}
	}
	s.hash.Reset()
	for {
		n, err := r.Read(s.buf)
		s.hash.Write(s.buf[:n])
		if w != nil && n > 0 {
			if _, err := w.Write(s.buf[:n]); err != nil {
				return Sum{}, err
			}
		}
		if err == io.EOF {
			return Sum(s.hash.Sum(nil)), nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return Sum{}, err
		}
	}
}

// isSurrogate reports whether an entry is a symbolic link or junction.
func isSurrogate(e *layer.Entry) bool {
	return len(e.Reparse) >= 4 && winfs.IsNameSurrogate(binary.LittleEndian.Uint32(e.Reparse))
}

func (t *Table) path(x *entry) string {
	return t.paths.get(x.path)
}

// Open returns a reader of names, kinds and links alone, which is all that a union needs.
func (t *Table) Open() (layer.Reader, error) { return &nameReader{table: t}, nil }

// nameReader yields the entries of a table without metadata and streams.
type nameReader struct {
	table *Table
	at    int
	entry layer.Entry
}

func (r *nameReader) Next() (*layer.Entry, error) {
	if r.at == len(r.table.list) {
		return nil, io.EOF
	}
	x := &r.table.list[r.at]
	r.at++
	r.entry = layer.Entry{Path: r.table.path(x), Kind: x.kind}
	if x.target != 0 {
		b, err := r.table.scan.store.get(x.target)
		if err != nil {
			return nil, err
		}
		r.entry.Target = string(b)
	}
	if x.surrogate {
		b, err := r.table.scan.store.get(x.reparse)
		if err != nil {
			return nil, err
		}
		r.entry.Reparse = b
	}
	return &r.entry, nil
}

func (*nameReader) NextStream() (*layer.Stream, error) { return nil, io.EOF }
func (*nameReader) Read([]byte) (int, error)           { return 0, io.EOF }
func (*nameReader) Close() error                       { return nil }

// Stream is an alternate data stream.
type Stream struct {
	Name string
	Size int64 // bytes
	Sum  Sum
}

// encodeStreams returns a record that is the same for every order of the streams.
func encodeStreams(list []Stream) []byte {
	slices.SortFunc(list, func(a, b Stream) int { return winfs.CompareFold(a.Name, b.Name) })
	var b []byte
	for _, s := range list {
		b = appendField(b, []byte(s.Name))
		b = binary.AppendVarint(b, s.Size)
		b = append(b, s.Sum[:]...)
	}
	return b
}

func decodeStreams(b []byte) []Stream {
	var list []Stream
	for len(b) > 0 {
		var s Stream
		var name []byte
		name, b = cutField(b)
		s.Name = string(name)
		n, used := binary.Varint(b)
		s.Size, b = n, b[used:]
		copy(s.Sum[:], b)
		b = b[len(s.Sum):]
		list = append(list, s)
	}
	return list
}

// encodeEAs returns a record that is the same for every order of the attributes.
func encodeEAs(list []winfs.EA) []byte {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b winfs.EA) int { return strings.Compare(strings.ToUpper(a.Name), strings.ToUpper(b.Name)) })
	var b []byte
	for _, ea := range sorted {
		b = append(appendField(b, []byte(strings.ToUpper(ea.Name))), ea.Flags)
		b = appendField(b, ea.Value)
	}
	return b
}

func decodeEAs(b []byte) []winfs.EA {
	var list []winfs.EA
	for len(b) > 0 {
		var ea winfs.EA
		var name []byte
		name, b = cutField(b)
		ea.Name, ea.Flags = string(name), b[0]
		ea.Value, b = cutField(b[1:])
		list = append(list, ea)
	}
	return list
}

func appendField(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func cutField(b []byte) (v, rest []byte) {
	n, used := binary.Uvarint(b)
	b = b[used:]
	return b[:n:n], b[n:]
}
