package cimfs

import (
	"io"
	"sort"
)

// Stream is the content of a file or of an alternate stream. It implements
// io.ReaderAt and may be used from several goroutines at once; it needs no Close.
type Stream struct {
	im   *Image
	name string
	s    stream
	pe   *peImage
}

// Data opens the main stream. For a directory the error is [ErrIsDirectory].
func (f *File) Data() (*Stream, error) {
	if f.IsDir() {
		return nil, f.im.fail("open stream", "", ErrIsDirectory)
	}
	s, err := f.im.openStream("", f.rec.data)
	if err != nil {
		return nil, f.im.fail("open stream", "", err)
	}
	return s, nil
}

// Streams opens all alternate streams, in stored order. For one without a name the error is
// [ErrName], see [Image.ListOddNames].
func (f *File) Streams() ([]*Stream, error) {
	if f.rec.streams == 0 {
		return nil, nil
	}
	out, err := f.readStreams(f.im.odd.Load())
	if err != nil {
		return nil, f.im.fail("read stream table", "", err)
	}
	return out, nil
}

// HasStreams reports whether the record has a table of alternate streams.
func (f *File) HasStreams() bool { return f.rec.streams != 0 }

func (f *File) readStreams(odd bool) ([]*Stream, error) {
	t, err := f.im.linkTable(RegionOffset(f.rec.streams), -1, streamSize)
	if err != nil {
		return nil, err
	}
	if t.count > maxListed {
		return nil, f.im.where(t.at, because(ErrLimit, "%d alternate streams", t.count))
	}
	var out []*Stream
	c := t.cursor(smallWindow)
	for i := range t.count {
		v, err := c.value(i)
		if err != nil {
			return nil, err
		}
		st := decodeStream(v)
		name, err := c.name(i)
		if err != nil {
			return nil, err
		}
		if len(name) == 0 && !odd {
			return nil, f.im.where(t.at, because(ErrName, "an alternate stream has no name"))
		}
		if st.packed&streamReserved != 0 || st.kind() == TableStream {
			return nil, f.im.where(t.at, corrupt("stream word %#x of an alternate stream", st.packed))
		}
		s, err := f.im.openStream(decodeName(name), st)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// openStream verifies that the bytes of a stream are where it says.
func (im *Image) openStream(name string, s stream) (*Stream, error) {
	out := &Stream{im: im, name: name, s: s}
	switch {
	case s.sparse() && s.kind() == PlainStream, s.length() == 0 && s.kind() == PlainStream:
		return out, nil
	case s.sparse():
		return nil, corrupt("a sparse stream of type %d", s.kind())
	case s.kind() == ImageStream:
		pe, err := im.readPE(RegionOffset(s.offset), s.length())
		if err != nil {
			return nil, err
		}
		out.pe = pe
		return out, nil
	case s.kind() == PlainStream:
		_, err := im.span(RegionOffset(s.offset), s.length())
		return out, err
	}
	return nil, corrupt("stream type %d", s.kind())
}

// Name returns the name of an alternate stream without colons, "" for the main
// stream.
func (s *Stream) Name() string { return s.name }

// Size returns the length in bytes.
func (s *Stream) Size() int64 { return s.s.length() }

// Sparse reports that nothing is stored: the stream reads as zeros.
func (s *Stream) Sparse() bool { return s.s.sparse() }

// Type returns how the stream is stored.
func (s *Stream) Type() StreamType { return s.s.kind() }

// Reader returns a reader over the whole stream with a position of its own.
func (s *Stream) Reader() *io.SectionReader { return io.NewSectionReader(s, 0, s.Size()) }

// ReadAt reads the original bytes of the stream, a PE image as it was before its
// sections were moved apart.
func (s *Stream) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, s.im.fail("read", "", corrupt("negative offset"))
	}
	if off >= s.Size() {
		return 0, io.EOF
	}
	n, short := len(p), false
	if int64(n) > s.Size()-off {
		n, short = int(s.Size()-off), true
	}
	var err error
	switch {
	case s.Sparse():
		clear(p[:n])
	case s.pe != nil:
		n, err = s.pe.readAt(s.im, p[:n], off)
	default:
		err = s.im.read(RegionOffset(s.s.offset)+RegionOffset(off), p[:n])
		if err != nil {
			n = 0
		}
	}
	if err != nil {
		return n, s.im.fail("read", s.name, err)
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

// peImage is a PE descriptor:
//
//	0x00 u64 data offset
//	0x08 u64 data length
//	0x10 u32 SizeOfImage
//	0x14 u16 mapping count
//	0x16 u16 flags, 1 = valid image
//	0x18 mappings of u32 file offset, u32 delta
type peImage struct {
	data        RegionOffset
	length      int64
	sizeOfImage uint32
	flags       uint16
	mappings    []peMapping
}

// peMapping says that the bytes of the file from offset on are stored delta bytes
// further on.
type peMapping struct{ offset, delta uint32 }

const peValidImage = 1

func (im *Image) readPE(o RegionOffset, size int64) (*peImage, error) {
	var b [peHeaderSize]byte
	if err := im.read(o, b[:]); err != nil {
		return nil, err
	}
	pe := &peImage{
		data: RegionOffset(le.Uint64(b[0:])), length: int64(le.Uint64(b[8:])),
		sizeOfImage: le.Uint32(b[0x10:]), flags: le.Uint16(b[0x16:]),
	}
	raw := make([]byte, int(le.Uint16(b[0x14:]))*peMappingSize)
	if err := im.read(o+peHeaderSize, raw); err != nil {
		return nil, err
	}
	if _, err := im.span(pe.data, pe.length); err != nil {
		return nil, err
	}
	pe.mappings = make([]peMapping, 0, len(raw)/peMappingSize)
	var last peMapping
	for i := 0; i < len(raw); i += peMappingSize {
		m := peMapping{le.Uint32(raw[i:]), le.Uint32(raw[i+4:])}
		if i > 0 && m.offset <= last.offset {
			return nil, im.where(o, corrupt("PE mappings are not in ascending order"))
		}
		if int64(m.offset) < size {
			// The last byte before the next mapping must be inside the data; the check
			// of the end of the file below covers the rest, because deltas that shrink
			// are looked at one by one.
			if int64(m.offset)+int64(m.delta) >= pe.length {
				return nil, im.where(o, corrupt("PE mapping at %#x leads outside the data", m.offset))
			}
		}
		if i > 0 && m.delta < last.delta {
			return nil, im.where(o, corrupt("PE mappings overlap"))
		}
		pe.mappings = append(pe.mappings, m)
		last = m
	}
	if size > 0 {
		if _, delta, _ := pe.locate(size - 1); size+delta > pe.length {
			return nil, im.where(o, corrupt("PE image of %d bytes ends outside its data of %d bytes", size, pe.length))
		}
	}
	return pe, nil
}

// locate returns the index after the mapping of a file offset, its delta, and the
// file offset of the next mapping, or -1.
func (pe *peImage) locate(off int64) (next int, delta, end int64) {
	next = sort.Search(len(pe.mappings), func(i int) bool { return int64(pe.mappings[i].offset) > off })
	if next > 0 {
		delta = int64(pe.mappings[next-1].delta)
	}
	if next < len(pe.mappings) {
		return next, delta, int64(pe.mappings[next].offset)
	}
	return next, delta, -1
}

func (pe *peImage) readAt(im *Image, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		_, delta, end := pe.locate(at)
		n := len(p) - done
		if end >= 0 && int64(n) > end-at {
			n = int(end - at)
		}
		if at+delta+int64(n) > pe.length {
			return done, corrupt("PE image leads outside its data")
		}
		if err := im.read(pe.data+RegionOffset(at+delta), p[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}
