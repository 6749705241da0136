package snapshotter

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// What was written and cannot be opened is nothing, not a tree that is nil.
func TestOpenFails(t *testing.T) {
	u, err := fuseViewer{}.open(filepath.Join("/dev/null", upperName), nil)
	if u != nil || !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("%v, %v", u, err)
	}
}
