package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/layer"
)

const (
	// maxRedirects is how many redirects of one request are followed, as many as
	// net/http follows. The registry client has a policy of its own, which counts none.
	maxRedirects = 10
	// defaultIdle is how long a registry may send nothing.
	defaultIdle = time.Minute
)

// tripper makes the requests to registries and to the URLs of foreign layers. It
// follows redirects itself, so that one policy holds for all of them:
//
//   - at most maxRedirects, and none from HTTPS to HTTP;
//   - a redirect to another host may not lead to an address that is not public, however
//     its name resolves; see addressAllowed;
//   - credentials stay with the host that they were meant for.
//
// A request that gets no bytes for a while ends, and every answer that is not a blob is
// bounded in size.
type tripper struct {
	base    http.RoundTripper // to hosts that the user has named, and to proxies
	outside http.RoundTripper // to all others; its connections are its own
	proxy   func(*http.Request) (*url.URL, error)
	home    string // host and port of the registry, "" for none
	private bool
	idle    time.Duration
}

// newTripper returns the transport for the registry at home. Requests to other hosts, a
// token service among them, go where the registry says and are not trusted.
func newTripper(o *options, home string) *tripper {
	t := &tripper{private: o.private, idle: o.idle, home: home}
	if t.idle == 0 {
		t.idle = defaultIdle
	}
	base, ok := o.rt.(*http.Transport)
	switch {
	case o.rt == nil:
		base = newBase()
		fallthrough
	case ok:
		outside := base.Clone()
		outside.Proxy, outside.DialTLSContext = nil, nil
		//lint:ignore SA1019 A caller may have set the deprecated field, and it would be used.
		outside.DialTLS = nil
		outside.DialContext = newDialer(t.control).DialContext
		t.base, t.outside, t.proxy = base, outside, base.Proxy
	default:
		t.base, t.outside = o.rt, o.rt
	}
	if o.client != nil {
		t.base, t.outside = clientTransport(o.client, t.base), clientTransport(o.client, t.outside)
	}
	return t
}

func newDialer(control func(network, address string, c syscall.RawConn) error) *net.Dialer {
	return &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, Control: control}
}

func newBase() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           newDialer(nil).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   50,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// noRedirects is the redirect policy of clients over a transport, which has already
// followed the redirects that are allowed.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

type untrustedKey struct{}

type foreignKey struct{}

// foreign marks requests for a foreign layer, to a URL that an image has named.
func foreign(ctx context.Context) context.Context {
	return untrusted(context.WithValue(ctx, foreignKey{}, true))
}

// untrusted marks requests to an address that an image or a registry has named.
func untrusted(ctx context.Context) context.Context {
	return context.WithValue(ctx, untrustedKey{}, true)
}

func isUntrusted(ctx context.Context) bool { return ctx.Value(untrustedKey{}) != nil }

// control is called with the address that a name has resolved to, before a connection
// to it is made.
func (t *tripper) control(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	return t.addressAllowed(ip)
}

// notPublic are the ranges that IsPrivate and its siblings leave out: "this network"
// (RFC 791), shared address space (RFC 6598), benchmarks (RFC 2544), reserved
// (RFC 1112), NAT64 (RFC 6052), which leads to IPv4 addresses of any kind, 6to4
// (RFC 3056), Teredo (RFC 4380) and IPv4-compatible addresses (RFC 4291), which do too,
// site-local addresses (RFC 3879) and protocol assignments (RFC 6890), where some clouds
// serve the credentials of a machine.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("192.0.0.0/24"),
}

// addressAllowed decides about an address that was not given by the user.
func (t *tripper) addressAllowed(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return fmt.Errorf("%w: %s", ErrAddress, ip)
	}
	private := ip.IsPrivate() || ip.IsLoopback()
	for _, p := range notPublic {
		private = private || p.Contains(ip)
	}
	if private && !t.private {
		return &privateError{ip.String()}
	}
	return nil
}

// privateError is an ErrAddress that WithPrivateNetwork would have avoided.
type privateError struct{ address string }

func (e *privateError) Error() string { return ErrAddress.Error() + ": " + e.address }
func (e *privateError) Unwrap() error { return ErrAddress }

// PrivateAddress reports whether an error says that a registry or an image refers to a
// loopback or private address, which WithPrivateNetwork allows.
func PrivateAddress(err error) bool {
	var p *privateError
	return errors.As(err, &p)
}

// RoundTrip makes a request and follows its redirects.
func (t *tripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.home != "" && !strings.EqualFold(req.URL.Host, t.home) && !isUntrusted(req.Context()) {
		req = req.Clone(untrusted(req.Context()))
	}
	first := req
	for hops := 0; ; hops++ {
		if err := t.literalAllowed(req); err != nil {
			closeBody(req)
			return nil, err
		}
		resp, err := t.once(req, bounded(first))
		if err != nil || !redirects(req, resp) {
			return resp, err
		}
		location := resp.Header.Get("Location")
		resp.Body.Close()
		if hops == maxRedirects {
			return nil, fmt.Errorf("stopped after %d redirects", maxRedirects)
		}
		if req, err = redirected(req, first, location); err != nil {
			return nil, err
		}
	}
}

// literalAllowed applies the address policy where no connection would: to an address
// behind a proxy. A name is up to the proxy.
func (t *tripper) literalAllowed(req *http.Request) error {
	if !isUntrusted(req.Context()) {
		return nil
	}
	ip, err := netip.ParseAddr(strings.Trim(req.URL.Hostname(), "[]"))
	if err != nil {
		return nil
	}
	return t.addressAllowed(ip)
}

// redirects reports whether a response sends its request elsewhere. Redirects of
// uploads are left to the client, which does not follow them.
func redirects(req *http.Request, resp *http.Response) bool {
	if req.Method != http.MethodGet && req.Method != http.MethodHead || resp.Header.Get("Location") == "" {
		return false
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirected returns the request that a redirect asks for instead of req. first is the
// request that the client has made.
func redirected(req, first *http.Request, location string) (*http.Request, error) {
	to, err := req.URL.Parse(location)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		return nil, fmt.Errorf("redirect to %.200q", location)
	}
	if req.URL.Scheme == "https" && to.Scheme == "http" {
		return nil, fmt.Errorf("redirect from HTTPS to %.200q", "http://"+to.Host)
	}
	ctx := first.Context()
	// The host that redirected the request controls every later hop, including
	// one back to the registry.
	if !sameOrigin(req.URL, to) || isUntrusted(req.Context()) {
		ctx = untrusted(ctx)
	}
	next := req.Clone(ctx)
	next.URL, next.Host, next.Response = to, "", nil
	next.Header.Del("Referer")
	if !sameOrigin(first.URL, to) || isUntrusted(req.Context()) {
		next.Header.Del("Authorization")
		next.Header.Del("Cookie")
	}
	return next, nil
}

// sameOrigin compares the hosts of two URLs with their ports.
func sameOrigin(a, b *url.URL) bool { return strings.EqualFold(a.Host, b.Host) && a.Scheme == b.Scheme }

// registryBlob is the path of a blob in a registry (OCI distribution specification, "Pulling
// blobs"). The name of a repository can have the word in it too.
var registryBlob = regexp.MustCompile(`^/v2/.+/blobs/[a-z0-9+._-]+:[0-9a-fA-F]+$`)

// bounded reports whether the answer to a request of the client is small: all but blobs
// and foreign layers are.
func bounded(req *http.Request) bool {
	return req.Context().Value(foreignKey{}) == nil && !registryBlob.MatchString(req.URL.Path)
}

// once makes one request. It ends when nothing has come for t.idle: uploads are left
// alone, as the other side may take its time to process them.
func (t *tripper) once(req *http.Request, small bool) (*http.Response, error) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return t.base.RoundTrip(req)
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := t.watch(func() { cancel(&idleError{req.URL.Host, t.idle}) })
	resp, err := t.via(req).RoundTrip(req.WithContext(ctx))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		timer.stop()
		cancel(nil)
		return nil, err
	}
	timer.stop()
	body := &responseBody{rc: resp.Body, ctx: ctx, cancel: cancel, timer: timer, left: -1}
	if small {
		body.left = oci.MaxDocument
	}
	resp.Body, resp.Request = body, req
	if small && resp.StatusCode == http.StatusOK && req.Method == http.MethodGet {
		if err := elementsBounded(resp); err != nil {
			resp.Body.Close()
			return nil, err
		}
	}
	return resp, nil
}

// elementsBounded reads the document in a response and refuses one with too many layers.
// The registry client decodes every manifest to find its type, and a descriptor of three
// bytes takes hundreds in memory.
func elementsBounded(resp *http.Response) error {
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var shape struct {
		Layers oci.Elements `json:"layers"`
	}
	// The client decodes the first value and ignores the rest, as Decode does. A document
	// with any other fault is refused when it is parsed.
	var limit *layer.LimitError
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&shape); errors.As(err, &limit) {
		return fmt.Errorf("%w: %w", image.ErrManifest, err)
	}
	resp.Body = &readBody{bytes.NewReader(raw), resp.Body}
	return nil
}

// readBody is the body of an answer that has been read.
type readBody struct {
	io.Reader
	io.Closer
}

// via returns the connections over which a request goes.
func (t *tripper) via(req *http.Request) http.RoundTripper {
	if !isUntrusted(req.Context()) {
		return t.base
	}
	if t.proxy != nil {
		if proxy, err := t.proxy(req); err != nil || proxy != nil {
			return t.base // the proxy resolves the name and decides
		}
	}
	return t.outside
}

// watchdog calls a function when too much time passes between start and stop. A nil
// *watchdog has all the time in the world.
type watchdog struct {
	timer *time.Timer
	after time.Duration
}

// watch starts a watchdog.
func (t *tripper) watch(f func()) *watchdog {
	if t.idle < 0 {
		return nil
	}
	return &watchdog{time.AfterFunc(t.idle, f), t.idle}
}

func (w *watchdog) start() {
	if w != nil {
		w.timer.Reset(w.after)
	}
}

func (w *watchdog) stop() {
	if w != nil {
		w.timer.Stop()
	}
}

// idleError says that a server has sent nothing for too long.
type idleError struct {
	host string
	idle time.Duration
}

func (e *idleError) Error() string { return fmt.Sprintf("%s has sent nothing for %v", e.host, e.idle) }

// Timeout makes the error a net.Error. Temporary is false: a server that stalls stalls
// again, and asking it three times only takes three times as long.
func (e *idleError) Timeout() bool   { return true }
func (e *idleError) Temporary() bool { return false }

// responseBody is the body of an answer.
type responseBody struct {
	rc     io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *watchdog
	left   int64 // bytes that may still come, -1 for any number
}

func (b *responseBody) Read(p []byte) (int, error) {
	b.timer.start()
	n, err := b.rc.Read(p)
	b.timer.stop() // the caller may take its time
	if b.left >= 0 {
		if int64(n) > b.left {
			return 0, fmt.Errorf("%w: answer of more than %d bytes", image.ErrManifest, oci.MaxDocument)
		}
		b.left -= int64(n)
	}
	if err != nil && err != io.EOF {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.timer.stop()
	err := b.rc.Close()
	b.cancel(nil)
	return err
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
