package containerdtest_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	secondUse(t, "containerd:tests/"+name, in)
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

// secondUse requires that what was read of an image in containerd once is not read again: the
// names, the examination of the layers and the files of a mount come from the cache, and of a
// file no more than what it needs from the store.
func secondUse(t *testing.T, ref string, in image.Option) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cache")
	for turn := range 2 {
		var read atomic.Int64
		cache, err := image.OpenCache(dir, image.DefaultCacheSize, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		img, err := image.Open(t.Context(), ref, in, image.WithCache(cache), image.WithProgress(func(*image.Layer) (func(int64), func()) {
			return func(n int64) { read.Add(n) }, func() {}
		}))
		if err != nil {
			t.Fatal(err)
		}
		files, err := img.Files(t.Context())
		if err != nil || files == nil {
			t.Fatal(files, err)
		}
		for _, l := range img.Layers() {
			if s, err := l.Summarize(t.Context()); err != nil || s.Files == 0 {
				t.Errorf("%+v, %v", s, err)
			}
		}
		f, err := files.Root()
		for _, name := range []string{"files", "hello.txt"} {
			if err == nil {
				f, err = f.Child(name)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := read.Load(); (n > 0) != (turn == 0) {
			t.Errorf("turn %d: %d bytes of layers are read", turn, n)
		}
		s, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, s.Size())
		if _, err := s.ReadAt(b, 0); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		if err := errors.Join(files.Close(), img.Close(), cache.Close()); err != nil {
			t.Error(err)
		}
	}
}
