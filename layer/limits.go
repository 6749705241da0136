package layer

import (
	"fmt"
	"math"
	"strings"
)

// Limits bound the resources that a hostile layer can make a reader or a copy use. A zero
// field means the default, a negative one no limit.
type Limits struct {
	// Entries of one layer, including directories that are not mentioned and are created
	// for their contents; default 10,000,000.
	Entries     int64
	FileSize    int64 // bytes of one stream; default 1 TiB
	TotalSize   int64 // logical bytes of all streams together; default 16 TiB
	Streams     int64 // streams of one entry; default 4,096
	Depth       int64 // components of one path; default 1,024
	MetadataLen int64 // descriptor, EAs, reparse data and records of one entry; default 1 MiB
	// Ratio is the largest allowed expansion of a compressed blob, and of holes that become
	// zeros, after the first RatioFloor bytes of output; default 1,100, just above the
	// maximum of deflate (1,032).
	Ratio int64
}

// Defaults of Limits.
const (
	DefaultEntries     = 10_000_000
	DefaultFileSize    = 1 << 40
	DefaultTotalSize   = 16 << 40
	DefaultStreams     = 4096
	DefaultDepth       = 1024
	DefaultMetadataLen = 1 << 20
	DefaultRatio       = 1100
)

// RatioFloor is the number of bytes of output from which Limits.Ratio counts.
const RatioFloor = 16 << 20

// WithDefaults returns the limits with every zero field replaced by its default and every
// negative one by the largest value, so that a plain comparison decides whether a limit is
// exceeded.
func (l Limits) WithDefaults() Limits {
	set := func(field *int64, byDefault int64) {
		switch {
		case *field == 0:
			*field = byDefault
		case *field < 0:
			*field = math.MaxInt64
		}
	}
	set(&l.Entries, DefaultEntries)
	set(&l.FileSize, DefaultFileSize)
	set(&l.TotalSize, DefaultTotalSize)
	set(&l.Streams, DefaultStreams)
	set(&l.Depth, DefaultDepth)
	set(&l.MetadataLen, DefaultMetadataLen)
	set(&l.Ratio, DefaultRatio)
	return l
}

// Allow reports whether everything that m allows is allowed by l: no limit of l is smaller.
func (l Limits) Allow(m Limits) bool {
	l, m = l.WithDefaults(), m.WithDefaults()
	return m.Entries <= l.Entries && m.FileSize <= l.FileSize && m.TotalSize <= l.TotalSize && m.Streams <= l.Streams &&
		m.Depth <= l.Depth && m.MetadataLen <= l.MetadataLen && m.Ratio <= l.Ratio
}

// CheckDepth returns a LimitError for a path of too many components. The limits must have
// their defaults.
func (l *Limits) CheckDepth(path string) error {
	// A component and its separator have at least two bytes.
	if int64(len(path)) >= 2*l.Depth && int64(strings.Count(path, `\`)) >= l.Depth {
		return &LimitError{Limit: "Depth", Max: l.Depth}
	}
	return nil
}

// MetadataSize returns the size that Limits.MetadataLen limits: the bytes of the entry's
// names, descriptor, extended attributes, reparse buffer and object identifier.
func (e *Entry) MetadataSize() int64 {
	n := len(e.Path) + len(e.Target) + len(e.Security) + len(e.Reparse) + len(e.ObjectID)
	for i := range e.EAs {
		n += len(e.EAs[i].Name) + len(e.EAs[i].Value) + 8
	}
	return int64(n)
}

// LimitError names the exceeded limit. errors.Is(err, ErrLimit) holds.
type LimitError struct {
	Limit string // field of Limits
	Max   int64
}

// Error formats as "limit exceeded: FileSize is 1024".
func (e *LimitError) Error() string { return fmt.Sprintf("%v: %s is %d", ErrLimit, e.Limit, e.Max) }

// Is makes errors.Is(err, ErrLimit) hold.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }
