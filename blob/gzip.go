package blob

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/mullion/mullion/internal/inflate"
)

var (
	errMember       = errors.New("header of a member")
	errMemberSum    = errors.New("checksum of a member")
	errAfterPadding = errors.New("the zeros after the last member are followed by something else")
)

// members is a gzip file: one member after the other (RFC 1952, 2.2), and then perhaps
// zeros, with which some writers and tapes fill a block. The gzip program ignores them.
type members struct {
	z       *inflate.Reader
	crc     uint32 // of the plain bytes of the member so far
	size    uint32
	resumed bool // the start of the member was not read, so its sum is not known
	survey  *survey
	err     error // the end of the file, or why it was not reached
}

func newMembers(src io.Reader, s *survey) (*members, error) {
	m := &members{z: inflate.NewReader(src), survey: s}
	if s != nil {
		m.z.OnBlock = func(bits, out int64) { s.block(bits, out, m.z.Window()) }
		s.start(0, 0)
	}
	if err := m.header(); err != nil {
		return nil, err
	}
	m.z.Next()
	return m, nil
}

// resumeMembers continues a file at a block of a member.
func resumeMembers(src io.Reader, skip uint8, window []byte) (*members, error) {
	m := &members{z: inflate.NewReader(src), resumed: true}
	return m, m.z.Resume(src, uint(skip), window)
}

// Close does nothing: the decompressor has no other resources than memory.
func (m *members) Close() error { return nil }

func (m *members) Read(p []byte) (int, error) {
	for {
		n, err := m.z.Read(p)
		if n > 0 {
			m.crc = crc32.Update(m.crc, crc32.IEEETable, p[:n])
			m.size += uint32(n)
			return n, nil
		}
		if err != io.EOF {
			return 0, err
		}
		if m.err == nil {
			m.err = m.next()
		}
		if m.err != nil {
			return 0, m.err
		}
	}
}

// next verifies the end of a member and continues with the next one. It returns io.EOF if
// there is none.
func (m *members) next() error {
	b, err := m.take(8)
	if err != nil {
		return err
	}
	sum, size := le32(b), le32(b[4:])
	if !m.resumed && (sum != m.crc || size != m.size) {
		return errMemberSum
	}
	m.crc, m.size, m.resumed = 0, 0, false
	at := m.z.Offset()
	b, err = m.z.Fill(1)
	if len(b) == 0 {
		return err
	}
	if b[0] == 0 {
		return m.padding()
	}
	if err := m.header(); err != nil {
		return err
	}
	m.z.Next()
	m.survey.start(at, m.z.OutOffset())
	return nil
}

// padding reads zeros to the end of the file and returns io.EOF.
func (m *members) padding() error {
	for {
		b, err := m.z.Fill(1)
		if len(b) == 0 {
			return err
		}
		if len(bytes.TrimLeft(b, "\x00")) > 0 {
			return errAfterPadding
		}
		m.z.Skip(len(b))
	}
}

// take consumes n bytes, at most 4096. They are valid until the next call.
func (m *members) take(n int) ([]byte, error) {
	b, err := m.z.Fill(n)
	if len(b) < n {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	m.z.Skip(n)
	return b[:n], nil
}

// Flags of a member (RFC 1952, 2.3.1). The first marks the file as a text and means nothing.
const (
	flagHeaderSum = 1 << 1
	flagExtra     = 1 << 2
	flagName      = 1 << 3
	flagComment   = 1 << 4
)

// maxText is the longest accepted name or comment with its zero, as in compress/gzip.
const maxText = 512

// header reads the header of a member.
func (m *members) header() error {
	var sum uint32
	take := func(n int) ([]byte, error) {
		b, err := m.take(n)
		sum = crc32.Update(sum, crc32.IEEETable, b)
		return b, err
	}
	b, err := take(10)
	if err != nil {
		return err
	}
	flags := b[3]
	if b[0] != 0x1f || b[1] != 0x8b || b[2] != 8 {
		return errMember
	}
	if flags&flagExtra != 0 {
		if b, err = take(2); err != nil {
			return err
		}
		for n := int(b[0]) | int(b[1])<<8; n > 0; n -= len(b) {
			if b, err = take(min(n, 4096)); err != nil {
				return err
			}
		}
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag == 0 {
			continue
		}
		n := 0
		for ; n < maxText; n++ {
			if b, err = take(1); err != nil {
				return err
			}
			if b[0] == 0 {
				break
			}
		}
		if n == maxText {
			return fmt.Errorf("%w: a text of more than %d bytes", errMember, maxText)
		}
	}
	if flags&flagHeaderSum != 0 {
		want := uint16(sum)
		if b, err = m.take(2); err != nil {
			return err
		}
		if uint16(b[0])|uint16(b[1])<<8 != want {
			return fmt.Errorf("%w: its checksum", errMember)
		}
	}
	return nil
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
