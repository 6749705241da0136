package offline

import (
	"slices"
	"strings"
)

// param is a parameter of a cmdlet.
type param struct {
	name     string
	position int  // from 1, 0 if it has none
	flag     bool // takes no value
	pipe     bool // takes what is piped in
	aliases  string
}

// cmdletCall is a command with its arguments.
type cmdletCall struct {
	row   *row
	name  text
	args  map[string]value // by lower-case name of the parameter
	words []value          // of a program
	input []value          // what is piped in
	piped bool
}

func (c *cmdletCall) has(name string) bool {
	v, ok := c.args[name]
	return ok && (v.kind != kindBool || v.n != 0)
}

// shared are the parameters that all cmdlets have, without an effect on an image.
var shared = []param{{name: "ErrorAction", aliases: "ea"}, {name: "Verbose", flag: true}, {name: "Confirm", flag: true}}

// command reads the name of a command and its arguments, up to what ends it.
func (p *power) command() (*cmdletCall, error) {
	if p.peek() == '&' {
		p.pos++
		p.space(false)
	}
	start := p.pos
	for !p.end() && strings.IndexByte(" \t\r\n;,|&(){}<>\"'$@`", p.peek()) < 0 {
		p.pos++
	}
	name := p.t.sub(start, p.pos)
	if name.len() == 0 || !p.boundary() {
		p.pos = start
		return nil, p.refuse(1, "")
	}
	c := &cmdletCall{name: name, args: map[string]value{}, row: cmdletNamed(name.s)}
	if p.pwsh && name.equalFold("sc") {
		return nil, notOffline(name, "in pwsh sc is a program; write Set-Content")
	}
	if c.row == nil {
		if c.row = programNamed(name.s); c.row == nil {
			return nil, notOffline(name, "")
		}
	}
	for {
		p.space(false)
		if p.ends() || p.peek() == '|' || p.peek() == ')' || p.peek() == '}' || p.peek() == '>' {
			break
		}
		if p.peek() == '&' {
			return nil, p.refuse(1, "separate commands by ;")
		}
		if d := p.peek(); (d >= '0' && d <= '9' || d == '*') && p.pos+1 < p.t.len() && p.t.s[p.pos+1] == '>' {
			return nil, p.refuse(2, "only > can redirect")
		}
		if c.row.cmdlet == nil {
			if p.has("--%") {
				return nil, p.refuse(3, "")
			}
			v, err := p.argument()
			if err != nil {
				return nil, err
			}
			c.words = append(c.words, v)
			continue
		}
		if err := p.bind(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// cmdletNamed returns the row of a cmdlet by its name or alias.
func cmdletNamed(name string) *row {
	for i := range table() {
		r := &table()[i]
		if r.cmdlet != nil && (strings.EqualFold(r.Name, name) || slices.ContainsFunc(r.Aliases, func(a string) bool { return strings.EqualFold(a, name) })) {
			return r
		}
	}
	return nil
}

// fits refuses a number of another kind as the value of an object: a text would differ from
// what PowerShell makes of it. Names and paths are texts.
func fits(key string, v value) error {
	for _, e := range v.items() {
		if e.odd && (key == "value" || key == "object" || key == "inputobject") {
			return notOffline(e.t, "put it into quotes if it is a text")
		}
	}
	return nil
}

// bind reads one parameter with its value, or a value for the next position.
func (p *power) bind(c *cmdletCall) error {
	params := append(slices.Clone(c.row.params), shared...)
	if p.peek() == '-' && p.pos+1 < p.t.len() && (p.t.s[p.pos+1]|0x20 >= 'a' && p.t.s[p.pos+1]|0x20 <= 'z') {
		start := p.pos
		p.pos++
		for !p.boundary() && p.peek() != ':' {
			p.pos++
		}
		word := p.t.sub(start, p.pos)
		name := strings.ToLower(word.s[1:])
		i := slices.IndexFunc(params, func(q param) bool {
			return strings.EqualFold(q.name, name) || slices.Contains(strings.Fields(q.aliases), name)
		})
		if i < 0 {
			return notOffline(word, "")
		}
		q := params[i]
		key := strings.ToLower(q.name)
		if _, twice := c.args[key]; twice {
			return syntax(word, "the parameter is given twice")
		}
		colon := p.peek() == ':'
		if colon {
			p.pos++
			p.space(false)
		}
		if q.flag && !colon {
			c.args[key] = value{kind: kindBool, n: 1, t: word}
			return nil
		}
		p.space(false)
		if p.ends() || p.boundary() {
			return syntax(word, "its value is missing")
		}
		v, err := p.argument()
		if err != nil {
			return err
		}
		if q.flag && v.kind != kindBool {
			return notOffline(v.t, "neither $true nor $false")
		}
		c.args[key] = v
		return fits(key, v)
	}
	v, err := p.argument()
	if err != nil {
		return err
	}
	for position := 1; ; position++ {
		i := slices.IndexFunc(params, func(q param) bool { return q.position == position })
		if i < 0 {
			return notOffline(v.t, "no parameter is left for it")
		}
		key := strings.ToLower(params[i].name)
		if _, taken := c.args[key]; !taken {
			c.args[key] = v
			return fits(key, v)
		}
	}
}
