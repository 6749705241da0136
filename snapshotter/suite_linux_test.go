package snapshotter

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/proxy"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

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

// The suite that containerd holds its own snapshotters to, as a proxy plugin meets it:
// through gRPC. Every case passes; there are no exceptions.
func TestSuite(t *testing.T) {
	fuse(t)
	if err := flag.Set("test.root", "true"); err != nil {
		t.Fatal(err)
	}
	testsuite.SnapshotterSuite(t, "mullion", func(_ context.Context, root string) (snapshots.Snapshotter, func() error, error) {
		s, err := New(Config{Root: root, SameProcess: true})
		if err != nil {
			return nil, nil, err
		}
		socket := filepath.Join(filepath.Dir(root), "socket")
		l, err := net.Listen("unix", socket)
		if err != nil {
			return nil, nil, errors.Join(err, s.Close())
		}
		server := grpc.NewServer()
		snapshotsapi.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(s.Snapshotter()))
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			server.Stop()
			return nil, nil, errors.Join(err, <-served, s.Close())
		}
		end := func() error {
			err := conn.Close()
			server.Stop()
			return errors.Join(err, <-served, s.Close())
		}
		return proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(conn), "mullion"), end, nil
	})
}
