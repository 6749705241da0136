package snapshotter

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/mullion/mullion/cimlayer"
)

// rawTar makes a tar that no writer of ours would write.
func rawTar(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range headers {
		h := &headers[i]
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noise does not compress.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// Whatever is wrong with a blob or a layer: the error says what and where, has the
// right kind on the other side of gRPC, and nothing stays on disk.
func TestApplyFails(t *testing.T) {
	f := newFixture(t)
	good := f.tar(dir(`Files`), file(`Files\a`, noise(100_000)))
	desc, diffID := f.blob(good)
	stored, err := os.ReadFile(f.blobPath(desc.Digest))
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(stored)
	damaged[len(damaged)/2] ^= 1
	put := func(b []byte) ocispec.Descriptor { d, _ := f.blob(b); return d }
	named := func(b []byte) ocispec.Descriptor { // another content under the name of the good blob
		d := f.put(append([]byte("x"), b...)) // so that the store takes it
		if err := os.WriteFile(f.blobPath(d.Digest), b, 0o600); err != nil {
			t.Fatal(err)
		}
		d.Size = int64(len(b))
		return d
	}
	for _, c := range []struct {
		name  string
		desc  ocispec.Descriptor
		label digest.Digest
		kind  error
		text  []string
	}{
		{"missing blob", ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString("?"), Size: 1}, "", errdefs.ErrNotFound, nil},
		{"damaged blob", named(damaged), "", nil, nil},
		{"truncated blob", named(stored[:len(stored)/2]), "", nil, nil},
		{"shorter than it says", ocispec.Descriptor{MediaType: desc.MediaType, Digest: named(stored[:5000]).Digest, Size: desc.Size}, "", errdefs.ErrDataLoss, []string{"size"}},
		{"empty blob", named(nil), "", nil, nil},
		{"no gzip", f.put(append([]byte{0x1f, 0x8b}, noise(1000)...)), "", errdefs.ErrInvalidArgument, nil},
		{"bzip2", f.put([]byte("BZh91AY&SY")), "", errdefs.ErrInvalidArgument, []string{"compression"}},
		{"wrong diff ID", desc, digest.FromString("other"), errdefs.ErrFailedPrecondition, []string{"diff ID", diffID.String(), digest.FromString("other").String()}},
		{"diff ID is no digest", desc, "sha256:abc", errdefs.ErrInvalidArgument, []string{"diff-id"}},
		{"wrong size", ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size + 1}, "", errdefs.ErrDataLoss, []string{"size"}},
		{"truncated tar", put(good[:2048]), "", errdefs.ErrInvalidArgument, nil},
		{"path leaves the layer", put(rawTar(t, tar.Header{Name: "Files", Typeflag: tar.TypeDir}, tar.Header{Name: "Files/../../etc/passwd", Size: 3})), "",
			errdefs.ErrInvalidArgument, []string{"etc/passwd"}},
		{"device", put(rawTar(t, tar.Header{Name: "Files/null", Typeflag: tar.TypeChar})), "", nil, []string{`Files/null`}},
		{"link to nothing", put(rawTar(t, tar.Header{Name: "Files", Typeflag: tar.TypeDir}, tar.Header{Name: "Files/l", Linkname: "Files/gone", Typeflag: tar.TypeLink})), "",
			errdefs.ErrInvalidArgument, []string{`Files\l`, `Files\gone`}},
		{"whiteout in a base layer", put(rawTar(t, tar.Header{Name: "Files/.wh.x"})), "", errdefs.ErrInvalidArgument, []string{`Files\x`}},
		{"file twice", put(rawTar(t, tar.Header{Name: "Files", Typeflag: tar.TypeDir}, tar.Header{Name: "Files/x", Typeflag: tar.TypeDir}, tar.Header{Name: "Files/x/y"}, tar.Header{Name: "Files/X"})), "",
			nil, []string{`Files\X`}},
		{"delta without a base", put(f.tar(dir(`Hives`), file(`Hives\System_Delta`, "no hive"))), "", errdefs.ErrFailedPrecondition, []string{`Hives\System_Delta`}},
		{"no layer", ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: desc.Digest, Size: desc.Size}, "", errdefs.ErrNotImplemented, nil},
		{"encrypted layer", ocispec.Descriptor{MediaType: desc.MediaType + "+encrypted", Digest: desc.Digest, Size: desc.Size}, "", errdefs.ErrNotImplemented, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := f.sn.Prepare(f.ctx, "key", "", unpackLabels("sha256:target", c.label.String(), ""))
			if err != nil {
				t.Fatal(err)
			}
			before := f.disk()
			out, err := f.diff.Apply(f.ctx, c.desc, m)
			if err == nil {
				t.Fatalf("no error but %+v", out)
			}
			for _, want := range append(c.text, c.desc.Digest.String()) {
				if text := strings.ReplaceAll(err.Error(), `\\`, `\`); !strings.Contains(text, want) {
					t.Errorf("%v\nlacks %q", err, want)
				}
			}
			// As the other side sees it.
			remote := errgrpc.ToNative(errgrpc.ToGRPC(err))
			if kind := errdefs.Resolve(remote); c.kind != nil && !errors.Is(remote, c.kind) || errors.Is(kind, errdefs.ErrUnknown) {
				t.Errorf("%v\nis %v, want %v", err, kind, c.kind)
			}
			if after := f.disk(); !slices.Equal(before, after) {
				t.Errorf("left on disk:\n%q\nbefore:\n%q", after, before)
			}
			f.agree()
			// A failure is no obstacle to another try.
			if c.label == "" {
				if out, err := f.diff.Apply(f.ctx, desc, m); err != nil || out.Digest != diffID {
					t.Errorf("%+v, %v", out, err)
				}
			}
			if err := f.sn.Remove(f.ctx, "key"); err != nil {
				t.Error(err)
			}
			f.agree()
		})
	}
}

// blobPath is where the content store keeps a blob.
func (f *fixture) blobPath(d digest.Digest) string {
	f.Helper()
	var path string
	for _, root := range f.contentRoots {
		p := filepath.Join(root, "blobs", d.Algorithm().String(), d.Encoded())
		if _, err := os.Stat(p); err == nil {
			path = p
		}
	}
	if path == "" {
		f.Fatalf("no blob %s", d)
	}
	return path
}

// Mounts of others are others' business.
func TestForeignMounts(t *testing.T) {
	f := newFixture(t)
	desc, _ := f.blob(f.tar(dir(`Files`)))
	for _, m := range [][]mount.Mount{
		nil,
		{{Type: "bind", Source: "/var/lib/other/snapshots/1/fs", Options: []string{"rbind", "rw"}}},
		{{Type: "overlay", Source: "overlay", Options: []string{"lowerdir=" + f.dir + "/snapshots/1/fs"}}},
		{{Type: "windows-layer", Source: filepath.Join(f.dir, "snapshots", "1")}},
		{{Type: "CimFS", Source: filepath.Join(f.dir, "snapshots", "1", "..", "..")}},
		{{Type: "CimFS", Source: filepath.Join(f.dir, "snapshots", "01")}},
		{{Type: "bind", Source: filepath.Join(f.dir, "snapshots", "1")}},
		{{Type: "CimFS", Source: filepath.Join(f.dir, "snapshots", "1")}, {Type: "CimFS", Source: filepath.Join(f.dir, "snapshots", "2")}},
	} {
		if _, err := f.diff.Apply(f.ctx, desc, m); !errdefs.IsNotImplemented(err) {
			t.Errorf("Apply to %+v: %v", m, err)
		}
		if _, err := f.diff.Compare(f.ctx, nil, m); !errdefs.IsNotImplemented(err) {
			t.Errorf("Compare of %+v: %v", m, err)
		}
	}
	gone := []mount.Mount{{Type: "CimFS", Source: filepath.Join(f.dir, "snapshots", "77")}}
	if _, err := f.diff.Apply(f.ctx, desc, gone); !errdefs.IsNotFound(err) {
		t.Errorf("%v", err)
	}
}

// Every step of Prepare, Apply, Commit and Remove fails once. There is a clear error,
// and afterwards disk and metadata agree, and all goes well.
func TestInjectedErrors(t *testing.T) {
	f := newFixture(t)
	tar := f.tar(dir(`Files`), file(`Files\a`, "one"), file(`Files\b`, "two"))
	desc, diffID := f.blob(tar)
	top, topID := f.blob(f.tar(dir(`Files`), file(`Files\c`, "three")))
	run := func() error {
		for i, l := range []struct {
			parent, diffID string
			d              ocispec.Descriptor
		}{{"", diffID.String(), desc}, {diffID.String(), "", top}} {
			key := fmt.Sprint("key", i)
			m, err := f.sn.Prepare(f.ctx, key, l.parent, unpackLabels("sha256:x", l.diffID, l.parent))
			if err != nil {
				return err
			}
			if _, err := f.diff.Apply(f.ctx, l.d, m); err != nil {
				return err
			}
			name := diffID.String()
			if i > 0 {
				name = "top"
			}
			if err := f.sn.Commit(f.ctx, name, key); err != nil {
				return err
			}
		}
		// The same again, spooled.
		m, err := f.sn.Prepare(f.ctx, "spooled", "", unpackLabels("sha256:x", topID.String(), digest.FromString("unknown").String()))
		if err != nil {
			return err
		}
		if _, err := f.diff.Apply(f.ctx, top, m); err != nil {
			return err
		}
		if err := f.sn.Commit(f.ctx, "from spool", "spooled", snapshots.WithParent("top")); err != nil {
			return err
		}
		if m, err = f.sn.Prepare(f.ctx, "view", "from spool"); err != nil {
			return err
		}
		f.write(m, dir(`Files`), file(`Files\d`, "four"))
		return f.sn.Commit(f.ctx, "from view", "view")
	}
	clear := func() error {
		for _, k := range []string{"view", "from view", "spooled", "from spool", "key1", "top", "key0", diffID.String()} {
			if err := f.sn.Remove(f.ctx, k); err != nil && !errdefs.IsNotFound(err) {
				return err
			}
		}
		return nil
	}
	empty := f.disk()
	for step := 0; ; step++ {
		if step > 1000 {
			t.Fatal("there is no end")
		}
		at, failed := -1, ""
		f.Service.hook = func(op, name string) error {
			if at++; at == step {
				failed = op + " " + name
				return &fs.PathError{Op: op, Path: name, Err: syscall.EIO}
			}
			return nil
		}
		err := run()
		inClear := clear()
		f.Service.hook = func(string, string) error { return nil }
		if failed == "" {
			if err != nil || inClear != nil {
				t.Fatal(err, inClear)
			}
			if step < 15 {
				t.Errorf("only %d steps can fail", step)
			}
			break
		}
		if err == nil && inClear == nil && !strings.HasPrefix(failed, "remove layer") {
			t.Errorf("%s failed and nobody was told", failed)
		}
		if err != nil && !errors.Is(err, syscall.EIO) {
			t.Errorf("%s failed: %v", failed, err)
		}
		if err := clear(); err != nil {
			t.Errorf("after %s failed: %v", failed, err)
		}
		if strings.HasPrefix(failed, "remove layer") {
			if err := f.sn.Cleanup(f.ctx); err != nil {
				t.Error(err)
			}
		}
		f.agree()
		if left := f.disk(); !slices.Equal(left, empty) {
			t.Fatalf("%s failed; left on disk: %q", failed, left)
		}
	}
}

// A base layer needs its hives unless the configuration says otherwise.
func TestMissingHives(t *testing.T) {
	f := newFixture(t)
	f.Service.config.MissingHives = cimlayer.RefuseMissing
	desc, diffID := f.blob(f.tar(dir(`Files`), file(`Files\a`, "one")))
	m, err := f.sn.Prepare(f.ctx, "key", "", unpackLabels(diffID.String(), diffID.String(), ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.diff.Apply(f.ctx, desc, m); !errors.Is(err, cimlayer.ErrNoHive) || !errdefs.IsFailedPrecondition(err) {
		t.Errorf("%v", err)
	}
	f.agree()
}

// A request that is given up leaves nothing, and the next one gets the layer.
func TestCancelled(t *testing.T) {
	f := newFixture(t)
	tar := f.tar(dir(`Files`), file(`Files\a`, noise(1<<20)))
	desc, diffID := f.blob(tar)
	m, err := f.sn.Prepare(f.ctx, "key", "", unpackLabels(diffID.String(), diffID.String(), ""))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.ctx)
	f.Service.hook = func(op, _ string) error {
		if op == "add" {
			cancel()
		}
		return nil
	}
	if _, err := f.diff.Apply(ctx, desc, m); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	f.agree()
	f.Service.hook = nil
	if out, err := f.diff.Apply(f.ctx, desc, m); err != nil || out.Digest != diffID {
		t.Errorf("%+v, %v", out, err)
	}
	f.agree()
}
