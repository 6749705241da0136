package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Run carries out a command in the shell form of a Dockerfile. Shell is that of the SHELL
// instruction, nil for cmd /S /C; command is the text after it, with the line breaks that a
// heredoc may contain. As in Docker, both make one command line.
//
// What the commands changed before an error remains changed: after an error, the caller
// discards the container. The error is an *Error, except that of ctx.
func Run(ctx context.Context, c *Container, shell []string, command string) error {
	if len(shell) == 0 {
		shell = []string{"cmd", "/S", "/C"}
	}
	var b builder
	b.put(strings.Join(shell, " ")+" ", -1)
	b.add(newText(command))
	return start(ctx, c, command, b.text())
}

// Exec carries out a command in the exec form: a program and its arguments. The columns of
// errors are those of the command line that the arguments make.
func Exec(ctx context.Context, c *Container, args []string) error {
	line := joinArgs(args)
	return start(ctx, c, line, newText(line))
}

func start(ctx context.Context, c *Container, line string, t text) error {
	s, err := newSession(ctx, c)
	if err == nil {
		var code int
		code, err = s.process(t)
		if err == nil && code != 0 {
			err = &ExitError{Code: code, Output: strings.ReplaceAll(string(s.tail.b), "\r\n", "\n")}
		}
		if err == nil {
			err = c.flush(s)
		}
	}
	if err == nil {
		return nil
	}
	c.user = nil
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return result(line, err)
}

// process runs a command line that names a program.
func (s *session) process(t text) (int, error) {
	t = t.trim(" \t")
	if s.depth++; s.depth > 16 {
		return 0, fmt.Errorf("%w of 16 shells in shells", ErrLimit)
	}
	defer func() { s.depth-- }()
	name, rest := programName(t)
	p := programNamed(name.s)
	if p == nil {
		return 0, notOffline(name, "")
	}
	return s.program(p, name, rest)
}

// programName cuts the name of a program off a command line.
func programName(t text) (name, rest text) {
	quoted := false
	i := 0
	for ; i < t.len() && (quoted || t.s[i] != ' ' && t.s[i] != '\t'); i++ {
		if t.s[i] == '"' {
			quoted = !quoted
		}
	}
	return t.sub(0, i), t.sub(i, t.len())
}

// programNamed returns the row of a program by its name, with or without .exe, or by its
// path in the directory of Windows.
func programNamed(name string) *row {
	name = strings.ToLower(strings.ReplaceAll(strings.Trim(name, `"`), "/", `\`))
	if dir, base, ok := cutLast(name, `\`); ok {
		switch {
		case dir == `c:\windows\system32`, dir == `c:\windows\system32\windowspowershell\v1.0`, dir == `c:\program files\powershell`,
			dir == `c:\program files\powershell\latest`, dir == `c:\program files\powershell\7`:
		default:
			return nil
		}
		name = base
	}
	name = strings.TrimSuffix(name, ".exe")
	for i := range table() {
		r := &table()[i]
		if r.isProgram() && (r.Name == name || slices.Contains(r.Aliases, name)) {
			return r
		}
	}
	return nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// program runs a program of the table, unless the current directory has one of its name,
// which Windows would take.
func (s *session) program(p *row, name, rest text) (int, error) {
	if !strings.ContainsAny(name.s, `\/:`) {
		base := strings.TrimSuffix(strings.ToLower(strings.Trim(name.s, `"`)), ".exe")
		for _, ext := range []string{".com", ".exe", ".bat", ".cmd"} {
			_, err := s.find(s.cwd + `\` + base + ext)
			if err == nil && !strings.EqualFold(s.cwd, root+`\Windows\System32`) {
				return 0, &wordError{at: name.from(), word: name.s,
					err:    fmt.Errorf("%w: %s is not the program of Windows but one in the current directory", ErrNotOffline, winPath(s.cwd+`\`+base+ext)),
					advice: elsewhere}
			}
			if err != nil && !missing(err) {
				return 0, err
			}
		}
	}
	if err := s.plainOutput(p, name); err != nil {
		return 0, err
	}
	var code int
	var err error
	if p.line != nil {
		code, err = p.line(s, name, rest)
	} else {
		code, err = p.program(s, name, splitArgs(rest))
	}
	s.level = code
	return code, placed(name, err)
}

// plainOutput refuses to write output to a file if its text is not known to the letter.
func (s *session) plainOutput(p *row, name text) error {
	if !p.exact && s.out.exact() {
		return &wordError{at: name.from(), word: name.s, err: fmt.Errorf("%w: what it prints would be kept in a file", ErrNotOffline),
			advice: "redirect its output to nul, or not at all"}
	}
	return nil
}
