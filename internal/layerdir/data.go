package layerdir

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The file .mullion/data is a plain concatenation of byte ranges without any
// structure of its own: descriptors, EA lists, reparse buffers, object IDs, lists
// of extents and streams, and the bytes of alternate streams. Equal metadata of
// many files is stored once.
const DataName = "data"

// rememberBlobs bounds the memory that finding equal metadata takes. A genuine
// Windows layer has a few hundred different descriptors.
const rememberBlobs = 1 << 16

// blobWriter appends to .mullion/data.
type blobWriter struct {
	open  func() (hostfs.File, error) // makes the file when the first byte comes
	f     hostfs.File
	w     *bufio.Writer
	n     int64
	known map[[16]byte]ref
}

func (w *blobWriter) write(p []byte) error {
	if w.f == nil {
		f, err := w.open()
		if err != nil {
			return err
		}
		w.f, w.w = f, bufio.NewWriterSize(f, 256<<10)
	}
	n, err := w.w.Write(p)
	w.n += int64(n)
	return err
}

// add stores b, or finds where the same bytes are. b is not empty.
func (w *blobWriter) add(b []byte) (ref, error) {
	h := sha256.Sum256(b)
	key := [16]byte(h[:])
	if r, ok := w.known[key]; ok && r.length == int64(len(b)) {
		return r, nil
	}
	r := ref{offset: w.n, length: int64(len(b)), crc: crc32.Checksum(b, castagnoli)}
	if err := w.write(b); err != nil {
		return ref{}, err
	}
	if w.known == nil {
		w.known = make(map[[16]byte]ref)
	}
	if len(w.known) < rememberBlobs {
		w.known[key] = r
	}
	return r, nil
}

// finish writes out the buffer.
func (w *blobWriter) finish(sync bool) error {
	if w.f == nil {
		return nil
	}
	err := w.w.Flush()
	if err == nil && sync {
		err = w.f.Sync()
	}
	return hostfs.FirstError(err, w.close())
}

func (w *blobWriter) close() error {
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return f.Close()
}

// blobReader reads .mullion/data.
type blobReader struct {
	f     hostfs.File // nil if the layer has none
	size  int64
	limit int64 // largest blob that is read into memory
	// last is the blob read before: descriptors of neighbours are mostly equal.
	last    ref
	lastRaw []byte
}

// blob returns the bytes at r, checked. They are valid for ever.
func (b *blobReader) blob(r ref) ([]byte, error) {
	if r == b.last {
		return b.lastRaw, nil
	}
	if r.length > b.limit {
		return nil, &layer.LimitError{Limit: "MetadataLen", Max: b.limit}
	}
	if err := b.inside(r); err != nil {
		return nil, err
	}
	p := make([]byte, r.length)
	if _, err := b.f.ReadAt(p, r.offset); err != nil {
		return nil, hostfs.NoEOF(err)
	}
	if crc32.Checksum(p, castagnoli) != r.crc {
		return nil, fmt.Errorf("%w: wrong checksum of data at offset %#x", hostfs.ErrMetadata, r.offset)
	}
	b.last, b.lastRaw = r, p
	return p, nil
}

func (b *blobReader) inside(r ref) error {
	if b.f == nil || r.offset > b.size || r.length > b.size-r.offset {
		return fmt.Errorf("%w: reference to offset %#x, which is not in %s/%s", hostfs.ErrMetadata, r.offset, StoreName, DataName)
	}
	return nil
}

// streamInfo describes a stored stream. Only its allocated ranges are stored,
// one after the other; without extents all of it is allocated.
type streamInfo struct {
	name    string
	size    int64
	sparse  bool
	extents extents
	data    ref // length 0 if nothing is stored
}

// As bytes, a list of streams is uvarint count, and for each: uvarint length and
// name, uvarint size, u8 sparse, and unless size is 0: the extents if sparse,
// uvarint stored length, and if that is not 0 uvarint offset, u32 CRC-32C.
func appendStreams(b []byte, list []streamInfo) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for i := range list {
		s := &list[i]
		b = appendText(b, s.name)
		b = binary.AppendUvarint(b, uint64(s.size))
		if !s.sparse {
			b = append(b, 0)
		} else {
			b = s.extents.append(append(b, 1))
		}
		b = binary.AppendUvarint(b, uint64(s.data.length))
		if s.data.length > 0 {
			b = binary.AppendUvarint(b, uint64(s.data.offset))
			b = binary.LittleEndian.AppendUint32(b, s.data.crc)
		}
	}
	return b
}

func parseStreams(b []byte, limit int64) ([]streamInfo, error) {
	const largest = 1<<62 - 1
	d := decoder{b: b}
	n := d.uvarint(uint64(len(b)))
	if int64(n) > limit {
		return nil, &layer.LimitError{Limit: "Streams", Max: limit}
	}
	list := make([]streamInfo, 0, n)
	for range n {
		s := streamInfo{name: d.text(), size: int64(d.uvarint(largest))}
		switch d.u8() {
		case 0:
		case 1:
			s.sparse = true
			s.extents = d.extents(s.size)
		default:
			d.fail("stream is neither sparse nor not")
		}
		if s.data.length = int64(d.uvarint(largest)); s.data.length > 0 {
			s.data.offset, s.data.crc = int64(d.uvarint(largest)), d.u32()
		}
		if d.err == nil && s.data.length != s.stored() {
			d.fail("stream is stored with a wrong length")
		}
		list = append(list, s)
		if d.err != nil {
			return nil, d.err
		}
	}
	return list, d.finish()
}

// stored is the number of bytes that are not in holes.
func (s *streamInfo) stored() int64 {
	if !s.sparse {
		return s.size
	}
	return s.extents.allocated()
}
