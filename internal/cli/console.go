package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
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
	bars    *bars  // progress on the terminal, nil until the first bar

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

// terminal reports whether notes go to a terminal, where progress may be drawn.
func (c *console) terminal() bool {
	f, ok := c.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
