package regtext

import (
	"errors"
	"fmt"
)

// The errors of this package.
var (
	// ErrSyntax reports that a file is not a .reg file, or that a line of it is
	// malformed.
	ErrSyntax = errors.New("malformed .reg text")
	// ErrStray reports that a line is neither a key nor a value; regedit skips such a line.
	// Such an error is ErrSyntax too.
	ErrStray = errors.New("the line is no key and no value")
	// ErrCannotHold reports that the format has no way to write a name.
	ErrCannotHold = errors.New("the .reg format cannot hold this name")
	// ErrOtherHive reports that a file names a key that is not in the hive.
	ErrOtherHive = errors.New("key is outside the hive")
	// ErrTooLong reports that a line or a value is longer than the limit.
	ErrTooLong = errors.New("longer than the limit")
)

// LineError places an error in a .reg file.
type LineError struct {
	Line int // from 1
	Err  error
}

// Error formats as "line 3: cause".
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Err }
