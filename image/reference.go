package image

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/mullion/mullion/blob"
	"github.com/opencontainers/go-digest"
)

// Transport is the kind of place where an image is kept.
type Transport string

// The transports.
const (
	Layout        Transport = "oci"
	OCIArchive    Transport = "oci-archive"
	DockerArchive Transport = "docker-archive"
	Registry      Transport = "docker"
	Containerd    Transport = "containerd"
)

// Reference is a parsed image reference.
type Reference struct {
	Transport Transport
	Path      string // file or folder; the full name for a registry or containerd
	Name      string // tag of an OCI layout, name in a docker archive, namespace in containerd; may be empty
	// Digest is that of an index or manifest in a layout or archive, "" for none. With
	// a Name too, the image must have both. References to registries and containerd
	// have their digest in Path.
	Digest digest.Digest
}

// String formats as ParseReference reads.
func (r Reference) String() string {
	s := string(r.Transport) + ":" + r.Path
	if r.Transport == Containerd && r.Name != "" {
		return string(r.Transport) + ":" + r.Name + "/" + r.Path
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

// layerSchemes begin references to single layers, which would otherwise be taken
// for names in a registry.
var layerSchemes = []string{"tar:", "wclayer:", "cim:", "dir:", "docker-daemon:", "containers-storage:"}

// ParseReference reads an image reference. The words are those of skopeo.
func ParseReference(s string) (Reference, error) {
	for _, t := range []Transport{Layout, OCIArchive, DockerArchive} {
		rest, ok := strings.CutPrefix(s, string(t)+":")
		if !ok {
			continue
		}
		r := Reference{Transport: t}
		if at := strings.LastIndexByte(rest, '@'); at >= 0 && looksLikeDigest(rest[at+1:]) {
			d := digest.Digest(rest[at+1:])
			if err := blob.CheckDigest(d); err != nil {
				return Reference{}, fmt.Errorf("%w: %.200q: %w", ErrReference, s, err)
			}
			rest, r.Digest = rest[:at], d
		}
		r.Path, r.Name = cutPath(rest)
		if r.Path == "" {
			return Reference{}, fmt.Errorf("%w: %.200q has no path", ErrReference, s)
		}
		return r, nil
	}
	if rest, ok := strings.CutPrefix(s, string(Containerd)+":"); ok {
		r := Reference{Transport: Containerd}
		if r.Name, r.Path = cutNamespace(rest); r.Path == "" {
			return Reference{}, fmt.Errorf("%w: %.200q has no name", ErrReference, s)
		}
		return r, nil
	}
	for _, scheme := range layerSchemes {
		if strings.HasPrefix(s, scheme) {
			return Reference{}, fmt.Errorf("%w: %.200q is not a place where images are kept", ErrReference, s)
		}
	}
	rest := strings.TrimPrefix(s, "docker://")
	if strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/") {
		return Reference{}, fmt.Errorf("%w: %.200q is the path of a file, not a name in a registry", ErrReference, s)
	}
	if _, err := name.ParseReference(rest); err != nil {
		return Reference{}, fmt.Errorf("%w: %.200q: %v", ErrReference, s, err)
	}
	return Reference{Transport: Registry, Path: rest}, nil
}

// looksLikeDigest reports whether what follows an at sign is meant as a digest and not as
// part of a path.
func looksLikeDigest(s string) bool {
	return strings.HasPrefix(s, "sha256:") || strings.HasPrefix(s, "sha512:")
}

// cutPath splits PATH[:NAME] at the first colon that does not belong to a drive.
func cutPath(s string) (path, name string) {
	from := 0
	if len(s) >= 3 && s[1] == ':' && (s[2] == '\\' || s[2] == '/') {
		from = 2
	}
	path, name, _ = strings.Cut(s[from:], ":")
	return s[:from] + path, name
}
