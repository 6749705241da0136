package cli

import (
	"context"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bars holds the progress bars of one command.
type bars struct {
	p     *mpb.Progress
	frame *frame
}

// bar is one line of progress; nil is a bar that draws nothing.
type bar struct{ b *mpb.Bar }

// progress returns a bar for total bytes; a total of 0 means unknown. It returns nil,
// which draws nothing, without a terminal and with --quiet or --json.
func (c *console) progress(label string, total int64) *bar {
	if c.quiet || c.json || !c.errTerminal {
		return nil
	}
	c.drawing.Lock()
	defer c.drawing.Unlock()
	if c.noBars {
		return nil
	}
	if c.bars == nil {
		f := &frame{w: c.errFile, size: func() (int, int) { return terminalSize(c.errFile) }, open: true}
		c.bars = &bars{mpb.NewWithContext(context.Background(), mpb.WithOutput(f), mpb.WithAutoRefresh(), mpb.WithWidth(barWidth)), f}
	}
	style, counters := mpb.BarStyle().Build(), func(s decor.Statistics) string {
		return formatSize(s.Current) + " / " + formatSize(s.Total)
	}
	if total == 0 {
		style, counters = mpb.SpinnerStyle().PositionLeft().Build(), func(s decor.Statistics) string { return formatSize(s.Current) }
	}
	return &bar{c.bars.p.MustAdd(total, style,
		mpb.PrependDecorators(decor.Name(label, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(counters, decor.WCSyncSpace), decor.Name("  "), decor.Any(averageSpeed(time.Now))),
	)}
}

// averageSpeed returns the text of a bar that shows the bytes of a second since now, up to
// the end of the bar: "1.5 MiB/s".
func averageSpeed(now func() time.Time) func(decor.Statistics) string {
	start, text := now(), ""
	return func(s decor.Statistics) string {
		if text != "" && (s.Completed || s.Aborted) {
			return text
		}
		var speed float64
		if d := now().Sub(start).Seconds(); d > 0 {
			speed = float64(s.Current) / d
		}
		text = formatSize(int64(min(speed, 1<<62))) + "/s"
		return text
	}
}

// drawn reports whether a bar is shown.
func (c *console) drawn() bool {
	c.drawing.Lock()
	defer c.drawing.Unlock()
	return c.bars != nil
}

// add moves the bar by n bytes.
func (b *bar) add(n int64) {
	if b != nil {
		b.b.IncrInt64(n)
	}
}

// done completes the bar, even if the announced total was not reached.
func (b *bar) done() {
	if b != nil {
		b.b.SetTotal(-1, true)
	}
}

// read returns a reader of r that advances the bar.
func (b *bar) read(r io.Reader) io.Reader {
	if b == nil {
		return r
	}
	return &barReader{r, b}
}

type barReader struct {
	r io.Reader
	b *bar
}

func (r *barReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.b.add(int64(n))
	return n, err
}

// count returns a reader of r that adds to bytesRead.
func (c *console) count(r io.Reader) io.Reader { return &countedReader{r, c} }

type countedReader struct {
	r io.Reader
	c *console
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.c.bytesRead.Add(int64(n))
	return n, err
}

// messages is standard error. While bars are drawn, messages appear above them.
type messages struct {
	c *console
	w io.Writer
}

func (m *messages) Write(p []byte) (int, error) {
	m.c.drawing.Lock()
	defer m.c.drawing.Unlock()
	if m.c.bars != nil {
		return m.c.bars.frame.above(p)
	}
	return m.w.Write(p)
}

// stopProgress removes the progress bars, so that other output can follow.
func (c *console) stopProgress() {
	c.drawing.Lock()
	defer c.drawing.Unlock()
	if c.bars != nil {
		c.bars.p.Shutdown()
		c.bars.frame.end()
		c.bars = nil
	}
}

// endProgress stops all progress bars and prevents new ones.
func (c *console) endProgress() {
	c.stopProgress()
	c.drawing.Lock()
	defer c.drawing.Unlock()
	c.noBars = true
}
