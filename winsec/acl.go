package winsec

import (
	"encoding/binary"
	"fmt"
)

// ACL is an access control list.
type ACL struct {
	Revision byte // 2, or 4 if there are object entries; 0 lets Bytes choose
	Sbz1     byte // reserved
	Sbz2     uint16
	ACEs     []ACE
	// Slack is the unused room between the last entry and the end of the list; lists that
	// were edited in place have it.
	Slack []byte
}

// Layout of an ACL (MS-DTYP 2.4.5).
const (
	aclRevisionAt = 0x00 // u8
	aclSbz1At     = 0x01 // u8
	aclSizeAt     = 0x02 // u16, of the whole list
	aclCountAt    = 0x04 // u16 entries
	aclSbz2At     = 0x06 // u16
	aclHeader     = 0x08

	aclRevision   = 2
	aclRevisionDS = 4
)

// readACL reads the list at the start of b; offsets of errors count from there.
func readACL(b []byte) (*ACL, int, error) {
	if len(b) < aclHeader {
		return nil, 0, ErrTruncated
	}
	l := &ACL{Revision: b[aclRevisionAt], Sbz1: b[aclSbz1At], Sbz2: binary.LittleEndian.Uint16(b[aclSbz2At:])}
	if l.Revision < aclRevision || l.Revision > aclRevisionDS {
		return nil, 0, fmt.Errorf("%w %d of ACL", ErrRevision, l.Revision)
	}
	size := int(binary.LittleEndian.Uint16(b[aclSizeAt:]))
	count := int(binary.LittleEndian.Uint16(b[aclCountAt:]))
	if size < aclHeader {
		return nil, aclSizeAt, fmt.Errorf("%w: size %d", ErrBadACL, size)
	}
	if size > len(b) {
		return nil, aclSizeAt, fmt.Errorf("%w: ACL of %d bytes in %d", ErrTruncated, size, len(b))
	}
	// Every entry has at least four bytes, which bounds the allocation for a count.
	if count > (size-aclHeader)/aceHeader {
		return nil, aclCountAt, fmt.Errorf("%w: %d entries in %d bytes", ErrBadACL, count, size)
	}
	if count > 0 {
		l.ACEs = make([]ACE, 0, count)
	}
	at := aclHeader
	for i := range count {
		if size-at < aceHeader {
			return nil, at, fmt.Errorf("%w: entry %d of %d is missing", ErrBadACL, i+1, count)
		}
		n := int(binary.LittleEndian.Uint16(b[at+aceSizeAt:]))
		if n < aceHeader || n > size-at {
			return nil, at + aceSizeAt, fmt.Errorf("%w: size %d with %d bytes left", ErrBadACE, n, size-at)
		}
		a, err := readACE(b[at : at+n])
		if err != nil {
			return nil, at, err
		}
		l.ACEs = append(l.ACEs, a)
		at += n
	}
	if at < size {
		l.Slack = b[at:size:size]
	}
	return l, 0, nil
}

// append appends the encoded list.
func (l *ACL) append(dst []byte) ([]byte, error) {
	start := len(dst)
	rev := l.Revision
	if rev == 0 {
		rev = aclRevision
		for i := range l.ACEs {
			if l.ACEs[i].Type.hasObject() {
				rev = aclRevisionDS
			}
		}
	}
	if rev < aclRevision || rev > aclRevisionDS {
		return dst, fmt.Errorf("%w %d of ACL", ErrRevision, rev)
	}
	dst = append(dst, rev, l.Sbz1, 0, 0, 0, 0, byte(l.Sbz2), byte(l.Sbz2>>8))
	var err error
	for i := range l.ACEs {
		if dst, err = l.ACEs[i].append(dst); err != nil {
			return dst, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if len(dst)-start > 0xFFFF {
			return dst, fmt.Errorf("%w: more than 65535 bytes", ErrTooLarge)
		}
	}
	dst = append(dst, l.Slack...)
	size := len(dst) - start
	if size > 0xFFFF {
		return dst, fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
	}
	binary.LittleEndian.PutUint16(dst[start+aclSizeAt:], uint16(size))
	binary.LittleEndian.PutUint16(dst[start+aclCountAt:], uint16(len(l.ACEs)))
	return dst, nil
}
