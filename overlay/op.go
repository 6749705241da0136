package overlay

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/mullion/mullion/winfs"
)

// A record of the journal is a list of operations that take effect together. The state of a
// tree is the result of applying its operations to the lower tree: a running tree applies
// the very operations that it writes, so that replay cannot differ.
//
//	record:    u32 length of the payload, u32 CRC32C of the payload, payload
//	payload:   operations, one after the other
//	operation: u8 code, its fields; numbers are uvarints, texts and blobs have
//	           their length before them
type opCode uint8

const (
	opLower opCode = iota + 1 // text: the identity of the lower tree
	opAdopt                   // id, dir, name: a lower object, and its place in the lower tree (dir 0: none)
	opNew                     // id, kind (0 file, 1 directory): a new object
	opSet                     // id, mask, the fields in the mask
	opData                    // id, stream, n: the stream is in data/n; 0: the alternate stream was removed
	opName                    // dir, name, id, was, below: name refers to id, not was; below is the lower tree's id there
	opDirty                   // id: the main stream is being written
)

type op struct {
	code  opCode
	id    uint64
	dir   uint64
	name  string
	n     uint64 // opNew: kind; opData: number; opName: was
	below uint64 // opName
	set   overrides
}

// fields is the set of fields of overrides that are set.
type fields uint8

const (
	setTimes fields = 1 << iota
	setAttributes
	setSecurity
	setEAs
	setReparse
	allFields fields = 1<<iota - 1
)

// overrides are the metadata of an object that differ from those of the lower tree.
type overrides struct {
	mask                   fields
	times                  winfs.Times
	attributes             winfs.Attributes
	security, eas, reparse []byte
}

// merge sets the fields that are set in o.
func (v *overrides) merge(o *overrides) {
	if o.mask&setTimes != 0 {
		v.times = o.times
	}
	if o.mask&setAttributes != 0 {
		v.attributes = o.attributes
	}
	if o.mask&setSecurity != 0 {
		v.security = o.security
	}
	if o.mask&setEAs != 0 {
		v.eas = o.eas
	}
	if o.mask&setReparse != 0 {
		v.reparse = o.reparse
	}
	v.mask |= o.mask
}

const (
	// maxBlob bounds one blob of metadata: a descriptor and the EAs of a file are at
	// most 64 KiB each, padding of EAs apart.
	maxBlob = 1 << 20
	// maxRecord bounds the payload of a record.
	maxRecord = 8 << 20
	maxName   = 4 * winfs.MaxComponent
)

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBlob(b, blob []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(blob))), blob...)
}

func (o *op) append(b []byte) []byte {
	b = append(b, byte(o.code))
	switch o.code {
	case opLower:
		return appendText(b, o.name)
	case opAdopt:
		b = binary.AppendUvarint(b, o.id)
		b = binary.AppendUvarint(b, o.dir)
		return appendText(b, o.name)
	case opNew:
		b = binary.AppendUvarint(b, o.id)
		return binary.AppendUvarint(b, o.n)
	case opData:
		b = binary.AppendUvarint(b, o.id)
		b = appendText(b, o.name)
		return binary.AppendUvarint(b, o.n)
	case opName:
		b = binary.AppendUvarint(b, o.dir)
		b = appendText(b, o.name)
		b = binary.AppendUvarint(b, o.id)
		b = binary.AppendUvarint(b, o.n)
		return binary.AppendUvarint(b, o.below)
	case opSet:
		b = binary.AppendUvarint(b, o.id)
		b = append(b, byte(o.set.mask))
		if o.set.mask&setTimes != 0 {
			t := &o.set.times
			for _, f := range []winfs.Filetime{t.Creation, t.LastAccess, t.LastWrite, t.Change} {
				b = binary.LittleEndian.AppendUint64(b, uint64(f))
			}
		}
		if o.set.mask&setAttributes != 0 {
			b = binary.AppendUvarint(b, uint64(o.set.attributes))
		}
		if o.set.mask&setSecurity != 0 {
			b = appendBlob(b, o.set.security)
		}
		if o.set.mask&setEAs != 0 {
			b = appendBlob(b, o.set.eas)
		}
		if o.set.mask&setReparse != 0 {
			b = appendBlob(b, o.set.reparse)
		}
		return b
	}
	return binary.AppendUvarint(b, o.id) // opDirty
}

// decoder reads the operations of one payload.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// blob returns a copy of a blob of at most limit bytes, nil for an empty one.
func (d *decoder) blob(limit int) []byte {
	n := d.uvarint()
	if n > uint64(limit) || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	if n == 0 {
		return nil
	}
	out := append([]byte(nil), d.b[:n]...)
	d.b = d.b[n:]
	return out
}

func (d *decoder) text(limit int) string { return string(d.blob(limit)) }

// next decodes one operation. It returns false at the end and for invalid data.
func (d *decoder) next(o *op) bool {
	if len(d.b) == 0 || d.bad {
		return false
	}
	*o = op{code: opCode(d.byte())}
	switch o.code {
	case opLower:
		o.name = d.text(maxName)
	case opAdopt:
		o.id, o.dir, o.name = d.uvarint(), d.uvarint(), d.text(maxName)
	case opNew:
		o.id, o.n = d.uvarint(), d.uvarint()
	case opData:
		o.id, o.name, o.n = d.uvarint(), d.text(maxName), d.uvarint()
	case opName:
		o.dir, o.name, o.id, o.n, o.below = d.uvarint(), d.text(maxName), d.uvarint(), d.uvarint(), d.uvarint()
	case opDirty:
		o.id = d.uvarint()
	case opSet:
		o.id = d.uvarint()
		s := &o.set
		s.mask = fields(d.byte())
		if s.mask&setTimes != 0 {
			if len(d.b) < 32 {
				d.bad = true
				return false
			}
			for _, f := range []*winfs.Filetime{&s.times.Creation, &s.times.LastAccess, &s.times.LastWrite, &s.times.Change} {
				*f = winfs.Filetime(binary.LittleEndian.Uint64(d.b))
				d.b = d.b[8:]
			}
		}
		if s.mask&setAttributes != 0 {
			v := d.uvarint()
			d.bad = d.bad || v > math.MaxUint32
			s.attributes = winfs.Attributes(v)
		}
		if s.mask&setSecurity != 0 {
			s.security = d.blob(maxBlob)
		}
		if s.mask&setEAs != 0 {
			s.eas = d.blob(maxBlob)
		}
		if s.mask&setReparse != 0 {
			s.reparse = d.blob(maxBlob)
		}
		d.bad = d.bad || s.mask&^allFields != 0
	default:
		d.bad = true
	}
	return !d.bad
}

// corrupt returns an error for an operation of the journal, with the contradiction.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}
