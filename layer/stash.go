package layer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/winfs"
)

const (
	// stashMemory is the number of bytes that a stash keeps in memory before it moves to a
	// temporary file.
	stashMemory = 24 << 20
	// internMemory and internOne bound the table of descriptors that entries share:
	// a layer of 100,000 files has a few hundred different ones.
	internMemory = 4 << 20
	internOne    = 64 << 10
)

// stash keeps the metadata of entries out of memory: an append-only store of
// records that are found again by their offset. It lives in memory while it is
// small and in a temporary file, removed on close, when it is not.
type stash struct {
	mem   []byte
	file  *tempfile.File
	w     *bufio.Writer // to file
	dirty bool          // w holds bytes
	size  int64         // of all records
	dir   string        // for the temporary file, "" is the system's

	shared      map[string]uint64
	sharedList  [][]byte
	sharedBytes int
	scratch     []byte
}

func newStash() *stash { return &stash{shared: map[string]uint64{}} }

func (s *stash) Write(p []byte) (int, error) {
	if s.file == nil && len(s.mem)+len(p) > stashMemory {
		f, err := tempfile.Create(s.dir, "mullion-index-*")
		if err != nil {
			return 0, err
		}
		s.file, s.w = f, bufio.NewWriterSize(f, 64<<10)
		if _, err := s.w.Write(s.mem); err != nil {
			return 0, err
		}
		s.mem, s.dirty = nil, true
	}
	if s.file == nil {
		s.mem = append(s.mem, p...)
	} else {
		s.dirty = true
		if _, err := s.w.Write(p); err != nil {
			return 0, err
		}
	}
	s.size += int64(len(p))
	return len(p), nil
}

func (s *stash) ReadAt(p []byte, at int64) (int, error) {
	if s.file == nil {
		if at >= int64(len(s.mem)) {
			return 0, io.EOF
		}
		n := copy(p, s.mem[at:])
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}
	if s.dirty {
		if err := s.w.Flush(); err != nil {
			return 0, err
		}
		s.dirty = false
	}
	return s.file.ReadAt(p, at)
}

func (s *stash) close() error {
	if s.file == nil {
		s.mem = nil
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// put stores the metadata of an entry, without its path, kind and target, and
// returns its offset.
func (s *stash) put(e *Entry) (int64, error) {
	at := s.size
	b := s.scratch[:0]
	b = binary.AppendUvarint(b, uint64(e.Attributes))
	for _, t := range []winfs.Filetime{e.Times.Creation, e.Times.LastAccess, e.Times.LastWrite, e.Times.Change} {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
	}
	b = binary.AppendVarint(b, e.Size)
	noMain := byte(0)
	if e.NoMain {
		noMain = 1
	}
	b = append(b, noMain)
	b = s.appendShared(b, e.Security)
	b = appendBytes(b, e.Reparse)
	b = appendBytes(b, e.ObjectID)
	b = binary.AppendUvarint(b, uint64(len(e.EAs)))
	for i := range e.EAs {
		b = appendBytes(b, []byte(e.EAs[i].Name))
		b = append(b, e.EAs[i].Flags)
		b = appendBytes(b, e.EAs[i].Value)
	}
	defect := ""
	if e.Defect != nil {
		defect = e.Defect.Error()
	}
	b = appendBytes(b, []byte(defect))
	s.scratch = b
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(b)))
	if _, err := s.Write(length[:]); err != nil {
		return 0, err
	}
	if _, err := s.Write(b); err != nil {
		return 0, err
	}
	return at, nil
}

// appendShared writes 0 and the bytes, or the number of the shared value plus 1.
func (s *stash) appendShared(b, v []byte) []byte {
	if n, ok := s.shared[string(v)]; ok {
		return binary.AppendUvarint(b, n)
	}
	if len(v) <= internOne && s.sharedBytes+len(v)+64 <= internMemory {
		s.sharedBytes += len(v) + 64
		s.sharedList = append(s.sharedList, append([]byte(nil), v...))
		n := uint64(len(s.sharedList))
		s.shared[string(v)] = n
		return binary.AppendUvarint(b, n)
	}
	return appendBytes(binary.AppendUvarint(b, 0), v)
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// get fills e from the record at an offset that put returned.
func (s *stash) get(at int64, e *Entry) error {
	var length [4]byte
	if _, err := s.ReadAt(length[:], at); err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	b := make([]byte, binary.LittleEndian.Uint32(length[:]))
	if _, err := s.ReadAt(b, at+4); err != nil && err != io.EOF {
		return fmt.Errorf("read index: %w", err)
	}
	uvarint := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return v
	}
	bytes := func() []byte {
		n := uvarint()
		v := b[:n:n]
		b = b[n:]
		if n == 0 {
			return nil
		}
		return v
	}
	e.Attributes = winfs.Attributes(uvarint())
	for _, t := range []*winfs.Filetime{&e.Times.Creation, &e.Times.LastAccess, &e.Times.LastWrite, &e.Times.Change} {
		*t = winfs.Filetime(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	size, n := binary.Varint(b)
	e.Size, b = size, b[n:]
	e.NoMain, b = b[0] != 0, b[1:]
	if n := uvarint(); n == 0 {
		e.Security = bytes()
	} else if v := s.sharedList[n-1]; len(v) > 0 {
		e.Security = v
	}
	e.Reparse = bytes()
	e.ObjectID = bytes()
	count := uvarint()
	e.EAs = nil
	for range count {
		var ea winfs.EA
		ea.Name = string(bytes())
		ea.Flags, b = b[0], b[1:]
		ea.Value = bytes()
		e.EAs = append(e.EAs, ea)
	}
	if text := bytes(); len(text) > 0 {
		e.Defect = keptDefect(text)
	}
	return nil
}

// keptDefect is the text of a defect that was stored in the stash.
type keptDefect string

func (d keptDefect) Error() string { return string(d) }

// Is makes errors.Is(err, ErrCorrupt) hold.
func (d keptDefect) Is(target error) bool { return target == ErrCorrupt }

// putString stores a text.
func (s *stash) putString(v string) (int64, error) {
	at := s.size
	b := binary.LittleEndian.AppendUint32(s.scratch[:0], uint32(len(v)))
	s.scratch = append(b, v...)
	_, err := s.Write(s.scratch)
	return at, err
}

func (s *stash) getString(at int64) (string, error) {
	var length [4]byte
	if _, err := s.ReadAt(length[:], at); err != nil {
		return "", fmt.Errorf("read index: %w", err)
	}
	b := make([]byte, binary.LittleEndian.Uint32(length[:]))
	if n, err := s.ReadAt(b, at+4); n < len(b) {
		return "", fmt.Errorf("read index: %w", err)
	}
	return string(b), nil
}

// A stored stream is its header, its name and its bytes; the header of the next one
// follows, and a header of noStream ends the list.
const (
	streamNameLen = 0x00 // u32
	streamSparse  = 0x04 // u8
	streamSize    = 0x05 // u64
	streamHeader  = 0x0D
	noStream      = 1<<32 - 1
)

func (s *stash) putStream(st *Stream, data io.Reader) error {
	var h [streamHeader]byte
	binary.LittleEndian.PutUint32(h[streamNameLen:], uint32(len(st.Name)))
	if st.Sparse {
		h[streamSparse] = 1
	}
	binary.LittleEndian.PutUint64(h[streamSize:], uint64(st.Size))
	if _, err := s.Write(append(h[:], st.Name...)); err != nil {
		return err
	}
	n, err := io.Copy(onlyWriter{s}, io.LimitReader(data, st.Size))
	if err == nil && n != st.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (s *stash) endStreams() error {
	var h [streamHeader]byte
	binary.LittleEndian.PutUint32(h[streamNameLen:], noStream)
	_, err := s.Write(h[:])
	return err
}

// getStream reads the header at an offset and returns the offset of the bytes. It returns
// io.EOF at the end of the list.
func (s *stash) getStream(at int64) (*Stream, int64, error) {
	var h [streamHeader]byte
	if n, err := s.ReadAt(h[:], at); n < len(h) {
		return nil, 0, fmt.Errorf("read index: %w", err)
	}
	n := binary.LittleEndian.Uint32(h[streamNameLen:])
	if n == noStream {
		return nil, 0, io.EOF
	}
	name := make([]byte, n)
	if n, err := s.ReadAt(name, at+streamHeader); n < len(name) {
		return nil, 0, fmt.Errorf("read index: %w", err)
	}
	st := &Stream{Name: string(name), Sparse: h[streamSparse] != 0, Size: int64(binary.LittleEndian.Uint64(h[streamSize:]))}
	return st, at + streamHeader + int64(n), nil
}

// onlyWriter hides every method but Write.
type onlyWriter struct{ io.Writer }
