// Package openfile opens the files and directories that a command or a document names
// without waiting for a named pipe. Opening a pipe blocks until another process opens its
// other end, and neither a context nor a signal ends that wait, so that a pipe under the
// name of a blob, a region or a layer would stop the program for ever.
package openfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrIrregular reports a device, pipe, socket or directory where a regular file is needed.
var ErrIrregular = errors.New("not a regular file")

// Regular opens a regular file for reading. The error for any other kind of file is an
// [fs.PathError] that wraps [ErrIrregular].
func Regular(name string) (*os.File, error) {
	// Merely opening a device can change its state.
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, irregular(name)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|nonblock, 0)
	return checked(f, err, name)
}

// RegularIn opens a regular file below root, as [Regular] does.
func RegularIn(root *os.Root, name string) (*os.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, irregular(name)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	return checked(f, err, name)
}

// checked looks at the open file again, because another one can have replaced it.
func checked(f *os.File, err error, name string) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = irregular(name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func irregular(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: ErrIrregular}
}

// Root opens a directory. [os.OpenRoot] alone would wait for a pipe.
func Root(name string) (*os.Root, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOTDIR}
	}
	return os.OpenRoot(name)
}

// Stream opens a file that is read once from start to end, which may be a pipe. The end
// of ctx ends the wait for the writer of a pipe, but not a read of the open file.
func Stream(ctx context.Context, name string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened)
	go func() {
		f, err := os.Open(name)
		select {
		case done <- opened{f, err}:
		case <-ctx.Done():
			if f != nil {
				f.Close()
			}
		}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("open %s: %w", name, context.Cause(ctx))
	}
}
