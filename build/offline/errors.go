package offline

import "errors"

// The reasons of an Error.
var (
	// ErrNotOffline reports a command, an option or a part of a language that needs Windows.
	ErrNotOffline = errors.New("cannot be done without Windows")
	// ErrSyntax reports a line that the shell itself would refuse.
	ErrSyntax = errors.New("syntax error")
	// ErrLimit reports a line that is larger, deeper or does more than is allowed.
	ErrLimit = errors.New("more than the limit")

	errNotYet = errors.New("not yet")
)

// Error is the reason why a command was not carried out, or why it failed as it would have
// in Windows.
type Error struct {
	Line   string // the command as Run got it, or of Exec the command line
	Column int    // of Word in Line in bytes, from 1; 0 if there is no one place
	Word   string // the word that cannot be done, or the command that failed
	Advice string // what to do instead, may be empty
	// Err is the reason: it wraps ErrNotOffline, ErrSyntax or ErrLimit, is an *ExitError, or
	// an error of the files or of the registry.
	Err error
}

// ExitError reports that the command ended with an exit status other than 0.
type ExitError struct {
	Code   int
	Output string // the end of what was printed as an error
}

// Error returns the reason with its place.
func (e *Error) Error() string { return e.Word + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Error returns the status and the output.
func (e *ExitError) Error() string { return e.Output }
