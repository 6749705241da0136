package winsec

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/mullion/mullion/winfs"
)

// Condition is the expression of a callback entry: the entry applies only where
// it is true, as in (@User.clearance >= @Resource.level && Member_of {SID(BA)}).
type Condition struct {
	root *term
}

// term is a node of the expression: an operator with its operands, an attribute,
// or a literal.
type term struct {
	token    byte
	operands []*term // of operators one or two, of composites any number
	text     string  // attribute name, string literal, octets
	sid      SID
	number   int64
	sign     byte
	base     byte
	depth    int
}

// Tokens of the binary form (MS-DTYP 2.4.4.17.4 to 2.4.4.17.8): the operands come
// before their operator.
const (
	tokPadding   = 0x00
	tokInt8      = 0x01 // then i64, sign, base
	tokInt64     = 0x04
	tokString    = 0x10 // then u32 bytes, UTF-16
	tokOctets    = 0x18 // then u32 bytes
	tokComposite = 0x50 // then u32 bytes of literals
	tokSID       = 0x51 // then u32 bytes
	tokOr        = 0xA1
	tokAnd       = 0xA0
	tokNot       = 0xA2
	tokLocal     = 0xF8 // attributes: u32 bytes, UTF-16
	tokDevice    = 0xFB

	signPlus, signMinus, signNone   = 1, 2, 3
	baseOctal, baseDecimal, baseHex = 1, 2, 3
	maxConditionDepth               = 1024
	conditionMagic                  = "artx"
)

// operators are the tokens with operands, by their spelling in SDDL.
var operators = map[byte]struct {
	text  string
	arity int
}{
	0x80: {"==", 2}, 0x81: {"!=", 2}, 0x82: {"<", 2}, 0x83: {"<=", 2}, 0x84: {">", 2}, 0x85: {">=", 2},
	0x86: {"Contains", 2}, 0x88: {"Any_of", 2}, 0x8E: {"Not_Contains", 2}, 0x8F: {"Not_Any_of", 2},
	0x87: {"Exists", 1}, 0x8D: {"Not_Exists", 1},
	0x89: {"Member_of", 1}, 0x8A: {"Device_Member_of", 1},
	0x8B: {"Member_of_Any", 1}, 0x8C: {"Device_Member_of_Any", 1},
	0x90: {"Not_Member_of", 1}, 0x91: {"Not_Device_Member_of", 1},
	0x92: {"Not_Member_of_Any", 1}, 0x93: {"Not_Device_Member_of_Any", 1},
	tokAnd: {"&&", 2}, tokOr: {"||", 2}, tokNot: {"!", 1},
}

var attributePrefixes = [4]string{"", "@User.", "@Resource.", "@Device."}

// IsCondition reports whether the data of a callback entry is a conditional
// expression and not something private to an application.
func IsCondition(data []byte) bool {
	return len(data) >= 4 && string(data[:4]) == conditionMagic
}

// DecodeCondition reads the binary form, which is [ACE.Data] of a callback entry.
// The error is an [Error] around [ErrBadCondition].
func DecodeCondition(data []byte) (*Condition, error) {
	bad := func(at int, format string, args ...any) (*Condition, error) {
		return nil, &Error{"parse condition", at, fmt.Sprintf(format, args...), ErrBadCondition}
	}
	if !IsCondition(data) {
		return bad(0, "it does not begin with artx")
	}
	var stack []*term
	for at := 4; at < len(data); {
		token := data[at]
		if token == tokPadding {
			if slices.ContainsFunc(data[at:], func(b byte) bool { return b != 0 }) || len(data)-at > 3 {
				return bad(at, "padding is not at the end")
			}
			break
		}
		if op, ok := operators[token]; ok {
			if len(stack) < op.arity {
				return bad(at, "%s has too few operands", op.text)
			}
			t := &term{token: token, operands: slices.Clone(stack[len(stack)-op.arity:])}
			stack = append(stack[:len(stack)-op.arity], t)
			for _, o := range t.operands {
				t.depth = max(t.depth, o.depth+1)
			}
			if t.depth > maxConditionDepth {
				return bad(at, "nested more than %d deep", maxConditionDepth)
			}
			at++
			continue
		}
		t, n, detail := readLiteral(data[at:], true)
		if detail != "" {
			return bad(at, "%s", detail)
		}
		stack = append(stack, t)
		at += n
	}
	if len(stack) != 1 {
		return bad(len(data), "%d values are left over", len(stack))
	}
	return &Condition{stack[0]}, nil
}

// readLiteral reads a literal or attribute and returns its length; detail describes the
// fault.
func readLiteral(b []byte, top bool) (t *term, n int, detail string) {
	token := b[0]
	t = &term{token: token}
	if token >= tokInt8 && token <= tokInt64 {
		if len(b) < 11 {
			return nil, 0, "integer is cut off"
		}
		t.number, t.sign, t.base = int64(binary.LittleEndian.Uint64(b[1:])), b[9], b[10]
		if t.sign < signPlus || t.sign > signNone || t.base < baseOctal || t.base > baseHex {
			return nil, 0, "integer has an unknown sign or base"
		}
		return t, 11, ""
	}
	isAttribute := token >= tokLocal && token <= tokDevice
	switch {
	case isAttribute && top, token == tokString, token == tokOctets, token == tokSID, token == tokComposite && top:
	default:
		return nil, 0, fmt.Sprintf("unknown token %#x", token)
	}
	if len(b) < 5 {
		return nil, 0, "length is cut off"
	}
	size := binary.LittleEndian.Uint32(b[1:])
	if uint64(size) > uint64(len(b)-5) {
		return nil, 0, fmt.Sprintf("token %#x of %d bytes in %d", token, size, len(b)-5)
	}
	body := b[5 : 5+int(size)]
	switch {
	case isAttribute, token == tokString:
		if size%2 != 0 {
			return nil, 0, "text is not UTF-16"
		}
		t.text = winfs.DecodeUTF16LE(body)
		if isAttribute && t.text == "" {
			return nil, 0, "attribute without name"
		}
	case token == tokOctets:
		t.text = string(body)
	case token == tokSID:
		sid, err := readSID(body)
		if err != nil || sid.Len() != len(body) {
			return nil, 0, "SID is malformed"
		}
		t.sid = sid
	case token == tokComposite:
		t.depth = 1
		for len(body) > 0 {
			e, n, detail := readLiteral(body, false)
			if detail != "" {
				return nil, 0, detail
			}
			t.operands = append(t.operands, e)
			body = body[n:]
		}
	}
	return t, 5 + int(size), ""
}

// Bytes returns the binary form, padded with zeros to a multiple of four.
func (c *Condition) Bytes() []byte {
	b := c.root.append([]byte(conditionMagic))
	for len(b)%4 != 0 {
		b = append(b, tokPadding)
	}
	return b
}

func (t *term) append(b []byte) []byte {
	if _, ok := operators[t.token]; ok {
		for _, o := range t.operands {
			b = o.append(b)
		}
		return append(b, t.token)
	}
	b = append(b, t.token)
	if t.token <= tokInt64 {
		b = binary.LittleEndian.AppendUint64(b, uint64(t.number))
		return append(b, t.sign, t.base)
	}
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	switch t.token {
	case tokOctets:
		b = append(b, t.text...)
	case tokSID:
		b = t.sid.Append(b)
	case tokComposite:
		for _, o := range t.operands {
			b = o.append(b)
		}
	default:
		b = winfs.AppendUTF16LE(b, t.text)
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// sameTerm compares expressions, but ignores the stored width of integers, which has no
// form in text.
func sameTerm(x, y *term) bool {
	if x.token <= tokInt64 && y.token <= tokInt64 {
		return x.number == y.number && x.base == y.base && (x.sign == signPlus) == (y.sign == signPlus)
	}
	return x.token == y.token && x.text == y.text && x.sid == y.sid && slices.EqualFunc(x.operands, y.operands, sameTerm)
}
