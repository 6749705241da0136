package backup

import (
	"errors"
	"fmt"
)

// Faults of a backup stream. Errors of readers and writers are an [Error] around one of
// these, around io.ErrUnexpectedEOF, or around an error of the source or destination.
var (
	// ErrCorrupt reports that a header breaks the rules of the format.
	ErrCorrupt = errors.New("corrupt backup stream")
	// ErrUnknownID reports that a stream has none of the eleven known kinds, which is also
	// the result of reading garbage.
	ErrUnknownID = errors.New("unknown stream ID")
	// ErrName reports that a stored name is not that of an alternate data stream.
	ErrName = errors.New("invalid stream name")
	// ErrMissing reports that a stream was finished before all its bytes were written.
	ErrMissing = errors.New("stream is incomplete")
	// ErrTooMany reports that more bytes were written than the header announced.
	ErrTooMany = errors.New("too many bytes for stream")
	// ErrDuplicate reports that a file has two streams where one is allowed.
	ErrDuplicate = errors.New("duplicate stream")
	// ErrLimit reports that a limit of Probe was exceeded.
	ErrLimit = errors.New("limit exceeded")
	// ErrClosed reports that the writer was closed before.
	ErrClosed = errors.New("writer is closed")
)

// Error places an error in a backup stream.
type Error struct {
	Op     string // "read header", "read", "write header", "write", "close", "probe"
	ID     ID     // stream, 0 if none
	Offset int64  // byte offset from the start of reading or writing
	Detail string // may be empty
	Err    error
}

// Error formats as "backup: read header of data at offset 0x14: cause: detail".
func (e *Error) Error() string {
	s := "backup: " + e.Op
	if e.ID != 0 {
		s += " of " + e.ID.String()
	}
	s += fmt.Sprintf(" at offset %#x: %v", e.Offset, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// NameError holds a rejected stored name. errors.Is(err, ErrName) holds.
type NameError struct {
	Name string
	Err  error
}

// Error formats as `invalid stream name "x": cause`.
func (e *NameError) Error() string {
	const most = 300
	name := e.Name
	if len(name) > most {
		name = name[:most]
	}
	if e.Err == ErrName {
		return fmt.Sprintf("%v %q", ErrName, name)
	}
	return fmt.Sprintf("%v %q: %v", ErrName, name, e.Err)
}

// Unwrap returns the cause.
func (e *NameError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrName) hold.
func (e *NameError) Is(target error) bool { return target == ErrName }
