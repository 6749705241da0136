package image

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/mullion/mullion/layer"
)

// source is a place that holds documents and blobs.
type source interface {
	// roots returns what the reference names: indexes or manifests. More than one
	// are candidates to choose from.
	roots(ctx context.Context) ([]Descriptor, error)
	// open opens content by digest; nothing is verified. ErrMissingBlob says that it
	// is not there. The caller closes it before the source is closed.
	open(ctx context.Context, d Descriptor) (io.ReadCloser, error)
	// close releases the source.
	close() error
}

// A holder is a source that knows without a request what it holds.
type holder interface {
	holds(d Descriptor) bool
}

// options are those of all functions that take a reference.
type options struct {
	platform  *Platform
	plainHTTP bool
	foreign   bool
	private   bool
	idle      time.Duration
	all       bool
	force     bool
	limits    layer.Limits
	progress  func(*Layer) (func(int64), func())

	containerd string // socket
}

// Option configures Open and Copy.
type Option func(*options)

// WithPlatform chooses the image that a host of this platform runs; of several the
// one with the highest OS version.
func WithPlatform(p Platform) Option { return func(o *options) { o.platform = &p } }

// WithPlainHTTP speaks HTTP instead of HTTPS with registries. Registries on the
// loopback interface are spoken to in HTTP anyway.
func WithPlainHTTP() Option { return func(o *options) { o.plainHTTP = true } }

// WithForeign fetches foreign layers from the URLs in the manifest, and has Copy push
// them to a registry. Without it an image cannot make this machine ask for URLs.
func WithForeign() Option { return func(o *options) { o.foreign = true } }

// WithPrivateNetwork allows a registry to redirect to another host, and a manifest to
// name URLs, at loopback and private addresses. Without it an image or a registry
// cannot make this machine talk to services that are not public. Link-local addresses,
// where clouds serve credentials, are never asked.
func WithPrivateNetwork() Option { return func(o *options) { o.private = true } }

// WithIdleTimeout ends a request to a registry that sends nothing for d; the default is
// a minute, and a negative one never ends it.
func WithIdleTimeout(d time.Duration) Option { return func(o *options) { o.idle = d } }

// WithAll has Copy take all of an index instead of one image.
func WithAll() Option { return func(o *options) { o.all = true } }

// WithForce has Copy replace an archive that exists.
func WithForce() Option { return func(o *options) { o.force = true } }

// WithLimits bounds what a hostile layer can do.
func WithLimits(l layer.Limits) Option { return func(o *options) { o.limits = l } }

// WithProgress has begin called whenever a layer's blob is opened; the functions that
// it returns are called with every number of stored bytes that were read, and at the
// end. They may be called by several goroutines.
func WithProgress(begin func(*Layer) (add func(int64), done func())) Option {
	return func(o *options) { o.progress = begin }
}

func newOptions(opts []Option) *options {
	o := &options{}
	for _, f := range opts {
		f(o)
	}
	return o
}

// openSource opens the place that a reference names for reading.
func openSource(ctx context.Context, ref Reference, o *options) (*documents, error) {
	src, err := openPlace(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	return newDocuments(src), nil
}

func openPlace(ctx context.Context, ref Reference, o *options) (source, error) {
	switch ref.Transport {
	case Layout:
		return openLayout(ref)
	case OCIArchive:
		return openOCIArchive(ctx, ref, o)
	case DockerArchive:
		return openDockerArchive(ctx, ref, o)
	case Registry:
		return openRegistry(ref, o)
	case Containerd:
		return openContainerd(ctx, ref, o)
	}
	return nil, fmt.Errorf("%w: transport %.40q", ErrReference, ref.Transport)
}
