package layer

import "fmt"

// Limits bound what a hostile layer can make a reader or a copy do. A zero field
// means the default, a negative one no limit.
type Limits struct {
	Entries     int64 // entries in one layer; default 10,000,000
	FileSize    int64 // bytes of one stream; default 1 TiB
	TotalSize   int64 // logical bytes of all streams together; default 16 TiB
	Streams     int64 // streams of one entry; default 4,096
	MetadataLen int64 // descriptor, EAs, reparse data and records of one entry; default 1 MiB
	// Ratio is the largest allowed expansion of a compressed blob once more than
	// 16 MiB have come out; default 1,100, just above what deflate can do (1,032).
	Ratio int64
}

// LimitError says which limit was exceeded. errors.Is(err, ErrLimit) holds.
type LimitError struct {
	Limit string // field of Limits
	Max   int64
}

// Error formats as "limit exceeded: FileSize is 1024".
func (e *LimitError) Error() string { return fmt.Sprintf("%v: %s is %d", ErrLimit, e.Limit, e.Max) }

// Is makes errors.Is(err, ErrLimit) hold.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }
