//go:build !windows

package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/mullion/mullion/internal/containerd"
	"github.com/mullion/mullion/snapshotter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthapi "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// shortDir is a folder whose name leaves room for a socket in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ms-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a plugin that a test runs.
type running struct {
	Config
	log  *logBuffer
	stop func() error
	conn *grpc.ClientConn
}

func run(t *testing.T, c Config) *running {
	t.Helper()
	r := &running{Config: c, log: &logBuffer{}}
	r.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, r.Config) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	var err error
	if r.conn, err = containerd.Dial(c.Address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.conn.Close() })
	return r
}

func configIn(dir string) Config {
	return Config{
		Snapshotter: snapshotter.Config{Root: filepath.Join(dir, "root")},
		Address:     filepath.Join(dir, "sock"),
		Containerd:  filepath.Join(dir, "containerd"),
		Metrics:     "127.0.0.1:0",
	}
}

func TestRun(t *testing.T) {
	dir := shortDir(t)
	// systemd, waiting to hear of the service.
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "notify"))
	hear := func() string {
		b := make([]byte, 100)
		systemd.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := systemd.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	// A socket that a killed process left is no obstacle.
	c := configIn(dir)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Address, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()

	r := run(t, c)
	if s := hear(); s != "READY=1" {
		t.Errorf("systemd hears %q", s)
	}
	if info, err := os.Stat(c.Address); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	ctx := namespaces.WithNamespace(t.Context(), "test")
	for _, service := range []string{"", "containerd.services.snapshots.v1.Snapshots", "containerd.services.diff.v1.Diff"} {
		h, err := healthapi.NewHealthClient(r.conn).Check(ctx, &healthapi.HealthCheckRequest{Service: service})
		if err != nil || h.Status != healthapi.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", service, h, err)
		}
	}
	_, err = snapshotsapi.NewSnapshotsClient(r.conn).Stat(ctx, &snapshotsapi.StatSnapshotRequest{Key: "nobody"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("Stat of what is not there: %v", err)
	}
	if m := scrape(t, r); !strings.Contains(m, `mullion_requests_total{code="NotFound",method="Stat"} 1`) || !strings.Contains(m, "mullion_layers 0") {
		t.Errorf("metrics:\n%s", m)
	}
	// A second process finds the directory taken and leaves the socket alone.
	if err := Run(ctx, Config{Snapshotter: c.Snapshotter, Address: c.Address, Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, snapshotter.ErrInUse) {
		t.Errorf("second process: %v", err)
	}
	// So does one with a directory of its own.
	other := snapshotter.Config{Root: filepath.Join(dir, "other")}
	if err := Run(ctx, Config{Snapshotter: other, Address: c.Address, Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrAddressInUse) {
		t.Errorf("second process at the address: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if s := hear(); s != "STOPPING=1" {
		t.Errorf("systemd hears %q", s)
	}
	if _, err := os.Lstat(c.Address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if !strings.Contains(r.log.String(), "method=Stat") {
		t.Errorf("log:\n%s", r.log)
	}
}

// scrape reads the metrics, whose address is in the log.
func scrape(t *testing.T, r *running) string {
	t.Helper()
	_, after, found := strings.Cut(r.log.String(), "address=http")
	if !found {
		t.Fatalf("no address in the log:\n%s", r.log)
	}
	url, _, _ := strings.Cut("http"+after, "\n")
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestListenRefusesFiles(t *testing.T) {
	name := filepath.Join(shortDir(t), "file")
	if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := listen(name); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v, %v", l, err)
	}
	if b, err := os.ReadFile(name); string(b) != "precious" {
		t.Errorf("%q, %v", b, err)
	}
}

// A bug in one request is an answer, and the end of no other.
func TestPanicIsAnAnswer(t *testing.T) {
	log := &logBuffer{}
	r := &requests{newMeter(), slog.New(slog.NewTextHandler(log, nil))}
	info := &grpc.UnaryServerInfo{FullMethod: "/x/Prepare"}
	_, err := r.unary(t.Context(), &snapshotsapi.PrepareSnapshotRequest{Key: "k"}, info, func(context.Context, any) (any, error) { panic("oh") })
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "Prepare: oh") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(log.String(), "request failed by a bug") || !strings.Contains(log.String(), "key=k") {
		t.Errorf("log:\n%s", log)
	}
}

// The namespace of a request is that of the calls which are made on its behalf.
func TestNamespaceIsHandedOn(t *testing.T) {
	incoming := metadata.NewIncomingContext(t.Context(), metadata.Pairs("containerd-namespace", "theirs"))
	out, _ := metadata.FromOutgoingContext(withNamespace(incoming))
	if got := out.Get("containerd-namespace"); len(got) != 1 || got[0] != "theirs" {
		t.Errorf("%v", out)
	}
}
