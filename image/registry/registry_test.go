package registry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/mullion/mullion/image"
)

type keychain struct{}

func (keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "user", Password: "word"}, nil
}

// counting is a transport of a caller.
type counting struct{ n atomic.Int32 }

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return http.DefaultTransport.RoundTrip(r)
}

// The keychain, the transport and the client of a program are used.
func TestOptions(t *testing.T) {
	var user atomic.Value
	user.Store("")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, _, ok := r.BasicAuth(); ok {
			user.Store(u)
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	name := strings.TrimPrefix(server.URL, "http://") + "/app:1"
	rt := &counting{}
	for what, opt := range map[string]Option{
		"transport": WithTransport(rt),
		"client":    WithClient(&http.Client{Transport: rt}),
		"timeout":   WithClient(&http.Client{Transport: rt, Timeout: 1 << 40}),
	} {
		user.Store("")
		rt.n.Store(0)
		if _, err := image.Open(t.Context(), name, image.WithTransport(New(WithKeychain(keychain{}), opt))); err == nil {
			t.Errorf("%s: opened an image that isn't there", what)
		}
		if user.Load() != "user" || rt.n.Load() == 0 {
			t.Errorf("%s: user %q, %d requests", what, user.Load(), rt.n.Load())
		}
	}
}

// A client's own http.Transport is held to the address policy.
func TestTransportPolicy(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusFound))
	defer server.Close()
	o := &options{rt: http.DefaultTransport.(*http.Transport).Clone()}
	if _, err := get(t, o, server.URL, nil); !PrivateAddress(err) {
		t.Errorf("redirected to a private address: %v", err)
	}
}
