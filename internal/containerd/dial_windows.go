package containerd

import (
	"context"
	"net"

	"github.com/Microsoft/go-winio"
)

// DefaultAddress is the default address of containerd's named pipe.
const DefaultAddress = `\\.\pipe\containerd-containerd`

// dialSocket connects to a named pipe.
func dialSocket(ctx context.Context, address string) (net.Conn, error) {
	return winio.DialPipeContext(ctx, address)
}
