package regf

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"

	"github.com/mullion/mullion/finding"
)

// Errno is a Windows error code. errors.Is(err, ErrorFileNotFound) holds where
// offreg returns 2.
type Errno uint32

// The codes that the Offline Registry Library returns (MS Learn "Offline Registry
// Library", and docs/spec/registry.md, "Edits").
const (
	ErrorFileNotFound     Errno = 2
	ErrorAccessDenied     Errno = 5
	ErrorInvalidHandle    Errno = 6
	ErrorFileExists       Errno = 80
	ErrorInvalidParameter Errno = 87
	ErrorAlreadyExists    Errno = 183
	ErrorMoreData         Errno = 234
	ErrorNoMoreItems      Errno = 259
	ErrorOverflow         Errno = 534
	ErrorBadDB            Errno = 1009
	ErrorNotRegistryFile  Errno = 1017
	ErrorKeyDeleted       Errno = 1018
	ErrorKeyHasChildren   Errno = 1020
	ErrorInvalidSecurity  Errno = 1338
)

var errnoText = map[Errno]string{
	ErrorFileNotFound: "ERROR_FILE_NOT_FOUND", ErrorAccessDenied: "ERROR_ACCESS_DENIED",
	ErrorInvalidHandle: "ERROR_INVALID_HANDLE", ErrorFileExists: "ERROR_FILE_EXISTS",
	ErrorInvalidParameter: "ERROR_INVALID_PARAMETER", ErrorAlreadyExists: "ERROR_ALREADY_EXISTS",
	ErrorMoreData: "ERROR_MORE_DATA", ErrorNoMoreItems: "ERROR_NO_MORE_ITEMS",
	ErrorBadDB: "ERROR_BADDB", ErrorNotRegistryFile: "ERROR_NOT_REGISTRY_FILE",
	ErrorKeyDeleted: "ERROR_KEY_DELETED", ErrorKeyHasChildren: "ERROR_KEY_HAS_CHILDREN",
	ErrorOverflow: "ERROR_ARITHMETIC_OVERFLOW", ErrorInvalidSecurity: "ERROR_INVALID_SECURITY_DESCR",
}

// Error returns the name and number of the code.
func (e Errno) Error() string {
	if s, ok := errnoText[e]; ok {
		return fmt.Sprintf("%s (%d)", s, uint32(e))
	}
	return fmt.Sprintf("Windows error %d", uint32(e))
}

// sentinel is an error that also matches Windows codes and a standard error.
type sentinel struct {
	text  string
	codes [2]Errno
	std   error
	also  error // another error of this package that includes it
}

func (s *sentinel) Error() string { return s.text }

func (s *sentinel) Is(target error) bool {
	if c, ok := target.(Errno); ok {
		return c != 0 && (c == s.codes[0] || c == s.codes[1])
	}
	return target != nil && (target == s.std || target == s.also)
}

// The errors of this package.
var (
	// ErrNotHive reports that the file is no hive, or of a version that does not exist.
	ErrNotHive error = &sentinel{text: "not a registry hive", codes: [2]Errno{ErrorNotRegistryFile}}
	// ErrDirty reports that the hive has changes that are only in its logs, or that its
	// base block fails its checksum.
	ErrDirty error = &sentinel{text: "hive is dirty: its logs were not replayed", codes: [2]Errno{ErrorNotRegistryFile}}
	// ErrTruncated reports that the file is shorter than the hive.
	ErrTruncated error = &sentinel{text: "hive is shorter than it declares", codes: [2]Errno{ErrorBadDB}}
	// ErrLogFile reports that the file is a transaction log and not a hive.
	ErrLogFile error = &sentinel{text: "file is a transaction log, not a hive", codes: [2]Errno{ErrorBadDB}}
	// ErrCorrupt reports that a structure of the hive breaks the rules of its format.
	ErrCorrupt error = &sentinel{text: "corrupt hive", codes: [2]Errno{ErrorBadDB}}
	// ErrNotFound reports that a key or a value does not exist. It is fs.ErrNotExist too.
	ErrNotFound error = &sentinel{text: "not found", codes: [2]Errno{ErrorFileNotFound}, std: fs.ErrNotExist}
	// ErrExists reports that a file or a key exists already. It is fs.ErrExist too.
	ErrExists error = &sentinel{text: "already exists", codes: [2]Errno{ErrorFileExists, ErrorAlreadyExists}, std: fs.ErrExist}
	// ErrInvalid reports an argument that a hive cannot hold.
	ErrInvalid error = &sentinel{text: "invalid argument", codes: [2]Errno{ErrorInvalidParameter}, std: fs.ErrInvalid}
	// ErrClassSize reports a class name that is too long for its 16-bit length in bytes:
	// more than 32,767 UTF-16 units. It is ErrInvalid too.
	ErrClassSize error = &sentinel{text: "class name has more than 32,767 UTF-16 units", codes: [2]Errno{ErrorOverflow}, also: ErrInvalid}
	// ErrDescriptor reports that bytes are no self-relative security descriptor. It is
	// ErrInvalid too.
	ErrDescriptor error = &sentinel{text: "not a self-relative security descriptor", codes: [2]Errno{ErrorInvalidSecurity}, also: ErrInvalid}
	// ErrSymlink reports an attempt to create a key below a symbolic link, which can have
	// no subkeys.
	ErrSymlink error = &sentinel{text: "key is a symbolic link and can have no subkeys", codes: [2]Errno{ErrorAccessDenied}}
	// ErrHasSubkeys reports that a key was not deleted because it has subkeys.
	ErrHasSubkeys error = &sentinel{text: "key has subkeys", codes: [2]Errno{ErrorKeyHasChildren}}
	// ErrNoMore reports that an index is past the last item.
	ErrNoMore error = &sentinel{text: "no more items", codes: [2]Errno{ErrorNoMoreItems}}
	// ErrMoreData reports that a buffer is too small; the returned size is the required
	// one.
	ErrMoreData error = &sentinel{text: "buffer is too small", codes: [2]Errno{ErrorMoreData}}
	// ErrType reports that a value has another type than the getter expects.
	ErrType error = &sentinel{text: "value has another type"}
	// ErrLimit reports that a limit of the format or of this package was exceeded. The error
	// is a *LimitError that says which.
	ErrLimit error = &sentinel{text: "limit exceeded", codes: [2]Errno{ErrorInvalidParameter}}
	// ErrUnsupported reports that this version of the format can be read but not written.
	ErrUnsupported error = &sentinel{text: "not supported by this version of the format", codes: [2]Errno{ErrorInvalidParameter}}
	// ErrDeleted reports that a key or value is no longer in its place: an edit has deleted
	// or moved it.
	ErrDeleted error = &sentinel{text: "key or value was deleted", codes: [2]Errno{ErrorKeyDeleted}}
	// ErrClosed reports that the hive was closed.
	ErrClosed error = &sentinel{text: "hive is closed", codes: [2]Errno{ErrorInvalidHandle}, std: fs.ErrClosed}
)

// Error is an error with its place: the operation, the file, the key and the cell.
type Error struct {
	Op     string // "open", "read key", "set value", ...
	Hive   string // file name, if known
	Path   string // key path below the root, if known
	Offset int64  // cell offset from the end of the base block, -1 if unknown
	Rule   string // for corruption, the rule that is broken, as in finding.Finding.Rule
	Err    error
}

// Error formats as "op hive: key "path" at cell 0x20: cause".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Hive != "" {
		b.WriteByte(' ')
		b.WriteString(e.Hive)
	}
	if e.Path != "" {
		fmt.Fprintf(&b, ": key %q", e.Path)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " at cell %#x", e.Offset)
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// LimitError is [ErrLimit] with the limit. No option changes these limits: those of the
// format cannot be exceeded by any hive, the others bound what a hostile hive can cost.
type LimitError struct {
	Limit string // what is counted, such as "bytes of bins"
	Max   int64  // the largest number that is allowed
}

// Error formats as "limit exceeded: more than 512 levels of keys".
func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: more than %d %s", ErrLimit, e.Max, e.Limit)
}

// Is reports whether the target is ErrLimit or the Windows code that offreg returns.
func (e *LimitError) Is(target error) bool { return target == ErrLimit || errors.Is(ErrLimit, target) }

// The limits that are exceeded in more than one place.
var (
	errBinsLimit = &LimitError{"bytes of bins, the most that a hive has", maxBins}
	errCellLimit = &LimitError{"bytes in one cell", maxBins - pageSize}
	errFileLimit = &LimitError{"bytes of file", baseSize + math.MaxUint32}
	errListLimit = &LimitError{"leaves in the list of subkeys of one key", 0xFFFF}
)

// fault is one violation of the format, found while reading.
type fault struct {
	rule *finding.Rule
	off  int64
	msg  string
}

func (f *fault) Error() string        { return "corrupt hive: " + f.rule.ID + ": " + f.msg }
func (f *fault) Is(target error) bool { return target == ErrCorrupt || target == ErrorBadDB }

func faultf(rule *finding.Rule, off uint32, format string, args ...any) *fault {
	f := &fault{rule: rule, off: int64(off), msg: fmt.Sprintf(format, args...)}
	if off == nilCell {
		f.off = -1 // the base block, or the hive as a whole
	}
	return f
}

// opError wraps err with its place, or returns it unchanged if it is an Error already.
func (h *Hive) opError(op, path string, off int64, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	e = &Error{Op: op, Path: path, Offset: off, Err: err}
	if h != nil {
		e.Hive = h.name
	}
	var f *fault
	if errors.As(err, &f) {
		e.Rule = f.rule.ID
		e.Offset = f.off
	}
	return e
}
