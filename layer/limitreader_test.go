package layer_test

import (
	"errors"
	"io"
	"testing"

	"github.com/mullion/mullion/layer"
)

// LimitReader ends at the entry or stream that exceeds a limit and names it; sizes count
// whether streams are read or not, and once.
func TestLimitReader(t *testing.T) {
	entries := tree(t, "d Files", `f Files\a`, `d Files\d`, `f Files\d\b`)
	for i := range entries {
		if entries[i].Kind == layer.File {
			entries[i].Size = 10
		}
	}
	for _, c := range []struct {
		limits layer.Limits
		want   string // "" for the end of the layer
	}{
		{layer.Limits{}, ""},
		{layer.Limits{Entries: 4, Depth: 3, FileSize: 10, TotalSize: 20, Streams: 1, MetadataLen: 9}, ""},
		{layer.Limits{Entries: 3}, `read: entry 4 "Files\d\b": limit exceeded: Entries is 3`},
		{layer.Limits{Depth: 2}, `read: entry 4 "Files\d\b": limit exceeded: Depth is 2`},
		{layer.Limits{MetadataLen: 6}, `read: entry 2 "Files\a": limit exceeded: MetadataLen is 6`},
		{layer.Limits{FileSize: 9}, `read: entry 2 "Files\a": limit exceeded: FileSize is 9`},
		{layer.Limits{TotalSize: 19}, `read: entry 4 "Files\d\b": limit exceeded: TotalSize is 19`},
	} {
		for _, streams := range []bool{false, true} {
			r := layer.LimitReader(&scripted{entries: entries, size: 10, err: io.EOF}, c.limits)
			got := ""
			if err := readAll(r, streams); err != nil {
				got = err.Error()
				var limit *layer.LimitError
				if !errors.As(err, &limit) {
					t.Errorf("%+v: %v is no LimitError", c.limits, err)
				}
			}
			if got != c.want {
				t.Errorf("%+v, streams read %v: %s, want %s", c.limits, streams, got, c.want)
			}
		}
	}
}

func readAll(r layer.Reader, streams bool) error {
	for {
		if _, err := r.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		for streams {
			if _, err := r.NextStream(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
		}
	}
}

// A size that is known at the stream only, and alternate streams, count there.
func TestLimitReaderStreams(t *testing.T) {
	entries := tree(t, `f Files\a`)
	entries[0].Size = -1
	r := layer.LimitReader(&scripted{entries: entries, size: 10, err: io.EOF}, layer.Limits{FileSize: 9})
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.NextStream(); !errors.Is(err, layer.ErrLimit) {
		t.Errorf("a stream of 10 bytes: %v", err)
	}
	if _, ok := r.(layer.ExtentReader); ok {
		t.Error("the reader has extents, and the one below it has none")
	}
}
