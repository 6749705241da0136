package layerdir

import (
	"io/fs"

	"github.com/mullion/mullion/hives"
)

// The permissions of files. All users may read as far as the umask allows, but not the
// registry.
const (
	OpenMode    fs.FileMode = 0o666
	privateMode fs.FileMode = 0o600
)

// ModeOf returns the permissions of the file at a path of the layer.
func ModeOf(path string) fs.FileMode {
	if hives.Private(path) {
		return privateMode
	}
	return OpenMode
}
