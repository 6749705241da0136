package winsec

import (
	"errors"
	"fmt"
)

// Faults of security data. Errors of parsers are an [Error] or an [SDDLError] around one of
// these.
var (
	// ErrTruncated reports that a structure reaches past the end of its buffer.
	ErrTruncated = errors.New("security data is truncated")
	// ErrRevision reports that a descriptor, ACL or SID has an unknown revision.
	ErrRevision = errors.New("unknown revision")
	// ErrNotSelfRelative reports that a binary descriptor is not marked as self-relative;
	// its offsets would be pointers.
	ErrNotSelfRelative = errors.New("descriptor is not self-relative")
	// ErrBadSID reports that a SID is malformed.
	ErrBadSID = errors.New("invalid SID")
	// ErrBadACL reports that an ACL is malformed.
	ErrBadACL = errors.New("invalid ACL")
	// ErrBadACE reports that an ACE is malformed.
	ErrBadACE = errors.New("invalid ACE")
	// ErrTooLarge reports that an ACE or ACL would exceed 65,535 bytes.
	ErrTooLarge = errors.New("ACL is too large")
	// ErrBadCondition reports that a conditional expression is malformed.
	ErrBadCondition = errors.New("invalid conditional expression")
	// ErrBadClaim reports that a resource attribute is malformed.
	ErrBadClaim = errors.New("invalid resource attribute")
	// ErrSDDL reports that a text is not SDDL.
	ErrSDDL = errors.New("invalid SDDL")
	// ErrNeedDomain reports that an alias such as DA, domain administrators, names a
	// different SID in every domain and that the caller supplied none.
	ErrNeedDomain = errors.New("alias needs a domain SID")
)

// AliasError is an alias of SDDL that cannot be resolved without the SID of a domain
// or of a machine. errors.Is(err, ErrNeedDomain) holds.
type AliasError struct {
	Alias   string // two letters, in upper case
	Machine bool   // an account of the machine ([WithMachine]), not of its domain ([WithDomain])
}

// Error formats as `alias needs a domain SID: "DU"`.
func (e *AliasError) Error() string {
	if e.Machine {
		return fmt.Sprintf("alias needs the SID of a machine: %q", e.Alias)
	}
	return fmt.Sprintf("%v: %q", ErrNeedDomain, e.Alias)
}

// Unwrap returns ErrNeedDomain.
func (e *AliasError) Unwrap() error { return ErrNeedDomain }

// Error places an error in bytes.
type Error struct {
	Op     string // "parse descriptor", "parse DACL"
	Offset int    // byte offset in the caller's buffer
	Detail string // may be empty
	Err    error
}

// Error formats as "winsec: parse DACL at offset 0x30: cause: detail".
func (e *Error) Error() string {
	s := fmt.Sprintf("winsec: %s at offset %#x: %v", e.Op, e.Offset, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// SDDLError places an error in SDDL text. errors.Is(err, ErrSDDL) holds.
type SDDLError struct {
	Text   string
	Offset int    // byte offset in Text
	Detail string // what was expected, may be empty
	Err    error
}

// Error formats as `winsec: SDDL at byte 4, near "(A;": cause: detail`.
func (e *SDDLError) Error() string {
	near := e.Text[min(e.Offset, len(e.Text)):]
	if len(near) > 24 {
		near = near[:24]
	}
	s := fmt.Sprintf("winsec: SDDL at byte %d, near %q: %v", e.Offset, near, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap returns the cause.
func (e *SDDLError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrSDDL) hold.
func (e *SDDLError) Is(target error) bool { return target == ErrSDDL }
