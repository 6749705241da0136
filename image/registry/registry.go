// Package registry reads and writes images in registries. Importing it makes package image
// understand docker://NAME, plain NAME, and the URLs of foreign layers.
//
// # Which addresses are asked
//
// A registry can redirect a request or refer to a token service, and a manifest can name
// URLs. Neither is trusted: requests to other hosts than the registry that the user has named
// do not reach loopback or private addresses unless WithPrivateNetwork allows it, and never
// link-local addresses. Redirects are followed at most ten times and never from HTTPS to
// HTTP, credentials stay with their host, and a request that receives nothing for a minute
// ends.
package registry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
)

// ErrAddress says that a registry or a manifest refers to an address that is not public, and
// that WithPrivateNetwork was not given.
var ErrAddress = errors.New("address is not public")

// options are those of a transport.
type options struct {
	plainHTTP bool
	private   bool
	idle      time.Duration
	keychain  authn.Keychain
	rt        http.RoundTripper // nil for the transport of this package
	client    *http.Client      // nil for none; its transport is rt
}

// Option configures New.
type Option func(*options)

// WithPlainHTTP speaks HTTP instead of HTTPS with registries. Registries on the loopback
// interface are spoken to in HTTP anyway.
func WithPlainHTTP() Option { return func(o *options) { o.plainHTTP = true } }

// WithPrivateNetwork allows a registry to redirect to another host, and a manifest to name
// URLs, at loopback and private addresses. Without it an image or a registry cannot make this
// machine talk to services that are not public. Link-local addresses, where clouds serve
// credentials, are never asked.
func WithPrivateNetwork() Option { return func(o *options) { o.private = true } }

// WithIdleTimeout ends a request that receives nothing for d; the default is a minute, and a
// negative duration never ends it.
func WithIdleTimeout(d time.Duration) Option { return func(o *options) { o.idle = d } }

// WithKeychain takes the credentials of registries from k instead of the files that docker
// login and podman login write.
func WithKeychain(k authn.Keychain) Option { return func(o *options) { o.keychain = k } }

// WithTransport makes requests with rt, for certificates, proxies or a connection pool of the
// program. Redirects, the idle timeout and the bounds of answers stay those of this package.
//
// So does the address policy if rt is a *http.Transport: hosts that the user has not named are
// then connected to without its dialer and proxy, except that a proxy which applies to a URL
// resolves the name and decides. With another type, only numeric addresses in a URL
// are checked, and rt decides about those that names resolve to.
func WithTransport(rt http.RoundTripper) Option { return func(o *options) { o.rt = rt } }

// WithClient makes requests with the transport of a client, as WithTransport does, and with its
// cookie jar and timeout. Its redirect policy doesn't count, because this package follows
// redirects itself.
func WithClient(c *http.Client) Option {
	return func(o *options) { o.rt, o.client = c.Transport, c }
}

// clientTransport returns a transport that makes requests as a client does, over rt.
func clientTransport(c *http.Client, rt http.RoundTripper) http.RoundTripper {
	return roundTripper((&http.Client{Transport: rt, CheckRedirect: noRedirects, Jar: c.Jar, Timeout: c.Timeout}).Do)
}

// roundTripper is a function as an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// transport is that of references to registries.
type transport struct{ options }

func init() { image.Register(New()) }

// New returns the transport of images in registries. Importing the package registers one
// without options. It is also an image.ForeignOpener.
func New(opts ...Option) image.Transport { return newTransport(opts) }

func newTransport(opts []Option) *transport {
	t := &transport{options{keychain: authn.DefaultKeychain}}
	for _, f := range opts {
		f(&t.options)
	}
	return t
}

func (*transport) Scheme() string { return image.Registry }

func (*transport) ParseReference(rest string) (image.Reference, error) {
	_, err := name.ParseReference(rest)
	return image.Reference{Path: rest}, err
}

func (t *transport) OpenSource(_ context.Context, ref image.Reference, _ layer.Limits) (image.Source, error) {
	r, err := t.name(ref)
	if err != nil {
		return nil, err
	}
	puller, err := remote.NewPuller(t.remote(r.Context())...)
	if err != nil {
		return nil, err
	}
	return &source{ref: r, puller: puller, options: &t.options}, nil
}

func (t *transport) OpenDestination(_ context.Context, ref image.Reference) (image.Destination, error) {
	r, err := t.name(ref)
	if err != nil {
		return nil, err
	}
	return &destination{t, r}, nil
}

func (t *transport) name(ref image.Reference) (name.Reference, error) {
	return name.ParseReference(ref.Path, t.naming()...)
}

// naming returns the options with which names are parsed.
func (t *transport) naming() []name.Option {
	if t.plainHTTP {
		return []name.Option{name.Insecure}
	}
	return nil
}

// remote returns the options of every call.
func (t *transport) remote(repo name.Repository) []remote.Option {
	return []remote.Option{remote.WithAuthFromKeychain(t.keychain), remote.WithUserAgent("mullion"),
		remote.WithTransport(newTripper(&t.options, repo.RegistryStr()))}
}

var _ image.ForeignOpener = (*transport)(nil)
