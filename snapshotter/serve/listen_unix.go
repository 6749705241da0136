//go:build !windows

package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrAddressInUse reports that another process serves at the address.
var ErrAddressInUse = errors.New("another process listens there")

// Address makes the address of a socket absolute, as containerd wants it.
func Address(name string) (string, error) { return filepath.Abs(name) }

// listen makes the socket at address, for its owner alone. One that a dead process
// left is replaced.
func listen(address string) (net.Listener, error) {
	if err := makeFolder(filepath.Dir(address)); err != nil {
		return nil, err
	}
	if err := removeStale(address); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// On Linux a socket's mode before bind becomes that of its file, so no other
		// user can connect even for a moment. Other systems refuse this.
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}}
	l, err := config.Listen(context.Background(), "unix", address)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", address, err)
	}
	if err := os.Chmod(address, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// makeFolder makes the directory of a socket. All users may traverse it regardless of
// the process's umask; the socket itself is only for its owner.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.MkdirAll(dir, 0o711), os.Chmod(dir, 0o711))
}

func removeStale(address string) error {
	info, err := os.Lstat(address)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("listen at %s: %w and is no socket", address, fs.ErrExist)
	}
	c, err := net.DialTimeout("unix", address, time.Second)
	if err == nil {
		return errors.Join(fmt.Errorf("listen at %s: %w", address, ErrAddressInUse), c.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("listen at %s: %w", address, err)
	}
	return os.Remove(address)
}
