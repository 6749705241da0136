package layer_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winsec"
)

// scripted yields entries, each with a stream of size bytes if it is a file, and then err.
type scripted struct {
	entries []layer.Entry
	size    int64
	err     error

	at   int
	left int64
	open bool
}

func (r *scripted) Next() (*layer.Entry, error) {
	if r.at == len(r.entries) {
		return nil, r.err
	}
	r.at++
	e := &r.entries[r.at-1]
	r.open = e.Kind == layer.File
	return e, nil
}

func (r *scripted) NextStream() (*layer.Stream, error) {
	if !r.open {
		return nil, io.EOF
	}
	r.open, r.left = false, r.size
	return &layer.Stream{Size: r.size}, nil
}

func (r *scripted) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), r.left))
	r.left -= int64(n)
	return n, nil
}

func (r *scripted) Close() error { return nil }

func tree(t *testing.T, lines ...string) []layer.Entry {
	var out []layer.Entry
	for _, it := range parse(t, lines...).Items {
		out = append(out, it.Entry)
	}
	return out
}

// TestCheck: the reader's error is a finding if the layer is to blame, and otherwise that
// of the check.
func TestCheck(t *testing.T) {
	broken := errors.New("broken disk")
	place := &layer.Error{Op: "read", Entry: `Files\b`, Offset: 512, Err: layer.ErrCorrupt}
	for _, c := range []struct {
		name string
		r    scripted
		opts layer.CheckOptions
		want []string
		err  error
	}{
		{"sound", scripted{entries: tree(t, "d Files", "d Hives"), err: io.EOF}, layer.CheckOptions{}, nil, nil},
		{"damaged", scripted{entries: tree(t, "d Files"), err: place}, layer.CheckOptions{Label: "l"}, []string{`error unreadable l "Files\b" at 0x200: corrupt layer`}, nil},
		{"disk", scripted{entries: tree(t, "d Files"), err: broken}, layer.CheckOptions{}, nil, broken},
		{"limit", scripted{entries: tree(t, "d Files", `f Files\a`, `f Files\b`), size: 10, err: io.EOF}, layer.CheckOptions{Limits: layer.Limits{TotalSize: 15}},
			[]string{`error limit-exceeded "Files\b": limit exceeded: TotalSize is 15`}, nil},
		{"one stream", scripted{entries: tree(t, "d Files", `f Files\a`), size: 10, err: io.EOF}, layer.CheckOptions{Limits: layer.Limits{FileSize: 9}},
			[]string{`error limit-exceeded "Files\a": limit exceeded: FileSize is 9`}, nil},
	} {
		found, err := finding.Collect(layer.Check(t.Context(), &c.r, c.opts))
		var got []string
		for _, f := range found {
			if f.Rule != layer.RuleNoDescriptor.ID {
				got = append(got, f.String())
			}
		}
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &scripted{entries: tree(t, "d Files"), err: io.EOF}
	if found, err := finding.Collect(layer.Check(ctx, r, layer.CheckOptions{})); !errors.Is(err, context.Canceled) || len(found) > 0 || r.at > 0 {
		t.Errorf("cancelled: %v, %v", found, err)
	}
	r = &scripted{entries: tree(t, "d files", "d hives"), err: io.EOF}
	for range layer.Check(t.Context(), r, layer.CheckOptions{}) {
		break
	}
	if r.at != 1 {
		t.Errorf("%d entries are read after the caller has left", r.at)
	}
}

// TestCheckMerged: unpacking makes links from Hives and the file layout. They are faults
// of a layer, and none of the image of a store.
func TestCheckMerged(t *testing.T) {
	entries := tree(t, "d Files", `d Files\Windows`, `d Files\Windows\System32`, `d Files\Windows\System32\config`, `f Files\Windows\System32\config\SAM`,
		"d Hives", `l Hives\SAM_BASE>Files\Windows\System32\config\SAM`, "f layout")
	sound, err := winsec.ParseSDDL("O:BAG:SYD:(A;;FA;;;SY)")
	if err != nil {
		t.Fatal(err)
	}
	own, err := sound.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		entries[i].Security = own
		if !strings.HasPrefix(entries[i].Path, "Files") {
			entries[i].Security = winsec.NullDACL()
		}
	}
	rules := func(merged bool) []string {
		var out []string
		found, err := finding.Collect(layer.Check(t.Context(), &scripted{entries: entries, err: io.EOF}, layer.CheckOptions{Merged: merged}))
		if err != nil {
			t.Error(err)
		}
		for _, f := range found {
			out = append(out, f.Rule)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	if got := rules(true); len(got) > 0 {
		t.Errorf("merged: %q", got)
	}
	if got, want := rules(false), []string{"descriptor-invalid", "descriptor-without-dacl", "link-target-outside-files", "unknown-root"}; !slices.Equal(got, want) {
		t.Errorf("layer: %q, want %q", got, want)
	}
}
