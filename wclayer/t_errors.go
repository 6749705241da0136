package wclayer

import "errors"

// Errors of this package, besides the vocabulary of package layer. Test with errors.Is.
var (
	// ErrTombstones says that tombstones.txt does not begin with its header line or
	// has a line that is too long. The words are those that Windows tools print.
	ErrTombstones = errors.New("invalid tombstones file")
)
