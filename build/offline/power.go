package offline

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// powerProgram is powershell.exe, or pwsh.exe, with its options.
func powerProgram(s *session, name, rest text) (int, error) {
	args := splitArgs(rest)
	base := strings.ToLower(name.s)
	st := &powerState{s: s.sub(), pwsh: strings.Contains(base, "pwsh"), vars: map[string]value{}, action: "continue"}
	i := 0
options:
	for ; i < len(args); i++ {
		a := args[i]
		switch lower := strings.ToLower(a.s); lower {
		case "-noprofile", "-nop", "-nologo", "-noninteractive", "-noni", "-sta", "-mta":
		case "-executionpolicy", "-ex", "-exec", "-ep":
			if i++; i == len(args) {
				return 0, syntax(a, "its value is missing")
			}
		case "-command", "-c":
			i++
			break options
		default:
			if strings.HasPrefix(a.s, "-") || strings.HasPrefix(a.s, "/") || st.pwsh {
				return 0, notOffline(a, "give the commands after -Command")
			}
			break options
		}
	}
	if i == len(args) || args[i].s == "-" {
		return 0, &wordError{at: name.from(), word: name.s, err: fmt.Errorf("%w: without a command it waits for input", ErrNotOffline)}
	}
	// The words are joined by one blank each, whatever quotes were around them.
	var b builder
	for j, a := range args[i:] {
		if j > 0 {
			b.put(" ", placeOf(a, b))
		}
		b.add(a)
	}
	if b.len() > maxScript {
		return 0, fmt.Errorf("%w of a script, %d bytes", ErrLimit, maxScript)
	}
	err := (&power{powerState: st, t: b.text()}).script()
	switch {
	case errors.Is(err, errExit):
		return st.status, nil
	case errors.Is(err, errStopped), err == nil && st.failed:
		return 1, nil
	}
	return 0, err
}

func placeOf(next text, before builder) int32 {
	if next.len() > 0 {
		return next.at[0]
	}
	if n := len(before.at); n > 0 {
		return before.at[n-1]
	}
	return -1
}

const (
	maxScript = 1 << 20
	// maxValue bounds texts that a script makes.
	maxValue = 1 << 20
)

// errStopped ends a script at an error, as ErrorActionPreference Stop does.
var errStopped = errors.New("stopped")

// powerState is what the blocks of one script share.
type powerState struct {
	s      *session
	pwsh   bool
	vars   map[string]value // by lower-case name
	action string           // ErrorActionPreference
	failed bool             // the last statement did
	status int              // of exit
	depth  int
}

// power reads one script, or a block of it, and carries it out as it goes.
type power struct {
	*powerState
	t   text
	pos int
}

// value is an object, as far as commands here have them.
type value struct {
	t     text    // its text, with the place where it was written
	kind  kind    //
	n     int64   // of a number or truth value
	list  []value // of an array
	plain bool    // a word without quotes
	odd   bool    // a word that is a number in PowerShell, but not one of those here
}

type kind int

const (
	kindText kind = iota
	kindNumber
	kindBool
	kindNull
	kindList
)

// String returns the text that PowerShell makes of a value.
func (v value) String() string {
	switch v.kind {
	case kindNumber:
		return strconv.FormatInt(v.n, 10)
	case kindBool:
		if v.n != 0 {
			return "True"
		}
		return "False"
	case kindNull:
		return ""
	case kindList:
		var list []string
		for _, e := range v.list {
			list = append(list, e.String())
		}
		return strings.Join(list, " ")
	}
	return v.t.s
}

// items returns the elements of an array, or the value alone.
func (v value) items() []value {
	switch v.kind {
	case kindList:
		return v.list
	case kindNull:
		return nil
	}
	return []value{v}
}

func (p *power) end() bool { return p.pos >= p.t.len() }
func (p *power) peek() byte {
	if p.end() {
		return 0
	}
	return p.t.s[p.pos]
}
func (p *power) has(s string) bool { return strings.HasPrefix(p.t.s[p.pos:], s) }

// refuse is notOffline for n bytes at the position.
func (p *power) refuse(n int, advice string) error {
	return notOffline(p.t.sub(p.pos, min(p.pos+max(n, 1), p.t.len())), advice)
}

func (p *power) syntax(format string, args ...any) error {
	t := p.t.sub(min(p.pos, p.t.len()), min(p.pos+1, p.t.len()))
	if t.len() == 0 {
		at := 0
		if n := len(p.t.at); n > 0 {
			at = int(p.t.at[n-1]) + 1
		}
		return &wordError{at: at, err: fmt.Errorf("%w: "+format, append([]any{ErrSyntax}, args...)...)}
	}
	return syntax(t, format, args...)
}

// space skips blanks, and with lines set line ends and comments too.
func (p *power) space(lines bool) {
	for !p.end() {
		switch c := p.peek(); {
		case c == ' ' || c == '\t':
		case c == '`' && (p.has("`\n") || p.has("`\r\n")):
			p.pos += strings.IndexByte(p.t.s[p.pos:], '\n')
		case lines && (c == '\n' || c == '\r' || c == ';'):
		case c == '#' && (p.pos == 0 || strings.IndexByte(" \t\r\n;", p.t.s[p.pos-1]) >= 0):
			for !p.end() && p.peek() != '\n' {
				p.pos++
			}
			continue
		default:
			return
		}
		p.pos++
	}
}

// ends reports whether a statement ends here.
func (p *power) ends() bool { return p.end() || strings.IndexByte(";\n\r", p.peek()) >= 0 }

// script runs all statements.
func (p *power) script() error {
	if p.depth++; p.depth > maxNesting {
		return fmt.Errorf("%w of %d nested blocks", ErrLimit, maxNesting)
	}
	defer func() { p.depth-- }()
	// These are quotes and dashes for PowerShell.
	if i := strings.IndexAny(p.t.s, "‘’‚‛“”„–—―\u00a0"); i >= 0 {
		p.pos = i
		return p.refuse(3, "write plain quotes, dashes and blanks")
	}
	for {
		p.space(true)
		if p.end() {
			return nil
		}
		if err := p.s.step(); err != nil {
			return err
		}
		if err := p.statement(); err != nil {
			return err
		}
		if p.space(false); !p.ends() {
			return p.refuse(1, "")
		}
	}
}

var (
	assignment = regexp.MustCompile(`^\$(?:(env):)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*(\+?=)`)
	keyword    = regexp.MustCompile(`(?i)^(foreach|for|while|do|switch|function|filter|try|trap|throw|return|param|begin|process|end|class|enum|using|data|break|continue|exit|if)\b`)
)

func (p *power) statement() error {
	rest := p.t.s[p.pos:]
	if m := assignment.FindStringSubmatch(rest); m != nil && !strings.HasPrefix(rest[len(m[0]):], "=") {
		return p.assign(m)
	}
	if m := keyword.FindString(rest); m != "" && !strings.HasPrefix(rest[len(m):], "-") {
		switch strings.ToLower(m) {
		case "if":
			return p.condition()
		case "exit":
			p.pos += len(m)
			p.space(false)
			p.status = 0
			if !p.ends() {
				v, err := p.expression()
				if err != nil {
					return err
				}
				if v.kind != kindNumber {
					return notOffline(v.t, "exit takes a number")
				}
				p.status = int(v.n)
			}
			return errExit
		}
		return p.refuse(len(m), "")
	}
	return p.pipeline()
}

// assign sets a variable of the script or, with env:, of the process.
func (p *power) assign(m []string) error {
	name := p.t.sub(p.pos, p.pos+len(m[0]))
	p.pos += len(m[0])
	p.space(true)
	v, err := p.expression()
	if err != nil {
		return err
	}
	lower := strings.ToLower(m[2])
	if m[1] != "" {
		text := v.String()
		if m[3] == "+=" {
			old, _, err := p.s.getenv(m[2])
			if err != nil {
				return placed(name, err)
			}
			text = old + text
		}
		if len(text) > maxValue {
			return fmt.Errorf("%w of a text, %d bytes", ErrLimit, maxValue)
		}
		p.failed = false
		return placed(name, p.s.setenv(m[2], text, text == ""))
	}
	if m[3] == "+=" {
		old, ok := p.vars[lower]
		if !ok {
			return notOffline(name, "the variable has no value")
		}
		if v, err = p.plus(old, v); err != nil {
			return err
		}
	}
	switch lower {
	case "erroractionpreference":
		a, ok := errorAction(v.String())
		if !ok {
			return notOffline(v.t, "")
		}
		p.action = a
	case "progresspreference", "verbosepreference", "warningpreference", "informationpreference", "debugpreference":
		// They change output alone, if they do not stop at it.
		if a, ok := errorAction(v.String()); !ok || a == "stop" {
			return notOffline(v.t, "")
		}
	case "null":
	case "true", "false", "home", "host", "pid", "pshome", "_", "args", "input", "error", "pwd", "lastexitcode":
		return notOffline(name, "")
	default:
		if len(p.vars) > 10000 {
			return fmt.Errorf("%w of variables", ErrLimit)
		}
		p.vars[lower] = v
	}
	p.failed = false
	return nil
}

// errorAction reads a value of ErrorAction.
func errorAction(s string) (string, bool) {
	switch s = strings.ToLower(s); s {
	case "stop", "continue", "silentlycontinue":
		return s, true
	case "ignore":
		return "silentlycontinue", true
	}
	return "", false
}

// condition runs if (...) {...} else {...}.
func (p *power) condition() error {
	done := false
	for {
		p.pos += len("if")
		p.space(true)
		if p.peek() != '(' {
			return p.syntax("if needs a condition in parentheses")
		}
		p.pos++
		yes, err := p.truth()
		if err != nil {
			return err
		}
		p.space(true)
		block, err := p.block()
		if err != nil {
			return err
		}
		if yes && !done {
			done = true
			if err := (&power{powerState: p.powerState, t: block}).script(); err != nil {
				return err
			}
		}
		// Line ends before else belong to the if.
		mark := p.pos
		p.space(false)
		for !p.end() && (p.peek() == '\n' || p.peek() == '\r') {
			p.pos++
			p.space(false)
		}
		rest := strings.ToLower(p.t.s[p.pos:])
		switch {
		case strings.HasPrefix(rest, "elseif") && (len(rest) == 6 || strings.IndexByte(" \t(", rest[6]) >= 0):
			p.pos += len("else")
		case strings.HasPrefix(rest, "else") && (len(rest) == 4 || strings.IndexByte(" \t{\r\n", rest[4]) >= 0):
			p.pos += len("else")
			p.space(true)
			block, err := p.block()
			if err != nil || done {
				return err
			}
			return (&power{powerState: p.powerState, t: block}).script()
		default:
			p.pos = mark
			return nil
		}
		if done {
			// What follows is read, but its conditions are not evaluated.
			return p.refuse(len("if"), "elseif")
		}
	}
}

// block returns what is between braces.
func (p *power) block() (text, error) {
	if p.peek() != '{' {
		return text{}, p.syntax("a block in braces is missing")
	}
	p.pos++
	start, level := p.pos, 1
	for !p.end() {
		switch p.peek() {
		case '{':
			level++
		case '}':
			if level--; level == 0 {
				p.pos++
				return p.t.sub(start, p.pos-1), nil
			}
		case '\'', '"':
			if err := p.skipString(); err != nil {
				return text{}, err
			}
			continue
		case '`':
			p.pos++
		case '@', '#':
			if p.has("@'") || p.has(`@"`) || p.peek() == '#' {
				return text{}, p.refuse(2, "here-strings and comments in blocks are not read")
			}
		}
		p.pos++
	}
	return text{}, p.syntax("a block is not closed")
}

// skipString goes to the end of a string.
func (p *power) skipString() error {
	q := p.peek()
	for p.pos++; !p.end(); p.pos++ {
		switch c := p.peek(); {
		case c == '`' && q == '"':
			p.pos++
		case c == q:
			p.pos++
			if p.peek() != q || p.end() {
				return nil
			}
		}
	}
	return p.syntax("a string is not closed")
}

// truth reads a condition up to its parenthesis: Test-Path, negated or not.
func (p *power) truth() (bool, error) {
	p.space(true)
	negate := false
	for p.peek() == '!' || strings.HasPrefix(strings.ToLower(p.t.s[p.pos:]), "-not") {
		if p.peek() == '!' {
			p.pos++
		} else {
			p.pos += len("-not")
		}
		negate = !negate
		p.space(true)
	}
	if p.peek() == '(' {
		p.pos++
		yes, err := p.truth()
		if err != nil {
			return false, err
		}
		if p.space(true); p.peek() != ')' {
			return false, p.refuse(1, "")
		}
		p.pos++
		return yes != negate, nil
	}
	start := p.pos
	c, err := p.command()
	if err != nil {
		return false, err
	}
	if c.row == nil || c.row.Name != "Test-Path" {
		p.pos = start
		return false, p.refuse(c.name.len(), "a condition is Test-Path, or -not (Test-Path)")
	}
	out, err := c.row.cmdlet(p, c)
	if err != nil {
		return false, placed(c.name, err)
	}
	if p.space(true); p.peek() != ')' {
		return false, p.refuse(1, "")
	}
	p.pos++
	return (len(out) == 1 && out[0].n != 0) != negate, nil
}

// pipeline runs a command or an expression, and what takes its output.
func (p *power) pipeline() error {
	start := p.pos
	var out []value
	var err error
	isCommand := false
	switch c := p.peek(); {
	case c == '\'' || c == '"' || c == '$' || c == '(' || c == '@' || c == '[' || c >= '0' && c <= '9':
		var v value
		if v, err = p.expression(); err == nil {
			out = v.items()
			p.failed = false
		}
	default:
		isCommand = true
		var c *cmdletCall
		if c, err = p.command(); err == nil {
			out, err = p.call(c)
		}
	}
	if err != nil {
		return err
	}
	for {
		p.space(false)
		switch {
		case p.peek() == '|':
			if p.has("||") {
				return p.refuse(2, "")
			}
			p.pos++
			p.space(true)
			c, err := p.command()
			if err != nil {
				return err
			}
			takes := c.row != nil && slices.ContainsFunc(c.row.params, func(q param) bool { return q.pipe })
			if c.row == nil || !takes || isCommand && c.row.Name != "Out-Null" {
				return notOffline(c.name, "only | Out-Null takes the output of a command, and Set-Content, Add-Content or Out-File a text")
			}
			c.input, c.piped = out, true
			failed := p.failed
			if out, err = p.call(c); err != nil {
				return err
			}
			p.failed = p.failed || failed
			isCommand = true
		case p.peek() == '>':
			at := p.t.sub(p.pos, p.pos+1)
			appends := p.has(">>")
			if p.pos++; appends {
				p.pos++
			}
			p.space(false)
			to, err := p.argument()
			if err != nil {
				return err
			}
			if to.kind == kindNull {
				continue
			}
			if isCommand {
				return notOffline(at, "what a command prints is not known here; > $null drops it")
			}
			if err := p.report(p.writeText(to, out, writeOptions{append: appends, encoding: p.outDefault()})); err != nil {
				return err
			}
			out = nil
		case p.ends():
			for _, v := range out {
				if !isCommand {
					if err := p.s.printf("%s", v.String()); err != nil {
						return err
					}
				}
			}
			return nil
		default:
			if p.peek() == '&' || p.pos == start {
				return p.refuse(1, "separate commands by ;")
			}
			return p.refuse(1, "")
		}
	}
}

// powerError is an error that a command reports, and after which a script may continue.
type powerError struct{ text string }

func (e powerError) Error() string { return e.text }

func failf(format string, args ...any) error { return powerError{fmt.Sprintf(format, args...)} }

// report handles the result of a command by the error action that applies.
func (p *power) report(err error) error { return p.reportAs(err, p.action) }

func (p *power) reportAs(err error, action string) error {
	var e powerError
	var code codeError
	switch {
	case err == nil:
		p.failed = false
		return nil
	case errors.As(err, &e):
	case errors.As(err, &code):
		e.text = code.Error()
	default:
		return err
	}
	p.failed = true
	if action == "silentlycontinue" {
		return nil
	}
	if _, err := p.s.fail(1, "%s", e.text); err != nil {
		return err
	}
	if action == "stop" {
		return errStopped
	}
	return nil
}

// call runs a command.
func (p *power) call(c *cmdletCall) ([]value, error) {
	if err := p.s.step(); err != nil {
		return nil, err
	}
	if c.row.cmdlet == nil {
		return nil, p.native(c)
	}
	action := p.action
	if v, ok := c.args["erroraction"]; ok {
		var known bool
		if action, known = errorAction(v.String()); !known {
			return nil, notOffline(v.t, "")
		}
	}
	out, err := c.row.cmdlet(p, c)
	return out, placed(c.name, p.reportAs(err, action))
}

// native runs a program, whose command line PowerShell makes of the arguments.
func (p *power) native(c *cmdletCall) error {
	var b builder
	for _, v := range c.words {
		s := v.t
		if v.kind == kindList || v.kind == kindNull || v.kind == kindBool {
			return notOffline(v.t, "not a text")
		}
		if strings.Contains(s.s, `"`) {
			return notOffline(s, "quotes in the arguments of programs differ between versions of PowerShell")
		}
		at := int32(-1)
		if s.len() > 0 {
			at = s.at[0]
		}
		b.put(" ", at)
		quote := s.s == "" || strings.ContainsAny(s.s, " \t")
		if quote {
			b.put(`"`, at)
		}
		b.add(s)
		if quote {
			b.put(`"`, at)
		}
	}
	out := p.s.out
	code, err := p.s.program(c.row, c.name, b.text())
	p.s.out = out
	p.failed = code != 0
	return err
}
