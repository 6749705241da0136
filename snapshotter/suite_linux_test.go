package snapshotter

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"

	"github.com/mullion/mullion/internal/testenv"
)

// fuse fails or passes over tests that need to mount, with a word why.
func fuse(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		testenv.Missing(t, "mounting needs root")
	}
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		testenv.Missing(t, fmt.Sprintf("this machine has no usable FUSE: %v", err))
	}
	f.Close()
}

// The suite that containerd holds its own snapshotters to.
func TestSuite(t *testing.T) {
	fuse(t)
	if err := flag.Set("test.root", "true"); err != nil {
		t.Fatal(err)
	}
	testsuite.SnapshotterSuite(t, "mullion", func(_ context.Context, root string) (snapshots.Snapshotter, func() error, error) {
		s, err := New(Config{Root: root})
		if err != nil {
			return nil, nil, err
		}
		return s.Snapshotter(), s.Close, nil
	})
}
