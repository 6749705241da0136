// Package tempfile makes temporary files of which a process leaves nothing, however it
// ends: a file loses its name as soon as it is open. Where the system does not allow that,
// as Windows does not, it loses it when it is closed.
package tempfile

import (
	"errors"
	"os"
)

// File is an open temporary file, which only this process reads and writes.
type File struct {
	*os.File
	name string // that Close removes, "" for none
}

// Create makes a file in dir, or where the system has them if dir is empty. pattern is
// that of os.CreateTemp. The caller closes the file.
func Create(dir, pattern string) (*File, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	t := &File{File: f}
	if os.Remove(f.Name()) != nil {
		t.name = f.Name()
	}
	return t, nil
}

// Close ends the file.
func (f *File) Close() error {
	err := f.File.Close()
	if f.name != "" {
		err = errors.Join(err, os.Remove(f.name))
		f.name = ""
	}
	return err
}
