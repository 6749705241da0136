package cimfs

// pePlan says how a PE image is stored: cut at every section, each piece moved on
// to a page of its own, so that the memory manager can map it.
type pePlan struct {
	mappings    []peMapping
	sizeOfImage uint32
	flags       uint16
	stored      int64      // length of the moved data
	hash        *imageHash // nil if the file gets none
}

// peHeadLimit is how much of a file is looked at to find its section table.
const peHeadLimit = 64 << 10

// Offsets in a PE file (PE format specification, "COFF File Header", "Optional
// Header", "Section Table").
const (
	peHeaderPointer    = 0x3C
	peSignatureSize    = 4
	coffSections       = 2  // u16 in the COFF header
	coffOptionalSize   = 16 // u16
	coffSize           = 20
	optSectionAlign    = 32 // u32 in the optional header, PE32 and PE32+ alike
	optFileAlign       = 36 // u32
	optSizeOfImage     = 56 // u32
	optSizeOfHeaders   = 60 // u32
	optCheckSum        = 64 // u32
	optNeeded          = 68
	optDirectories     = 96  // of PE32
	optDirectoriesPlus = 112 // of PE32+
	certificateEntry   = 4   // among the data directories: u32 file offset, u32 size
	directorySize      = 8
	magicPE32          = 0x10B
	magicPE32Plus      = 0x20B
	sectionSize        = 40
	sectionVirtualSize = 8  // u32
	sectionAddress     = 12 // u32
	sectionRawSize     = 16 // u32
	sectionRawPointer  = 20 // u32

	peSmallest  = 4096 // bytes of a file that is expanded
	peFileAlign = 0x200

	machineI386  = 0x14C
	machineAMD64 = 0x8664
)

// peLayout holds the fields of the headers that the plan of an image needs.
type peLayout struct {
	machine  uint16
	opt      int64 // offset of the optional header
	optSize  int64
	plus     bool // PE32+
	sections []byte
}

// peHeaders finds the headers of a PE image in the head of a file, false if it is none.
func peHeaders(head []byte) (l peLayout, ok bool) {
	if len(head) < peHeaderPointer+4 || head[0] != 'M' || head[1] != 'Z' {
		return l, false
	}
	sig := int64(le.Uint32(head[peHeaderPointer:]))
	if sig > int64(len(head))-peSignatureSize-coffSize-optNeeded || string(head[sig:sig+4]) != "PE\x00\x00" {
		return l, false
	}
	coff := head[sig+peSignatureSize:]
	n := int64(le.Uint16(coff[coffSections:]))
	l.machine, l.optSize, l.opt = le.Uint16(coff), int64(le.Uint16(coff[coffOptionalSize:])), sig+peSignatureSize+coffSize
	magic := le.Uint16(head[l.opt:])
	if magic != magicPE32 && magic != magicPE32Plus || l.optSize < optNeeded {
		return l, false
	}
	l.plus = magic == magicPE32Plus
	table := l.opt + l.optSize
	if n == 0 || table+n*sectionSize > int64(len(head)) {
		return l, false
	}
	l.sections = head[table:][:n*sectionSize]
	return l, true
}

// planPE decides how a file of size bytes is stored. head is the start of the file: all
// of it, or at least peHeadLimit bytes. planPE returns nil for files that Windows stores
// plain: those that are not PE images, and images that are not laid out as linkers do by
// default (golden corpus, cases pe-plain, pe-align, pe-odd, pe-page).
//
// The machine, characteristics, checksum and name do not count.
func planPE(head []byte, size int64) *pePlan {
	if size < peSmallest {
		return nil
	}
	l, ok := peHeaders(head)
	if !ok {
		return nil
	}
	opt := head[l.opt:]
	headers, sizeOfImage := int64(le.Uint32(opt[optSizeOfHeaders:])), le.Uint32(opt[optSizeOfImage:])
	if le.Uint32(opt[optSectionAlign:]) != pageSize || le.Uint32(opt[optFileAlign:]) != peFileAlign {
		return nil
	}
	p := &pePlan{sizeOfImage: sizeOfImage, flags: peValidImage}
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
	end, next, last := headers, roundUp(headers, pageSize), int64(0) // in the file; addresses
	for s := l.sections; len(s) > 0; s = s[sectionSize:] {
		virtual, address := int64(le.Uint32(s[sectionVirtualSize:])), int64(le.Uint32(s[sectionAddress:]))
		raw, at := int64(le.Uint32(s[sectionRawSize:])), int64(le.Uint32(s[sectionRawPointer:]))
		if address != next {
			return nil
		}
		last = address + virtual
		next = roundUp(last, pageSize)
		if raw == 0 { // nothing of it is in the file
			if len(s) == sectionSize {
				p.sizeOfImage, p.flags = 0, 0
			}
			continue
		}
		if at != end || at%peFileAlign != 0 || raw%peFileAlign != 0 || raw > size-at || roundUp(virtual, peFileAlign) < raw || !move(at) {
			return nil
		}
		end = at + raw
	}
	if int64(sizeOfImage) < last || end > size {
		return nil
	}
	switch {
	case end < size: // the bytes after the last section, such as a signature
		if end > 1<<32-1 || !move(end) {
			return nil
		}
		p.stored = size + delta
	default:
		p.stored = roundUp(size+delta, pageSize)
	}
	if len(p.mappings) == 0 {
		return nil // it is mapped as it is
	}
	if p.flags == peValidImage {
		p.hash = newImageHash(head, &l, size, p)
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
