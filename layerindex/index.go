package layerindex

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layer"
)

// Totals count what a layer holds.
type Totals struct {
	Entries   int64 `json:"entries"`
	Files     int64 `json:"files"` // with hard links not counted again
	Dirs      int64 `json:"dirs"`
	Links     int64 `json:"links"`     // hard links
	Whiteouts int64 `json:"whiteouts"` // explicit and opaque
	Content   int64 `json:"content"`   // logical bytes of all streams
}

// head is the first section of a file.
type head struct {
	Digest string `json:"digest"`
	DiffID string `json:"diffID"`
	Stored int64  `json:"stored"`
	Plain  int64  `json:"plain"`
	Totals
	// Hives are the entries at the places of registry hives, whiteouts left out.
	Hives []int32 `json:"hives,omitempty"`
}

// Bounds of a file, beyond which nothing is written or read.
const (
	maxHives    = 4096
	maxHead     = 1 << 17
	maxTable    = 1 << 32
	maxSection  = 1 << 36
	sumSize     = sha256.Size
	markSize    = 16
	headerSize  = 16
	sectionSize = 64
)

const (
	magic   = "MLNINDEX"
	version = 2
)

// The sections of a file.
const (
	sectionHead = iota
	sectionMarks
	sectionDescriptors
	sectionTable
	sectionSums
	sectionMap
	sections
)

// mark is where a group of entries begins.
type mark struct {
	at   int64 // in the table, less than 2^32
	sum  int32 // number of the first sum
	same int32 // entries before with the offset of the first
}

// Index is what is known of one layer. It is safe for concurrent use.
type Index struct {
	head        head
	marks       []mark
	descriptors [][]byte
	table       []byte

	once    sync.Once
	sums    []byte // nil until loaded from a file
	loadErr error
	load    func() ([]byte, error)

	plainMap *blob.Map
	file     io.Closer // or nil

	// Entries are often asked for in the order of the tar, those of a directory, say: the
	// decoder stays where it is.
	mu   sync.Mutex // guards near and rec
	near *cursor    // or nil
	rec  record
}

// Digest returns the digest of the blob, DiffID that of the tar in it.
func (x *Index) Digest() string { return x.head.Digest }

// DiffID returns the digest of the tar in the blob.
func (x *Index) DiffID() string { return x.head.DiffID }

// StoredSize returns the size of the blob in bytes, PlainSize that of the tar.
func (x *Index) StoredSize() int64 { return x.head.Stored }

// PlainSize returns the size of the tar in bytes.
func (x *Index) PlainSize() int64 { return x.head.Plain }

// Totals returns the counts of the layer.
func (x *Index) Totals() Totals { return x.head.Totals }

// Map returns the access points into the blob.
func (x *Index) Map() *blob.Map { return x.plainMap }

// Hives returns the numbers of the entries, ascending, that are at the place of a registry
// hive and are no whiteouts (hives.Match). The caller does not change the slice.
func (x *Index) Hives() []int32 { return x.head.Hives }

// Close closes the file of an index that Open has opened, and the temporary file of one
// that was made. Streams that are read through it end.
func (x *Index) Close() error {
	err := x.plainMap.Close()
	if x.file != nil {
		err = errors.Join(err, x.file.Close())
	}
	return err
}

// EntryAt returns the entry of a number, from 0 in the order of the tar. The entry is the
// caller's, its buffers belong to the index.
func (x *Index) EntryAt(n int32) (*layer.Entry, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.near
	x.near = nil // a decoder that has failed is not used again
	if c == nil || c.n > n || c.n/groupSize != n/groupSize && c.n != n {
		var err error
		if c, err = x.cursor(n); err != nil {
			return nil, err
		}
	}
	for {
		at := c.n
		if err := c.next(&x.rec); err != nil {
			return nil, err
		}
		if at == n {
			x.near = c
			e := x.rec.Entry
			return &e, nil
		}
	}
}

// cursor returns a decoder whose next record is that of a number.
func (x *Index) cursor(n int32) (*cursor, error) {
	c := &cursor{x: x, n: n - n%groupSize}
	c.b, c.descriptors, c.plain = x.table, x.descriptors, x.head.Plain
	if n < 0 || int64(n) > x.head.Entries {
		return nil, fmt.Errorf("%w: entry %d of %d", ErrDamaged, n, x.head.Entries)
	}
	var r record
	for c.n < n {
		if err := c.next(&r); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// cursor reads one record after the other.
type cursor struct {
	decoder
	x *Index
	n int32 // of the next record
}

// next returns io.EOF behind the last record.
func (c *cursor) next(r *record) error {
	if int64(c.n) >= c.x.head.Entries {
		return io.EOF
	}
	if c.n%groupSize == 0 {
		m := c.x.marks[c.n/groupSize]
		c.at = int(m.at)
		c.start(m.same, int64(m.sum))
	}
	c.n++
	return c.decoder.next(r)
}

// streamSum returns the SHA-256 of a stream.
func (x *Index) streamSum(n int64) (sum [sumSize]byte, ok bool) {
	x.once.Do(func() {
		if x.load != nil {
			x.sums, x.loadErr = x.load()
		}
	})
	if x.loadErr != nil || n < 0 || n >= int64(len(x.sums)/sumSize) {
		return sum, false
	}
	return [sumSize]byte(x.sums[n*sumSize:]), true
}

// Encode writes the file of the index.
func (x *Index) Encode(w io.Writer) error {
	h, err := json.Marshal(x.head)
	if err != nil {
		return err
	}
	x.streamSum(-1) // loads the sums
	if x.loadErr != nil {
		return x.loadErr
	}
	marks := make([]byte, 0, len(x.marks)*markSize)
	for _, m := range x.marks {
		marks = binary.LittleEndian.AppendUint64(marks, uint64(m.at))
		marks = binary.LittleEndian.AppendUint32(marks, uint32(m.sum))
		marks = binary.LittleEndian.AppendUint32(marks, uint32(m.same))
	}
	var descriptors []byte
	for _, d := range x.descriptors {
		descriptors = appendBytes(descriptors, d)
	}
	parts := [sectionMap][]byte{h, marks, descriptors, x.table, x.sums}
	b := binary.LittleEndian.AppendUint32([]byte(magic), version)
	b = binary.LittleEndian.AppendUint32(b, sections)
	at := int64(headerSize + sections*sectionSize + sumSize)
	for i := range sections {
		var length int64
		var sum [sumSize]byte
		if i == sectionMap {
			length = x.plainMap.EncodedSize()
		} else {
			length, sum = int64(len(parts[i])), sha256.Sum256(parts[i])
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
		b = binary.LittleEndian.AppendUint64(b, uint64(length))
		b = append(b, make([]byte, 16)...)
		b = append(b, sum[:]...)
		at += length
	}
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	for _, p := range append([][]byte{b}, parts[:]...) {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return x.plainMap.Encode(w)
}

// section is a row of the directory of a file.
type section struct {
	at, length int64
	sum        [sumSize]byte
}

// Open reads the file of an index, of size bytes. The map and the sums are read when they
// are used; Close closes f if it is an io.Closer. The error is ErrVersion for the file of
// another version, and ErrDamaged for anything else that Encode has not written.
func Open(f io.ReaderAt, size int64) (*Index, error) {
	list, err := directory(f, size)
	if err != nil {
		return nil, err
	}
	x := &Index{}
	var parts [sectionSums][]byte
	for i := range parts {
		if parts[i], err = list[i].read(f); err != nil {
			return nil, err
		}
	}
	d := json.NewDecoder(bytes.NewReader(parts[sectionHead]))
	d.DisallowUnknownFields()
	if err := d.Decode(&x.head); err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrDamaged, err)
	}
	x.table = parts[sectionTable]
	if err := x.decodeMarks(parts[sectionMarks], list[sectionSums].length); err != nil {
		return nil, err
	}
	if err := x.decodeDescriptors(parts[sectionDescriptors]); err != nil {
		return nil, err
	}
	if err := x.checkHead(); err != nil {
		return nil, err
	}
	x.load = func() ([]byte, error) { return list[sectionSums].read(f) }
	m := list[sectionMap]
	if x.plainMap, err = blob.OpenMap(io.NewSectionReader(f, m.at, m.length), m.length); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if p := x.plainMap; p.Digest != x.head.Digest || p.DiffID != x.head.DiffID || p.Stored != x.head.Stored || p.Plain != x.head.Plain {
		return nil, fmt.Errorf("%w: the map is that of another blob", ErrDamaged)
	}
	x.file, _ = f.(io.Closer)
	return x, nil
}

func directory(f io.ReaderAt, size int64) ([]section, error) {
	raw := make([]byte, headerSize+sections*sectionSize+sumSize)
	if n, err := f.ReadAt(raw, 0); n < len(raw) {
		if err == io.EOF {
			err = fmt.Errorf("%w: %d bytes", ErrDamaged, n)
		}
		return nil, err
	}
	if string(raw[:8]) != magic {
		return nil, fmt.Errorf("%w: not an index", ErrDamaged)
	}
	if v := binary.LittleEndian.Uint32(raw[8:]); v != version {
		return nil, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	b := raw[:len(raw)-sumSize]
	if sum := sha256.Sum256(b); binary.LittleEndian.Uint32(raw[12:]) != sections || !bytes.Equal(sum[:], raw[len(b):]) {
		return nil, fmt.Errorf("%w: header", ErrDamaged)
	}
	most := [sections]int64{maxHead, maxTable, maxTable, maxTable, maxSection, maxSection}
	var list []section
	at := int64(len(raw))
	for i, b := 0, b[headerSize:]; i < sections; i, b = i+1, b[sectionSize:] {
		s := section{at: int64(binary.LittleEndian.Uint64(b)), length: int64(binary.LittleEndian.Uint64(b[8:])), sum: [sumSize]byte(b[32:])}
		if s.at != at || s.length < 0 || s.length > min(size-at, most[i]) {
			return nil, fmt.Errorf("%w: section %d has %d bytes at %d of %d", ErrDamaged, i, s.length, s.at, size)
		}
		at += s.length
		list = append(list, s)
	}
	if at != size {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrDamaged, size, at)
	}
	return list, nil
}

// read returns the bytes of a section, compared with their hash.
func (s section) read(f io.ReaderAt) ([]byte, error) {
	b := make([]byte, s.length) // no more than the file has
	if n, err := f.ReadAt(b, s.at); n < len(b) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if sha256.Sum256(b) != s.sum {
		return nil, fmt.Errorf("%w: section at %d", ErrDamaged, s.at)
	}
	return b, nil
}

func (x *Index) decodeMarks(b []byte, sums int64) error {
	n := x.head.Entries
	if n < 0 || n > math.MaxInt32 || int64(len(b)) != (n+groupSize-1)/groupSize*markSize || sums%sumSize != 0 {
		return fmt.Errorf("%w: %d bytes of marks for %d entries", ErrDamaged, len(b), n)
	}
	x.marks = make([]mark, len(b)/markSize)
	last := mark{at: -1}
	for i := range x.marks {
		m := mark{
			at:   int64(binary.LittleEndian.Uint64(b)),
			sum:  int32(binary.LittleEndian.Uint32(b[8:])),
			same: int32(binary.LittleEndian.Uint32(b[12:])),
		}
		b = b[markSize:]
		if m.at <= last.at || m.at >= int64(len(x.table)) || m.sum < last.sum || int64(m.sum) > sums/sumSize || m.same < 0 || int(m.same) > i*groupSize {
			return fmt.Errorf("%w: mark %d", ErrDamaged, i)
		}
		x.marks[i], last = m, m
	}
	return nil
}

func (x *Index) decodeDescriptors(b []byte) error {
	c := decoder{b: b}
	for c.at < len(b) && c.err == nil {
		d := c.bytes()
		if len(d) == 0 {
			c.fail("empty descriptor")
		}
		x.descriptors = append(x.descriptors, d)
	}
	return c.err
}

func (x *Index) checkHead() error {
	h := &x.head
	for _, d := range []string{h.Digest, h.DiffID} {
		if err := blob.CheckDigest(d); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	last := int32(-1)
	for _, n := range h.Hives {
		if n <= last || int64(n) >= h.Entries {
			return fmt.Errorf("%w: hives", ErrDamaged)
		}
		last = n
	}
	if h.Stored < 0 || h.Plain < 0 || min(h.Files, h.Dirs, h.Links, h.Whiteouts, h.Content) < 0 || len(h.Hives) > maxHives {
		return fmt.Errorf("%w: totals", ErrDamaged)
	}
	return nil
}
