package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/registry"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
)

// referrersOf asks a server for the referrers of a manifest, with the address of the server.
func referrersOf(t *testing.T, handle http.HandlerFunc) ([]image.Descriptor, error) {
	t.Helper()
	s := httptest.NewServer(handle)
	defer s.Close()
	tr := registry.New(registry.WithPlainHTTP())
	ref, err := tr.ParseReference(strings.TrimPrefix(s.URL, "http://") + "/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	src, err := tr.OpenSource(t.Context(), ref, layer.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	return src.(interface {
		Referrers(context.Context, image.Descriptor) ([]image.Descriptor, error)
	}).Referrers(t.Context(), image.Descriptor{Digest: digest.FromString("image")})
}

func writeIndex(t *testing.T, w http.ResponseWriter, names ...string) {
	list := []image.Descriptor{}
	for _, n := range names {
		list = append(list, image.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digest.FromString(n), Size: 1})
	}
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	if err := json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": list}); err != nil {
		t.Error(err)
	}
}

// TestReferrersPages: a list is read to its last page, whatever the form of the link.
func TestReferrersPages(t *testing.T) {
	own := "/v2/app/referrers/" + digest.FromString("image").String()
	var host atomic.Value
	links := map[string]func() string{
		"":  func() string { return fmt.Sprintf(`<%s?page=2>; rel="next"`, own) },
		"2": func() string { return fmt.Sprintf(`<%s?page=1>; rel="prev", <?page=3>; title="x"; REL=next`, own) },
		"3": func() string { return fmt.Sprintf(`<http://%s%s?page=4>;rel="next"`, host.Load(), own) },
		"4": func() string { return fmt.Sprintf(`<%s?page=5>; rel="last"`, own) },
	}
	list, err := referrersOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		host.Store(r.Host)
		page := r.URL.Query().Get("page")
		w.Header().Set("Link", links[page]())
		writeIndex(t, w, "a"+page, "b"+page)
	})
	if err != nil || len(list) != 8 || list[7].Digest != digest.FromString("b4") {
		t.Errorf("%d referrers, %v", len(list), err)
	}
}

// TestReferrersEnd: a registry cannot keep a client that lists referrers busy for ever, nor send
// it elsewhere.
func TestReferrersEnd(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for what, link := range map[string]func(page int64) string{
		"itself":    func(int64) string { return "?page=x" },
		"endless":   func(page int64) string { return fmt.Sprintf("?page=%d", page) },
		"elsewhere": func(int64) string { return other.URL + "/v2/app/referrers/x" },
		"no URL":    func(int64) string { return "http://[" },
	} {
		var pages atomic.Int64
		_, err := referrersOf(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			if n := pages.Add(1); n < 500 { // so that the test ends
				w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, link(n)))
			}
			writeIndex(t, w)
		})
		if !errors.Is(err, image.ErrManifest) || pages.Load() > 100 {
			t.Errorf("%s: %d pages, %v", what, pages.Load(), err)
		}
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("another server had %d requests", n)
	}
}

// TestReferrersSize: the pages together are as large as one document may be.
func TestReferrersSize(t *testing.T) {
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	var pages atomic.Int64
	_, err := referrersOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, pages.Add(1)))
		writeIndex(t, w, names...)
	})
	var limit *layer.LimitError
	if !errors.As(err, &limit) || pages.Load() > 90 {
		t.Errorf("%d pages, %v", pages.Load(), err)
	}
}

// TestReferrersByTag: a registry without the API has the list under a tag, or none.
func TestReferrersByTag(t *testing.T) {
	for _, tagged := range []bool{true, false} {
		list, err := referrersOf(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/v2/":
			case tagged && strings.HasPrefix(r.URL.Path, "/v2/app/manifests/sha256-"):
				writeIndex(t, w, "a")
			default:
				http.NotFound(w, r)
			}
		})
		want := 0
		if tagged {
			want = 1
		}
		if err != nil || len(list) != want {
			t.Errorf("tagged %v: %d referrers, %v", tagged, len(list), err)
		}
	}
}
