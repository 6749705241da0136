package layer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/internal/wtf8"
)

// The errors that readers and writers of layers share. Test with errors.Is; the errors
// around them have the place.
var (
	// ErrCorrupt reports that the source breaks the rules of its format.
	ErrCorrupt = errors.New("corrupt layer")
	// ErrInvalidName reports that a name cannot be a path inside a Windows layer.
	ErrInvalidName = errors.New("invalid name")
	// ErrDuplicate reports that a layer has two entries for one path.
	ErrDuplicate = errors.New("duplicate entry")
	// ErrCaseConflict reports that two names differ in case alone.
	ErrCaseConflict = errors.New("names differ only in case")
	// ErrLinkTarget reports that the target of a hard link does not exist, is not a
	// file, or may not be linked to from there.
	ErrLinkTarget = errors.New("invalid hard link target")
	// ErrNotDirectory reports that an ancestor of an entry is not a directory.
	ErrNotDirectory = errors.New("ancestor is not a directory")
	// ErrWhiteout reports a whiteout where none is allowed: in a base layer, or outside
	// Files and UtilityVM\Files.
	ErrWhiteout = errors.New("whiteout not allowed")
	// ErrUnsupported reports that the entry cannot be expressed in the target format.
	ErrUnsupported = errors.New("not supported by the format")
	// ErrStreamSize reports that a stream had more or fewer bytes than announced.
	ErrStreamSize = errors.New("stream does not have the announced size")
	// ErrLimit reports that a limit was exceeded; the LimitError around it names the limit.
	ErrLimit = errors.New("limit exceeded")
	// ErrExists reports that the target exists already.
	ErrExists = errors.New("target already exists")
	// ErrClosed reports that the reader or writer was closed, or has failed before.
	ErrClosed = errors.New("already closed")
	// ErrMissingParent reports that a required parent layer was not passed.
	ErrMissingParent = errors.New("parent layer missing")
)

// Error is an error with its place: the operation, the layer and the entry.
type Error struct {
	Op     string // "read tar", "write wclayer", "union"
	Layer  string // name of the layer or file, if known
	Entry  string // path of the entry, if any
	Index  int64  // number of the entry in its source from 1, 0 if unknown
	Offset int64  // byte offset in the source, -1 if unknown
	Err    error
}

// Error formats as "op layer: entry 12 "path" at offset 0x400: cause".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Layer != "" {
		b.WriteByte(' ')
		b.WriteString(e.Layer)
	}
	if e.Index > 0 || e.Entry != "" {
		b.WriteString(": entry")
		if e.Index > 0 {
			fmt.Fprintf(&b, " %d", e.Index)
		}
		if e.Entry != "" {
			b.WriteByte(' ')
			b.WriteString(quoteEntry(e.Entry))
		}
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " at offset %#x", e.Offset)
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	return b.String()
}

// quoteEntry quotes a path for a message; a hostile one may have 32,767 units.
func quoteEntry(path string) string {
	const most = 600
	if len(path) > most {
		return fmt.Sprintf("%s... (%d bytes)", wtf8.Quote(path[:most]), len(path))
	}
	return wtf8.Quote(path)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
