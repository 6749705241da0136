package cimfs

// Writer makes one image. It is used by one goroutine at a time.
//
//	w, err := cimfs.Create(dir, "layer.cim", nil)
//	if err != nil { ... }
//	defer w.Close()
//	err = w.AddFile(`Files\hello.txt`, &meta, 12)
//	_, err = w.Write([]byte("Hello world!"))
//	...
//	err = w.Commit()
//
// Paths are relative, backslash-separated WTF-8; "" is the root. Parents must
// exist. After an error of a stream or of the file system every further call
// fails with it.
type Writer struct{}

// Create begins an image in the existing directory dir under a name that must not
// exist there yet (fs.ErrExist). Nothing is visible before Commit. A nil opts is
// the zero Options.
func Create(dir, name string, opts *Options) (*Writer, error) { return nil, ErrClosed }

// AddDir adds a directory. If one exists at path already its metadata is replaced
// and its children stay; a file is replaced. The path "" sets the metadata of the
// root.
func (w *Writer) AddDir(path string, m *Meta) error { return ErrClosed }

// AddFile adds a file of exactly size bytes, replacing a file or an empty
// directory of that name, and opens its main stream for Write.
func (w *Writer) AddFile(path string, m *Meta, size int64) error { return ErrClosed }

// CreateStream adds an alternate stream, or replaces the one of that name, to an
// existing file or directory and opens it for Write. The name has no colons.
func (w *Writer) CreateStream(path, stream string, size int64) error { return ErrClosed }

// Write appends to the open stream. More than the announced size gives
// ErrStreamSize.
func (w *Writer) Write(p []byte) (int, error) { return 0, ErrClosed }

// CloseStream ends the open stream, which must have got all its bytes, or
// ErrStreamSize. Every other method does this first.
func (w *Writer) CloseStream() error { return ErrClosed }

// Link makes newPath a further name of the file at existing. It replaces a file at
// newPath; directories have one name only (ErrIsDirectory).
func (w *Writer) Link(newPath, existing string) error { return ErrClosed }

// Remove deletes a name: a file, or a directory with everything below it. What is
// not there gives fs.ErrNotExist.
func (w *Writer) Remove(path string) error { return ErrClosed }

// RemoveStream deletes an alternate stream.
func (w *Writer) RemoveStream(path, stream string) error { return ErrClosed }

// Exists reports whether there is a file or directory at path, in a fork also of
// the parent.
func (w *Writer) Exists(path string) (exists, isDir bool) { return false, false }

// Commit finishes the image, checks it, makes it durable and gives its files their
// names, the .cim file last. After an error nothing is published.
func (w *Writer) Commit() error { return ErrClosed }

// Close releases everything. Without a Commit that returned nil before, it removes
// what was written. Closing twice is allowed.
func (w *Writer) Close() error { return nil }
