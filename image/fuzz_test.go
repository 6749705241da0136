package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/all"
)

// FuzzReference holds references and platforms to what they print.
func FuzzReference(f *testing.F) {
	for _, s := range []string{"oci:dir:tag", `oci:C:\x:y`, "docker-archive:f:n:t", "docker://a/b:c", "a@sha256:0", "windows(10.0.20348.1+win32k)/amd64", "windows/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := image.ParseReference(s); err == nil {
			again, err := image.ParseReference(r.String())
			if err != nil || again != r {
				t.Errorf("%q is %+v, printed %q, which is %+v, %v", s, r, r, again, err)
			}
		}
		if p, err := image.ParsePlatform(s); err == nil {
			again, err := image.ParsePlatform(p.String())
			if err != nil || again.String() != p.String() {
				t.Errorf("%q is printed %q, which is %q, %v", s, p, again, err)
			}
			if !p.Runs(p) {
				t.Errorf("%q does not run itself", p)
			}
		}
	})
}

// FuzzDocument reads arbitrary index and manifest documents.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{`{"schemaVersion":2,"manifests":[{"digest":"sha256:00","size":1}]}`, `{"config":{},"layers":[]}`,
		`{"manifests":[],"layers":[]}`, `{"imageLayoutVersion":"1.0.0"}`, `[`, `{"schemaVersion":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := image.ParseDocument(image.Descriptor{Digest: "sha256:0"}, raw)
		if err == nil && (doc.Index == nil) == (doc.Manifest == nil) {
			t.Errorf("%q is both or neither", raw)
		}
		if err != nil && !errors.Is(err, image.ErrManifest) && !errors.Is(err, image.ErrMediaType) {
			t.Error(err)
		}
	})
}

// FuzzArchive opens arbitrary files as archives.
func FuzzArchive(f *testing.F) {
	example, err := os.ReadFile(filepath.Join("..", "examples", "hello", "hello.tar"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add(example[:1536])
	name := filepath.Join(f.TempDir(), "archive")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, ref := range []string{"oci-archive:", "docker-archive:"} {
			if img, err := image.Open(t.Context(), ref+name); err == nil {
				if err := img.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
