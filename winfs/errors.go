package winfs

import (
	"errors"
	"fmt"
)

// Errors of names. Every error about a name is a [NameError] around one of these,
// and errors.Is(err, ErrInvalidName) holds for all of them.
var (
	// ErrInvalidName is matched by every error about a rejected name.
	ErrInvalidName = errors.New("invalid name")
	// ErrNameEmpty reports that a name, or a component between two separators, is empty.
	ErrNameEmpty = errors.New("name has an empty component")
	// ErrNameAbsolute reports that a path starts at a root, a drive, a network share or a
	// device instead of at the root of the layer.
	ErrNameAbsolute = errors.New("path is not relative")
	// ErrNameEscapes reports that a component is "." or "..", or becomes one when
	// Windows strips trailing dots and spaces.
	ErrNameEscapes = errors.New("component is made of dots")
	// ErrNameChar reports a character that NTFS does not allow in a file name: a control
	// character, one of " * < > ? |, or a separator inside a component.
	ErrNameChar = errors.New("character is not allowed in a file name")
	// ErrNameColon reports a colon where no stream name is allowed.
	ErrNameColon = errors.New("colon is not allowed in a file name")
	// ErrNameTooLong reports that a component has more than MaxComponent or a path more
	// than MaxPath UTF-16 units.
	ErrNameTooLong = errors.New("name is too long")
	// ErrNameReserved reports that Win32, on Windows 11 or on earlier versions, takes the
	// name for a device such as NUL. NTFS can hold such a file, so only CheckName reports
	// it.
	ErrNameReserved = errors.New("name is that of a device")
	// ErrNameTrailing reports that Win32 strips the last dot or space of the name, so that
	// the file cannot be opened there in the ordinary way. NTFS can hold such a file, so
	// only CheckName reports it.
	ErrNameTrailing = errors.New("name ends with a dot or a space")
)

// Errors of extended attributes and of reparse points. Decoders return them
// inside a [FormatError].
var (
	// ErrBadEA reports that a list of extended attributes is truncated or breaks the
	// layout of FILE_FULL_EA_INFORMATION.
	ErrBadEA = errors.New("invalid extended attribute buffer")
	// ErrEAName reports that a name of an extended attribute is empty or holds a NUL.
	ErrEAName = errors.New("invalid extended attribute name")
	// ErrEATooLarge reports that a name has more than 255 or a value more than 65,535
	// bytes.
	ErrEATooLarge = errors.New("extended attribute is too large")
	// ErrBadReparse reports that a reparse buffer is truncated, has the wrong length,
	// or has names outside of it.
	ErrBadReparse = errors.New("invalid reparse buffer")
	// ErrReparseTooLarge reports that a reparse buffer would exceed MaxReparseSize.
	ErrReparseTooLarge = errors.New("reparse buffer is too large")
	// ErrLinkTarget reports that a text cannot be the target of a symbolic link or of
	// a mount point.
	ErrLinkTarget = errors.New("invalid link target")
)

// NameError holds a rejected name, and the position of and the reason for the rejection.
type NameError struct {
	Name   string // the whole name, as passed by the caller
	Offset int    // byte offset in Name of the fault
	Err    error  // one of the sentinels above
}

// Error formats as `invalid name "a\\..\\b" at byte 2: component is made of dots`.
func (e *NameError) Error() string {
	return fmt.Sprintf("%v %s at byte %d: %v", ErrInvalidName, quoteShort(e.Name), e.Offset, e.Err)
}

// Unwrap returns the sentinel.
func (e *NameError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrInvalidName) hold.
func (e *NameError) Is(target error) bool { return target == ErrInvalidName }

// FormatError places an error in a buffer that was decoded or encoded.
type FormatError struct {
	Op     string // "decode EA", "parse reparse point", "encode symlink"
	Offset int    // byte offset in the buffer or text
	Detail string // the exact fault, may be empty
	Err    error  // one of the sentinels above
}

// Error formats as "decode EA at offset 0x10: cause: detail".
func (e *FormatError) Error() string {
	s := fmt.Sprintf("%s at offset %#x: %v", e.Op, e.Offset, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap returns the sentinel.
func (e *FormatError) Unwrap() error { return e.Err }

// quoteShort quotes a name for a message; hostile names may be megabytes long.
func quoteShort(s string) string {
	const most = 300
	if len(s) > most {
		return fmt.Sprintf("%q... (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
