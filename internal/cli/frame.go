package cli

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"sync"
	"unicode/utf8"
)

// frame is the writer of the progress bars: it keeps them in place on a terminal whose
// size changes. The library writes each state of the bars at once: ESC [ n A ESC [ J, which
// goes back over the n rows of the state before, and the rows, each with a line break. When
// a terminal becomes narrower it breaks long rows, so that more than n are to be gone over.
// frame counts them, cuts rows that are too long for the present width, and writes messages
// above the bars.
type frame struct {
	mu   sync.Mutex
	w    io.Writer
	size func() (columns, rows int) // of the terminal, 0 if unknown
	last []int                      // widths of the rows on the screen
	open bool                       // bars are drawn
}

// barWidth is the number of columns that a bar and its numbers take where there is room.
const barWidth = 78

// back is written by the library.
var back = regexp.MustCompile(`^\x1b\[\d+A\x1b\[J`)

// Write implements io.Writer for the library.
func (f *frame) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.open {
		return len(p), nil
	}
	text := p[len(back.Find(p)):]
	columns, rows := f.size()
	var b bytes.Buffer
	f.clear(&b)
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	if len(text) == 0 {
		lines = nil
	}
	if rows > 1 && len(lines) >= rows {
		lines = lines[len(lines)-rows+1:]
	}
	for _, line := range lines {
		n := utf8.RuneCount(line)
		for columns > 0 && n >= columns {
			_, size := utf8.DecodeLastRune(line)
			line, n = line[:len(line)-size], n-1
		}
		b.Write(line)
		b.WriteByte('\n')
		f.last = append(f.last, n)
	}
	if _, err := f.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// clear appends the sequence that removes the bars from the screen.
func (f *frame) clear(b *bytes.Buffer) {
	columns, _ := f.size()
	up := 0
	for _, n := range f.last {
		up++
		if columns > 0 && n > 0 {
			up += (n - 1) / columns
		}
	}
	if up > 0 {
		b.WriteString("\x1b[" + strconv.Itoa(up) + "A\x1b[J")
	}
	f.last = f.last[:0]
}

// above writes whole lines above the bars.
func (f *frame) above(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b bytes.Buffer
	f.clear(&b)
	b.Write(p)
	if _, err := f.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end removes the bars for good.
func (f *frame) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b bytes.Buffer
	f.clear(&b)
	_, _ = f.w.Write(b.Bytes())
	f.open = false
}
