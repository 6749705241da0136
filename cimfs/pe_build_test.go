package cimfs_test

import (
	"encoding/binary"
	"math/rand/v2"
)

// peSection is one section header of a made-up executable.
type peSection struct {
	ptr, size uint32 // PointerToRawData, SizeOfRawData
}

// pePlan describes a made-up executable. buildPE writes it without asking whether
// it makes sense, which is the point.
type pePlan struct {
	sections []peSection
	length   int    // of the file
	headers  uint32 // where the section table would begin anew: e_lfanew
	optional uint16 // SizeOfOptionalHeader; 0 means the usual 240
	claim    int    // NumberOfSections where it is not len(sections)
	pe32     bool
	noMagic  bool // spoil the signature
}

const peSizeOfImage = 0x00ABC000

// buildPE returns the bytes of an x64 executable with the given section table. The
// rest is noise without zero bytes, so that a misplaced byte shows.
func buildPE(p pePlan) []byte {
	b := make([]byte, p.length)
	r := rand.New(rand.NewPCG(uint64(p.length), 7))
	for i := range b {
		b[i] = byte(1 + r.UintN(255))
	}
	le := binary.LittleEndian
	lfanew := p.headers
	if lfanew == 0 {
		lfanew = 0x80
	}
	optional := p.optional
	if optional == 0 {
		optional = 240
		if p.pe32 {
			optional = 224
		}
	}
	var h []byte // everything from the signature on
	h = append(h, 'P', 'E', 0, 0)
	if p.noMagic {
		h[1] = 'F'
	}
	count := len(p.sections)
	if p.claim != 0 {
		count = p.claim
	}
	machine := uint16(0x8664)
	if p.pe32 {
		machine = 0x14C
	}
	h = le.AppendUint16(h, machine)
	h = le.AppendUint16(h, uint16(count))
	h = append(h, make([]byte, 12)...)
	h = le.AppendUint16(h, optional)
	h = le.AppendUint16(h, 0x22)
	opt := make([]byte, max(int(optional), 96))
	if p.pe32 {
		le.PutUint16(opt, 0x10B)
	} else {
		le.PutUint16(opt, 0x20B)
	}
	le.PutUint32(opt[32:], 0x1000) // SectionAlignment
	le.PutUint32(opt[36:], 0x200)  // FileAlignment
	le.PutUint32(opt[56:], peSizeOfImage)
	le.PutUint32(opt[60:], 0x400)  // SizeOfHeaders
	if at := 92; len(opt) >= 224 { // NumberOfRvaAndSizes
		if !p.pe32 {
			at = 108
		}
		le.PutUint32(opt[at:], 16)
	}
	h = append(h, opt[:optional]...)
	va := uint32(0x1000)
	for i, s := range p.sections {
		sec := make([]byte, 40)
		copy(sec, ".sec")
		sec[4] = byte('0' + i%10)
		le.PutUint32(sec[8:], s.size)
		le.PutUint32(sec[12:], va)
		le.PutUint32(sec[16:], s.size)
		le.PutUint32(sec[20:], s.ptr)
		va += (s.size + 0xFFF) &^ 0xFFF
		h = append(h, sec...)
	}
	if len(b) >= 2 {
		b[0], b[1] = 'M', 'Z'
	}
	if len(b) >= 0x40 {
		le.PutUint32(b[0x3C:], lfanew)
	}
	if int(lfanew) < len(b) {
		copy(b[lfanew:], h)
	}
	return b
}
