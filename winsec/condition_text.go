package winsec

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// String returns the condition as SDDL with its parentheses (MS-DTYP 2.5.1.1).
func (c *Condition) String() string { return string(c.appendText(nil, SID{})) }

func (c *Condition) appendText(b []byte, domain SID) []byte {
	return append(c.root.appendText(append(b, '('), domain), ')')
}

// ParseCondition reads a condition with its parentheses.
func ParseCondition(text string, opts ...SDDLOption) (*Condition, error) {
	p := newSDDLParser(text, opts)
	c, err := p.condition()
	if err == nil && p.pos != len(text) {
		err = p.fail(ErrBadCondition, "text after the condition")
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (t *term) appendText(b []byte, domain SID) []byte {
	if op, ok := operators[t.token]; ok {
		operand := func(b []byte, o *term, right bool) []byte {
			if t.token != tokNot && !o.needsParens(t.token, right) {
				return o.appendText(b, domain)
			}
			return append(o.appendText(append(b, '('), domain), ')')
		}
		switch {
		case t.token == tokNot:
			return operand(append(b, '!'), t.operands[0], true)
		case op.arity == 1:
			return operand(append(append(b, op.text...), ' '), t.operands[0], true)
		}
		b = append(operand(b, t.operands[0], false), ' ')
		return operand(append(append(b, op.text...), ' '), t.operands[1], true)
	}
	switch {
	case t.token <= tokInt64:
		return t.appendNumber(b)
	case t.token >= tokLocal:
		return appendAttribute(append(b, attributePrefixes[t.token-tokLocal]...), t.text)
	}
	switch t.token {
	case tokString:
		return append(append(append(b, '"'), t.text...), '"')
	case tokOctets:
		return hex.AppendEncode(append(b, '#'), []byte(t.text))
	case tokSID:
		return append(appendSIDText(append(b, "SID("...), t.sid, domain), ')')
	}
	b = append(b, '{')
	for i, o := range t.operands {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = o.appendText(b, domain)
	}
	return append(b, '}')
}

// needsParens reports whether t needs parentheses as an operand of outer: && binds tighter
// than ||, both associate to the left, and everything else binds tighter than they do.
func (t *term) needsParens(outer byte, right bool) bool {
	if _, ok := operators[t.token]; !ok {
		return false
	}
	if outer != tokAnd && outer != tokOr {
		return true
	}
	return t.token == tokOr && (outer == tokAnd || right) || t.token == tokAnd && outer == tokAnd && right
}

func (t *term) appendNumber(b []byte) []byte {
	magnitude := uint64(t.number)
	if t.sign == signNone && t.base == baseHex {
		return strconv.AppendUint(append(b, "0x"...), magnitude, 16)
	}
	if t.number < 0 {
		magnitude = -magnitude
	}
	switch {
	case t.number < 0 || t.sign == signMinus:
		b = append(b, '-')
	case t.sign == signPlus:
		b = append(b, '+')
	}
	switch t.base {
	case baseHex:
		return strconv.AppendUint(append(b, "0x"...), magnitude, 16)
	case baseOctal:
		return strconv.AppendUint(append(b, '0'), magnitude, 8)
	}
	return strconv.AppendUint(b, magnitude, 10)
}

func isAttributeChar(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == ':' || c == '.' || c == '/' || c == '_'
}

// appendAttribute writes a name, with each unit that is not plainly part of a name as
// %XXXX.
func appendAttribute(b []byte, name string) []byte {
	for _, u := range winfs.AppendUTF16(nil, name) {
		if u < 0x80 && isAttributeChar(byte(u)) {
			b = append(b, byte(u))
		} else {
			b = fmt.Appendf(b, "%%%04x", u)
		}
	}
	return b
}

// condition parses a parenthesised expression.
func (p *sddlParser) condition() (*Condition, error) {
	if !p.take("(") {
		return nil, p.fail(ErrBadCondition, "expected (")
	}
	t, err := p.disjunction(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if !p.take(")") {
		return nil, p.fail(ErrBadCondition, "expected an operator or )")
	}
	return &Condition{t}, nil
}

func (p *sddlParser) disjunction(depth int) (*term, error) {
	return p.chain(tokOr, depth, p.conjunction)
}

func (p *sddlParser) conjunction(depth int) (*term, error) {
	return p.chain(tokAnd, depth, p.factor)
}

// chain parses operands joined by one operator, which associates to the left.
func (p *sddlParser) chain(token byte, depth int, operand func(int) (*term, error)) (*term, error) {
	left, err := operand(depth)
	for err == nil {
		p.space()
		if !p.take(operators[token].text) {
			return left, nil
		}
		var right *term
		if right, err = operand(depth); err == nil {
			left, err = p.apply(token, left, right)
		}
	}
	return nil, err
}

func (p *sddlParser) apply(token byte, operands ...*term) (*term, error) {
	t := &term{token: token, operands: operands}
	for _, o := range operands {
		t.depth = max(t.depth, o.depth+1)
	}
	if t.depth > maxConditionDepth {
		return nil, p.fail(ErrBadCondition, "nested too deep")
	}
	return t, nil
}

// maxTextDepth bounds the parser's recursion on parentheses.
const maxTextDepth = 256

func (p *sddlParser) factor(depth int) (*term, error) {
	if depth > maxTextDepth {
		return nil, p.fail(ErrBadCondition, "nested too deep")
	}
	p.space()
	switch {
	case p.take("!"):
		t, err := p.factor(depth + 1)
		if err != nil {
			return nil, err
		}
		return p.apply(tokNot, t)
	case p.take("("):
		t, err := p.disjunction(depth + 1)
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.take(")") {
			return nil, p.fail(ErrBadCondition, "expected )")
		}
		return p.comparison(t)
	}
	if token, ok := p.wordOperator(1); ok {
		// Windows accepts any number of parentheses around the operand.
		open := 0
		for p.space(); p.take("("); p.space() {
			if open++; open > maxTextDepth {
				return nil, p.fail(ErrBadCondition, "nested too deep")
			}
		}
		t, err := p.operand()
		for p.space(); err == nil && open > 0 && p.take(")"); p.space() {
			open--
		}
		if err == nil && open > 0 {
			err = p.fail(ErrBadCondition, "expected )")
		}
		if err != nil {
			return nil, err
		}
		return p.apply(token, t)
	}
	t, err := p.operand()
	if err != nil {
		return nil, err
	}
	return p.comparison(t)
}

// comparison parses a binary operator and its right side, if there is one.
func (p *sddlParser) comparison(left *term) (*term, error) {
	p.space()
	for _, token := range [...]byte{0x80, 0x81, 0x83, 0x85, 0x82, 0x84} { // <= before <
		if p.take(operators[token].text) {
			return p.compareWith(token, left)
		}
	}
	if token, ok := p.wordOperator(2); ok {
		return p.compareWith(token, left)
	}
	return left, nil
}

func (p *sddlParser) compareWith(token byte, left *term) (*term, error) {
	p.space()
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	return p.apply(token, left, right)
}

// wordOperator takes an operator that is a word, in any case.
func (p *sddlParser) wordOperator(arity int) (byte, bool) {
	n := 0
	for n < len(p.text)-p.pos && isAttributeChar(p.text[p.pos+n]) {
		n++
	}
	if n < len(p.text)-p.pos && p.text[p.pos+n] == '%' {
		return 0, false // the word continues with an encoded character
	}
	word := p.text[p.pos : p.pos+n]
	for token, op := range operators { // at most one matches
		if op.arity == arity && strings.EqualFold(word, op.text) {
			p.pos += n
			return token, true
		}
	}
	return 0, false
}

// operand parses an attribute, a literal or a composite.
func (p *sddlParser) operand() (*term, error) {
	p.space()
	if !p.take("{") {
		return p.value(true)
	}
	t := &term{token: tokComposite, depth: 1}
	p.space()
	for !p.take("}") {
		if len(t.operands) > 0 && !p.take(",") {
			return nil, p.fail(ErrBadCondition, "expected , or }")
		}
		p.space()
		v, err := p.value(false)
		if err != nil {
			return nil, err
		}
		t.operands = append(t.operands, v)
		p.space()
	}
	return t, nil
}

func (p *sddlParser) value(attributes bool) (*term, error) {
	rest := p.text[p.pos:]
	switch {
	case rest == "":
		return nil, p.fail(ErrBadCondition, "expected a value")
	case rest[0] == '"':
		s, err := p.quoted()
		return &term{token: tokString, text: s}, err
	case rest[0] == '#':
		p.pos++
		b, err := p.hex()
		return &term{token: tokOctets, text: string(b)}, err
	case p.takeFold("SID("):
		sid, err := p.sidInParens(ErrBadCondition)
		return &term{token: tokSID, sid: sid}, err
	case rest[0] >= '0' && rest[0] <= '9' || rest[0] == '+' || rest[0] == '-':
		return p.number()
	case attributes:
		return p.attribute()
	}
	return nil, p.fail(ErrBadCondition, "expected a literal")
}

func (p *sddlParser) number() (*term, error) {
	t := &term{token: tokInt64, sign: signNone, base: baseDecimal}
	switch {
	case p.take("+"):
		t.sign = signPlus
	case p.take("-"):
		t.sign = signMinus
	}
	start := p.pos
	for p.pos < len(p.text) && (isAttributeChar(p.text[p.pos])) {
		p.pos++
	}
	digits, base := p.text[start:p.pos], 10
	if len(digits) > 1 && digits[0] == '0' {
		if digits[1]|0x20 == 'x' {
			digits, base, t.base = digits[2:], 16, baseHex
		} else {
			digits, base, t.base = digits[1:], 8, baseOctal
		}
	}
	v, err := strconv.ParseUint(digits, base, 64)
	limit := uint64(1<<63 - 1)
	switch {
	case t.sign == signMinus:
		limit++
	case t.sign == signNone && base == 16: // all 64 bits, which encode a negative number
		limit = 1<<64 - 1
	}
	if err != nil || v > limit {
		p.pos = start
		return nil, p.fail(ErrBadCondition, "expected an integer of 64 bits")
	}
	t.number = int64(v)
	if t.sign == signMinus {
		t.number = -t.number
	}
	return t, nil
}

func (p *sddlParser) attribute() (*term, error) {
	t := &term{token: tokLocal}
	for i, prefix := range attributePrefixes {
		if n := len(prefix); n > 0 && len(p.text)-p.pos >= n && strings.EqualFold(p.text[p.pos:p.pos+n], prefix) {
			t.token = tokLocal + byte(i)
			p.pos += n
		}
	}
	var units []uint16
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case c == '%':
			if len(p.text)-p.pos < 5 {
				return nil, p.fail(ErrBadCondition, "expected %XXXX")
			}
			v, err := strconv.ParseUint(p.text[p.pos+1:p.pos+5], 16, 16)
			if err != nil {
				return nil, p.fail(ErrBadCondition, "expected %XXXX")
			}
			units = append(units, uint16(v))
			p.pos += 5
			continue
		case isAttributeChar(c), t.token != tokLocal && strings.IndexByte("#$'*+-;?@[\\]^`{}~", c) >= 0,
			t.token == tokLocal && c == '@' && len(units) > 0:
			units = append(units, uint16(c))
			p.pos++
			continue
		case c >= 0x80:
			n := 1
			for p.pos+n < len(p.text) && p.text[p.pos+n]&0xC0 == 0x80 {
				n++
			}
			units = winfs.AppendUTF16(units, p.text[p.pos:p.pos+n])
			p.pos += n
			continue
		}
		break
	}
	if len(units) == 0 {
		return nil, p.fail(ErrBadCondition, "expected an attribute or a literal")
	}
	t.text = winfs.DecodeUTF16(units)
	return t, nil
}
