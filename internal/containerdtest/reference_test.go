package containerdtest_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/all"
	"github.com/mullion/mullion/image/containerd"
	"github.com/mullion/mullion/internal/containerdtest"
)

// Images are read from containerd's content store and written to it, whoever unpacks
// them.
func TestReferences(t *testing.T) {
	t.Parallel()
	r := containerdtest.Start(t)
	in := image.WithTransport(containerd.New(containerd.WithAddress(r.Containerd.Socket)))
	file := archive(t, windowsImage(blob.Gzip, baseLayer(t, file{`Files\hello.txt`, "hello"}), windowsLayer(t, numbered("more", 20)...)))
	want, err := image.Open(t.Context(), "oci-archive:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()

	const name = "example.com/hello:v1"
	done, err := image.Copy(t.Context(), "oci-archive:"+file, "containerd:tests/"+name, in)
	if err != nil {
		t.Fatal(err)
	}
	if done.Digest != want.Digest() || done.Blobs != 2 {
		t.Errorf("copied %+v, want %s", done, want.Digest())
	}
	// containerd has the name, the content, and nothing that ends by itself.
	if out := r.Ctr(t, "-n", "tests", "images", "ls"); !strings.Contains(out, name) || !strings.Contains(out, string(want.Digest())) {
		t.Errorf("images ls:\n%s", out)
	}
	if out := r.Ctr(t, "-n", "tests", "leases", "ls", "-q"); strings.TrimSpace(out) != "" {
		t.Errorf("leases are left: %s", out)
	}
	// A collection of garbage leaves what the image refers to. Removing any image
	// with --sync runs one.
	if _, err := image.Copy(t.Context(), "oci-archive:"+file, "containerd:tests/example.com/other:v1", in); err != nil {
		t.Fatal(err)
	}
	r.Ctr(t, "-n", "tests", "images", "rm", "--sync", "example.com/other:v1")
	out := filepath.Join(t.TempDir(), "out.tar")
	back, err := image.Copy(t.Context(), "containerd:tests/"+name, "oci-archive:"+out+":v1", in)
	if err != nil {
		t.Fatal(err)
	}
	if back.Digest != want.Digest() {
		t.Errorf("came back as %s", back.Digest)
	}
	img, err := image.Open(t.Context(), "oci-archive:"+out)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	for i, l := range img.Layers() {
		if s, err := l.Summarize(t.Context()); err != nil || s.Files == 0 {
			t.Errorf("layer %d: %+v, %v", i, s, err)
		}
	}

	// The same name in another namespace is another image.
	_, err = image.Open(t.Context(), "containerd:"+name, in)
	if !errors.Is(err, image.ErrNotFound) {
		t.Errorf("in the default namespace: %v", err)
	}
	_, err = image.Open(t.Context(), "containerd:tests/example.com/nobody:v1", in)
	if !errors.Is(err, image.ErrNotFound) || !strings.Contains(err.Error(), name) {
		t.Errorf("unknown name: %v", err)
	}
	// Content that containerd has given up.
	r.Ctr(t, "-n", "tests", "content", "rm", string(want.Layers()[1].Descriptor.Digest))
	gone, err := image.Open(t.Context(), "containerd:tests/"+name, in)
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	if _, err := gone.Layers()[1].Tar(t.Context()); !errors.Is(err, image.ErrMissingBlob) {
		t.Errorf("a layer without its blob: %v", err)
	}
	if _, err := image.Open(t.Context(), "containerd:"+name, image.WithTransport(containerd.New(containerd.WithAddress(filepath.Join(t.TempDir(), "no.sock"))))); err == nil || !strings.Contains(err.Error(), "no.sock") {
		t.Errorf("without containerd: %v", err)
	}
}
