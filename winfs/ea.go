package winfs

import (
	"encoding/binary"
	"slices"
	"strings"
)

// EA is one extended attribute of a file.
type EA struct {
	// Name is 1 to 255 bytes of ASCII or OEM text without a NUL (NTFS takes at most
	// 254); NTFS stores it upper-cased and compares it without regard to case.
	Name  string
	Flags byte   // 0x80 is FILE_NEED_EA
	Value []byte // at most 65,535 bytes
}

// EANeed in EA.Flags is FILE_NEED_EA: a program that does not understand the
// attribute must not open the file.
const EANeed byte = 0x80

// MaxPackedEAs is the largest [PackedEASize] of a list that NTFS stores with a
// file.
const MaxPackedEAs = 65535

// Layout of FILE_FULL_EA_INFORMATION (MS-FSCC 2.4.15): after the header come the
// name, one NUL, the value, and zeros up to the next multiple of four.
const (
	eaNext     = 0x00 // u32 distance to the next record, 0 in the last one
	eaFlags    = 0x04 // u8
	eaNameLen  = 0x05 // u8, without the NUL
	eaValueLen = 0x06 // u16
	eaHeader   = 0x08
)

// EncodeEAs returns the list as a chain of FILE_FULL_EA_INFORMATION records, each padded to
// four bytes, including the last. The records keep the order of the list; [SortEAs] makes
// it independent of the source. The encoding of an empty list is nil.
func EncodeEAs(list []EA) ([]byte, error) {
	size := 0
	for i := range list {
		ea := &list[i]
		switch {
		case ea.Name == "" || strings.IndexByte(ea.Name, 0) >= 0:
			return nil, &FormatError{"encode EA", size, quoteShort(ea.Name), ErrEAName}
		case len(ea.Name) > 255:
			return nil, &FormatError{"encode EA", size, "name " + quoteShort(ea.Name), ErrEATooLarge}
		case len(ea.Value) > 65535:
			return nil, &FormatError{"encode EA", size, "value of " + quoteShort(ea.Name), ErrEATooLarge}
		}
		size += align4(eaHeader + len(ea.Name) + 1 + len(ea.Value))
	}
	if size == 0 {
		return nil, nil
	}
	buf := make([]byte, size)
	at := 0
	for i := range list {
		ea := &list[i]
		n := align4(eaHeader + len(ea.Name) + 1 + len(ea.Value))
		rec := buf[at : at+n]
		if i < len(list)-1 {
			binary.LittleEndian.PutUint32(rec[eaNext:], uint32(n))
		}
		rec[eaFlags] = ea.Flags
		rec[eaNameLen] = byte(len(ea.Name))
		binary.LittleEndian.PutUint16(rec[eaValueLen:], uint16(len(ea.Value)))
		copy(rec[eaHeader:], ea.Name)
		copy(rec[eaHeader+len(ea.Name)+1:], ea.Value)
		at += n
	}
	return buf, nil
}

// DecodeEAs reads a chain of FILE_FULL_EA_INFORMATION records. The values alias b. As the
// kernel does, it requires that each record except the last is followed by the next at its
// padded size, and that the name ends with a NUL; the padding of the last record may be
// missing. An empty buffer decodes to nil.
func DecodeEAs(b []byte) ([]EA, error) {
	var list []EA
	bad := func(at int, detail string) ([]EA, error) {
		return nil, &FormatError{"decode EA", at, detail, ErrBadEA}
	}
	for at := 0; at < len(b); {
		rec := b[at:]
		if len(rec) < eaHeader {
			return bad(at, "truncated header")
		}
		next := binary.LittleEndian.Uint32(rec[eaNext:])
		nameEnd := eaHeader + int(rec[eaNameLen])
		end := nameEnd + 1 + int(binary.LittleEndian.Uint16(rec[eaValueLen:]))
		switch {
		case nameEnd == eaHeader:
			return bad(at+eaNameLen, "empty name")
		case end > len(rec):
			return bad(at, "truncated record")
		case rec[nameEnd] != 0 || slices.Contains(rec[eaHeader:nameEnd], 0):
			return bad(at+eaHeader, "name is not terminated by its NUL")
		case next != 0 && next != uint32(align4(end)):
			return bad(at+eaNext, "next record is not where this one ends")
		case next == 0 && len(rec) > align4(end):
			return bad(at+align4(end), "data after the last record")
		case next != 0 && int(next) >= len(rec):
			return bad(at+eaNext, "next record is missing")
		}
		list = append(list, EA{
			Name:  string(rec[eaHeader:nameEnd]),
			Flags: rec[eaFlags],
			Value: rec[nameEnd+1 : end : end],
		})
		if next == 0 {
			break
		}
		at += int(next)
	}
	return list, nil
}

// SortEAs sorts a list by upper-cased ASCII name, which makes its encoding independent of
// the order of the source. Attributes with the same name keep their order.
func SortEAs(list []EA) {
	slices.SortStableFunc(list, func(a, b EA) int {
		return strings.Compare(upperASCII(a.Name), upperASCII(b.Name))
	})
}

// upperASCII maps a to z alone: the names are bytes in an unknown code page, so
// nothing else may change.
func upperASCII(s string) string {
	for i := range len(s) {
		if s[i] >= 'a' && s[i] <= 'z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'a' && b[i] <= 'z' {
					b[i] -= 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// PackedEASize returns the size that NTFS counts for a list: 5 bytes per record plus the
// name and the value, without padding. NTFS stores at most [MaxPackedEAs].
func PackedEASize(list []EA) int {
	n := 0
	for i := range list {
		n += 5 + len(list[i].Name) + len(list[i].Value)
	}
	return n
}

func align4(n int) int { return (n + 3) &^ 3 }
