package cimfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// The errors of this package. Test with errors.Is; an [*Error] around them says
// where. Missing and existing things are fs.ErrNotExist and fs.ErrExist.
var (
	// ErrNotImage says that the file is not a CimFS image in its file form.
	ErrNotImage = errors.New("not a CimFS image")
	// ErrVersion says that the image has a format version that is not known, or
	// that is not written.
	ErrVersion = errors.New("CimFS version not supported")
	// ErrUnsupportedImage says that the image uses a form whose encoding is not
	// public: block, verified and merged images.
	ErrUnsupportedImage = errors.New("kind of CimFS image not supported")
	// ErrCorrupt says that the image breaks the rules of the format.
	ErrCorrupt = errors.New("corrupt CimFS image")
	// ErrLimit says that the image is larger than the limits given to Open.
	ErrLimit = errors.New("limit exceeded")
	// ErrUnproven says that a feature was asked for whose encoding is inferred,
	// while Options.ProvenOnly is set.
	ErrUnproven = errors.New("feature is not proven on a genuine image")
	// ErrNotDirectory reports a file where a directory is needed.
	ErrNotDirectory = errors.New("not a directory")
	// ErrIsDirectory reports a directory where a file is needed.
	ErrIsDirectory = errors.New("is a directory")
	// ErrNotEmpty says that a directory with children would be replaced by a file.
	ErrNotEmpty = errors.New("directory is not empty")
	// ErrName reports a name that an image cannot hold.
	ErrName = errors.New("invalid name")
	// ErrCaseConflict says that a name differs only in case from one that the same
	// writer has added.
	ErrCaseConflict = errors.New("name differs only in case from an existing one")
	// ErrStreamSize says that a stream got more or fewer bytes than announced.
	ErrStreamSize = errors.New("stream does not have the announced size")
	// ErrMetadata says that a descriptor, a list of extended attributes or a
	// reparse buffer is malformed or longer than the format can hold.
	ErrMetadata = errors.New("metadata cannot be stored")
	// ErrSequence says that a method of Writer was called out of turn, for example
	// Write without an open stream.
	ErrSequence = errors.New("call out of sequence")
	// ErrClosed says that the image or writer was closed, or has failed before.
	ErrClosed = errors.New("already closed")
	// ErrCheck says that an image just written did not pass Check, so that it was
	// not published.
	ErrCheck = errors.New("image does not pass the check")
)

// Error adds to an error the operation, the image, its file and the offset.
type Error struct {
	Op     string // "open", "lookup", "read", "add file", ...
	Image  string // name of the .cim file
	Path   string // path inside the image, if known
	File   string // file of the set: "region_..._0", if known
	Offset int64  // byte offset in File, -1 if unknown
	Err    error
}

// Error formats as "op image: path: file at 0x28: cause".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Image != "" {
		b.WriteString(" " + e.Image)
	}
	if e.Path != "" {
		fmt.Fprintf(&b, ": %q", e.Path)
	}
	if e.File != "" {
		b.WriteString(": " + e.File)
		if e.Offset >= 0 {
			fmt.Fprintf(&b, " at %#x", e.Offset)
		}
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// reason is a cause with its own words that still answers to a sentinel.
type reason struct {
	kind error
	text string
}

func (r *reason) Error() string { return r.kind.Error() + ": " + r.text }
func (r *reason) Unwrap() error { return r.kind }

func because(kind error, format string, args ...any) error {
	return &reason{kind, fmt.Sprintf(format, args...)}
}

// words are the text of an error besides its sentinel.
func words(err error) string {
	if r := (*reason)(nil); errors.As(err, &r) {
		return r.text
	}
	return err.Error()
}

func corrupt(format string, args ...any) error { return because(ErrCorrupt, format, args...) }

var errNotExist = fs.ErrNotExist
