package image

import (
	"github.com/mullion/mullion/layer"
)

// options are those of all functions that take a reference.
type options struct {
	platform   *Platform
	foreign    bool
	all        bool
	force      bool
	limits     layer.Limits
	progress   func(*Layer) (func(int64), func())
	transports map[string]Transport // by scheme, instead of those that are registered
}

// Option configures Open and Copy.
type Option func(*options)

// WithPlatform chooses the image that a host of this platform runs; of several the
// one with the highest OS version.
func WithPlatform(p Platform) Option { return func(o *options) { o.platform = &p } }

// WithTransport uses t instead of the transport that is registered for its scheme, as in
//
//	image.Open(ctx, ref, image.WithTransport(registry.New(registry.WithPlainHTTP())))
func WithTransport(t Transport) Option { return func(o *options) { o.transports[t.Scheme()] = t } }

// WithForeign fetches foreign layers from the URLs in the manifest, and has Copy push
// them to a registry. The package that reads registries must be linked. Without it an image cannot make this machine ask for URLs.
func WithForeign() Option { return func(o *options) { o.foreign = true } }

// WithAll has Copy take all of an index instead of one image.
func WithAll() Option { return func(o *options) { o.all = true } }

// WithForce has Copy replace an archive that exists.
func WithForce() Option { return func(o *options) { o.force = true } }

// WithLimits bounds the resources that a hostile layer can use.
func WithLimits(l layer.Limits) Option { return func(o *options) { o.limits = l } }

// WithProgress has begin called whenever a layer's blob is opened; the functions that
// it returns are called with every number of stored bytes that were read, and at the
// end. They may be called by several goroutines.
func WithProgress(begin func(*Layer) (add func(int64), done func())) Option {
	return func(o *options) { o.progress = begin }
}

func newOptions(opts []Option) *options {
	o := &options{transports: map[string]Transport{}}
	for _, f := range opts {
		f(o)
	}
	return o
}
