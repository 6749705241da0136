package image

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/mullion/mullion/layer"
)

// The schemes of the transports of this module. Each is registered by a package of its own,
// so that a program links only the clients that it uses.
const (
	Layout        = "oci"
	OCIArchive    = "oci-archive"
	DockerArchive = "docker-archive"
	Registry      = "docker"
	Containerd    = "containerd"
)

// packages maps the schemes of this module to the packages that register them.
var packages = map[string]string{
	Layout:        "github.com/mullion/mullion/image/layout",
	OCIArchive:    "github.com/mullion/mullion/image/archive",
	DockerArchive: "github.com/mullion/mullion/image/archive",
	Registry:      "github.com/mullion/mullion/image/registry",
	Containerd:    "github.com/mullion/mullion/image/containerd",
}

// A Transport reads and writes images at places of one kind. It is safe for concurrent use.
type Transport interface {
	// Scheme returns the prefix of references, without the colon.
	Scheme() string
	// ParseReference parses the rest of a reference, after the scheme and the colon.
	ParseReference(rest string) (Reference, error)
	// OpenSource opens the place of a reference for reading, within limits for files that
	// it decompresses.
	OpenSource(ctx context.Context, ref Reference, limits layer.Limits) (Source, error)
	// OpenDestination returns the place of a reference for writing; nothing is written yet.
	OpenDestination(ctx context.Context, ref Reference) (Destination, error)
}

// A Source holds documents and blobs. It is safe for concurrent use.
type Source interface {
	// Roots returns the descriptors of the indexes or manifests that the reference names,
	// among which the caller chooses if they are more than one.
	Roots(ctx context.Context) ([]Descriptor, error)
	// Open opens content by digest without verifying it; the error is ErrMissingBlob if the
	// source does not hold it, and the caller closes the reader before the source.
	Open(ctx context.Context, d Descriptor) (io.ReadCloser, error)
	// Close releases the source.
	Close() error
}

// A Holder is a Source that knows without a request which blobs it holds.
type Holder interface {
	// Holds reports whether the source holds the content of a descriptor.
	Holds(d Descriptor) bool
}

// A Destination stores the documents and layers that Copy reads.
type Destination interface {
	// Write writes a parcel so that nothing is visible before all of it is there.
	Write(ctx context.Context, p *Parcel) (*Copied, error)
}

// A ForeignOpener is a Transport that also fetches foreign layers. WithForeign uses the one
// for registries.
type ForeignOpener interface {
	// OpenForeign opens a layer at one of the URLs of its descriptor.
	OpenForeign(ctx context.Context, d Descriptor) (io.ReadCloser, error)
}

var (
	registered   = map[string]Transport{}
	registeredMu sync.RWMutex
)

// Register makes a transport available to Open, Copy and ParseReference under its scheme.
// Packages call it in init. It panics if the scheme is taken.
func Register(t Transport) {
	registeredMu.Lock()
	defer registeredMu.Unlock()
	if _, taken := registered[t.Scheme()]; taken {
		panic("image: transport " + t.Scheme() + " is registered twice")
	}
	registered[t.Scheme()] = t
}

// transport returns the transport for a scheme: one that an option has set, otherwise the
// one that is registered.
func (o *options) transport(scheme string) (Transport, error) {
	if t, ok := o.transports[scheme]; ok {
		return t, nil
	}
	registeredMu.RLock()
	defer registeredMu.RUnlock()
	if t, ok := registered[scheme]; ok {
		return t, nil
	}
	if pkg, ok := packages[scheme]; ok {
		return nil, &UnlinkedError{Scheme: scheme, Package: pkg}
	}
	return nil, fmt.Errorf("%w: transport %.40q", ErrReference, scheme)
}

// has reports whether a scheme is registered, or would be by a package of this module.
func (o *options) has(scheme string) bool {
	_, known := packages[scheme]
	if _, err := o.transport(scheme); err == nil {
		known = true
	}
	return known
}

// openSource opens the place that a reference names for reading.
func (o *options) openSource(ctx context.Context, reference string) (Reference, *documents, error) {
	ref, t, err := o.parse(reference)
	if err != nil {
		return ref, nil, err
	}
	src, err := t.OpenSource(ctx, ref, o.limits)
	if err != nil {
		return ref, nil, err
	}
	return ref, newDocuments(src), nil
}

// openForeign opens a layer at one of its URLs.
func (o *options) openForeign(ctx context.Context, d Descriptor) (io.ReadCloser, error) {
	t, err := o.transport(Registry)
	if err != nil {
		return nil, err
	}
	f, ok := t.(ForeignOpener)
	if !ok {
		return nil, fmt.Errorf("%w: transport %q fetches no foreign layers", ErrForeign, Registry)
	}
	return f.OpenForeign(ctx, d)
}
