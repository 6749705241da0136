package image_test

import (
	"bytes"
	"errors"
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
	"github.com/opencontainers/go-digest"
)

// push and pull again through a registry, by tag and by digest, alone and as part
// of an index.
func roundTrip(t *testing.T, host string) {
	t.Helper()
	// Credentials of whoever runs the test are none of its business.
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	spec := twoLayers(t, "10.0.20348.1", "")
	src := "oci:" + layout(t, spec)
	first := mustRead(t, src, spec)
	name := "docker://" + host + "/hello/windows:v1"
	done, err := image.Copy(t.Context(), src, name)
	if err != nil {
		t.Fatal(err)
	}
	img := mustRead(t, name, spec)
	if img.Digest() != first.Digest() || done.Digest != first.Digest() || !bytes.Equal(img.RawConfig(), first.RawConfig()) {
		t.Errorf("pushed %s, pulled %s", first.Digest(), img.Digest())
	}
	mustRead(t, host+"/hello/windows@"+string(img.Digest()), spec)
	file := "oci-archive:" + filepath.Join(t.TempDir(), "pulled.tar")
	if _, err := image.Copy(t.Context(), name, file); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, file, spec); got.Digest() != first.Digest() {
		t.Errorf("pulled into a file as %s", got.Digest())
	}
	if _, err := image.Open(t.Context(), host+"/hello/windows:v2"); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("unknown tag: %v", err)
	}
}

func TestRegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	roundTrip(t, strings.TrimPrefix(server.URL, "http://"))
}

// A registry that sends other bytes than were asked for is found out.
func TestRegistryLies(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	honest := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	lie := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lie != "" && strings.HasSuffix(r.URL.Path, lie) && r.Method == http.MethodGet {
			rec := httptest.NewRecorder()
			honest.ServeHTTP(rec, r)
			b := rec.Body.Bytes()
			b[len(b)/2] ^= 1
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.Code)
			w.Write(b)
			return
		}
		honest.ServeHTTP(w, r)
	}))
	defer server.Close()
	spec := twoLayers(t, "10.0.20348.1", "")
	src := "oci:" + layout(t, spec)
	name := strings.TrimPrefix(server.URL, "http://") + "/x:y"
	if _, err := image.Copy(t.Context(), src, name); err != nil {
		t.Fatal(err)
	}
	good := mustRead(t, name, spec)

	lie = string(good.Layers()[1].Descriptor.Digest)
	img, err := image.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if _, err := read(t.Context(), img); err == nil {
		t.Error("a damaged layer was read")
	}
	out := t.TempDir()
	if _, err := image.Copy(t.Context(), name, "oci:"+filepath.Join(out, "x")); err == nil {
		t.Error("a damaged layer was copied")
	}
	if left, _ := os.ReadDir(out); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	lie = string(good.Manifest().Config.Digest)
	if _, err := image.Open(t.Context(), name); err == nil {
		t.Error("a damaged configuration was read")
	}
}

// Debian's docker-registry on the loopback interface.
func TestDockerRegistry(t *testing.T) {
	host, data := testenv.Registry(t)
	roundTrip(t, host)
	// What it stores is what the manifest says.
	spec := twoLayers(t, "10.0.20348.1", "")
	stored, err := filepath.Glob(filepath.Join(data, "docker/registry/v2/blobs/sha256/*/*/data"))
	if err != nil || len(stored) != len(spec.Layers)+2 {
		t.Errorf("%d blobs, %v", len(stored), err)
	}
	for _, f := range stored {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Base(filepath.Dir(f)); digest.FromBytes(b).Encoded() != want {
			t.Errorf("%s holds %s", want, digest.FromBytes(b))
		}
	}
}
