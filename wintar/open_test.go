package wintar_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// packed returns a layer tar of one file in each format, with its digests.
func packed(t *testing.T, f blob.Format) (stored []byte, w *blob.Writer) {
	t.Helper()
	var b bytes.Buffer
	w, err := blob.NewWriter(&b, f)
	if err != nil {
		t.Fatal(err)
	}
	tw := wintar.NewWriter(w)
	if err := tw.Add(&layer.Entry{Path: `Files\a.txt`, Kind: layer.File, Size: 5}); err != nil {
		t.Fatal(err)
	}
	if err := tw.AddStream(&layer.Stream{Size: 5}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(tw, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tw.Commit(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w
}

func TestOpenCompressed(t *testing.T) {
	for _, f := range []blob.Format{blob.Plain, blob.Gzip, blob.Zstd} {
		stored, w := packed(t, f)
		name := filepath.Join(t.TempDir(), "layer")
		if err := os.WriteFile(name, stored, 0o644); err != nil {
			t.Fatal(err)
		}
		good := wintar.Verify(blob.WithDigest(w.Digest(), w.StoredSize()), blob.WithDiffID(w.DiffID()))
		bad := wintar.Verify(blob.WithDiffID("sha256:" + string(bytes.Repeat([]byte("0"), 64))))
		for _, c := range []struct {
			what string
			opts []wintar.Option
			want error // at the end
		}{{"unverified", nil, io.EOF}, {"verified", []wintar.Option{good}, io.EOF}, {"other diff ID", []wintar.Option{bad}, blob.ErrDigest}} {
			open := map[string]func() (*wintar.Reader, error){
				"Open": func() (*wintar.Reader, error) { return wintar.Open(t.Context(), name, c.opts...) },
				"NewCompressedReader": func() (*wintar.Reader, error) {
					return wintar.NewCompressedReader(t.Context(), bytes.NewReader(stored), c.opts...)
				},
			}
			for how, f2 := range open {
				r, err := f2()
				if err != nil {
					t.Fatalf("%v %s %s: %v", f, how, c.what, err)
				}
				e, err := r.Next()
				if err != nil || e.Path != `Files\a.txt` {
					t.Fatalf("%v %s %s: %v, %v", f, how, c.what, e, err)
				}
				if _, err = r.Next(); !errors.Is(err, c.want) {
					t.Errorf("%v %s %s: the end is %v, want %v", f, how, c.what, err, c.want)
				}
				if err := errors.Join(r.Close(), r.Close()); err != nil {
					t.Errorf("%v %s %s: close: %v", f, how, c.what, err)
				}
			}
		}
	}
}

// The digest and the sizes of a blob are there at the end of its reader.
func TestBlob(t *testing.T) {
	stored, w := packed(t, blob.Gzip)
	r, err := wintar.NewCompressedReader(t.Context(), bytes.NewReader(stored), wintar.Verify(blob.WithSums()))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	if err != io.EOF || r.Blob().Digest() != w.Digest() || r.Blob().DiffID() != w.DiffID() || r.StoredSize() != int64(len(stored)) {
		t.Errorf("%v, digest %s, diff ID %s, %d bytes", err, r.Blob().Digest(), r.Blob().DiffID(), r.StoredSize())
	}
	if wintar.NewReader(bytes.NewReader(nil)).Blob() != nil {
		t.Error("a reader of other bytes has a blob")
	}
}
