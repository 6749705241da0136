package image

import (
	"github.com/mullion/mullion/layer"
)

// options collects the options of all functions that take a reference.
type options struct {
	platform   *Platform
	foreign    bool
	all        bool
	force      bool
	limits     layer.Limits
	progress   func(*Layer) (func(int64), func())
	cache      *Cache
	transports map[string]Transport // by scheme, instead of those that are registered
}

// Option configures Open and Copy.
type Option func(*options)

// WithPlatform selects the image that a host of platform p runs. If there are several, the
// one with the highest OS version is used.
func WithPlatform(p Platform) Option { return func(o *options) { o.platform = &p } }

// WithTransport uses t instead of the transport that is registered for its scheme, as in
//
//	image.Open(ctx, ref, image.WithTransport(registry.New(registry.WithPlainHTTP())))
func WithTransport(t Transport) Option { return func(o *options) { o.transports[t.Scheme()] = t } }

// WithForeign fetches foreign layers from the URLs in the manifest, and makes Copy push
// them to a registry. Package image/registry must be linked. Without this option an image
// cannot make this machine request URLs.
func WithForeign() Option { return func(o *options) { o.foreign = true } }

// WithAll makes Copy copy a whole index instead of one image.
func WithAll() Option { return func(o *options) { o.all = true } }

// WithForce makes Copy replace an existing archive.
func WithForce() Option { return func(o *options) { o.force = true } }

// WithLimits bounds the resources that a hostile layer can use.
func WithLimits(l layer.Limits) Option { return func(o *options) { o.limits = l } }

// WithProgress calls begin whenever a layer's blob is opened. add is then called after
// each read with its number of stored bytes, and done at the end. The functions may be
// called by several goroutines.
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
