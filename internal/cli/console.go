package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/mullion/mullion/layer"
	"golang.org/x/term"
)

// console is where a command reads and prints, and what the global flags say.
type console struct {
	in       io.Reader
	out, err io.Writer

	quiet, json, verbose bool

	limits layer.Limits // from --limit

	running bool   // a command's body was entered
	subject string // its first argument

	drawing sync.Mutex // over the next two: layers are read side by side
	bars    *bars      // progress on the terminal, nil until the first bar
	noBars  bool       // results have come to the terminal

	bytesRead atomic.Int64 // of blobs and tars, as they are stored
}

// printf prints a result for people. Texts come from images, and do not command the
// terminal.
func (c *console) printf(format string, a ...any) error {
	for i, x := range a {
		if s, ok := x.(string); ok {
			a[i] = visible(s)
		}
	}
	_, err := fmt.Fprintf(c.out, format, a...)
	return err
}

// visible makes control characters \uXXXX, all but the ends of lines and tabs.
func visible(s string) string {
	commands := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if strings.IndexFunc(s, commands) < 0 {
		return s
	}
	var b strings.Builder
	for _, c := range splitRunes(s) {
		if r, _ := utf8.DecodeRuneInString(c); commands(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteString(c)
		}
	}
	return b.String()
}

// notef prints a note for people, on standard error, with --verbose.
func (c *console) notef(format string, a ...any) {
	if c.verbose && !c.quiet {
		fmt.Fprintf(c.err, format+"\n", a...)
	}
}

// printJSON prints one indented document.
func (c *console) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printJSONLine prints one object on one line, for listings that can be long.
func (c *console) printJSONLine(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// isTerminal reports whether somebody reads what is written to w as it comes.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// results is standard output as commands see it. After an interruption nothing more
// is printed, which ends whatever prints as it goes. On a terminal the first result
// ends all progress: bars go back over lines, and those may be results by then.
type results struct {
	ctx      context.Context
	c        *console
	w        io.Writer
	terminal bool
	closed   atomic.Bool // nobody reads any more, and nobody needs to be told
}

func (r *results) Write(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.terminal {
		r.c.endProgress()
	}
	n, err := r.w.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		r.closed.Store(true)
	}
	return n, err
}
