package registry

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/layer"
)

func TestAddressPolicy(t *testing.T) {
	for _, c := range []struct {
		address         string
		public, private bool // allowed without and with WithPrivateNetwork
	}{
		{"93.184.216.34", true, true},
		{"2606:2800:220:1::1", true, true},
		{"127.0.0.1", false, true},
		{"::1", false, true},
		{"::ffff:127.0.0.1", false, true},
		{"10.1.2.3", false, true},
		{"172.16.0.1", false, true},
		{"192.168.1.1", false, true},
		{"fd00::1", false, true},
		{"100.64.0.1", false, true},
		{"64:ff9b::7f00:1", false, true},
		{"2002:7f00:1::", false, true},
		{"::127.0.0.1", false, true},
		{"fec0::1", false, true},
		{"192.0.0.192", false, true},
		{"169.254.169.254", false, false},
		{"::ffff:169.254.169.254", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"0.0.0.0", false, false},
		{"::", false, false},
		{"224.0.0.1", false, false},
	} {
		ip := netip.MustParseAddr(c.address)
		if err := newTripper(&options{}, "").addressAllowed(ip); (err == nil) != c.public || err != nil && !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", c.address, err)
		}
		if err := newTripper(&options{private: true}, "").addressAllowed(ip); (err == nil) != c.private {
			t.Errorf("%s in a private network: %v", c.address, err)
		}
	}
}

// get makes a request over a new transport.
func get(t *testing.T, o *options, url string, header http.Header) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := (&http.Client{Transport: newTripper(o, ""), CheckRedirect: noRedirects}).Do(req)
	if err == nil {
		t.Cleanup(func() { resp.Body.Close() })
	}
	return resp, err
}

func TestRedirects(t *testing.T) {
	var asked atomic.Int32
	var seen atomic.Value // Authorization of the last request at the other host
	seen.Store("")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		seen.Store(r.Header.Get("Authorization"))
	}))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/other": // by the name of the host, which resolves to a loopback address
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusTemporaryRedirect)
		case "/literal":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusTemporaryRedirect)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusTemporaryRedirect)
		case "/same":
			http.Redirect(w, r, "/end", http.StatusMovedPermanently)
		case "/end":
			if r.Header.Get("Authorization") != "Bearer x" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
	}))
	defer server.Close()
	auth := func() http.Header { return http.Header{"Authorization": {"Bearer x"}} }
	for _, c := range []struct {
		path    string
		private bool
		want    error // nil for any
		ok      bool
		asked   int32
	}{
		{path: "/same", ok: true, asked: 2},
		{path: "/loop", asked: maxRedirects + 1},
		{path: "/other", want: ErrAddress, asked: 1},
		{path: "/literal", want: ErrAddress, asked: 1},
		{path: "/other", private: true, ok: true, asked: 2},
		{path: "/literal", private: true, ok: true, asked: 2},
		{path: "/metadata", private: true, want: ErrAddress, asked: 1},
		{path: "/file", private: true, asked: 1},
	} {
		asked.Store(0)
		resp, err := get(t, &options{private: c.private}, server.URL+c.path, auth())
		if (err == nil) != c.ok || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s, private %v: %v", c.path, c.private, err)
		}
		if err == nil && resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", c.path, resp.Status)
		}
		if got := asked.Load(); got != c.asked {
			t.Errorf("%s: %d requests, want %d", c.path, got, c.asked)
		}
		if got := seen.Load(); got != "" {
			t.Errorf("%s: another host got credentials %q", c.path, got)
		}
	}
}

// A chain of redirects that leaves a host and comes back has lost its credentials on
// the way, and is still not allowed to lead to an address that is not public.
func TestRedirectAndBack(t *testing.T) {
	req := httptest.NewRequest(http.MethodGet, "https://registry.example/v2/x/blobs/1", nil)
	req.Header.Set("Authorization", "Bearer x")
	out, err := redirected(req, req, "https://cdn.example/1")
	if err != nil {
		t.Fatal(err)
	}
	back, err := redirected(out, req, "https://registry.example/v2/x/blobs/1")
	if err != nil {
		t.Fatal(err)
	}
	if !isUntrusted(out.Context()) || !isUntrusted(back.Context()) || back.Header.Get("Authorization") != "" {
		t.Errorf("out %v, back %v with %q", isUntrusted(out.Context()), isUntrusted(back.Context()), back.Header)
	}
	if _, err := redirected(req, req, "http://registry.example/v2/x/blobs/1"); err == nil {
		t.Error("followed from HTTPS to HTTP")
	}
}

func TestIdle(t *testing.T) {
	const stalled = "/v2/x/blobs/sha256:00"
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == stalled {
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
		}
		<-stop
	}))
	defer server.Close()
	defer close(stop)
	o := &options{}
	WithIdleTimeout(50 * time.Millisecond)(o)
	var idle *idleError
	if _, err := get(t, o, server.URL+"/header", nil); !errors.As(err, &idle) {
		t.Errorf("no header: %v", err)
	}
	resp, err := get(t, o, server.URL+stalled, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2)
	n, err := resp.Body.Read(b)
	if n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := resp.Body.Read(b); !errors.As(err, &idle) {
		t.Errorf("stalled body: %v", err)
	}
}

// Answers that are held in memory are bounded.
func TestBoundedAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 1<<20)
		for range oci.MaxDocument>>20 + 1 {
			w.Write(b)
		}
	}))
	defer server.Close()
	for path, want := range map[string]error{"/v2/x/manifests/y": image.ErrManifest, "/token": image.ErrManifest, "/v2/a/blobs/b/manifests/1": image.ErrManifest, "/v2/x/blobs/sha256:00": nil} {
		resp, err := get(t, &options{}, server.URL+path, nil)
		b := make([]byte, 1<<20)
		for err == nil {
			_, err = resp.Body.Read(b)
		}
		if want != nil && !errors.Is(err, want) || want == nil && err.Error() != "EOF" {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A registry names the service that gives tokens. That is another host, which it must not
// choose from those that only this machine reaches.
func TestTokenService(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	var asked atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Write([]byte(`{"token":"secret"}`))
	}))
	defer service.Close()
	realm := strings.Replace(service.URL, "127.0.0.1", "localhost", 1) + "/internal"
	var told atomic.Value
	told.Store("")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			told.Store(a)
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="s"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	name := strings.TrimPrefix(server.URL, "http://") + "/app:1"
	if _, err := image.Open(t.Context(), name); !errors.Is(err, ErrAddress) || !PrivateAddress(err) {
		t.Errorf("%v", err)
	}
	if asked.Load() != 0 || told.Load() != "" {
		t.Errorf("%d requests, the registry was told %q", asked.Load(), told.Load())
	}
	if _, err := image.Open(t.Context(), name, image.WithTransport(New(WithPrivateNetwork()))); err == nil || asked.Load() == 0 {
		t.Errorf("in a private network: %v, %d requests", err, asked.Load())
	}
}

// A manifest of four million bytes with more than a million descriptors is refused before
// the registry client decodes it.
func TestElementsOfAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		ok   bool
	}{
		"few":              {`{"layers":[{},{}]}`, true},
		"many":             {`{"layers":[` + strings.Repeat("{},", oci.MaxElements) + `{}]}`, false},
		"in capitals":      {`{"LAYERS":[` + strings.Repeat("{},", oci.MaxElements) + `{}]}`, false},
		"more follows":     {`{"layers":[` + strings.Repeat("{},", oci.MaxElements) + `{}]} more`, false},
		"twice":            {`{"layers":[` + strings.Repeat("{},", oci.MaxElements) + `{}],"layers":[]}`, false},
		"no JSON, to pass": {`more`, true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, c.body)
		}))
		resp, err := get(t, &options{private: true}, server.URL+"/v2/app/manifests/t", nil)
		if c.ok {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if b, err := io.ReadAll(resp.Body); string(b) != c.body || err != nil {
				t.Errorf("%s: body %.40q, %v", name, b, err)
			}
		} else if limit := (*layer.LimitError)(nil); !errors.As(err, &limit) || !errors.Is(err, image.ErrManifest) {
			t.Errorf("%s: error %v", name, err)
		}
		server.Close()
	}
}
