package offline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// cmdProgram is cmd.exe with its switches.
func cmdProgram(s *session, name, rest text) (int, error) {
	stripAlways := false
	i := 0
	for {
		for i < rest.len() && strings.IndexByte(delims, rest.s[i]) >= 0 {
			i++
		}
		if i >= rest.len() || rest.s[i] != '/' {
			return 0, &wordError{at: name.from(), word: name.s, err: fmt.Errorf("%w: without /c it waits for input", ErrNotOffline)}
		}
		j := i + 1
		for j < rest.len() && strings.IndexByte(delims+"/\"", rest.s[j]) < 0 {
			j++
		}
		sw := strings.ToLower(rest.s[i:j])
		if strings.HasPrefix(sw, "/c") {
			i += len("/c") // what follows need not be separated
			break
		}
		switch sw {
		case "/s":
			stripAlways = true
		case "/q", "/d", "/e:on", "/v:off", "/a":
		default:
			return 0, notOffline(rest.sub(i, j), "")
		}
		i = j
	}
	line := rest.sub(i, rest.len())
	return s.sub().cmdLine(unquote(line, stripAlways))
}

// unquote removes the quotes around the command of /c: the first character, if it is a
// quote, and the last quote (cmd /?). Without /s, two quotes around the name of a program
// would stay; such a program cannot be run here, whichever way it is read.
func unquote(t text, _ bool) text {
	lead := t.len() - len(strings.TrimLeft(t.s, delims))
	if lead >= t.len() || t.s[lead] != '"' {
		return t
	}
	last := strings.LastIndexByte(t.s, '"')
	if last == lead {
		return t.sub(lead+1, t.len())
	}
	var b builder
	b.add(t.sub(lead+1, last))
	b.add(t.sub(last+1, t.len()))
	return b.text()
}

// sub returns the session of a shell that this one starts: with its own directory and
// variables.
func (s *session) sub() *session {
	n := *s
	n.dirs = nil
	if s.vars != nil {
		n.vars = s.vars.Clone()
	}
	n.unset = nil
	for k := range s.unset {
		if n.unset == nil {
			n.unset = map[string]bool{}
		}
		n.unset[k] = true
	}
	return &n
}

// cmdLine runs one line of cmd and returns its exit status.
func (s *session) cmdLine(t text) (int, error) {
	if i := strings.IndexAny(t.s, "\r\n"); i >= 0 {
		if strings.Trim(t.s[i:], "\r\n \t") != "" {
			return 0, &wordError{at: int(t.at[i]), err: fmt.Errorf("%w: cmd /c reads only the first line of a command", ErrNotOffline),
				advice: "join the lines with &&"}
		}
		t = t.sub(0, i)
	}
	t, err := expandCmd(t, s.cmdVariable)
	if err != nil {
		return 0, err
	}
	n, err := parseCmd(t)
	if err != nil {
		return 0, err
	}
	code, err := s.run(n)
	if errors.Is(err, errExit) {
		return s.level, nil
	}
	return code, err
}

func (s *session) run(n node) (int, error) {
	if err := s.step(); err != nil {
		return 0, err
	}
	switch n := n.(type) {
	case *chain:
		code, err := s.run(n.left)
		if err != nil {
			return code, err
		}
		switch n.op {
		case "&&":
			if code != 0 {
				return code, nil
			}
		case "||":
			if code == 0 {
				return code, nil
			}
			s.level = code
		}
		return s.run(n.right)
	case *group:
		return s.redirected(n.redirs, func() (int, error) { return s.run(n.body) })
	case *choice:
		yes, err := s.test(n)
		switch {
		case err != nil:
			return 0, err
		case yes != n.negative:
			return s.run(n.then)
		case n.orElse != nil:
			return s.run(n.orElse)
		}
		return 0, nil
	case *simple:
		return s.redirected(n.redirs, func() (int, error) { return s.simple(n) })
	}
	return 0, nil
}

// redirected runs f with its output redirected.
func (s *session) redirected(list []redirection, f func() (int, error)) (int, error) {
	if len(list) == 0 {
		return f()
	}
	out, errOut := s.out, s.err
	type opened struct {
		path string
		sink *fileSink
	}
	var files []opened
	for _, r := range list {
		var to sink
		switch {
		case r.fd == 0:
			continue
		case r.dup == 1:
			to = s.out
		case r.dup == 2:
			to = s.err
		default:
			path, sink, err := s.openOutput(r)
			if err != nil {
				s.out, s.err = out, errOut
				var code codeError
				if errors.As(err, &code) {
					return s.fail(1, "%s", windowsErrors[int(code)])
				}
				return 0, err
			}
			to = nullSink{}
			if sink != nil {
				files = append(files, opened{path, sink})
				to = sink
			}
		}
		if r.fd == 1 {
			s.out = to
		} else {
			s.err = to
		}
	}
	code, err := f()
	s.out, s.err = out, errOut
	if err != nil && !errors.Is(err, errExit) {
		return code, err
	}
	for _, o := range files {
		if werr := s.c.Files.Write(o.path, bytesContent(o.sink.Bytes()), Meta{}); werr != nil {
			return 0, werr
		}
	}
	return code, err
}

// codeError is an error number of Windows.
type codeError int

func (c codeError) Error() string { return windowsErrors[int(c)] }

// openOutput opens the file of a redirection, nil for NUL. The file exists from then on.
func (s *session) openOutput(r redirection) (string, *fileSink, error) {
	words := cmdWords(r.target)
	if len(words) != 1 || hasPattern(words[0].s) {
		return "", nil, notOffline(r.target, "")
	}
	p, err := s.locate(words[0].text, true)
	if missing(err) {
		return "", nil, codeError(3)
	}
	if err != nil || p.null {
		return "", nil, err
	}
	old, err := s.writable(p.layer)
	if err != nil {
		return "", nil, placedUnlessCode(words[0].text, err)
	}
	f := &fileSink{}
	switch {
	case old == nil, !r.append:
		err = s.c.Files.Write(p.layer, bytesContent(nil), Meta{})
	default:
		var b []byte
		if b, err = s.readFile(p.layer, maxOutput); err == nil {
			f.Buffer.Write(b)
		}
	}
	return p.layer, f, err
}

func placedUnlessCode(t text, err error) error {
	var code codeError
	if errors.As(err, &code) {
		return err
	}
	return placed(t, err)
}

// writable looks at a file that is to be written, whose links are resolved. It is nil if it
// does not exist. If it cannot be written, the error is a codeError.
func (s *session) writable(p string) (*item, error) {
	if p == root {
		return nil, codeError(5)
	}
	if err := guard(p); err != nil {
		return nil, err
	}
	dir, _ := winfs.SplitPath(p)
	parent, err := s.find(dir)
	if missing(err) || err == nil && !parent.dir() {
		return nil, codeError(3)
	}
	if err != nil {
		return nil, err
	}
	it, err := s.find(p)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if it.dir() || it.has(winfs.AttrReadOnly|winfs.AttrHidden|winfs.AttrSystem) {
		return it, codeError(5)
	}
	return it, nil
}

// test evaluates the condition of an if.
func (s *session) test(c *choice) (bool, error) {
	a, b := c.test.a, c.test.b
	switch c.test.kind {
	case "exist":
		w := cmdWords(a)
		if len(w) != 1 {
			return false, notOffline(a, "")
		}
		return s.exists(w[0].text)
	case "errorlevel":
		n, err := strconv.Atoi(a.s)
		if err != nil {
			return false, syntax(a, "not a number")
		}
		return s.level >= n, nil
	case "defined":
		_, ok, err := s.getenv(strings.Trim(a.s, `"`))
		return ok, placed(a, err)
	case "==":
		if c.ignore {
			return winfs.EqualFold(a.s, b.s), nil
		}
		return a.s == b.s, nil
	}
	x, errX := strconv.ParseInt(a.s, 0, 32)
	y, errY := strconv.ParseInt(b.s, 0, 32)
	if errX != nil || errY != nil {
		equal := a.s == b.s
		if c.ignore {
			equal = winfs.EqualFold(a.s, b.s)
		}
		switch c.test.kind {
		case "EQU":
			return equal, nil
		case "NEQ":
			return !equal, nil
		}
		return false, notOffline(a, "the order of texts depends on the language")
	}
	switch c.test.kind {
	case "EQU":
		return x == y, nil
	case "NEQ":
		return x != y, nil
	case "LSS":
		return x < y, nil
	case "LEQ":
		return x <= y, nil
	case "GTR":
		return x > y, nil
	}
	return x >= y, nil
}

// exists reports whether a path or pattern names something.
func (s *session) exists(t text) (bool, error) {
	p, err := s.pattern(t)
	if missing(err) {
		return false, nil
	}
	if err != nil || p.null {
		return p.null, err
	}
	if !p.wild {
		full := root
		if p.name != "" {
			full = winfs.JoinPath(p.dir, p.name)
		}
		full, err := s.real(full, true)
		if missing(err) {
			return false, nil
		}
		if err != nil {
			return false, placed(t, err)
		}
		it, err := s.find(full)
		if missing(err) {
			return false, nil
		}
		if err != nil {
			return false, placed(t, err)
		}
		return !p.slash || it.dir(), nil
	}
	list, err := s.matches(p)
	return len(list) > 0, placed(t, err)
}

// cmdWord is a word of the arguments of a command inside cmd. sw is set if it begins with
// a slash that is not in quotes.
type cmdWord struct {
	text
	sw bool
}

// cmdWords cuts arguments as the commands inside cmd do: delimiters and slashes outside
// quotes begin a new word, and quotes are removed.
func cmdWords(t text) []cmdWord {
	var out []cmdWord
	var b builder
	quoted, open, sw := false, false, false
	end := func() {
		if open {
			out = append(out, cmdWord{b.text(), sw})
		}
		b, open, sw = builder{}, false, false
	}
	for i := range t.len() {
		switch c := t.s[i]; {
		case c == '"':
			quoted, open = !quoted, true
			continue
		case !quoted && strings.IndexByte(delims, c) >= 0:
			end()
			continue
		case !quoted && c == '/':
			end()
			sw = true
		}
		open = true
		b.add(t.sub(i, i+1))
	}
	end()
	return out
}

// call is a command inside cmd with its arguments.
type call struct {
	row  *row
	name text
	rest text
}

// switches cuts the words of a command and accepts the switches in list, which are in
// lower case.
func (c call) switches(list ...string) (operands []text, set map[string]bool, err error) {
	set = map[string]bool{}
	for _, w := range cmdWords(c.rest) {
		if !w.sw {
			operands = append(operands, w.text)
			continue
		}
		name := strings.ToLower(w.s)
		if !slices.Contains(list, name) {
			return nil, nil, notOffline(w.text, "")
		}
		set[name] = true
	}
	return operands, set, nil
}

// simple runs one command.
func (s *session) simple(n *simple) (int, error) {
	if n.name.len() == 0 {
		return 0, nil // only a redirection
	}
	if c, ok := internalCommand(n); ok {
		if err := s.plainOutput(c.row, c.name); err != nil {
			return 0, err
		}
		code, err := c.row.internal(s, c)
		if err != nil {
			return code, placed(c.name, err)
		}
		if !c.row.keepsLevel {
			s.level = code
		}
		return code, nil
	}
	if p := programNamed(n.name.s); p != nil {
		return s.program(p, n.name, n.rest)
	}
	return 0, notOffline(n.name, "")
}

// internalCommand finds the command inside cmd that a word names: the name may be followed
// by a character that cannot be part of it, as in cd\ and rd/s.
func internalCommand(n *simple) (call, bool) {
	i := 0
	for i < n.name.len() && (n.name.s[i]|0x20 >= 'a' && n.name.s[i]|0x20 <= 'z') {
		i++
	}
	name := strings.ToLower(n.name.s[:i])
	for k := range table() {
		r := &table()[k]
		if r.internal == nil || r.Name != name && !slices.Contains(r.Aliases, name) {
			continue
		}
		if i < n.name.len() && !strings.ContainsRune(r.glued, rune(n.name.s[i])) {
			return call{}, false
		}
		var b builder
		b.add(n.name.sub(i, n.name.len()))
		b.add(n.rest)
		return call{r, n.name.sub(0, i), b.text()}, true
	}
	return call{}, false
}

func cmdEcho(s *session, c call) (int, error) {
	t := c.rest
	glued := t.len() > 0 && strings.IndexByte(delims, t.s[0]) < 0
	switch word := strings.ToLower(strings.Trim(t.s, " \t")); {
	case strings.TrimLeft(word, `./:,;=([]+\`) == "?" && strings.Contains(word, "/?"):
		return 0, notOffline(t.trim(" \t"), "")
	case !glued && (word == "on" || word == "off"):
		return 0, nil
	case word == "" && !glued:
		return 0, s.printf("ECHO is on.")
	}
	out := t.s[1:]
	if s.out.exact() && !ascii(out) {
		return 0, notOffline(t.sub(1, t.len()), "what a file gets of this text depends on the code page of the console; use COPY with a heredoc")
	}
	return 0, s.printf("%s", out)
}

func cmdSet(s *session, c call) (int, error) {
	t := c.rest.trim(" \t")
	if strings.HasPrefix(t.s, "/") {
		return 0, notOffline(t.sub(0, min(2, t.len())), "")
	}
	if strings.HasPrefix(t.s, `"`) {
		// Everything after the last quote is ignored.
		if i := strings.LastIndexByte(t.s, '"'); i > 0 {
			t = t.sub(1, i)
		} else {
			t = t.sub(1, t.len())
		}
	} else {
		// Blanks at the end belong to the value.
		lead := c.rest.len() - len(strings.TrimLeft(c.rest.s, " \t"))
		t = c.rest.sub(lead, c.rest.len())
	}
	name, value, ok := strings.Cut(t.s, "=")
	if !ok {
		return 0, &wordError{at: c.name.from(), word: c.name.s, err: fmt.Errorf("%w: without = it only prints", ErrNotOffline)}
	}
	if name == "" {
		return s.fail(1, "The syntax of the command is incorrect.")
	}
	if value == "" {
		if _, there, err := s.getenv(name); err != nil || !there {
			return 1, err // as cmd, without a word
		}
	}
	return 0, s.setenv(name, value, value == "")
}

func cmdCd(s *session, c call) (int, error) {
	t := c.rest
	if i := strings.Index(strings.ToLower(t.s), "/d"); i >= 0 && strings.TrimLeft(t.s[:i], " \t") == "" {
		t = t.sub(i+2, t.len())
	}
	t = t.trim(delims)
	var b builder
	for i := range t.len() {
		if t.s[i] != '"' {
			b.add(t.sub(i, i+1))
		}
	}
	if t = b.text(); t.len() == 0 {
		if s.out.exact() {
			return 0, s.printf("%s", winPath(s.cwd))
		}
		return 0, nil
	}
	if strings.HasPrefix(t.s, "/") || hasPattern(t.s) {
		return 0, notOffline(t, "")
	}
	return s.chdir(t)
}

// chdir changes the current directory.
func (s *session) chdir(t text) (int, error) {
	p, err := s.path(t)
	if err != nil {
		return 0, err
	}
	if p.null {
		return s.fail(1, "%s", windowsErrors[267])
	}
	dir, err := s.real(p.layer, true)
	if err == nil {
		var it *item
		if it, err = s.find(dir); err == nil && !it.dir() {
			return s.fail(1, "%s", windowsErrors[267])
		}
	}
	if missing(err) {
		return s.fail(1, "%s", windowsErrors[3])
	}
	if err != nil {
		return 0, placed(t, err)
	}
	s.cwd = dir
	return 0, nil
}

func cmdPushd(s *session, c call) (int, error) {
	operands, _, err := c.switches()
	if err != nil {
		return 0, err
	}
	if len(operands) != 1 {
		return 0, syntax(c.name, "one directory is needed")
	}
	old := s.cwd
	code, err := s.chdir(operands[0])
	if err == nil && code == 0 {
		if len(s.dirs) >= maxNesting {
			return 0, fmt.Errorf("%w of %d pushd", ErrLimit, maxNesting)
		}
		s.dirs = append(s.dirs, old)
	}
	return code, err
}

func cmdPopd(s *session, c call) (int, error) {
	if operands, _, err := c.switches(); err != nil || len(operands) > 0 {
		return 0, errors.Join(err, syntax(c.name, "no operand is allowed"))
	}
	n := len(s.dirs)
	if n == 0 {
		return 1, nil
	}
	s.cwd, s.dirs = s.dirs[n-1], s.dirs[:n-1]
	return 0, nil
}

func cmdExit(s *session, c call) (int, error) {
	operands, _, err := c.switches("/b")
	if err != nil {
		return 0, err
	}
	switch len(operands) {
	case 0:
	case 1:
		n, err := strconv.ParseInt(operands[0].s, 10, 32)
		if err != nil {
			return 0, syntax(operands[0], "not a number")
		}
		s.level = int(n)
	default:
		return 0, syntax(c.name, "one number at most")
	}
	return s.level, errExit
}

// cmdNothing is a command that changes nothing in an image.
func cmdNothing(s *session, c call) (int, error) {
	if c.rest.len() > 0 && strings.HasPrefix(strings.TrimLeft(c.rest.s, delims), "/") {
		return 0, notOffline(c.rest.trim(delims), "")
	}
	return 0, nil
}

// cmdType copies a file to the output.
func cmdType(s *session, c call) (int, error) {
	operands, _, err := c.switches()
	if err != nil {
		return 0, err
	}
	if len(operands) != 1 || hasPattern(operands[0].s) {
		return 0, &wordError{at: c.name.from(), word: c.name.s, err: fmt.Errorf("%w: one file, not %d or a pattern", ErrNotOffline, len(operands))}
	}
	p, err := s.locate(operands[0], true)
	if err != nil && !missing(err) || p.null {
		return 0, err
	}
	var it *item
	if err == nil {
		it, err = s.find(p.layer)
	}
	if missing(err) {
		return s.fail(1, "%s", windowsErrors[2])
	}
	if err != nil {
		return 0, placed(operands[0], err)
	}
	if it.dir() {
		return s.fail(1, "%s", windowsErrors[5])
	}
	if err := guard(p.layer); err != nil {
		return 0, placed(operands[0], err)
	}
	if !s.out.exact() {
		return 0, nil // nobody reads it
	}
	b, err := s.readFile(p.layer, maxOutput)
	if err != nil {
		return 0, placed(operands[0], err)
	}
	if len(b) >= 2 && b[0] == 0xFF && b[1] == 0xFE {
		return 0, notOffline(operands[0], "type converts UTF-16; use copy")
	}
	_, err = s.out.Write(b)
	return 0, err
}
