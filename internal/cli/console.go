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
	"time"

	"github.com/mullion/mullion/layer"
	"golang.org/x/term"
)

// A console holds the standard streams of a command and the values of the global flags.
type console struct {
	in       io.Reader
	out, err io.Writer

	quiet, json, verbose bool
	bytes                bool // print exact sizes
	terminal             bool // results go to a terminal
	colour, errColour    bool // results and messages have colours
	errTerminal          bool // messages go to a terminal, errFile
	errFile              io.Writer
	width                int // columns of the terminal that takes the results, 0 if none does

	limits  layer.Limits // from --limit
	caching cacheFlags

	running bool      // RunE of a command was entered
	command string    // its name, "cim create"
	subject string    // its first argument
	started time.Time // when it was entered

	written     *jsonWritten // what the command has written
	printedJSON bool         // a document of its own was printed

	drawing sync.Mutex // guards bars and noBars: layers are read concurrently
	bars    *bars      // progress on the terminal, nil until the first bar
	noBars  bool       // results were written to the terminal

	bytesRead atomic.Int64 // of blobs and tars, before decompression
}

// printf prints a result as text. Strings from images are escaped by visible, so that
// they can neither control the terminal nor forge lines.
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

// printText prints lines whose parts were escaped by visible.
func (c *console) printText(lines string) error {
	_, err := io.WriteString(c.out, lines)
	return err
}

// visible escapes all characters of a text that are not printable: control characters,
// line breaks and changes of text direction become \uXXXX, bytes that are not UTF-8
// become \xXX. All text that the program prints goes through it.
func visible(s string) string { return escapeControl(s) }

// notef prints a note on standard error if --verbose is set.
func (c *console) notef(format string, a ...any) {
	if c.verbose && !c.quiet {
		fmt.Fprintf(c.err, "%s\n", visible(fmt.Sprintf(format, a...)))
	}
}

// printJSON prints one indented document.
func (c *console) printJSON(v any) error {
	c.printedJSON = true
	e := json.NewEncoder(&jsonText{w: c.out})
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printJSONLine prints one object on one line, for listings that can be long.
func (c *console) printJSONLine(v any) error {
	c.printedJSON = true
	e := json.NewEncoder(&jsonText{w: c.out})
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// sparing lowers the target of the garbage collector, less than thrifty, for commands that
// read layers to their ends: an index of each grows meanwhile.
func sparing() {
	if os.Getenv("GOGC") != "" {
		return
	}
	const percent = 25
	if old := debug.SetGCPercent(percent); old >= 0 && old < percent {
		debug.SetGCPercent(old)
	}
}

// thrifty lowers the target of the garbage collector for commands whose memory grows
// with the number of files, or with a hive. The tree of an image, or a hive, consists of
// large blocks without pointers, so a collection costs little. The environment variable GOGC takes precedence.
func thrifty() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(10)
	}
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth returns the columns of a terminal, or 0 if w is none or has no size.
func terminalWidth(w io.Writer) int {
	columns, _ := terminalSize(w)
	return columns
}

// terminalSize returns the columns and rows of a terminal, 0 if w is none.
func terminalSize(w io.Writer) (columns, rows int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, rows
}

// results is the standard output of commands. Writes fail after ctx is done, so that
// listings end at an interruption. On a terminal the first write stops all progress
// bars, which otherwise would overwrite lines of the result.
type results struct {
	ctx      context.Context
	c        *console
	w        io.Writer
	terminal bool
	closed   atomic.Bool           // the reader closed the pipe; the error is not reported
	failed   atomic.Pointer[error] // of a write; cobra drops those of help
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
	if err != nil {
		r.failed.Store(&err)
	}
	return n, err
}
