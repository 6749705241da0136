package containerdtest_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/proxy"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/internal/containerd"
	"github.com/mullion/mullion/internal/containerdtest"
	"github.com/mullion/mullion/snapshotter"
	"github.com/mullion/mullion/snapshotter/serve"
)

// containerd's own suite for snapshotters, through the socket as containerd goes.
func TestSuite(t *testing.T) {
	t.Parallel()
	containerdtest.Require(t)
	// The suite leaves out what needs root unless it is told that it may.
	if err := flag.Set("test.root", "true"); err != nil {
		t.Fatal(err)
	}
	// In memory where there is room: a stack of 128 layers waits for the disk more than
	// a thousand times. The variable is set past t.Setenv, which has no parallel tests.
	if _, err := os.Stat("/dev/shm"); err == nil {
		before, was := os.LookupEnv("TMPDIR")
		os.Setenv("TMPDIR", "/dev/shm")
		t.Cleanup(func() {
			os.Unsetenv("TMPDIR")
			if was {
				os.Setenv("TMPDIR", before)
			}
		})
	}
	testsuite.SnapshotterSuite(t, containerdtest.Snapshotter, func(ctx context.Context, root string) (snapshots.Snapshotter, func() error, error) {
		ctx, cancel := context.WithCancel(ctx)
		address := filepath.Join(filepath.Dir(root), "s")
		done := make(chan error, 1)
		go func() {
			done <- serve.Run(ctx, serve.Config{
				Snapshotter: snapshotter.Config{Root: root, SameProcess: true, MissingHives: cimlayer.LeaveMissing},
				Address:     address, Containerd: filepath.Join(root, "none"),
				Log: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
			})
		}()
		for {
			if _, err := os.Stat(address); err == nil {
				break
			}
			select {
			case err := <-done:
				cancel()
				return nil, nil, err
			case <-time.After(time.Millisecond):
			}
		}
		conn, err := containerd.Dial(address)
		if err != nil {
			cancel()
			return nil, nil, errors.Join(err, <-done)
		}
		return proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(conn), containerdtest.Snapshotter), func() error {
			cancel()
			return errors.Join(<-done, conn.Close())
		}, nil
	})
}

// testLog shows a log to whoever runs the test with -v.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}
