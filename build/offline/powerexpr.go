package offline

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// expression reads values joined by +.
func (p *power) expression() (value, error) {
	if p.depth++; p.depth > maxNesting {
		return value{}, fmt.Errorf("%w of %d nested expressions", ErrLimit, maxNesting)
	}
	defer func() { p.depth-- }()
	return p.sum(p.array)
}

// sum reads operands joined by +, and by -f, which binds closer.
func (p *power) sum(operand func() (value, error)) (value, error) {
	v, err := p.formatted(operand)
	for err == nil {
		mark := p.pos
		p.space(false)
		if p.peek() != '+' {
			p.pos = mark
			return v, nil
		}
		p.pos++
		p.space(true)
		var w value
		if w, err = p.formatted(operand); err == nil {
			v, err = p.plus(v, w)
		}
	}
	return v, err
}

// formatted reads an operand, or a text and after -f what takes the place of {0}, {1} and so
// on in it.
func (p *power) formatted(operand func() (value, error)) (value, error) {
	v, err := operand()
	for err == nil {
		mark := p.pos
		p.space(false)
		if rest := p.t.s[p.pos:]; len(rest) < 3 || !strings.EqualFold(rest[:2], "-f") || strings.IndexByte(" \t'\"$(@", rest[2]) < 0 {
			p.pos = mark
			return v, nil
		}
		p.pos += len("-f")
		p.space(true)
		var args value
		if args, err = operand(); err == nil {
			v, err = format(v, args.items())
		}
	}
	return v, err
}

// format replaces {0} by the first argument and so on. Widths and formats depend on the
// culture, and are refused.
func format(v value, args []value) (value, error) {
	if v.kind != kindText {
		return v, notOffline(v.t, "-f needs a text")
	}
	var b builder
	for i := 0; i < v.t.len(); {
		c := v.t.s[i]
		switch {
		case (c == '{' || c == '}') && i+1 < v.t.len() && v.t.s[i+1] == c:
			b.add(v.t.sub(i, i+1))
			i += 2
			continue
		case c == '{':
			end := strings.IndexByte(v.t.s[i:], '}')
			if end < 0 {
				return v, syntax(v.t.sub(i, i+1), "a brace is not closed")
			}
			item := v.t.sub(i, i+end+1)
			n, err := strconv.Atoi(item.s[1:end])
			if err != nil || n < 0 {
				return v, notOffline(item, "only {0}, {1} and so on")
			}
			if n >= len(args) {
				return v, syntax(item, "there is no such argument")
			}
			if args[n].kind == kindList {
				return v, notOffline(args[n].t, "one value")
			}
			b.put(args[n].String(), item.at[0])
			i += end + 1
			if b.len() > maxValue {
				return v, fmt.Errorf("%w of a text, %d bytes", ErrLimit, maxValue)
			}
			continue
		case c == '}':
			return v, syntax(v.t.sub(i, i+1), "a brace is not opened")
		}
		b.add(v.t.sub(i, i+1))
		i++
	}
	return value{t: b.text()}, nil
}

// plus joins texts, and adds numbers.
func (p *power) plus(a, b value) (value, error) {
	switch {
	case a.kind == kindList:
		return value{kind: kindList, t: a.t, list: append(append([]value{}, a.list...), b.items()...)}, nil
	case a.kind == kindNumber:
		if b.kind != kindNumber {
			return value{}, notOffline(b.t, "a text is added to a number")
		}
		sum := a.n + b.n
		if sum != int64(int32(sum)) {
			return value{}, notOffline(b.t, "the sum is too large")
		}
		return value{kind: kindNumber, n: sum, t: a.t}, nil
	case a.kind == kindBool:
		return value{}, notOffline(a.t, "")
	}
	// Null and a text are a text.
	if a.kind == kindNull && b.kind != kindText {
		return b, nil
	}
	var t builder
	t.add(a.t)
	if s := b.String(); s == b.t.s {
		t.add(b.t)
	} else {
		t.put(s, int32(b.t.from()))
	}
	if t.len() > maxValue {
		return value{}, fmt.Errorf("%w of a text, %d bytes", ErrLimit, maxValue)
	}
	return value{t: t.text()}, nil
}

// array reads values joined by commas.
func (p *power) array() (value, error) {
	v, err := p.primary()
	if err != nil {
		return v, err
	}
	var list []value
	for {
		mark := p.pos
		p.space(false)
		if p.peek() != ',' {
			p.pos = mark
			break
		}
		p.pos++
		p.space(true)
		w, err := p.primary()
		if err != nil {
			return v, err
		}
		if list == nil {
			list = []value{v}
		}
		list = append(list, w)
	}
	if list != nil {
		return value{kind: kindList, t: v.t, list: list}, nil
	}
	return v, nil
}

var (
	numberWord = regexp.MustCompile(`^(?:0[xX][0-9a-fA-F]+|[0-9]+)`)
	typeWord   = regexp.MustCompile(`^\[([A-Za-z][A-Za-z0-9_.]*(?:\[\])?)\]`)
	// oddNumber is a word that PowerShell takes for a number of another kind than a plain whole
	// one, such as 1.50, 1kb and 0x1L, and prints in another spelling.
	oddNumber  = regexp.MustCompile(`^[-+]?(?:0[xX][0-9a-fA-F]+|[0-9]+\.?[0-9]*|\.[0-9]+)(?i:e[-+]?[0-9]+)?(?i:[uldsyn]*)(?i:[kmgtp]b)?$`)
	memberWord = regexp.MustCompile(`^::([A-Za-z][A-Za-z0-9]*)`)
)

// primary reads one value of an expression.
func (p *power) primary() (value, error) {
	switch c := p.peek(); {
	case c == '\'' || c == '"':
		return p.quoted()
	case p.has("@'") || p.has(`@"`):
		return p.hereString()
	case p.has("@("):
		start := p.t.sub(p.pos, p.pos+1)
		p.pos += 2
		p.space(true)
		if p.peek() == ')' {
			p.pos++
			return value{kind: kindList, t: start}, nil
		}
		v, err := p.closed()
		return value{kind: kindList, t: start, list: v.items()}, err
	case c == '(':
		p.pos++
		p.space(true)
		return p.closed()
	case c == '$':
		return p.variable(false)
	case c == '[':
		return p.static()
	case c >= '0' && c <= '9' || c == '-':
		minus := c == '-'
		start := p.pos
		if minus {
			p.pos++
		}
		w := numberWord.FindString(p.t.s[p.pos:])
		if w == "" {
			return value{}, p.refuse(1, "")
		}
		p.pos += len(w)
		if next := p.peek(); next == '.' || next == '_' || next|0x20 >= 'a' && next|0x20 <= 'z' {
			return value{}, p.refuse(1, "only whole numbers")
		}
		return whole(p.t.sub(start, p.pos))
	}
	if p.end() {
		return value{}, p.syntax("a value is missing")
	}
	return value{}, p.refuse(p.wordLen(), "a value here is a string, a variable or a number")
}

// whole reads an integer, as PowerShell does: hexadecimal ones may be negative.
func whole(t text) (value, error) {
	s, base := t.s, 10
	sign := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(s, "-+")
	if strings.HasPrefix(strings.ToLower(s), "0x") {
		s, base = s[2:], 16
	}
	n, err := strconv.ParseUint(s, base, 63)
	if err != nil {
		return value{}, notOffline(t, "the number is too large")
	}
	v := value{kind: kindNumber, n: int64(n), t: t}
	if base == 16 && len(strings.TrimLeft(s, "0")) <= 8 && n > 0x7FFFFFFF {
		v.n = int64(int32(uint32(n))) // 0xFFFFFFFF is the Int32 -1
	}
	if sign {
		v.n = -v.n
	}
	return v, nil
}

// closed reads an expression and its closing parenthesis.
func (p *power) closed() (value, error) {
	v, err := p.expression()
	if err != nil {
		return v, err
	}
	if p.space(true); p.peek() != ')' {
		if p.end() {
			return v, p.syntax("a parenthesis is not closed")
		}
		return v, p.refuse(p.wordLen(), "")
	}
	p.pos++
	return v, nil
}

// wordLen returns the length of what begins here, up to a blank or the like.
func (p *power) wordLen() int {
	if n := strings.IndexAny(p.t.s[p.pos:], " \t\r\n;|(){}"); n >= 0 {
		return n
	}
	return p.t.len() - p.pos
}

// quoted reads a string.
func (p *power) quoted() (value, error) {
	if p.peek() == '\'' {
		start := p.pos
		var b builder
		for p.pos++; !p.end(); p.pos++ {
			if p.peek() == '\'' {
				if !p.has("''") {
					p.pos++
					return value{t: keepPlace(b, p.t, start)}, nil
				}
				p.pos++
			}
			b.add(p.t.sub(p.pos, p.pos+1))
		}
		return value{}, p.syntax("a string is not closed")
	}
	start := p.pos
	p.pos++
	var b builder
	for !p.end() {
		switch c := p.peek(); {
		case c == '"' && p.has(`""`):
			b.add(p.t.sub(p.pos, p.pos+1))
			p.pos += 2
		case c == '"':
			p.pos++
			return value{t: keepPlace(b, p.t, start)}, nil
		default:
			if err := p.part(&b); err != nil {
				return value{}, err
			}
		}
	}
	return value{}, p.syntax("a string is not closed")
}

// keepPlace gives an empty text no bytes but a place.
func keepPlace(b builder, t text, start int) text {
	if b.len() == 0 {
		return text{"", t.at[start:start]}
	}
	return b.text()
}

// part reads one character, escape or variable of a text that expands.
func (p *power) part(b *builder) error {
	switch c := p.peek(); {
	case c == '`':
		if p.pos+1 >= p.t.len() {
			return p.syntax("an escape at the end")
		}
		at := p.t.at[p.pos]
		e := p.t.s[p.pos+1]
		p.pos += 2
		switch e {
		case '0':
			b.put("\x00", at)
		case 'a':
			b.put("\a", at)
		case 'b':
			b.put("\b", at)
		case 'f':
			b.put("\f", at)
		case 'n':
			b.put("\n", at)
		case 'r':
			b.put("\r", at)
		case 't':
			b.put("\t", at)
		case 'v':
			b.put("\v", at)
		case 'e', 'u', 'x':
			p.pos -= 2
			return p.refuse(2, "versions of PowerShell differ here")
		default:
			b.add(p.t.sub(p.pos-1, p.pos))
		}
	case c == '$' && p.pos+1 < p.t.len() && startsVariable(p.t.s[p.pos+1:]):
		at := p.t.at[p.pos]
		v, err := p.variable(true)
		if err != nil {
			return err
		}
		b.put(v.String(), at)
	default:
		b.add(p.t.sub(p.pos, p.pos+1))
		p.pos++
	}
	if b.len() > maxValue {
		return fmt.Errorf("%w of a text, %d bytes", ErrLimit, maxValue)
	}
	return nil
}

func startsVariable(s string) bool {
	c := s[0]
	return c == '{' || c == '(' || c == '_' || c == '?' || c == '^' || c == '$' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
}

// hereString reads @' or @" with its lines.
func (p *power) hereString() (value, error) {
	start := p.pos
	q := p.t.s[p.pos+1]
	p.pos += 2
	for !p.end() && strings.IndexByte(" \t\r", p.peek()) >= 0 {
		p.pos++
	}
	if p.peek() != '\n' {
		return value{}, p.syntax("a here-string begins on a new line")
	}
	p.pos++
	mark := "\n" + string(q) + "@"
	// The text may be empty: then its end follows at once.
	body := p.t.s[p.pos-1:]
	n := strings.Index(body, mark)
	if n < 0 {
		return value{}, p.syntax("a here-string is not closed")
	}
	end := p.pos - 1 + n
	inner := p.t.sub(min(p.pos, end), end)
	if strings.HasSuffix(inner.s, "\r") {
		inner = inner.sub(0, inner.len()-1)
	}
	after := end + len(mark)
	if q == '\'' {
		p.pos = after
		var b builder
		b.add(inner)
		return value{t: keepPlace(b, p.t, start)}, nil
	}
	var b builder
	sub := &power{powerState: p.powerState, t: inner}
	for !sub.end() {
		if err := sub.part(&b); err != nil {
			return value{}, err
		}
	}
	p.pos = after
	return value{t: keepPlace(b, p.t, start)}, nil
}

var (
	envName  = regexp.MustCompile(`^\$(?i:env):([A-Za-z_][A-Za-z0-9_]*)`)
	braced   = regexp.MustCompile(`^\$\{(?i:(env):)?([^{}:]+)\}`)
	bareName = regexp.MustCompile(`^\$([A-Za-z_][A-Za-z0-9_]*)`)
)

// variable reads $name, $env:NAME and their forms with braces; in a text also $(...).
func (p *power) variable(inText bool) (value, error) {
	rest := p.t.s[p.pos:]
	if strings.HasPrefix(rest, "$(") {
		p.pos += 2
		p.space(true)
		return p.closed()
	}
	env, name, n := "", "", 0
	if m := envName.FindStringSubmatch(rest); m != nil {
		env, name, n = "env", m[1], len(m[0])
	} else if m := braced.FindStringSubmatch(rest); m != nil {
		env, name, n = m[1], m[2], len(m[0])
	} else if m := bareName.FindStringSubmatch(rest); m != nil {
		name, n = m[1], len(m[0])
		if r := rest[n:]; len(r) > 1 && r[0] == ':' && (r[1] == '_' || r[1]|0x20 >= 'a' && r[1]|0x20 <= 'z' || r[1] >= '0' && r[1] <= '9') || strings.HasPrefix(r, "::") {
			return value{}, p.refuse(n+2, "write ${"+name+"} before a colon")
		}
	} else {
		return value{}, p.refuse(2, "")
	}
	word := p.t.sub(p.pos, p.pos+n)
	p.pos += n
	if !inText && !p.end() && (p.peek() == '.' || p.peek() == '[' || p.peek() == '(') {
		return value{}, p.refuse(1, "objects have no members here")
	}
	if env != "" {
		v, ok, err := p.s.getenv(name)
		if err != nil {
			return value{}, placed(word, err)
		}
		if !ok {
			return value{kind: kindNull, t: word.sub(0, 0)}, nil
		}
		return value{t: standIn(v, word)}, nil
	}
	switch lower := strings.ToLower(name); lower {
	case "true", "false":
		v := value{kind: kindBool, t: word}
		if lower == "true" {
			v.n = 1
		}
		return v, nil
	case "null":
		return value{kind: kindNull, t: word.sub(0, 0)}, nil
	default:
		v, ok := p.vars[lower]
		if !ok {
			return value{}, notOffline(word, "the script has given it no value")
		}
		return v, nil
	}
}

// standIn is a text that stands where a word was written.
func standIn(s string, word text) text {
	var b builder
	b.put(s, int32(word.from()))
	return b.text()
}

// static reads a member of a type: a call of one in the table, or a name of an enumeration.
func (p *power) static() (value, error) {
	m := typeWord.FindStringSubmatch(p.t.s[p.pos:])
	if m == nil {
		return value{}, p.refuse(1, "")
	}
	start := p.pos
	typ := strings.TrimPrefix(strings.ToLower(m[1]), "system.")
	p.pos += len(m[0])
	if typ == "byte[]" {
		p.space(false)
		v, err := p.primary()
		if err != nil {
			return v, err
		}
		out := value{kind: kindList, t: p.t.sub(start, start+len(m[0])), list: []value{}}
		for _, e := range v.items() {
			if e.kind != kindNumber || e.n < 0 || e.n > 255 {
				return v, notOffline(e.t, "not a byte")
			}
			out.list = append(out.list, e)
		}
		return out, nil
	}
	member := memberWord.FindStringSubmatch(p.t.s[p.pos:])
	if member == nil {
		p.pos = start
		return value{}, p.refuse(len(m[0]), "")
	}
	p.pos += len(member[0])
	name := p.t.sub(start, p.pos)
	if typ == "environmentvariabletarget" {
		switch strings.ToLower(member[1]) {
		case "machine", "user", "process":
			return value{t: standIn(member[1], name)}, nil
		}
		return value{}, notOffline(name, "")
	}
	full := "[" + typ + "]::" + strings.ToLower(member[1])
	for i := range table() {
		r := &table()[i]
		if r.method == nil || strings.ToLower(r.Name) != full {
			continue
		}
		if p.peek() != '(' {
			return value{}, notOffline(name, "")
		}
		p.pos++
		var args []value
		for {
			p.space(true)
			if p.peek() == ')' && len(args) == 0 {
				break
			}
			// In the arguments of a method a comma separates.
			v, err := p.sum(p.primary)
			if err != nil {
				return v, err
			}
			args = append(args, v)
			if p.space(true); p.peek() == ',' {
				p.pos++
				continue
			}
			break
		}
		if p.peek() != ')' {
			return value{}, p.refuse(1, "")
		}
		p.pos++
		v, err := r.method(p, name, args)
		if err == nil {
			p.failed = false
		}
		return v, placed(name, err)
	}
	return value{}, notOffline(name, "")
}

// argument reads one argument of a command.
func (p *power) argument() (value, error) {
	v, err := p.argumentWord()
	if err != nil {
		return v, err
	}
	var list []value
	for {
		mark := p.pos
		p.space(false)
		if p.peek() != ',' {
			p.pos = mark
			break
		}
		p.pos++
		p.space(true)
		w, err := p.argumentWord()
		if err != nil {
			return v, err
		}
		if list == nil {
			list = []value{v}
		}
		list = append(list, w)
	}
	if list != nil {
		return value{kind: kindList, t: v.t, list: list}, nil
	}
	return v, nil
}

// argumentWord reads a word, in which strings and variables may stand side by side.
func (p *power) argumentWord() (value, error) {
	start := p.pos
	switch c := p.peek(); {
	case p.end():
		return value{}, p.syntax("a value is missing")
	case c == '(' || p.has("@(") || p.has("@'") || p.has(`@"`):
		return p.primary()
	case c == '@' || c == '{' || c == '[' && typeWord.MatchString(p.t.s[p.pos:]):
		return value{}, p.refuse(1, "put it into parentheses, if it is a value of this kind that is offline")
	case c == '\'' || c == '"':
		v, err := p.quoted()
		if err != nil || p.boundary() {
			return v, err
		}
		p.pos = start
	case c == '$':
		v, err := p.variable(true)
		if err != nil || p.boundary() {
			return v, err
		}
		if p.peek() == '.' || p.peek() == '[' || p.peek() == '(' {
			return value{}, p.refuse(p.wordLen(), "objects have no members here; put the word into quotes if it is a text")
		}
		p.pos = start
	}
	var b builder
	plain := true
	for !p.end() && !p.boundary() {
		switch c := p.peek(); {
		case (c == '\'' || c == '"') && p.pos > start && b.len() == 0:
			return value{}, p.refuse(1, "")
		case c == '\'' || c == '"':
			// A string that begins a word is a word of its own; inside one it is a part.
			if p.pos == start {
				v, err := p.quoted()
				if err != nil {
					return v, err
				}
				return value{}, notOffline(p.t.sub(start, p.pos), "a blank is missing after the string")
			}
			v, err := p.quoted()
			if err != nil {
				return v, err
			}
			b.add(v.t)
			plain = false
		case c == '(' || c == '{' || c == '}':
			return value{}, p.refuse(1, "")
		default:
			if c == '`' || c == '$' {
				plain = false
			}
			if err := p.part(&b); err != nil {
				return value{}, err
			}
		}
	}
	v := value{t: keepPlace(b, p.t, start), plain: plain}
	if plain && numberWord.FindString(v.t.s) == v.t.s && v.t.s != "" {
		n, err := whole(v.t)
		n.plain = true
		return n, err
	}
	v.odd = plain && oddNumber.MatchString(v.t.s)
	return v, nil
}

// boundary reports whether a word ends here.
func (p *power) boundary() bool {
	return p.end() || strings.IndexByte(" \t\r\n;,|&)>", p.peek()) >= 0
}
