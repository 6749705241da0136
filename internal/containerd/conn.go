// Package containerd connects to a containerd: for the plugin, which asks it for the
// blobs of layers, and for images that it keeps.
package containerd

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/containerd/containerd/v2/defaults"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Patience is how long a call waits for a containerd that is not there, as while it
// is being restarted.
const Patience = 10 * time.Second

// Dial returns a connection to the containerd at address, a socket or, on
// Windows, a named pipe. Nothing is connected before the first call; a connection
// that is lost is made anew by the next. The namespace of a call is that of its
// context. The caller closes the connection.
func Dial(address string) (*grpc.ClientConn, error) {
	w := &waiter{address: address}
	conn, err := grpc.NewClient("passthrough:///containerd",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dialSocket(ctx, address) }),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: time.Second,
		}),
		grpc.WithDefaultCallOptions(
			grpc.WaitForReady(true), // a connection that was lost may still look ready
			grpc.MaxCallRecvMsgSize(defaults.DefaultMaxRecvMsgSize),
			grpc.MaxCallSendMsgSize(defaults.DefaultMaxSendMsgSize),
		),
		grpc.WithUnaryInterceptor(w.unary),
		grpc.WithStreamInterceptor(w.stream),
	)
	if err != nil {
		return nil, fmt.Errorf("containerd at %s: %w", address, err)
	}
	return conn, nil
}

// Reachable returns nil if a process listens at address, and otherwise the reason.
func Reachable(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	c, err := dialSocket(ctx, address)
	if err != nil {
		return fmt.Errorf("containerd at %s: %w", address, err)
	}
	return c.Close()
}

// waiter holds calls until there is a connection. gRPC itself either fails a call as
// soon as the last attempt to connect has failed, or waits for ever.
type waiter struct{ address string }

func (w *waiter) wait(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for {
		s := conn.GetState()
		switch s {
		case connectivity.Ready:
			return nil
		case connectivity.Shutdown:
			return status.Error(codes.Canceled, "the connection to containerd was closed")
		case connectivity.Idle:
			conn.Connect()
		}
		if !conn.WaitForStateChange(ctx, s) {
			return status.Errorf(codes.Unavailable, "containerd does not answer at %s", w.address)
		}
	}
}

func (w *waiter) unary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if err := w.wait(ctx, conn); err != nil {
		return err
	}
	return invoke(ctx, method, req, reply, conn, opts...)
}

func (w *waiter) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if err := w.wait(ctx, conn); err != nil {
		return nil, err
	}
	return stream(ctx, desc, conn, method, opts...)
}
