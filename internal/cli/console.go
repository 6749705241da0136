package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

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

// printf prints a result.
func (c *console) printf(format string, a ...any) error {
	_, err := fmt.Fprintf(c.out, format, a...)
	return err
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
}

func (r *results) Write(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.terminal {
		r.c.endProgress()
	}
	return r.w.Write(p)
}
