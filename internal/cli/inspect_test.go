package cli

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image/imagetest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// countedRegistry serves an empty registry, behind guard if it is not nil, and counts the
// bytes of its answers. It sets DOCKER_CONFIG to a directory of the test.
func countedRegistry(t *testing.T, guard func(http.Handler) http.Handler) (host string, sent *atomic.Int64) {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	sent = new(atomic.Int64)
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if guard != nil {
		handler = guard(handler)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(&countedResponse{w, sent}, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), sent
}

type countedResponse struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (w *countedResponse) Write(b []byte) (int, error) {
	w.sent.Add(int64(len(b)))
	return w.ResponseWriter.Write(b)
}

// bigLayer is a layer tar of a MiB that does not compress below a tenth.
func bigLayer(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	data := make([]byte, 1<<20)
	x := uint32(1)
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	err := errors.Join(
		w.WriteHeader(&tar.Header{Name: "Files", Typeflag: tar.TypeDir, Mode: 0o755}),
		w.WriteHeader(&tar.Header{Name: "Files/big", Typeflag: tar.TypeReg, Size: int64(len(data)), Mode: 0o644}))
	if _, werr := w.Write(data); err != nil || werr != nil || w.Close() != nil {
		t.Fatal(err, werr)
	}
	return b.Bytes()
}

// fullImage makes a layout of an image with everything that a configuration can say.
func fullImage(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	day := time.Date(2024, 9, 10, 18, 0, 0, 0, time.UTC)
	err := imagetest.WriteLayout(dir, imagetest.Image{
		Config: ocispec.Image{
			Created: &day, Author: "somebody",
			Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"},
			Config: ocispec.ImageConfig{
				User: "ContainerUser", WorkingDir: `C:\app`, Entrypoint: []string{`C:\app\run me.exe`, "-v"}, Cmd: []string{"serve"},
				Env: []string{`PATH=C:\Windows`, "A=b"}, ExposedPorts: map[string]struct{}{"8080/tcp": {}, "443/tcp": {}},
				Volumes: map[string]struct{}{`C:\data`: {}}, Labels: map[string]string{"z": "last", "a": "first\x1b[2J"}, StopSignal: "CTRL_C",
			},
			History: []ocispec.History{{CreatedBy: "ADD base", Created: &day}, {CreatedBy: "ENV A=b", EmptyLayer: true}},
		},
		Layers: []imagetest.Layer{{Tar: bigLayer(t), Format: blob.Gzip}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return "oci:" + dir
}

// inspect of an image in a registry reads its documents and no layer.
func TestInspectRemote(t *testing.T) {
	host, sent := countedRegistry(t, nil)
	ref := host + "/full:v1"
	if status, _, errs := run1("copy", fullImage(t), ref); status != 0 {
		t.Fatal(errs)
	}
	sent.Store(0)
	status, out, errs := run1("inspect", ref)
	if n := sent.Load(); status != 0 || n == 0 || n > 4096 {
		t.Errorf("status %d, %d bytes were sent, %s", status, n, errs)
	}
	last := -1
	for _, want := range []string{
		"Platform     windows(10.0.20348.2700)/amd64\n", "Created      2024-09-10T18:00:00Z\n", "Author       somebody\n",
		"User         ContainerUser\n", "Directory    C:\\app\n", "Entrypoint   \"C:\\app\\run me.exe\" -v\n", "Command      serve\n",
		"Stop signal  CTRL_C\n", "Port         443/tcp\nPort         8080/tcp\n", "Volume       C:\\data\n",
		"Label        a=first\\u001b[2J\nLabel        z=last\n",
		"\nLAYER  DIGEST ", "\n0      sha256:", "  tar+gzip\n", "       ADD base\n", "\nEnvironment  PATH=C:\\Windows\nEnvironment  A=b\n",
	} {
		at := strings.Index(out, want)
		if at <= last {
			t.Errorf("%q is at %d, after %d, in\n%s", want, at, last, out)
		}
		last = at
	}
	if strings.Contains(out, "FILES") {
		t.Errorf("counts of a layer that was not read:\n%s", out)
	}

	sent.Store(0)
	if status, out, errs = run1("inspect", "-a", "--no-cache", ref); status != 0 || sent.Load() < 100<<10 || !strings.Contains(out, "FILES") {
		t.Errorf("status %d, %d bytes were sent, %s", status, sent.Load(), errs)
	}
}

// The document has the counts with --layers alone.
func TestInspectJSON(t *testing.T) {
	ref := fullImage(t)
	for _, args := range [][]string{{"inspect", "--json", ref}, {"inspect", "--json", "--layers", ref}} {
		status, out, errs := run1(args...)
		var got struct {
			Author string
			Layers []map[string]any
		}
		if err := json.Unmarshal([]byte(out), &got); status != 0 || err != nil || len(got.Layers) != 1 {
			t.Fatalf("%v: status %d, %v, %s%s", args, status, err, out, errs)
		}
		l := got.Layers[0]
		_, counted := l["files"]
		history, _ := l["history"].(map[string]any)
		if counted != (len(args) == 4) || history["createdBy"] != "ADD base" || got.Author != "somebody" {
			t.Errorf("%v: %s", args, out)
		}
	}
}

func TestShortType(t *testing.T) {
	for in, want := range map[string]string{
		ocispec.MediaTypeImageLayerGzip:                                "tar+gzip",
		ocispec.MediaTypeImageLayer:                                    "tar",
		ocispec.MediaTypeImageLayerZstd:                                "tar+zstd",
		"application/vnd.docker.image.rootfs.diff.tar.gzip":            "tar+gzip",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    "tar+gzip, foreign",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "tar+gzip, foreign",
		"application/vnd.oci.image.layer.v1.tar+gzip+encrypted":        "tar+gzip+encrypted",
		"application/x-something":                                      "application/x-something",
	} {
		if got := shortType(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
