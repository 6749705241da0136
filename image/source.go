package image

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

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

// options are those of all functions that take a reference.
type options struct {
	platform  *Platform
	plainHTTP bool
	foreign   bool
	all       bool
	force     bool
	limits    layer.Limits
	progress  func(*Layer) (func(int64), func())

	containerd string // socket

	hook func(op, name string) error // fails operations on the host in tests
}

// step is called before every operation on the host of Unpack and UnpackStore that
// is not the layer writer's.
func (o *options) step(op, name string) error {
	if o.hook == nil {
		return nil
	}
	return o.hook(op, name)
}

// Option configures Open and Copy.
type Option func(*options)

// WithPlatform chooses the image that a host of this platform runs; of several the
// one with the highest OS version.
func WithPlatform(p Platform) Option { return func(o *options) { o.platform = &p } }

// WithPlainHTTP speaks HTTP instead of HTTPS with registries. Registries on the
// loopback interface are spoken to in HTTP anyway.
func WithPlainHTTP() Option { return func(o *options) { o.plainHTTP = true } }

// WithForeign fetches foreign layers from the URLs in the manifest although the
// image comes from a file, and has Copy push them to a registry. Without it a file
// cannot make this machine ask for URLs.
func WithForeign() Option { return func(o *options) { o.foreign = true } }

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
func openSource(ctx context.Context, ref Reference, o *options) (source, error) {
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

// openURLs fetches a foreign layer from where its publisher keeps it.
func openURLs(ctx context.Context, d Descriptor) (io.ReadCloser, error) {
	var first error
	for _, u := range d.URLs {
		rc, err := openURL(ctx, u)
		if err == nil {
			return rc, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("%w: %s has no URLs", ErrMissingBlob, d.Digest)
	}
	return nil, first
}

func openURL(ctx context.Context, u string) (io.ReadCloser, error) {
	parsed, err := url.Parse(u)
	if err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" {
		return nil, fmt.Errorf("%w: foreign layer at %.200q", ErrMediaType, u)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%w: %.200q: %s", ErrMissingBlob, u, resp.Status)
	}
	return resp.Body, nil
}
