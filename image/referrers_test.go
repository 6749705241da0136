package image_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	typeA = "application/vnd.cyclonedx+json"
	typeB = "application/spdx+json"
)

func quietRegistry(opts ...registry.Option) http.Handler {
	return registry.New(append(opts, registry.Logger(log.New(io.Discard, "", 0)))...)
}

// attachments attaches documents to an image, reads them back, and checks that the image is
// what it was.
func attachments(t *testing.T, name string) {
	t.Helper()
	img, err := image.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	none, err := img.Referrers(t.Context(), "")
	if err != nil || len(none) != 0 {
		t.Fatalf("before: %v, %v", none, err)
	}
	docs := []struct{ typ, created, content string }{
		{typeA, "2024-09-10T18:00:00Z", "the newest"}, {typeA, "2023-09-10T18:00:00Z", "old"}, {typeB, "", "{}"},
	}
	for _, d := range docs {
		r := image.Referrer{Type: d.typ, Content: []byte(d.content)}
		if d.created != "" {
			r.Annotations = map[string]string{ocispec.AnnotationCreated: d.created}
		}
		var digests []string
		for range 2 {
			if err := img.Attach(t.Context(), &r); err != nil {
				t.Fatal(err)
			}
			digests = append(digests, string(r.Descriptor.Digest))
		}
		if digests[0] != digests[1] || digests[0] == "" {
			t.Errorf("attached twice: %q", digests)
		}
	}
	again, err := image.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Digest() != img.Digest() {
		t.Errorf("the image was %s and is %s", img.Digest(), again.Digest())
	}
	for typ, want := range map[string][]string{typeA: {"old", "the newest"}, typeB: {"{}"}, "": {"{}", "old", "the newest"}, "text/plain": nil} {
		list, err := again.Referrers(t.Context(), typ)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range list {
			b, err := again.ReadReferrer(t.Context(), r)
			if err != nil {
				t.Error(err)
			}
			got = append(got, string(b))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %q, want %q", typ, got, want)
		}
	}
}

func pushed(t *testing.T, host string) string {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	name := "docker://" + host + "/hello/windows:v1"
	if _, err := image.Copy(t.Context(), "oci:"+layout(t, twoLayers(t, "10.0.20348.1", "")), name); err != nil {
		t.Fatal(err)
	}
	return name
}

// Debian's docker-registry lacks the API of referrers, the one in memory has it on demand.
func TestReferrers(t *testing.T) {
	t.Run("API", func(t *testing.T) {
		server := httptest.NewServer(quietRegistry(registry.WithReferrersSupport(true)))
		defer server.Close()
		attachments(t, pushed(t, strings.TrimPrefix(server.URL, "http://")))
	})
	t.Run("tag", func(t *testing.T) {
		server := httptest.NewServer(quietRegistry())
		defer server.Close()
		attachments(t, pushed(t, strings.TrimPrefix(server.URL, "http://")))
	})
	t.Run("docker-registry", func(t *testing.T) {
		host, _ := testenv.Registry(t)
		attachments(t, pushed(t, host))
	})
	t.Run("layout", func(t *testing.T) {
		dir := layout(t, twoLayers(t, "10.0.20348.1", ""))
		attachments(t, "oci:"+dir)
		if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

// A registry is not believed: a referrer of another image is none of this one, a document
// whose bytes changed is refused, and so is a size above the limit.
func TestReferrersLie(t *testing.T) {
	honest := quietRegistry(registry.WithReferrersSupport(true))
	lie := func(path string, b []byte) []byte { return b }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			honest.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		honest.ServeHTTP(rec, r)
		b := lie(r.URL.Path, rec.Body.Bytes())
		for k, v := range rec.Header() {
			if k != "Content-Length" {
				w.Header()[k] = v
			}
		}
		w.WriteHeader(rec.Code)
		w.Write(b)
	}))
	defer server.Close()
	name := pushed(t, strings.TrimPrefix(server.URL, "http://"))
	open := func() *image.Image {
		img, err := image.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { img.Close() })
		return img
	}
	r := image.Referrer{Type: typeA, Content: bytes.Repeat([]byte("{}"), 100)}
	if err := open().Attach(t.Context(), &r); err != nil {
		t.Fatal(err)
	}
	other := ""
	lie = func(path string, b []byte) []byte {
		if strings.Contains(path, "/referrers/") && other != "" {
			var index ocispec.Index
			if err := json.Unmarshal(b, &index); err != nil {
				t.Error(err)
			}
			index.Manifests[0].Digest, index.Manifests[0].Size = open().Digest(), open().Descriptor().Size
			b, _ = json.Marshal(index)
		}
		return b
	}
	other = "the image itself"
	if list, err := open().Referrers(t.Context(), typeA); err != nil || len(list) != 0 {
		t.Errorf("the image as its own referrer: %v, %v", list, err)
	}
	other = ""
	// A document that was deleted does not hide the others: its descriptor can stay in the list.
	lie = func(path string, b []byte) []byte {
		if strings.Contains(path, "/referrers/") {
			var index ocispec.Index
			if err := json.Unmarshal(b, &index); err != nil || len(index.Manifests) != 1 {
				t.Errorf("%v, %s", err, b)
			}
			deleted := index.Manifests[0]
			deleted.Digest = digest.FromString("deleted")
			index.Manifests = append([]ocispec.Descriptor{deleted}, index.Manifests...)
			b, _ = json.Marshal(index)
		}
		return b
	}
	if list, err := open().Referrers(t.Context(), typeA); err != nil || len(list) != 1 || list[0].Descriptor.Digest != r.Descriptor.Digest {
		t.Errorf("behind a deleted document: %v, %v", list, err)
	}
	lie = func(path string, b []byte) []byte { return b }
	list, err := open().Referrers(t.Context(), typeA)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	lie = func(path string, b []byte) []byte {
		if strings.Contains(path, "/blobs/") && bytes.Equal(b, r.Content) {
			b = bytes.Repeat([]byte("[]"), 100)
		}
		return b
	}
	if b, err := open().ReadReferrer(t.Context(), list[0]); err == nil {
		t.Errorf("read %q", b)
	}
	for _, index := range []string{`{`, `[]`, `{"config":{}}`, strings.Repeat(" ", 5<<20)} {
		lie = func(path string, b []byte) []byte {
			if strings.Contains(path, "/referrers/") {
				return []byte(index)
			}
			return b
		}
		if list, err := open().Referrers(t.Context(), ""); err == nil {
			t.Errorf("%.20s: %v", index, list)
		}
	}
}

// A document may not be larger than the limit, whatever the place says.
func TestReferrerSize(t *testing.T) {
	dir := layout(t, twoLayers(t, "10.0.20348.1", ""))
	open := func() *image.Image {
		img, err := image.Open(t.Context(), "oci:"+dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { img.Close() })
		return img
	}
	r := image.Referrer{Type: typeA, Content: []byte("{}")}
	if err := open().Attach(t.Context(), &r); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "blobs", "sha256", r.Descriptor.Digest.Encoded())
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		layers string
		want   error
	}{
		{`[]`, image.ErrManifest},
		{`[{"mediaType":"x/y","digest":"` + string(r.Descriptor.Digest) + `","size":-1}]`, image.ErrManifest},
		{`[{"mediaType":"x/y","digest":"` + string(r.Descriptor.Digest) + `","size":1099511627776}]`, nil},
	} {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		m["layers"] = json.RawMessage(c.layers)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		d := putManifest(t, dir, b)
		_, err = open().ReadReferrer(t.Context(), image.Referrer{Descriptor: d})
		var limit *layer.LimitError
		if c.want != nil && !errors.Is(err, c.want) || c.want == nil && !errors.As(err, &limit) {
			t.Errorf("%s: %v", c.layers, err)
		}
	}
}

// An archive keeps no documents about an image.
func TestNoReferrers(t *testing.T) {
	img, err := image.Open(t.Context(), "oci-archive:"+filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if _, err := img.Referrers(t.Context(), ""); !errors.Is(err, image.ErrReferrers) {
		t.Errorf("list: %v", err)
	}
	if err := img.Attach(t.Context(), &image.Referrer{Type: typeA}); !errors.Is(err, image.ErrReferrers) {
		t.Errorf("attach: %v", err)
	}
}

// putManifest stores a document in a layout.
func putManifest(t *testing.T, dir string, b []byte) image.Descriptor {
	t.Helper()
	d := image.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", d.Digest.Encoded()), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}
