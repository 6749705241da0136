package serve

import (
	"errors"
	"net"

	"github.com/Microsoft/go-winio"
)

// ErrAddressInUse reports that another process serves at the address.
var ErrAddressInUse = errors.New("another process listens there")

// Address returns the name of a pipe, which is always absolute.
func Address(name string) (string, error) { return name, nil }

// listen makes the named pipe at address, \\.\pipe\NAME, for administrators and the
// system, as containerd does with its own.
func listen(address string) (net.Listener, error) {
	return winio.ListenPipe(address, &winio.PipeConfig{SecurityDescriptor: "D:P(A;;GA;;;BA)(A;;GA;;;SY)"})
}
