package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mullion/mullion/layer"
)

// jsonWritten is the document of a command whose result is a file, a directory or a layer.
// Commands record it with console.wrote; it is printed when the command ends.
type jsonWritten struct {
	Command string     `json:"command"`
	Source  wtf8       `json:"source,omitempty"` // as given on the command line
	Output  wtf8       `json:"output"`           // likewise
	Size    *int64     `json:"size,omitempty"`   // bytes of the file
	Counts  *jsonStats `json:"counts,omitempty"` // of a layer
}

// jsonStats counts what a layer consists of.
type jsonStats struct {
	Entries     int64 `json:"entries"`
	Files       int64 `json:"files"`
	Directories int64 `json:"directories"`
	Links       int64 `json:"links"`
	Whiteouts   int64 `json:"whiteouts"`
	Streams     int64 `json:"streams"`
	Bytes       int64 `json:"bytes"` // of all streams
}

func statsOf(s layer.Stats) *jsonStats {
	return &jsonStats{s.Entries, s.Files, s.Dirs, s.Links, s.Whiteouts, s.Streams, s.Bytes}
}

// wroteFile records that the command has written a file.
func (c *console) wroteFile(path string) {
	w := &jsonWritten{Output: wtf8(path)}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		size := info.Size()
		w.Size = &size
	}
	c.wrote(w)
}

// wroteLayer records that the command has written a layer or a directory.
func (c *console) wroteLayer(output string, s layer.Stats) {
	c.wrote(&jsonWritten{Output: wtf8(output), Counts: statsOf(s)})
}

func (c *console) wrote(w *jsonWritten) {
	w.Command, w.Source = c.command, wtf8(c.subject)
	c.written = w
}

// finish prints the document of what was written, if no other document was printed, or
// the summary line on a terminal.
func (c *console) finish() error {
	w := c.written
	switch {
	case w == nil:
		return nil
	case c.json && !c.printedJSON:
		return c.printJSON(w)
	case w.Counts != nil:
		c.summary("%s: %s, %s", w.Output, counted(int(w.Counts.Files), "file"), c.size(w.Counts.Bytes))
	}
	return nil
}

// summary prints what long work has made and how long it took: on standard error, if that
// is a terminal, and not with --quiet or --json.
func (c *console) summary(format string, a ...any) {
	if c.quiet || c.json || !c.errTerminal {
		return
	}
	c.stopProgress()
	fmt.Fprintf(c.err, "%s in %s\n", visible(fmt.Sprintf(format, a...)), showDuration(time.Since(c.started)))
}

// counted returns a number with its noun: "1 file", "2 files", "2 indexes".
func counted(n int, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "x"):
		noun += "es"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// showDuration returns "0.3 s", "42 s" or "3 min 5 s".
func showDuration(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 9.95:
		return fmt.Sprintf("%.1f s", s)
	case s < 59.5:
		return fmt.Sprintf("%.0f s", s)
	}
	d = d.Round(time.Second)
	text := strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	text = strings.NewReplacer("h", " h ", "m", " min").Replace(text)
	return fmt.Sprintf("%s %d s", text, int(d.Seconds())%60)
}
