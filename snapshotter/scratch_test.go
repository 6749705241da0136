package snapshotter

import (
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
)

func TestScratchSize(t *testing.T) {
	for _, c := range []struct {
		bytes, gib string // "-" for no label
		want       uint64
		bad        bool
	}{
		{bytes: "-", gib: "-"},
		{bytes: "21474836480", gib: "-", want: 20 << 30},
		{bytes: "-", gib: "20", want: 20 << 30},
		{bytes: "0", gib: "20"}, // the other label counts, even if it leaves the size open
		{bytes: "1", gib: "x", want: 1},
		{bytes: "-", gib: "4294967295", want: 4294967295 << 30},
		{bytes: "-", gib: "4294967296", bad: true},
		{bytes: "-1", gib: "-", bad: true},
		{bytes: "20g", gib: "-", bad: true},
		{bytes: "", gib: "20", bad: true},
		{bytes: "18446744073709551616", gib: "-", bad: true},
	} {
		labels := map[string]string{"other": "x"}
		if c.bytes != "-" {
			labels[LabelScratchBytes] = c.bytes
		}
		if c.gib != "-" {
			labels[LabelScratchGiB] = c.gib
		}
		got, err := ScratchSize(labels)
		if got != c.want || errdefs.IsInvalidArgument(err) != c.bad || (err != nil) != c.bad {
			t.Errorf("%q, %q: %d, %v", c.bytes, c.gib, got, err)
		}
	}
	if err := checkOptions([]snapshots.Opt{snapshots.WithLabels(map[string]string{LabelScratchGiB: "big"})}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("option: %v", err)
	}
}
