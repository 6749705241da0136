package inventory

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ASN.1 in DER (X.690), as far as signatures need it: tags of one byte and definite lengths.
// Nothing is copied, and nothing calls itself.

var errDER = errors.New("its ASN.1 is not well-formed")

// Tags, with the bits of class and construction.
const (
	derInteger  = 0x02
	derOctets   = 0x04
	derOID      = 0x06
	derUTCTime  = 0x17
	derTime     = 0x18
	derSequence = 0x30
	derSet      = 0x31
	derContext  = 0xa0 // constructed, number 0; others are added
)

// derReader reads the values in a constructed value one after another. It stops at its
// first error.
type derReader struct {
	rest []byte
	err  error
}

// peek returns the tag of the next value, 0 at the end.
func (r *derReader) peek() byte {
	if r.err != nil || len(r.rest) == 0 {
		return 0
	}
	return r.rest[0]
}

// next returns the next value: its content, and all of it with tag and length.
func (r *derReader) next() (tag byte, content, full []byte) {
	if r.err != nil {
		return 0, nil, nil
	}
	b := r.rest
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		r.fail()
		return 0, nil, nil
	}
	head, n := 2, int64(b[1])
	if n >= 0x80 {
		count := int(n & 0x7f)
		if count == 0 || count > 4 || len(b) < 2+count {
			r.fail()
			return 0, nil, nil
		}
		n, head = 0, 2+count
		for _, c := range b[2:head] {
			n = n<<8 | int64(c)
		}
	}
	if n > int64(len(b)-head) {
		r.fail()
		return 0, nil, nil
	}
	end := head + int(n)
	r.rest = b[end:]
	return b[0], b[head:end], b[:end]
}

func (r *derReader) fail() { r.rest, r.err = nil, errDER }

// take returns the content of the next value, which must have a tag.
func (r *derReader) take(tag byte) []byte {
	got, content, _ := r.next()
	if r.err == nil && got != tag {
		r.fail()
		return nil
	}
	return content
}

// in returns a reader of the next value, which must have a tag. Errors are those of r.
func (r *derReader) in(tag byte) derReader {
	content := r.take(tag)
	return derReader{rest: content, err: r.err}
}

// optional returns the content of the next value if it has a tag.
func (r *derReader) optional(tag byte) (content []byte, ok bool) {
	if r.peek() != tag {
		return nil, false
	}
	return r.take(tag), r.err == nil
}

// oid reads an object identifier, in its encoding, which is compared with that of oidOf.
func (r *derReader) oid() []byte {
	id := r.take(derOID)
	if r.err == nil && (len(id) == 0 || len(id) > 32) {
		r.fail()
	}
	return id
}

// oidText formats an object identifier for people.
func oidText(id []byte) string {
	var numbers asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(append([]byte{derOID, byte(len(id))}, id...), &numbers); err != nil {
		return fmt.Sprintf("%x", id)
	}
	return numbers.String()
}

// oidOf encodes the numbers of an object identifier.
func oidOf(first, second uint64, rest ...uint64) string {
	b := []byte{byte(first*40 + second)}
	for _, n := range rest {
		var digits []byte
		for more := byte(0); len(digits) == 0 || n > 0; more = 0x80 {
			digits = append(digits, byte(n&0x7f)|more)
			n >>= 7
		}
		slices.Reverse(digits)
		b = append(b, digits...)
	}
	return string(b)
}

// time reads a time.
func (r *derReader) time() time.Time {
	tag, _, full := r.next()
	var t time.Time
	if r.err != nil || tag != derUTCTime && tag != derTime {
		r.fail()
		return time.Time{}
	}
	if _, err := asn1.Unmarshal(full, &t); err != nil {
		r.fail()
		return time.Time{}
	}
	return t.UTC()
}
