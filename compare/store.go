package compare

import (
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/mullion/mullion/internal/tempfile"
)

// storeMemory is the number of bytes of records that a store holds in memory; the others
// are in a temporary file.
const storeMemory = 16 << 20

// store keeps records and gives the same number to equal ones. 0 is the empty record.
type store struct {
	ids   map[[16]byte]uint32 // by the first half of the SHA-256
	spans []span
	mem   []byte
	file  *tempfile.File
	size  int64 // of file
}

// span is the place of a record, in memory first and then in the file.
type span struct {
	at int64 // in the file plus storeMemory if it is there
	n  uint32
}

func newStore() *store {
	return &store{ids: map[[16]byte]uint32{}, spans: make([]span, 1)}
}

func (s *store) put(b []byte) (uint32, error) {
	if len(b) == 0 {
		return 0, nil
	}
	sum := sha256.Sum256(b)
	key := [16]byte(sum[:16])
	if id, ok := s.ids[key]; ok {
		return id, nil
	}
	at := int64(len(s.mem))
	if len(s.mem)+len(b) <= storeMemory && s.file == nil {
		s.mem = append(s.mem, b...)
	} else {
		if s.file == nil {
			f, err := tempfile.Create("", "mullion-compare-")
			if err != nil {
				return 0, err
			}
			s.file = f
		}
		if _, err := s.file.WriteAt(b, s.size); err != nil {
			return 0, err
		}
		at = storeMemory + s.size
		s.size += int64(len(b))
	}
	id := uint32(len(s.spans))
	s.spans = append(s.spans, span{at, uint32(len(b))})
	s.ids[key] = id
	return id, nil
}

// get returns a copy of a record, nil for 0.
func (s *store) get(id uint32) ([]byte, error) {
	if id == 0 {
		return nil, nil
	}
	x := s.spans[id]
	b := make([]byte, x.n)
	if x.at < storeMemory {
		copy(b, s.mem[x.at:])
		return b, nil
	}
	if n, err := s.file.ReadAt(b, x.at-storeMemory); n < len(b) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read table: %w", err)
	}
	return b, nil
}

func (s *store) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
