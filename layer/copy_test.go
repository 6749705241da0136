package layer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
)

func TestCopyCounts(t *testing.T) {
	src := parse(t, "d Files", `f Files\a=12345`, `l Files\b>Files\a`, `w Files\x`, `o Files\y`, `d Files\d,:s=abc`)
	r, _ := src.Open()
	rec := &layertest.Recorder{}
	var last layer.Progress
	calls := 0
	got, err := layer.Copy(context.Background(), rec, r, layer.WithProgress(func(p layer.Progress) { last = p; calls++ }))
	if err != nil {
		t.Fatal(err)
	}
	want := layer.Stats{Entries: 6, Files: 1, Dirs: 2, Links: 1, Whiteouts: 2, Streams: 2, Bytes: 8}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if last.Stats != want || calls < 7 {
		t.Errorf("last of %d reports of progress: %+v", calls, last)
	}
	if rec.Committed {
		t.Error("Copy has committed")
	}
}

func TestCopyKeepsHoles(t *testing.T) {
	const size = 3 << 20
	data := make([]byte, size)
	copy(data[1<<20:], "data")
	src := &layertest.Layer{Items: []layertest.Item{{
		Entry:   layer.Entry{Path: "f", Kind: layer.File, Size: size},
		Streams: []layertest.Stream{{Sparse: true, Data: data, Extents: []layer.Extent{{Offset: 1 << 20, Length: 4}}}},
	}}}
	r, _ := src.Open()
	rec := &layertest.Recorder{}
	stats, err := layer.Copy(context.Background(), rec, r)
	if err != nil {
		t.Fatal(err)
	}
	if stats.Bytes != size || stats.HoleBytes != size-4 {
		t.Errorf("%d bytes, %d of them holes", stats.Bytes, stats.HoleBytes)
	}
	if x := rec.Items[0].Streams[0].Extents; len(x) != 1 || x[0] != (layer.Extent{Offset: 1 << 20, Length: 4}) {
		t.Errorf("extents %v", x)
	}
	if string(rec.Items[0].Streams[0].Data) != string(data) {
		t.Error("the content differs")
	}
}

func TestCopyLimits(t *testing.T) {
	src := parse(t, "d Files", `f Files\a=12345`, `f Files\b=1234567`, `d Files\d,:s=abc`)
	for name, limits := range map[string]layer.Limits{
		"Entries":     {Entries: 3},
		"FileSize":    {FileSize: 6},
		"TotalSize":   {TotalSize: 14},
		"Streams":     {Streams: 1},
		"MetadataLen": {MetadataLen: 6},
	} {
		src := src
		if name == "Streams" {
			src = parse(t, "d Files", `f Files\a=1`)
			src.Items[1].Streams = append(src.Items[1].Streams, layertest.Stream{Name: "s"})
		}
		r, _ := src.Open()
		_, err := layer.Copy(context.Background(), &layertest.Recorder{}, r, layer.WithLimits(limits))
		var limit *layer.LimitError
		if !errors.As(err, &limit) || limit.Limit != name || !errors.Is(err, layer.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
		// One more of everything is within the limit.
		limits = layer.Limits{Entries: 4, FileSize: 7, TotalSize: 15, Streams: 2, MetadataLen: 7}
		r, _ = src.Open()
		if _, err := layer.Copy(context.Background(), &layertest.Recorder{}, r, layer.WithLimits(limits)); name != "MetadataLen" && err != nil {
			if !errors.As(err, &limit) || limit.Limit != "MetadataLen" {
				t.Errorf("just within the limits: %v", err)
			}
		}
	}
}

// TestDepth: one limit for copies and unions.
func TestDepth(t *testing.T) {
	deep := func(n int) *layertest.Layer {
		return parse(t, "d Files", "f Files"+strings.Repeat(`\a`, n-1)+"=x")
	}
	for _, c := range []struct {
		depth  int
		limits layer.Limits
		ok     bool
	}{
		{1024, layer.Limits{}, true}, {1025, layer.Limits{}, false}, {1025, layer.Limits{Depth: -1}, true},
		{3, layer.Limits{Depth: 3}, true}, {4, layer.Limits{Depth: 3}, false},
	} {
		src := deep(c.depth)
		r, _ := src.Open()
		_, err := layer.Copy(context.Background(), &layertest.Recorder{}, r, layer.WithLimits(c.limits))
		v, err2 := layer.Union(context.Background(), []layer.Source{src}, layer.WithUnionLimits(c.limits))
		if v != nil {
			v.Close()
		}
		for _, err := range []error{err, err2} {
			var limit *layer.LimitError
			if c.ok != (err == nil) || err != nil && (!errors.As(err, &limit) || limit.Limit != "Depth") {
				t.Errorf("%d levels, %+v: %v", c.depth, c.limits, err)
			}
		}
	}
}

// maker makes directories.
type maker struct {
	sink
	made int64
}

func (m *maker) Add(*layer.Entry) error { m.made += 3; return nil }
func (m *maker) DirectoriesMade() int64 { return m.made }

func TestMadeDirectoriesCount(t *testing.T) {
	src := parse(t, `f Files\a\b\c\d=x`, `f Files\e\f\g\h=x`, `f Files\i\j\k\l=x`)
	for entries, ok := range map[int64]bool{9: true, 8: false} {
		r, _ := src.Open()
		_, err := layer.Copy(context.Background(), &maker{}, r, layer.WithLimits(layer.Limits{Entries: entries}))
		if ok != (err == nil) || err != nil && !errors.Is(err, layer.ErrLimit) {
			t.Errorf("%d entries: %v", entries, err)
		}
	}
}

// spendthrift makes a thousand directories for each entry.
type spendthrift struct{ maker }

func (m *spendthrift) Add(*layer.Entry) error { m.made += 1000; return nil }

func TestImpliedDirectoriesAreBounded(t *testing.T) {
	for n, ok := range map[int]bool{8: true, 20: false} {
		var lines []string
		for i := range n {
			lines = append(lines, fmt.Sprintf(`f Files\d%d\x=x`, i))
		}
		r, _ := parse(t, lines...).Open()
		_, err := layer.Copy(context.Background(), &spendthrift{}, r)
		var limit *layer.LimitError
		if ok != (err == nil) || err != nil && !errors.As(err, &limit) {
			t.Errorf("%d entries: %v", n, err)
		}
	}
}

// liar announces other sizes than it has.
type liar struct {
	layer.Reader
	by int64
}

func (l liar) NextStream() (*layer.Stream, error) {
	s, err := l.Reader.NextStream()
	if err == nil {
		c := *s
		c.Size += l.by
		s = &c
	}
	return s, err
}

func TestCopyHoldsReadersToTheirSizes(t *testing.T) {
	for _, by := range []int64{-1, 1} {
		r, _ := parse(t, "d Files", `f Files\a=12345`).Open()
		_, err := layer.Copy(context.Background(), &layertest.Recorder{}, liar{r, by})
		var placed *layer.Error
		if !errors.Is(err, layer.ErrStreamSize) || !errors.As(err, &placed) || placed.Entry != `Files\a` {
			t.Errorf("by %d: %v", by, err)
		}
	}
}

// endless has one file of zeros without end.
type endless struct{ cancel func() }

func (e *endless) Next() (*layer.Entry, error) {
	return &layer.Entry{Path: "f", Kind: layer.File, Size: -1}, nil
}
func (e *endless) NextStream() (*layer.Stream, error) { return &layer.Stream{Size: 1 << 39}, nil }
func (e *endless) Read(p []byte) (int, error) {
	e.cancel()
	clear(p)
	return len(p), nil
}
func (e *endless) Close() error { return nil }

type sink struct{}

func (sink) Add(*layer.Entry) error        { return nil }
func (sink) AddStream(*layer.Stream) error { return nil }
func (sink) Write(p []byte) (int, error)   { return len(p), nil }
func (sink) Commit() error                 { return nil }
func (sink) Close() error                  { return nil }

func TestCopyIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	stats, err := layer.Copy(ctx, sink{}, &endless{cancel})
	if !errors.Is(err, context.Canceled) || stats.Bytes > 64<<20 {
		t.Errorf("%v after %d bytes", err, stats.Bytes)
	}
	r, _ := parse(t, "d Files").Open()
	if _, err := layer.Copy(ctx, sink{}, r); !errors.Is(err, context.Canceled) {
		t.Errorf("a copy that begins after the cancellation: %v", err)
	}
}

// holes is a reader of one stream that is all hole, and a writer that cancels in the
// middle of it.
type holes struct {
	sink
	cancel  func()
	entries int
	written int64
}

const holeSize = 1 << 40

func (h *holes) Next() (*layer.Entry, error) {
	if h.entries++; h.entries > 1 {
		return nil, io.EOF
	}
	return &layer.Entry{Path: "f", Kind: layer.File, Size: holeSize}, nil
}
func (h *holes) NextStream() (*layer.Stream, error) {
	return &layer.Stream{Size: holeSize, Sparse: true}, nil
}
func (h *holes) Read([]byte) (int, error)          { return 0, io.EOF }
func (h *holes) NextExtent() (layer.Extent, error) { return layer.Extent{}, io.EOF }
func (h *holes) FillsHole(int64) bool              { return true }
func (h *holes) WriteHole(n int64) error {
	if h.written += n; h.written > 1<<30 {
		h.cancel()
	}
	return nil
}

// A writer may have to write a hole as zeros.
func TestCopyOfHoleIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	h := &holes{cancel: cancel}
	if _, err := layer.Copy(ctx, h, h, layer.WithLimits(layer.Limits{Ratio: -1})); !errors.Is(err, context.Canceled) || h.written > 2<<30 {
		t.Errorf("%v after %d bytes", err, h.written)
	}
}

func TestCopyFilter(t *testing.T) {
	r, _ := parse(t, "d Files", `f Files\a=1`, `f Files\b=2`).Open()
	rec := &layertest.Recorder{}
	_, err := layer.Copy(context.Background(), rec, r, layer.WithFilter(func(e *layer.Entry) bool {
		e.Path = "X" + e.Path
		return e.Path != `XFiles\a`
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := words(&rec.Layer); !sameSet(got, []string{"d XFiles", `f XFiles\b=2`}) {
		t.Errorf("%q", got)
	}
}

type failing struct{ layer.Reader }

func (failing) Next() (*layer.Entry, error) { return nil, io.ErrUnexpectedEOF }

func TestCopyPassesErrors(t *testing.T) {
	_, err := layer.Copy(context.Background(), sink{}, failing{})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
