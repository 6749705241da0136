//go:build !windows

package containerd

import (
	"context"
	"net"
)

// DefaultAddress is the default address of containerd's socket.
const DefaultAddress = "/run/containerd/containerd.sock"

// dialSocket connects to a socket.
func dialSocket(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", address)
}
