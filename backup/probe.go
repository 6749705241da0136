package backup

import (
	"fmt"
	"io"

	"github.com/mullion/mullion/winfs"
)

// Limits bound the memory of [Probe]. A zero field means the default, a negative
// one no limit.
type Limits struct {
	Metadata int64 // bytes of all metadata streams together; default 1 MiB
	Streams  int64 // data streams; default 4,096
	Extents  int64 // allocated ranges of all data streams; default 262,144
}

func (l Limits) withDefaults() Limits {
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		} else if *v < 0 {
			*v = 1<<63 - 1
		}
	}
	set(&l.Metadata, 1<<20)
	set(&l.Streams, 4096)
	set(&l.Extents, 262144)
	return l
}

// Info is the contents of a backup stream, without the bytes of its data streams.
type Info struct {
	Security []byte // self-relative security descriptor, nil if there is none
	EA       []byte // extended attributes, nil if there are none
	Reparse  []byte // reparse buffer, nil if there is none
	ObjectID []byte // nil if there is none
	// HasData reports whether there is a main stream, empty or not.
	HasData bool
	// Size is the logical length in bytes of the main stream, 0 without one.
	Size int64
	// Streams are the data streams: the main stream first, if there is one, then the
	// alternate streams in the order of the source.
	Streams []DataStream
	// Dropped are the kinds of the other streams, in order of appearance. Only the kinds
	// are kept.
	Dropped []ID
}

// DataStream is one data stream of a file and the positions of its bytes.
type DataStream struct {
	Name       string // bare name, empty for the main stream
	Attributes uint32 // of its header
	Size       int64  // logical length in bytes, holes included
	// Extents are the allocated ranges, ascending, none empty. They do not overlap; the
	// rest of the stream, up to Size, is holes.
	Extents []Extent
}

// Sparse reports whether the stream has holes or is marked sparse.
func (s *DataStream) Sparse() bool {
	return s.Attributes&AttrSparse != 0 || len(s.Extents) > 1 ||
		len(s.Extents) == 1 && s.Extents[0].Length != s.Size || len(s.Extents) == 0 && s.Size != 0
}

// Extent is an allocated range of a data stream.
type Extent struct {
	Offset int64 // in the file
	Length int64
	Source int64 // position of the bytes in the source, from its start
}

// Probe reads a backup stream from the current position of src to its end and returns its
// contents, with offsets from the start of src. It seeks over data. The size of a stream
// is that of its header or, where sparse blocks follow, the end of the last one
// (docs/spec/layers.md, "Sparse streams").
//
// A second main stream, a second metadata stream of one kind and a second alternate stream
// of one name are [ErrDuplicate]; exceeding lim is [ErrLimit]. src is left at its end;
// after an error its position is unspecified.
func Probe(src io.ReadSeeker, lim Limits) (*Info, error) {
	lim = lim.withDefaults()
	base, err := src.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, &Error{"probe", 0, 0, "", err}
	}
	p := prober{r: NewReader(src), base: base, left: lim, names: map[string]bool{}, last: -1}
	for {
		h, err := p.r.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = p.take(h)
		}
		if err != nil {
			return nil, err
		}
	}
	info := &p.info
	if p.main != nil {
		info.HasData, info.Size = true, p.main.Size
		info.Streams = append([]DataStream{*p.main}, info.Streams...)
	}
	return info, nil
}

type prober struct {
	r     *Reader
	base  int64
	left  Limits // the limits less the parts already read
	info  Info
	main  *DataStream
	names map[string]bool // folded names of alternate streams
	last  int             // the data stream that blocks belong to: index, or -1 for main
}

func (p *prober) fail(h *Header, err error, detail string) error {
	return &Error{"probe", h.ID, p.r.Offset(), detail, err}
}

func (p *prober) take(h *Header) error {
	switch h.ID {
	case Data:
		if p.main != nil {
			return p.fail(h, ErrDuplicate, "")
		}
		p.main, p.last = &DataStream{}, -1
		return p.begin(h, p.main)
	case AlternateData:
		name, err := ParseStreamName(h.Name)
		if err != nil {
			return p.fail(h, err, "")
		}
		if key := winfs.Fold(name); p.names[key] {
			return p.fail(h, ErrDuplicate, fmt.Sprintf("%q", name))
		} else {
			p.names[key] = true
		}
		p.last = len(p.info.Streams)
		p.info.Streams = append(p.info.Streams, DataStream{Name: name})
		return p.begin(h, &p.info.Streams[p.last])
	case SparseBlock:
		s := p.main
		if p.last >= 0 {
			s = &p.info.Streams[p.last]
		}
		s.Size = max(s.Size, h.Offset+h.Size) // the order of headers excludes overflow
		return p.extent(h, s)
	case Security:
		return p.metadata(h, &p.info.Security)
	case EAData:
		return p.metadata(h, &p.info.EA)
	case ReparseData:
		return p.metadata(h, &p.info.Reparse)
	case ObjectID:
		return p.metadata(h, &p.info.ObjectID)
	}
	if p.left.Streams--; p.left.Streams < 0 {
		return p.fail(h, ErrLimit, "Streams")
	}
	p.info.Dropped = append(p.info.Dropped, h.ID)
	return nil
}

func (p *prober) begin(h *Header, s *DataStream) error {
	if p.left.Streams--; p.left.Streams < 0 {
		return p.fail(h, ErrLimit, "Streams")
	}
	s.Attributes, s.Size = h.Attributes, h.Size
	return p.extent(h, s)
}

func (p *prober) extent(h *Header, s *DataStream) error {
	if h.Size == 0 {
		return nil
	}
	if p.left.Extents--; p.left.Extents < 0 {
		return p.fail(h, ErrLimit, "Extents")
	}
	s.Extents = append(s.Extents, Extent{Offset: h.Offset, Length: h.Size, Source: p.base + p.r.Offset()})
	return nil
}

func (p *prober) metadata(h *Header, dst *[]byte) error {
	if *dst != nil {
		return p.fail(h, ErrDuplicate, "")
	}
	if p.left.Metadata -= h.Size; p.left.Metadata < 0 {
		return p.fail(h, ErrLimit, fmt.Sprintf("Metadata: %d bytes", h.Size))
	}
	// ReadAll grows with the bytes present, not with the size that the header declares.
	b, err := io.ReadAll(p.r)
	if err != nil {
		return err
	}
	*dst = b
	return nil
}

// Reader returns a reader of the whole stream, Size bytes with holes as zeros, from the
// source that was probed. If the source has become shorter, the reader returns
// io.ErrUnexpectedEOF.
func (s *DataStream) Reader(src io.ReaderAt) io.Reader { return &streamReader{src: src, s: s} }

type streamReader struct {
	src  io.ReaderAt
	s    *DataStream
	pos  int64
	next int // first extent that ends after pos
}

func (r *streamReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.next < len(r.s.Extents) && r.pos >= r.s.Extents[r.next].Offset+r.s.Extents[r.next].Length {
		r.next++
	}
	if r.pos >= r.s.Size {
		return 0, io.EOF
	}
	if r.next == len(r.s.Extents) || r.pos < r.s.Extents[r.next].Offset {
		end := r.s.Size
		if r.next < len(r.s.Extents) {
			end = r.s.Extents[r.next].Offset
		}
		p = p[:min(int64(len(p)), end-r.pos)]
		clear(p)
		r.pos += int64(len(p))
		return len(p), nil
	}
	x := r.s.Extents[r.next]
	within := r.pos - x.Offset
	p = p[:min(int64(len(p)), x.Length-within)]
	n, err := r.src.ReadAt(p, x.Source+within)
	r.pos += int64(n)
	if n == len(p) {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
