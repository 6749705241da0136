package layerindex

import "errors"

var (
	// ErrDamaged reports that a file is no index, or not as it was written.
	ErrDamaged = errors.New("damaged index")
	// ErrVersion reports an index of another version of this program.
	ErrVersion = errors.New("index of another version")
)
