package registry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/image/registry"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// server is a registry that serves the one image of a layout.
type server struct {
	dir      string
	manifest ocispec.Descriptor
	ranges   string       // how it answers requests for ranges: well, whole, wrong
	moved    atomic.Int64 // bytes of blobs
	asked    atomic.Int64 // requests for blobs
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	digest := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if digest == "v1" {
		digest = string(s.manifest.Digest)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:")))
	switch {
	case r.URL.Path == "/v2/":
		return
	case err != nil:
		http.NotFound(w, r)
	case strings.Contains(r.URL.Path, "/manifests/"):
		w.Header().Set("Content-Type", s.manifest.MediaType)
		w.Write(b)
	default:
		s.asked.Add(1)
		var out http.ResponseWriter = counted{w, s}
		switch {
		case s.ranges == "whole":
			r.Header.Del("Range")
		case s.ranges == "wrong" && r.Header.Get("Range") != "":
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-9/%d", len(b)))
			w.WriteHeader(http.StatusPartialContent)
			out.Write(b[:10])
			return
		}
		http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(b))
	}
}

type counted struct {
	http.ResponseWriter
	s *server
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.s.moved.Add(int64(n))
	return n, err
}

// bigLayer is a layer with files that do not compress, of a MiB each.
func bigLayer(t *testing.T, files int) (tar []byte, content func(i int) []byte) {
	t.Helper()
	content = func(i int) []byte {
		b := make([]byte, 1<<20)
		rand.NewChaCha8([32]byte{byte(i)}).Read(b)
		return b
	}
	var out bytes.Buffer
	w := wintar.NewWriter(&out)
	err := w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir, Attributes: 16})
	for i := range files {
		b := content(i)
		err = errors.Join(err, w.Add(&layer.Entry{Path: fmt.Sprintf(`Files\%d`, i), Kind: layer.File, Attributes: 32, Size: int64(len(b))}),
			w.AddStream(&layer.Stream{Size: int64(len(b))}))
		if err == nil {
			_, err = w.Write(b)
		}
	}
	if err := errors.Join(err, w.Commit()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), content
}

// TestRanges: a file in a layer that has an index is fetched in parts, and in the same
// bytes from a server that has no ranges. A server that sends something else is caught.
func TestRanges(t *testing.T) {
	const files = 48
	tar, content := bigLayer(t, files)
	dir := t.TempDir()
	if err := imagetest.WriteLayout(dir, imagetest.Image{
		Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}},
		Layers: []imagetest.Layer{{Tar: tar, Format: blob.Gzip}},
	}); err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err == nil {
		err = json.Unmarshal(raw, &index)
	}
	if err != nil {
		t.Fatal(err)
	}
	blobOf := func(d ocispec.Descriptor) string { return filepath.Join(dir, "blobs", "sha256", d.Digest.Encoded()) }
	var manifest ocispec.Manifest
	if raw, err = os.ReadFile(blobOf(index.Manifests[0])); err == nil {
		err = json.Unmarshal(raw, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	gz, err := os.ReadFile(blobOf(manifest.Layers[0]))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{dir: dir, manifest: index.Manifests[0]}
	srv := httptest.NewServer(s)
	defer srv.Close()
	cached := filepath.Join(t.TempDir(), "cache")
	cat := func(i int) ([]byte, error) {
		s.moved.Store(0)
		s.asked.Store(0)
		c, err := image.OpenCache(cached, 1<<30, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		img, err := image.Open(t.Context(), strings.TrimPrefix(srv.URL, "http://")+"/app:v1", image.WithCache(c), image.WithTransport(registry.New()))
		if err != nil {
			return nil, err
		}
		defer img.Close()
		v, err := img.Union(t.Context())
		if err != nil {
			return nil, err
		}
		defer v.Close()
		r, err := v.Open(fmt.Sprintf(`Files\%d`, i))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		if _, err := r.Next(); err != nil {
			return nil, err
		}
		if _, err := r.NextStream(); err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	check := func(what string, i int, most int64) {
		t.Helper()
		got, err := cat(i)
		if err != nil || !bytes.Equal(got, content(i)) {
			t.Fatalf("%s: %d bytes, %v", what, len(got), err)
		}
		if n := s.moved.Load(); n > most {
			t.Errorf("%s: %d bytes moved in %d requests, want at most %d of %d", what, n, s.asked.Load(), most, len(gz))
		}
	}
	whole := int64(len(gz))
	check("first", files-2, whole+12<<20) // once, and then the file
	check("second", files-3, 12<<20)
	check("early", 1, 12<<20)
	s.ranges = "whole"
	check("without ranges", 3, whole+1<<20)
	s.ranges = "wrong"
	if _, err := cat(files / 2); err == nil || !strings.Contains(err.Error(), "was asked for") {
		t.Errorf("another range: %v", err)
	}
	s.ranges = ""
	changed := bytes.Clone(gz)
	changed[len(gz)/2] ^= 1
	if err := os.WriteFile(blobOf(manifest.Layers[0]), changed, 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		got, err := cat(i)
		if err == nil && !bytes.Equal(got, content(i)) {
			t.Errorf("file %d has other bytes", i)
		}
		if i == files/2 && !errors.Is(err, blob.ErrDigest) {
			t.Errorf("a changed blob: %v", err)
		}
	}
}
