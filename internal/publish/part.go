package publish

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// Part is a new file in a directory that has not been published yet: that of a [Dir] or
// of a [Set]. After a failed write, Sync and Finish fail too.
type Part struct {
	*os.File
	name string
	err  error // of the first write that failed
}

// CreatePart creates a file in an unpublished directory. An existing one is an error
// that matches fs.ErrExist. The caller closes the file.
func CreatePart(root *os.Root, name string, mode fs.FileMode) (*Part, error) {
	return createPart(root, name, name, mode)
}

// createPart creates a file that the seam knows under another name.
func createPart(root *os.Root, name, known string, mode fs.FileMode) (*Part, error) {
	if err := step("create", known); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, mode)
	if err != nil {
		return nil, err
	}
	return &Part{File: f, name: known}, nil
}

// WritePart creates a durable file in an unpublished directory with the bytes that fill writes.
func WritePart(root *os.Root, name string, mode fs.FileMode, fill func(io.Writer) error) error {
	p, err := CreatePart(root, name, mode)
	if err != nil {
		return err
	}
	if err := fill(p); err != nil {
		return errors.Join(err, p.Close())
	}
	return p.Finish()
}

// write calls f unless the seam refuses, and remembers an error.
func (p *Part) write(op string, f func() error) error {
	err := step(op, p.name)
	if err == nil {
		err = f()
	}
	if err != nil && p.err == nil {
		p.err = err
	}
	return err
}

// Write implements io.Writer.
func (p *Part) Write(b []byte) (n int, err error) {
	err = p.write("write", func() error { n, err = p.File.Write(b); return err })
	return n, err
}

// WriteString implements io.StringWriter.
func (p *Part) WriteString(s string) (int, error) { return p.Write([]byte(s)) }

// WriteAt implements io.WriterAt.
func (p *Part) WriteAt(b []byte, off int64) (n int, err error) {
	err = p.write("write", func() error { n, err = p.File.WriteAt(b, off); return err })
	return n, err
}

// ReadFrom implements io.ReaderFrom, for which the system may copy without the process.
func (p *Part) ReadFrom(r io.Reader) (n int64, err error) {
	err = p.write("write", func() error { n, err = p.File.ReadFrom(r); return err })
	return n, err
}

// Truncate changes the size of the file.
func (p *Part) Truncate(size int64) error {
	return p.write("truncate", func() error { return p.File.Truncate(size) })
}

// Sync makes the content durable.
func (p *Part) Sync() error {
	if p.err != nil {
		return p.err
	}
	if err := step("sync", p.name); err != nil {
		return err
	}
	return p.File.Sync()
}

// Close closes the file. A file that is closed already is no error.
func (p *Part) Close() error {
	err := step("close", p.name)
	if cerr := p.File.Close(); !errors.Is(cerr, fs.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	return err
}

// Finish makes the content durable and closes the file.
func (p *Part) Finish() error { return errors.Join(p.Sync(), p.Close()) }
