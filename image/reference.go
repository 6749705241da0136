package image

import (
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Reference is a parsed image reference.
type Reference struct {
	Transport string // scheme
	Path      string // file or folder; the full name for a registry or containerd
	Name      string // tag of an OCI layout, name in a docker archive, namespace in containerd; may be empty
	// Digest is that of an index or manifest in a layout or archive, "" for none. With
	// a Name too, the image must have both. References to registries and containerd
	// have their digest in Path.
	Digest digest.Digest
}

// String formats as ParseReference reads.
func (r Reference) String() string {
	s := r.Transport + ":" + r.Path
	if r.Transport == Containerd && r.Name != "" {
		return r.Transport + ":" + r.Name + "/" + r.Path
	}
	if r.Transport == Registry {
		s = "docker://" + r.Path
	}
	if r.Name != "" {
		s += ":" + r.Name
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// layerSchemes are the schemes of references to single layers, which would otherwise be taken
// for names in a registry.
var layerSchemes = []string{"tar:", "wclayer:", "cim:", "dir:", "docker-daemon:", "containers-storage:"}

// ParseReference parses an image reference. Its scheme must be that of a transport that is
// linked into the program, otherwise the error is an [UnlinkedError].
func ParseReference(s string) (Reference, error) {
	r, _, err := newOptions(nil).parse(s)
	return r, err
}

// parse parses a reference and returns its transport. A text without a scheme is a name in a
// registry. The schemes are those of skopeo.
func (o *options) parse(s string) (Reference, Transport, error) {
	if s == "" {
		return Reference{}, nil, fmt.Errorf("%w: it is empty", ErrReference)
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == Registry || !o.has(scheme) {
		for _, l := range layerSchemes {
			if strings.HasPrefix(s, l) {
				return Reference{}, nil, fmt.Errorf("%w: %.200q is not a place where images are kept", ErrReference, s)
			}
		}
		scheme, rest = Registry, strings.TrimPrefix(s, "docker://")
		if strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/") {
			return Reference{}, nil, fmt.Errorf("%w: %.200q is the path of a file, not a name in a registry", ErrReference, s)
		}
	}
	t, err := o.transport(scheme)
	if err != nil {
		return Reference{}, nil, err
	}
	r, err := t.ParseReference(rest)
	if err != nil {
		return Reference{}, nil, fmt.Errorf("%w: %.200q: %w", ErrReference, s, err)
	}
	r.Transport = scheme
	return r, t, nil
}
