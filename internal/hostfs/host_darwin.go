package hostfs

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const createFlag = 0

func setRecord(f *os.File, b []byte) error {
	err := unix.Fsetxattr(int(f.Fd()), recordName, b, 0)
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EPERM) {
		return ErrNoAttributes
	}
	if err != nil {
		return &os.PathError{Op: "fsetxattr", Path: f.Name(), Err: err}
	}
	return nil
}

func getRecord(f *os.File) ([]byte, error) {
	b := make([]byte, maxRecord)
	n, err := unix.Fgetxattr(int(f.Fd()), recordName, b)
	switch {
	case err == nil:
		return b[:n], nil
	case errors.Is(err, syscall.ENOATTR), errors.Is(err, syscall.ENOTSUP):
		return nil, nil
	case errors.Is(err, syscall.ERANGE):
		return nil, ErrMetadata
	}
	return nil, &os.PathError{Op: "fgetxattr", Path: f.Name(), Err: err}
}
