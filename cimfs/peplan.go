package cimfs

// pePlan says how a PE image is stored: cut at every section, each piece moved on
// to a page of its own, so that the memory manager can map it.
type pePlan struct {
	mappings    []peMapping
	sizeOfImage uint32
	flags       uint16
	stored      int64 // length of the moved data
}

// peHeadLimit is how much of a file is looked at to find its section table.
const peHeadLimit = 64 << 10

// Offsets in a PE file (PE format specification, "COFF File Header", "Optional
// Header", "Section Table").
const (
	peHeaderPointer   = 0x3C
	peSignatureSize   = 4
	coffSections      = 2  // u16 in the COFF header
	coffOptionalSize  = 16 // u16
	coffSize          = 20
	optSectionAlign   = 32 // u32 in the optional header, PE32 and PE32+ alike
	optSizeOfImage    = 56 // u32
	optNeeded         = 60
	magicPE32         = 0x10B
	magicPE32Plus     = 0x20B
	sectionSize       = 40
	sectionRawSize    = 16 // u32
	sectionRawPointer = 20 // u32
)

// planPE decides how a file of size bytes is stored that begins with head, which
// is all of it or at least peHeadLimit bytes. It returns nil for everything that is
// not a plain, well-formed PE image whose sections need to be moved; such a file is
// stored as it is, which the format allows for any file.
//
// What Windows does with sections that overlap or are out of order, that reach
// past the end of the file, with SectionAlignment below a page, or with an image
// all of whose sections stand on page boundaries already, is not known.
func planPE(head []byte, size int64) *pePlan {
	if size <= smallLimit || len(head) < peHeaderPointer+4 || head[0] != 'M' || head[1] != 'Z' {
		return nil
	}
	sig := int64(le.Uint32(head[peHeaderPointer:]))
	if sig > int64(len(head))-peSignatureSize-coffSize-optNeeded || string(head[sig:sig+4]) != "PE\x00\x00" {
		return nil
	}
	coff := head[sig+peSignatureSize:]
	sections, optSize := int64(le.Uint16(coff[coffSections:])), int64(le.Uint16(coff[coffOptionalSize:]))
	opt := coff[coffSize:]
	if m := le.Uint16(opt); m != magicPE32 && m != magicPE32Plus || optSize < optNeeded {
		return nil
	}
	if le.Uint32(opt[optSectionAlign:]) < pageSize {
		return nil
	}
	table := sig + peSignatureSize + coffSize + optSize
	end := table + sections*sectionSize // of what has been seen of the file
	if end > int64(len(head)) || end > size {
		return nil
	}
	p := &pePlan{sizeOfImage: le.Uint32(opt[optSizeOfImage:]), flags: peValidImage}
	var delta int64
	move := func(to int64) bool { // to a page of its own
		moved := roundUp(to+delta, pageSize) - to
		if moved != delta {
			if moved > 1<<32-1 {
				return false
			}
			p.mappings = append(p.mappings, peMapping{uint32(to), uint32(moved)})
			delta = moved
		}
		return true
	}
	for i := range sections {
		s := head[table+i*sectionSize:]
		n, at := int64(le.Uint32(s[sectionRawSize:])), int64(le.Uint32(s[sectionRawPointer:]))
		if n == 0 || at == 0 { // no data in the file
			continue
		}
		if at < end || at+n > size || !move(at) {
			return nil
		}
		end = at + n
	}
	switch {
	case end < size: // what follows the last section, such as a signature
		if end > 1<<32-1 || !move(end) {
			return nil
		}
		p.stored = size + delta
	default:
		p.stored = roundUp(size+delta, pageSize)
	}
	if len(p.mappings) == 0 {
		return nil
	}
	return p
}

// descriptor encodes the object that describes the image.
func (p *pePlan) descriptor(data RegionOffset) []byte {
	b := le.AppendUint64(nil, uint64(data))
	b = le.AppendUint64(b, uint64(p.stored))
	b = le.AppendUint32(b, p.sizeOfImage)
	b = le.AppendUint16(b, uint16(len(p.mappings)))
	b = le.AppendUint16(b, p.flags)
	for _, m := range p.mappings {
		b = le.AppendUint32(b, m.offset)
		b = le.AppendUint32(b, m.delta)
	}
	return b
}
