package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"

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

// printf prints a result for people. Texts that come from images are made visible, so
// that they neither command the terminal nor forge lines.
func (c *console) printf(format string, a ...any) error {
	for i, x := range a {
		switch x := x.(type) {
		case string:
			a[i] = visible(x)
		case int, int64, uint32, uint64, byte, rune, bool:
		default:
			a[i] = visibly{x}
		}
	}
	_, err := fmt.Fprintf(c.out, format, a...)
	return err
}

// visibly formats its value and makes the result visible.
type visibly struct{ v any }

// Format implements fmt.Formatter.
func (x visibly) Format(s fmt.State, verb rune) {
	_, _ = io.WriteString(s, visible(fmt.Sprintf(fmt.FormatString(s, verb), x.v)))
}

// printText prints lines that were made of visible texts.
func (c *console) printText(lines string) error {
	_, err := io.WriteString(c.out, lines)
	return err
}

// visible replaces everything in a text that is not printed as a character of its own:
// control characters, ends of lines among them, and those that turn the direction of
// what follows, become \uXXXX, bytes that are not UTF-8 \xXX. It is the one sanitizer of
// all text that the program prints.
func visible(s string) string { return escapeControl(s) }

// notef prints a note for people, on standard error, with --verbose.
func (c *console) notef(format string, a ...any) {
	if c.verbose && !c.quiet {
		fmt.Fprintf(c.err, "%s\n", visible(fmt.Sprintf(format, a...)))
	}
}

// printJSON prints one indented document.
func (c *console) printJSON(v any) error {
	e := json.NewEncoder(&jsonText{w: c.out})
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printJSONLine prints one object on one line, for listings that can be long.
func (c *console) printJSONLine(v any) error {
	e := json.NewEncoder(&jsonText{w: c.out})
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// thrifty makes the garbage collector run early, for commands whose memory grows with the
// number of files. The tree of an image consists of large blocks without pointers, so a
// collection costs little. The environment variable GOGC takes precedence.
func thrifty() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(10)
	}
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
