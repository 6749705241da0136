package dockerfile

import (
	"errors"
	"fmt"
	"strings"
)

// Reasons of an Error, which errors.Is finds in it.
var (
	// ErrSyntax reports a Dockerfile that BuildKit's parser refuses.
	ErrSyntax = errors.New("invalid Dockerfile")
	// ErrUnsupported reports what is valid and needs a running Windows, a network or a
	// feature that this builder does not have.
	ErrUnsupported = errors.New("not supported by this builder")
	// ErrStage reports a stage that does not exist, or that comes later than its use.
	ErrStage = errors.New("no such stage")
	// ErrPath reports a path that is not one on the system drive of a container.
	ErrPath = errors.New("invalid path")
	// ErrLimit reports a Dockerfile that is larger than this package reads.
	ErrLimit = errors.New("the Dockerfile is too large")
)

// Error is an error with its place in a Dockerfile.
type Error struct {
	File string // as Options has it
	// Line and Column are those where the fault begins, from 1. EndLine is the last line of
	// the instruction.
	Line, Column, EndLine int
	// Instruction is the first line of the instruction, "" if the fault is in none.
	Instruction string
	// Hint says what to do, "" if there is nothing to say.
	Hint string
	Err  error

	source []string
	first  int // line of the instruction
}

// Place formats as "Dockerfile:3:5".
func (e *Error) Place() string {
	if e.Line == 0 {
		return e.File
	}
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
}

// Error formats as "Dockerfile:3:5: RUN ver: cause". The instruction is shortened.
func (e *Error) Error() string {
	s := e.Place()
	if e.Instruction != "" {
		s += ": " + short(e.Instruction, 60)
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Excerpt returns the lines around the fault, as Docker prints them: each with its number,
// those of the instruction marked. Without a line it is "".
func (e *Error) Excerpt() string { return excerpt(e.Place(), e.source, e.first, e.EndLine) }

// maxExcerpt is how many lines an excerpt has at most, and maxExcerptLine how many bytes each.
const (
	maxExcerpt     = 24
	maxExcerptLine = 400
)

func excerpt(title string, source []string, line, end int) string {
	if line < 1 || line > len(source) {
		return ""
	}
	end = min(max(line, end), len(source))
	pad := 2
	if end == line {
		pad = 4
	}
	first, last := line, end
	for p := 0; p < pad; p++ {
		if first > 1 {
			first--
			p++
		}
		if last < len(source) {
			last++
			p++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n--------------------\n", title)
	for n := first; n <= last; n++ {
		if n-first == maxExcerpt {
			fmt.Fprintf(&b, "     |     (%d more lines)\n", last-n+1)
			break
		}
		mark := "   "
		if n >= line && n <= end {
			mark = ">>>"
		}
		fmt.Fprintf(&b, " %3d | %s %s\n", n, mark, short(source[n-1], maxExcerptLine))
	}
	b.WriteString("--------------------\n")
	return b.String()
}

// short returns the first line of a text, cut at about n bytes.
func short(s string, n int) string {
	s, _, more := strings.Cut(s, "\n")
	s = strings.TrimRight(s, "\r")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
		more = true
	}
	if more {
		s += " …"
	}
	return s
}

// Warning is a remark of BuildKit's linter, or of this builder, that does not end the build.
type Warning struct {
	File    string
	Line    int    // from 1, 0 if unknown
	Rule    string // name of the linter's rule, as in "# check=skip=NAME"; "" for the builder's own
	Message string
	URL     string // of the rule's description
}

// String formats as "Dockerfile:3: message (Rule)".
func (w Warning) String() string {
	s := w.File
	if w.Line > 0 {
		s += fmt.Sprintf(":%d", w.Line)
	}
	s += ": " + w.Message
	if w.Rule != "" {
		s += " (" + w.Rule + ")"
	}
	return s
}
