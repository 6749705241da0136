package dockerfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Limits of a Dockerfile. One that people write has a few kilobytes; docker's own clients
// refuse far smaller requests than this.
const (
	maxDockerfile   = 1 << 20
	maxInstructions = 10_000
)

// source is a parsed Dockerfile.
type source struct {
	name   string
	lines  []string
	stages []instructions.Stage
	args   []instructions.ArgCommand // before the first FROM
	escape rune
	lint   *linter.Linter
}

// readSource reads and parses a Dockerfile. The warnings are those of the parser.
func readSource(name string, r io.Reader, warn func(Warning)) (*source, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDockerfile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxDockerfile {
		return nil, fmt.Errorf("%s: %w: it has more than %d bytes", name, ErrLimit, maxDockerfile)
	}
	s := &source{name: name, lines: strings.Split(string(data), "\n")}
	for i, l := range s.lines {
		s.lines[i] = strings.TrimRight(l, "\r")
		// The shell words of BuildKit are read by a scanner that complains on standard error.
		if !utf8.ValidString(l) || strings.Contains(l, "\x00") {
			column := 1 + strings.IndexFunc(l, func(r rune) bool { return r == utf8.RuneError || r == 0 })
			return nil, &Error{File: name, Line: i + 1, Column: column, EndLine: i + 1, Err: fmt.Errorf("%w: the line is not text in UTF-8", ErrSyntax), source: s.lines, first: i + 1}
		}
	}
	return s, s.parse(data, warn)
}

func (s *source) parse(data []byte, warn func(Warning)) error {
	if err := s.checkSyntaxDirective(data); err != nil {
		return err
	}
	checks, _, _, _ := parser.ParseDirective("check", data)
	config, err := linter.ParseLintOptions(checks)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", s.name, ErrSyntax, err)
	}
	config.Warn = func(rule, description, url, message string, at []parser.Range) {
		warn(Warning{File: s.name, Line: firstLine(at), Rule: rule, Message: message, URL: url})
	}
	s.lint = linter.New(config)
	tree, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return s.syntax(err)
	}
	if n := len(tree.AST.Children); n > maxInstructions {
		return fmt.Errorf("%s: %w: it has %d instructions, more than %d", s.name, ErrLimit, n, maxInstructions)
	}
	for _, w := range tree.Warnings {
		if w.URL == linter.RuleNoEmptyContinuation.URL {
			s.lint.Run(&linter.RuleNoEmptyContinuation, []parser.Range{*w.Location}, linter.RuleNoEmptyContinuation.Format())
		}
	}
	s.escape = tree.EscapeToken
	if s.stages, s.args, err = instructions.Parse(tree.AST, s.lint); err != nil {
		return s.syntax(err)
	}
	if len(s.stages) == 0 {
		return fmt.Errorf("%s: %w: it has no FROM", s.name, ErrSyntax)
	}
	s.lintNames()
	return nil
}

// checkSyntaxDirective accepts "# syntax=" lines that name Docker's own frontend, whose
// language this builder reads. Any other image would be a program that defines a language of
// its own.
func (s *source) checkSyntaxDirective(data []byte) error {
	image, _, at, ok := parser.ParseDirective("syntax", data)
	if !ok {
		return nil
	}
	name, _, _ := strings.Cut(image, "@")
	name, tag, tagged := strings.Cut(strings.TrimPrefix(name, "docker.io/"), ":")
	if (name == "docker/dockerfile" || name == "docker/dockerfile-upstream") &&
		(!tagged || tag == "1" || strings.HasPrefix(tag, "1.") || strings.HasPrefix(tag, "1-") || tag == "latest" || tag == "labs" || name == "docker/dockerfile-upstream") {
		return nil
	}
	return s.at(at, "", fmt.Errorf("%w: the frontend %s is a program of its own; docker/dockerfile:1 is built in", ErrUnsupported, short(image, 100)))
}

// syntax turns an error of BuildKit's parser into one with its place.
func (s *source) syntax(err error) error {
	cause := err
	var at *parser.LocationError
	var where []parser.Range
	if errors.As(err, &at) {
		cause = at.Unwrap()
		if len(at.Locations) > 0 {
			where = at.Locations[0]
		}
	}
	return s.at(where, "", fmt.Errorf("%w: %w", ErrSyntax, cause))
}

// at makes an Error. word is the text in the instruction at which the fault is, "" for none.
func (s *source) at(where []parser.Range, word string, err error) error {
	return s.atOccurrence(where, word, 0, err)
}

// atOccurrence is at for a word that occurs before, skip times.
func (s *source) atOccurrence(where []parser.Range, word string, skip int, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err // the fault of no instruction
	}
	e := &Error{File: s.name, Line: firstLine(where), EndLine: lastLine(where), Err: err, source: s.lines}
	if e.Line < 1 || e.Line > len(s.lines) {
		e.Line, e.EndLine = 0, 0
		return e
	}
	e.first, e.EndLine = e.Line, min(max(e.Line, e.EndLine), len(s.lines))
	first := s.lines[e.Line-1]
	e.Instruction = strings.TrimSpace(first)
	e.Column = 1 + len(first) - len(strings.TrimLeft(first, " \t"))
	if word == "" {
		return e
	}
	found := false
	for n := e.first; n <= e.EndLine; n++ {
		line := s.lines[n-1]
		for at := 0; ; skip-- {
			i := strings.Index(line[at:], word)
			if i < 0 {
				break
			}
			if !found || skip >= 0 {
				e.Line, e.Column, found = n, at+i+1, true
			}
			at += i + len(word)
		}
	}
	return e
}

func firstLine(at []parser.Range) int {
	line := 0
	for _, r := range at {
		if line == 0 || r.Start.Line < line {
			line = r.Start.Line
		}
	}
	return line
}

func lastLine(at []parser.Range) int {
	line := 0
	for _, r := range at {
		line = max(line, r.Start.Line, r.End.Line)
	}
	return line
}

// trigger parses an ONBUILD trigger of a base image, or of a stage, as an instruction at the
// FROM that carries it out.
func (s *source) trigger(text string, from []parser.Range) (instructions.Command, error) {
	if len(text) > maxDockerfile {
		return nil, fmt.Errorf("%w: an ONBUILD trigger has %d bytes", ErrLimit, len(text))
	}
	tree, err := parser.Parse(strings.NewReader(text))
	if err == nil && len(tree.AST.Children) != 1 {
		err = errors.New("it is not one instruction")
	}
	var c instructions.Command
	if err == nil {
		node := tree.AST.Children[0]
		node.StartLine, node.EndLine = firstLine(from), lastLine(from)
		c, err = instructions.ParseCommand(node)
	}
	if err != nil {
		var at *parser.LocationError
		if errors.As(err, &at) {
			err = at.Unwrap()
		}
		return nil, fmt.Errorf("%w: ONBUILD %s: %w", ErrSyntax, short(text, 60), err)
	}
	return c, nil
}
