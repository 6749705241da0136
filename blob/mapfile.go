package blob

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// The form of a map, little-endian throughout. All sums are SHA-256.
//
//	magic      8 bytes
//	length     u64, of the table
//	sum        32 bytes, of magic, length and table
//	table      format u8
//	           digest, diff ID: length u8, text
//	           stored size, plain size, size of a chunk: u64 each
//	           number of points: u64
//	           sum of each chunk: 32 bytes, as many as the sizes give
//	           each point: plain offset u64, stored offset × 8 + bit u64, length of the
//	           window u16, length of its deflate stream u16, sum of that stream 32 bytes;
//	           the last two are absent if the window is empty
//	windows    the deflate streams, in the order of the points
const mapMagic = "mulmap\x00\x01"

const (
	mapHead     = len(mapMagic) + 8 + sha256.Size
	maxWindow   = 32 << 10
	maxMapTable = 1 << 30

	minChunkSize = 4 << 10
	maxChunkSize = 16 << 20
)

// A windowSource has the windows of the points of a map.
type windowSource struct {
	r io.ReaderAt
}

// A windowRef is the place of a window in a windowSource: a deflate stream.
type windowRef struct {
	off  int64
	size int
	sum  [sha256.Size]byte
}

// window returns the plain bytes before a point.
func (m *Map) window(p *Point) ([]byte, error) {
	if p.Window == 0 {
		return nil, nil
	}
	packed := make([]byte, p.window.size)
	if n, err := m.windows.r.ReadAt(packed, p.window.off); n < len(packed) {
		return nil, fmt.Errorf("%w: window at %#x: %w", ErrMap, p.window.off, err)
	}
	if sha256.Sum256(packed) != p.window.sum {
		return nil, fmt.Errorf("%w: window at %#x: %w", ErrMap, p.window.off, ErrDigest)
	}
	b := make([]byte, p.Window)
	if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(packed)), b); err != nil {
		return nil, fmt.Errorf("%w: window at %#x: %w", ErrMap, p.window.off, err)
	}
	return b, nil
}

// head returns the encoded map without the windows.
func (m *Map) head() []byte {
	t := []byte{byte(m.Format)}
	for _, s := range []string{m.Digest, m.DiffID} {
		t = append(append(t, byte(len(s))), s...)
	}
	le := binary.LittleEndian
	for _, n := range []int64{m.Stored, m.Plain, m.ChunkSize, int64(len(m.Points))} {
		t = le.AppendUint64(t, uint64(n))
	}
	for i := range m.Chunks {
		t = append(t, m.Chunks[i][:]...)
	}
	for i := range m.Points {
		p := &m.Points[i]
		t = le.AppendUint64(t, uint64(p.Plain))
		t = le.AppendUint64(t, uint64(p.Stored)<<3|uint64(p.Bit))
		t = le.AppendUint16(t, uint16(p.Window))
		if p.Window > 0 {
			t = le.AppendUint16(t, uint16(p.window.size))
			t = append(t, p.window.sum[:]...)
		}
	}
	head := le.AppendUint64([]byte(mapMagic), uint64(len(t)))
	head = append(head, make([]byte, sha256.Size)...)
	head = append(head, t...)
	seal(head)
	return head
}

// EncodedSize returns the number of bytes that Encode writes.
func (m *Map) EncodedSize() int64 {
	n := int64(len(m.head()))
	for i := range m.Points {
		n += int64(m.Points[i].window.size)
	}
	return n
}

// Encode writes the map in a form that OpenMap reads. Equal maps give equal bytes.
func (m *Map) Encode(w io.Writer) error {
	if _, err := w.Write(m.head()); err != nil {
		return err
	}
	var buf []byte
	for i := range m.Points {
		ref := &m.Points[i].window
		if m.Points[i].Window == 0 {
			continue
		}
		buf = append(buf[:0], make([]byte, ref.size)...)
		if n, err := m.windows.r.ReadAt(buf, ref.off); n < len(buf) {
			return fmt.Errorf("%w: window at %#x: %w", ErrMap, ref.off, err)
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// seal sets the sum in the head of a map: b has the head and the table, perhaps with the
// windows.
func seal(b []byte) {
	n := len(mapMagic) + 8
	table := b[mapHead:]
	if length := binary.LittleEndian.Uint64(b[len(mapMagic):]); length < uint64(len(table)) {
		table = table[:length]
	}
	h := sha256.New()
	h.Write(b[:n])
	h.Write(table)
	copy(b[n:], h.Sum(nil))
}

// OpenMap reads a map that Encode wrote, which has size bytes. It reads windows later, when
// they are needed, so r must stay open as long as the map is used. The error for anything
// but such a map is ErrMap. The sums in it find damage; a forged map is not found.
func OpenMap(r io.ReaderAt, size int64) (*Map, error) {
	head := make([]byte, mapHead)
	if size < int64(mapHead) {
		return nil, fmt.Errorf("%w: %d bytes", ErrMap, size)
	}
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return nil, fmt.Errorf("%w: %w", ErrMap, err)
	}
	if string(head[:len(mapMagic)]) != mapMagic {
		return nil, fmt.Errorf("%w: other magic or version", ErrMap)
	}
	n := binary.LittleEndian.Uint64(head[len(mapMagic):])
	if n > uint64(size-int64(mapHead)) || n > maxMapTable {
		return nil, fmt.Errorf("%w: a table of %d bytes in a file of %d", ErrMap, n, size)
	}
	table := make([]byte, n)
	if n, err := r.ReadAt(table, int64(mapHead)); n < len(table) {
		return nil, fmt.Errorf("%w: %w", ErrMap, err)
	}
	h := sha256.New()
	h.Write(head[:len(mapMagic)+8])
	h.Write(table)
	if !bytes.Equal(h.Sum(nil), head[len(mapMagic)+8:]) {
		return nil, fmt.Errorf("%w: table: %w", ErrMap, ErrDigest)
	}
	m := &Map{windows: windowSource{r}}
	d := tableReader{b: table}
	m.decode(&d, int64(mapHead)+int64(n), size)
	if d.problem != "" {
		return nil, fmt.Errorf("%w: %s at %#x", ErrMap, d.problem, mapHead+len(table)-len(d.b))
	}
	return m, nil
}

// decode fills the map from its table; the windows are between two offsets.
func (m *Map) decode(d *tableReader, window, end int64) {
	f := d.bytes(1)
	if d.problem != "" {
		return
	}
	m.Format = Format(f[0])
	m.Digest, m.DiffID = d.text(), d.text()
	m.Stored, m.Plain, m.ChunkSize = d.size(), d.size(), d.size()
	points := d.size()
	switch {
	case d.problem != "":
		return
	case m.Format > Zstd:
		d.problem = "unknown format"
	case CheckDigest(m.Digest) != nil || CheckDigest(m.DiffID) != nil:
		d.problem = "malformed digest"
	case m.ChunkSize < minChunkSize || m.ChunkSize > maxChunkSize || bits.OnesCount64(uint64(m.ChunkSize)) != 1:
		d.problem = "size of a chunk"
	case m.Format == Plain && m.Stored != m.Plain:
		d.problem = "sizes of a plain blob"
	}
	if d.problem != "" {
		return
	}
	chunks := (m.Stored + m.ChunkSize - 1) / m.ChunkSize
	if chunks > int64(len(d.b)/sha256.Size) {
		d.problem = "too few sums"
		return
	}
	m.Chunks = make([][sha256.Size]byte, chunks)
	for i := range m.Chunks {
		copy(m.Chunks[i][:], d.bytes(sha256.Size))
	}
	const least = 8 + 8 + 2
	if points < 1 || points > int64(len(d.b)/least) {
		d.problem = "number of points"
		return
	}
	m.Points = make([]Point, points)
	for i := range m.Points {
		p := &m.Points[i]
		p.Plain = d.size()
		at := d.size()
		p.Stored, p.Bit = at>>3, uint8(at&7)
		p.Window = int(d.u16())
		if p.Window > 0 {
			p.window = windowRef{off: window, size: int(d.u16())}
			copy(p.window.sum[:], d.bytes(sha256.Size))
			window += int64(p.window.size)
		}
		if d.problem == "" {
			d.problem = m.badPoint(i)
		}
		if d.problem == "" && window > end {
			d.problem = "windows beyond the end"
		}
		if d.problem != "" {
			return
		}
	}
	if len(d.b) > 0 {
		d.problem = "something after the points"
	}
}

// badPoint says what is wrong with a point.
func (m *Map) badPoint(i int) string {
	p := &m.Points[i]
	switch {
	case p.Plain > m.Plain || p.Stored > m.Stored || p.Stored == m.Stored && m.Stored > 0:
		return "point beyond the end"
	case i == 0:
		if p.Plain != 0 || p.Stored != 0 || p.Bit != 0 || p.Window != 0 {
			return "first point"
		}
	case m.Format == Plain:
		return "points of a plain blob"
	case p.Plain < m.Points[i-1].Plain || p.Stored < m.Points[i-1].Stored:
		return "order of points"
	case p.Window > maxWindow || int64(p.Window) > p.Plain:
		return "length of a window"
	case p.Window == 0 && p.Bit != 0 || p.Window > 0 && m.Format != Gzip:
		return "kind of point"
	}
	return ""
}

// A tableReader takes fields from the table of a map; problem says why the first one that
// could not be taken is missing.
type tableReader struct {
	b       []byte
	problem string
}

func (d *tableReader) bytes(n int) []byte {
	if len(d.b) < n {
		d.problem, d.b = "end of the table", nil
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *tableReader) u16() uint16 {
	if b := d.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// size takes a size or an offset.
func (d *tableReader) size() int64 {
	b := d.bytes(8)
	if b == nil {
		return 0
	}
	n := binary.LittleEndian.Uint64(b)
	if n > 1<<62 && d.problem == "" {
		d.problem = "size"
	}
	return int64(n & (1<<62 - 1))
}

func (d *tableReader) text() string {
	b := d.bytes(1)
	if b == nil {
		return ""
	}
	return string(d.bytes(int(b[0])))
}
