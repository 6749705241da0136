package offline

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// maxLine is the longest line that cmd reads, in characters (MS Learn, "Command prompt
	// line string limitation").
	maxLine = 8191
	// maxNesting bounds parentheses, ifs and shells in shells.
	maxNesting = 64
	// delims separate words of cmd.
	delims = " \t,;="
)

// node is a part of a line of cmd.
type node interface{ isNode() }

type (
	// chain is left & right, left && right or left || right.
	chain struct {
		op          string
		left, right node
	}
	// group is (body) with redirections.
	group struct {
		body   node
		redirs []redirection
	}
	// choice is an if.
	choice struct {
		test     test
		then     node
		orElse   node // nil without else
		ignore   bool // /i
		negative bool
	}
	// simple is one command. rest is everything after its name, quotes included.
	simple struct {
		name, rest text
		redirs     []redirection
	}
	// nothing is rem.
	nothing struct{}
)

func (*chain) isNode()  {}
func (*group) isNode()  {}
func (*choice) isNode() {}
func (*simple) isNode() {}
func (nothing) isNode() {}

// test is the condition of an if.
type test struct {
	kind string // exist, errorlevel, defined, ==, EQU, ...
	a, b text
}

// redirection is > and its siblings. dup is the handle of >&, -1 for a file.
type redirection struct {
	fd     int
	append bool
	dup    int
	target text
}

// cmdParser reads one line after the expansion of variables.
type cmdParser struct {
	t     text
	pos   int
	depth int // open parentheses
	nest  int // of the recursion
}

func parseCmd(t text) (node, error) {
	p := &cmdParser{t: t}
	p.skip(delims + "@")
	if p.end() {
		return nothing{}, nil
	}
	n, err := p.sequence()
	if err != nil {
		return nil, err
	}
	if !p.end() {
		return nil, p.unexpected()
	}
	return n, nil
}

func (p *cmdParser) end() bool { return p.pos >= p.t.len() }
func (p *cmdParser) peek() byte {
	if p.end() {
		return 0
	}
	return p.t.s[p.pos]
}

func (p *cmdParser) skip(set string) {
	for !p.end() && strings.IndexByte(set, p.peek()) >= 0 {
		p.pos++
	}
}

func (p *cmdParser) has(s string) bool { return strings.HasPrefix(p.t.s[p.pos:], s) }

func (p *cmdParser) unexpected() error {
	if p.end() {
		return &wordError{at: p.place(p.pos), word: "", err: fmt.Errorf("%w: the line ends too early", ErrSyntax)}
	}
	return &wordError{at: p.place(p.pos), word: string(p.peek()), err: fmt.Errorf("%w: unexpected here", ErrSyntax)}
}

func (p *cmdParser) place(pos int) int {
	if pos < len(p.t.at) {
		return int(p.t.at[pos])
	}
	if n := len(p.t.at); n > 0 {
		return int(p.t.at[n-1]) + 1
	}
	return 0
}

func (p *cmdParser) notOffline(pos, n int, advice string) error {
	end := min(pos+n, p.t.len())
	return &wordError{at: p.place(pos), word: p.t.s[pos:end], err: ErrNotOffline, advice: advice}
}

// sequence reads commands joined by &, the operator that binds least.
func (p *cmdParser) sequence() (node, error) {
	if p.nest++; p.nest > maxNesting {
		return nil, &wordError{at: p.place(p.pos), err: fmt.Errorf("%w of %d nested commands", ErrLimit, maxNesting)}
	}
	defer func() { p.nest-- }()
	left, err := p.alternative()
	if err != nil {
		return nil, err
	}
	for p.peek() == '&' && !p.has("&&") {
		p.pos++
		p.skip(delims + "@")
		if p.end() || p.peek() == ')' && p.depth > 0 {
			break // a last & is allowed
		}
		right, err := p.alternative()
		if err != nil {
			return nil, err
		}
		left = &chain{"&", left, right}
	}
	return left, nil
}

func (p *cmdParser) alternative() (node, error) {
	left, err := p.conjunction()
	if err != nil {
		return nil, err
	}
	for p.has("||") {
		p.pos += 2
		right, err := p.conjunction()
		if err != nil {
			return nil, err
		}
		left = &chain{"||", left, right}
	}
	if p.peek() == '|' {
		return nil, p.notOffline(p.pos, 1, "pipes run two programs at once")
	}
	return left, nil
}

func (p *cmdParser) conjunction() (node, error) {
	left, err := p.command()
	if err != nil {
		return nil, err
	}
	for p.has("&&") {
		p.pos += 2
		right, err := p.command()
		if err != nil {
			return nil, err
		}
		left = &chain{"&&", left, right}
	}
	return left, nil
}

// word returns the length of the keyword at the position: letters up to a delimiter, an
// operator or a parenthesis.
func (p *cmdParser) word() string {
	i := p.pos
	for i < p.t.len() && strings.IndexByte(delims+"&|<>()", p.t.s[i]) < 0 {
		i++
	}
	return p.t.s[p.pos:i]
}

func (p *cmdParser) command() (node, error) {
	p.skip(delims + "@")
	if p.end() || p.peek() == '&' || p.peek() == '|' || p.peek() == ')' {
		return nil, p.unexpected()
	}
	switch w := strings.ToLower(p.word()); {
	case p.peek() == '(':
		return p.group()
	case w == "if":
		return p.choice()
	case w == "rem":
		return p.remark()
	case w == "for" || w == "goto" || w == "call" || w == "start" || strings.HasPrefix(w, ":"):
		return nil, p.notOffline(p.pos, len(w), "")
	}
	return p.simple()
}

func (p *cmdParser) group() (node, error) {
	p.pos++
	p.depth++
	p.skip(delims + "@")
	body, err := p.sequence()
	if err != nil {
		return nil, err
	}
	if p.peek() != ')' {
		return nil, p.unexpected()
	}
	p.pos++
	p.depth--
	g := &group{body: body}
	for {
		p.skip(" \t")
		i := p.pos
		if c := p.peek(); c >= '0' && c <= '9' && i+1 < p.t.len() && (p.t.s[i+1] == '<' || p.t.s[i+1] == '>') {
			i++
		}
		if i >= p.t.len() || p.t.s[i] != '<' && p.t.s[i] != '>' {
			return g, nil
		}
		fd := -1
		if i > p.pos {
			fd = int(p.peek() - '0')
		}
		p.pos = i
		r, err := p.redirection(fd)
		if err != nil {
			return nil, err
		}
		g.redirs = append(g.redirs, r)
	}
}

// remark skips a comment: it extends to the end of the line, whatever is in it. Where its
// first word has an operator, cmd reads that word in another way.
func (p *cmdParser) remark() (node, error) {
	start := p.pos
	p.pos += len("rem")
	p.skip(delims)
	for !p.end() && strings.IndexByte(delims, p.peek()) < 0 {
		if strings.IndexByte("&|<>()^", p.peek()) >= 0 {
			return nil, p.notOffline(start, p.pos+1-start, "what cmd makes of an operator in the first word of a comment is not defined")
		}
		p.pos++
	}
	if p.depth > 0 {
		return nil, p.notOffline(start, len("rem"), "a comment in parentheses hides their end")
	}
	p.pos = p.t.len()
	return nothing{}, nil
}

// operand reads a word of a condition.
func (p *cmdParser) operand() (text, error) {
	p.skip(" \t,;")
	var b builder
	quoted := false
	for !p.end() {
		switch c := p.peek(); {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '^':
			p.pos++
			if p.end() {
				return b.text(), p.unexpected()
			}
		case strings.IndexByte(delims, c) >= 0:
			return b.text(), nil
		case strings.IndexByte("&|<>()", c) >= 0:
			return text{}, p.unexpected()
		}
		b.add(p.t.sub(p.pos, p.pos+1))
		p.pos++
	}
	return b.text(), nil
}

func (p *cmdParser) choice() (node, error) {
	start := p.pos
	p.pos += len("if")
	c := &choice{}
	for {
		p.skip(delims)
		w := strings.ToLower(p.word())
		switch {
		case w == "/i":
			c.ignore = true
			p.pos += len(w)
			continue
		case w == "not":
			c.negative = !c.negative
			p.pos += len(w)
			continue
		case w == "exist" || w == "errorlevel" || w == "defined":
			p.pos += len(w)
			a, err := p.operand()
			if err != nil {
				return nil, err
			}
			if a.len() == 0 {
				return nil, p.unexpected()
			}
			c.test = test{kind: w, a: a}
		case w == "cmdextversion":
			return nil, p.notOffline(p.pos, len(w), "")
		default:
			a, err := p.operand()
			if err != nil {
				return nil, err
			}
			p.skip(" \t,;")
			op := "=="
			if p.has("==") {
				p.pos += 2
			} else {
				op = strings.ToUpper(p.word())
				switch op {
				case "EQU", "NEQ", "LSS", "LEQ", "GTR", "GEQ":
					p.pos += len(op)
				default:
					return nil, p.unexpected()
				}
			}
			p.skip("=")
			b, err := p.operand()
			if err != nil {
				return nil, err
			}
			if a.len() == 0 || b.len() == 0 {
				return nil, p.unexpected()
			}
			c.test = test{kind: op, a: a, b: b}
		}
		break
	}
	p.skip(delims + "@")
	if p.peek() != '(' {
		// Everything that follows belongs to the if, operators included.
		var err error
		c.then, err = p.sequence()
		return c, err
	}
	var err error
	if c.then, err = p.group(); err != nil {
		return nil, err
	}
	p.skip(delims)
	if strings.EqualFold(p.word(), "else") {
		p.pos += len("else")
		p.skip(delims + "@")
		paren := p.peek() == '('
		if c.orElse, err = p.elseBranch(); err != nil {
			return nil, err
		}
		if !paren {
			return c, nil
		}
	}
	if p.skip(delims); p.peek() == '&' || p.peek() == '|' {
		return nil, p.notOffline(start, len("if"), "put the whole if into parentheses, (if ... (...)) && ..., so that it is plain what belongs to it")
	}
	return c, nil
}

func (p *cmdParser) elseBranch() (node, error) {
	if p.peek() == '(' {
		return p.group()
	}
	return p.sequence()
}

// simple reads a command up to an operator.
func (p *cmdParser) simple() (node, error) {
	c := &simple{}
	var b builder
	nameEnd := -1
	quoted := false
loop:
	for !p.end() {
		ch := p.peek()
		// The name ends where its first word does.
		if nameEnd < 0 && b.len() > 0 && !quoted && strings.IndexByte(delims, ch) >= 0 {
			nameEnd = b.len()
		}
		switch {
		case ch == '"':
			quoted = !quoted
		case quoted:
		case ch == '^':
			p.pos++
			if p.end() {
				break loop
			}
		case ch == '&' || ch == '|' || ch == ')' && p.depth > 0:
			break loop
		case ch == '<' || ch == '>':
			fd := -1
			// A digit is the handle if it is a word of its own.
			if n := b.len(); n > 0 && b.b[n-1] >= '0' && b.b[n-1] <= '9' && p.pos > 0 && p.t.s[p.pos-1] == b.b[n-1] &&
				(n == 1 || strings.IndexByte(delims, b.b[n-2]) >= 0) {
				fd = int(b.b[n-1] - '0')
				b.b, b.at = b.b[:n-1], b.at[:n-1]
			}
			if nameEnd < 0 && b.len() > 0 {
				nameEnd = b.len()
			}
			r, err := p.redirection(fd)
			if err != nil {
				return nil, err
			}
			c.redirs = append(c.redirs, r)
			if b.len() == 0 {
				p.skip(delims)
			}
			continue
		}
		b.add(p.t.sub(p.pos, p.pos+1))
		p.pos++
	}
	t := b.text()
	if nameEnd < 0 || nameEnd > t.len() {
		nameEnd = t.len()
	}
	c.name, c.rest = t.sub(0, nameEnd), t.sub(nameEnd, t.len())
	if c.name.len() == 0 && len(c.redirs) == 0 {
		return nil, p.unexpected()
	}
	return c, nil
}

// redirection reads < or > with what follows.
func (p *cmdParser) redirection(fd int) (redirection, error) {
	start := p.pos
	r := redirection{fd: fd, dup: -1}
	switch {
	case p.has(">>"):
		r.append = true
		p.pos += 2
	case p.has("<<"):
		return r, p.unexpected()
	default:
		p.pos++
	}
	if fd < 0 {
		r.fd = 1
		if p.t.s[start] == '<' {
			r.fd = 0
		}
	}
	input := p.t.s[start] == '<'
	if p.peek() == '&' {
		p.pos++
		p.skip(delims)
		n := p.peek()
		if n < '0' || n > '9' {
			return r, p.unexpected()
		}
		p.pos++
		r.dup, _ = strconv.Atoi(string(n))
		if input || r.dup != 1 && r.dup != 2 {
			return r, p.notOffline(start, p.pos-start, "")
		}
	} else {
		p.skip(delims)
		var b builder
		quoted := false
		for !p.end() {
			c := p.peek()
			if c == '"' {
				quoted = !quoted
			} else if !quoted {
				if strings.IndexByte(delims+"&|<>", c) >= 0 || c == ')' && p.depth > 0 {
					break
				}
				if c == '^' {
					if p.pos++; p.end() {
						break
					}
				}
			}
			b.add(p.t.sub(p.pos, p.pos+1))
			p.pos++
		}
		if r.target = b.text(); r.target.len() == 0 {
			return r, p.unexpected()
		}
	}
	if r.fd != 1 && r.fd != 2 && !(r.fd == 0 && input) || input && r.fd != 0 {
		return r, p.notOffline(start, 1, "only the outputs 1 and 2 can be redirected")
	}
	if input && !strings.EqualFold(strings.Trim(r.target.s, `"`), "nul") {
		return r, p.notOffline(start, p.pos-start, "commands read no input")
	}
	return r, nil
}
