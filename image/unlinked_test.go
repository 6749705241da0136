package image

import (
	"errors"
	"strings"
	"testing"
)

// References of transports that are not linked name the package to import.
func TestUnlinked(t *testing.T) {
	registeredMu.Lock()
	linked := registered
	registered = map[string]Transport{}
	registeredMu.Unlock()
	defer func() {
		registeredMu.Lock()
		registered = linked
		registeredMu.Unlock()
	}()
	for ref, pkg := range map[string]string{
		"oci:dir": "image/layout", "oci-archive:f": "image/archive", "docker-archive:f:n": "image/archive",
		"containerd:example.com/a:1": "image/containerd", "docker://a": "image/registry", "example.com/a": "image/registry",
	} {
		_, err := Open(t.Context(), ref)
		var unlinked *UnlinkedError
		if !errors.As(err, &unlinked) || !strings.HasSuffix(unlinked.Package, "/"+pkg) || !strings.Contains(err.Error(), unlinked.Package) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if _, err := Open(t.Context(), "tar:layer.tar"); !errors.Is(err, ErrReference) {
		t.Errorf("a layer: %v", err)
	}
}
