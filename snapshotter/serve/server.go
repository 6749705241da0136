package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/contrib/diffservice"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/containerd/v2/core/content/proxy"
	leasesproxy "github.com/containerd/containerd/v2/core/leases/proxy"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/mullion/mullion/internal/containerd"
	"github.com/mullion/mullion/snapshotter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthapi "google.golang.org/grpc/health/grpc_health_v1"
)

// DrainTimeout is how long requests may go on after Run's context ends.
const DrainTimeout = 30 * time.Second

// Config configures Run.
type Config struct {
	// Snapshotter is the configuration of the service. Content, Leases, Log and
	// Observe are set by Run.
	Snapshotter snapshotter.Config
	// Address is the socket, or named pipe on Windows, to listen at.
	Address string
	// Containerd is the socket of containerd itself.
	Containerd string
	// Metrics is the TCP address for Prometheus, "127.0.0.1:9464"; "" is none.
	Metrics string
	// Log receives messages for the operator.
	Log *slog.Logger
	// Drain is how long requests may go on at the end; 0 is DrainTimeout.
	Drain time.Duration
}

// Run serves the snapshotter and the differ until ctx ends. Then it takes no more
// requests, lets those that run end, unmounts all views and removes the socket. A
// clean end is no error.
func Run(ctx context.Context, c Config) (err error) {
	address, err := Address(c.Address)
	if err != nil {
		return err
	}
	conn, err := containerd.Dial(c.Containerd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	m := newMeter()
	sc := c.Snapshotter
	sc.Content, sc.Leases = proxy.NewContentStore(conn), leasesproxy.NewLeaseManager(leasesapi.NewLeasesClient(conn))
	sc.Log, sc.Observe = c.Log, m.observe
	// The service first: it holds the lock of its directory, so that a second process
	// started by mistake ends before it touches the socket.
	s, err := snapshotter.New(sc)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	m.service = s
	if c.Metrics != "" {
		at, stop, err := m.serve(c.Metrics)
		if err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
		defer func() { err = errors.Join(err, stop()) }()
		c.Log.Info("metrics", "address", "http://"+at+"/metrics")
	}
	l, err := listen(address)
	if err != nil {
		return err
	}
	r := &requests{metrics: m, log: c.Log}
	server, status := newServer(s, r)
	c.Log.Info("serving", "address", address, "root", sc.Root, "containerd", c.Containerd)
	return c.serve(ctx, server, status, l)
}

// newServer registers the services.
func newServer(s *snapshotter.Service, r *requests) (*grpc.Server, *health.Server) {
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(defaults.DefaultMaxRecvMsgSize),
		grpc.MaxSendMsgSize(defaults.DefaultMaxSendMsgSize),
		grpc.UnaryInterceptor(r.unary),
		grpc.StreamInterceptor(r.stream),
		grpc.WaitForHandlers(true), // Stop returns when no handler uses the service any more
	)
	snapshotsapi.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(s.Snapshotter()))
	diffapi.RegisterDiffServer(server, diffservice.FromApplierAndComparer(s.Differ(), s.Differ()))
	status := health.NewServer()
	for name := range server.GetServiceInfo() {
		status.SetServingStatus(name, healthapi.HealthCheckResponse_SERVING)
	}
	healthapi.RegisterHealthServer(server, status)
	return server, status
}

// serve answers at l until ctx ends or the server fails.
func (c *Config) serve(ctx context.Context, server *grpc.Server, status *health.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	c.notifySystemd("READY=1")
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	c.notifySystemd("STOPPING=1")
	c.Log.Info("stopping")
	status.Shutdown()
	drain := c.Drain
	if drain == 0 {
		drain = DrainTimeout
	}
	late := time.AfterFunc(drain, func() {
		c.Log.Warn("requests are cut off", "after", drain)
		server.Stop()
	})
	defer late.Stop()
	server.GracefulStop()
	return <-failed
}

// notifySystemd sends a state to systemd. A failure is logged and has no other effect.
func (c *Config) notifySystemd(state string) {
	if err := notify(state); err != nil {
		c.Log.Warn("systemd was not notified", "state", state, "error", err)
	}
}
