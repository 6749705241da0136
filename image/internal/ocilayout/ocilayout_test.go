package ocilayout

import (
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/blob"
)

// FuzzIndex reads arbitrary index.json and oci-layout files.
func FuzzIndex(f *testing.F) {
	for _, s := range []string{`{"schemaVersion":2,"manifests":[{"digest":"sha256:00","size":1}]}`, `{"config":{},"layers":[]}`,
		`{"manifests":[],"layers":[]}`, `{"imageLayoutVersion":"1.0.0"}`, `[`} {
		f.Add([]byte(s), "tag")
	}
	f.Fuzz(func(t *testing.T, raw []byte, tag string) {
		ds, _ := Tagged(raw, tag)
		for _, d := range ds {
			if blob.CheckDigest(d.Digest) == nil && !filepath.IsLocal(BlobPath(d.Digest)) {
				t.Errorf("digest %q leads outside", d.Digest)
			}
		}
		_ = CheckFile(raw)
	})
}
