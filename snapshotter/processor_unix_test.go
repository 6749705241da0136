//go:build unix

package snapshotter

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A layer of a media type that a configured program takes goes through it, and what comes
// out is verified by the diff ID as any other layer.
func TestStreamProcessors(t *testing.T) {
	const once, twice = "application/vnd.test.tar+gzip+base64", "application/vnd.test.tar+gzip+base64+base64"
	f := newFixture(t)
	f.kill()
	decode := []string{"-c", "base64 -d"}
	f.config.Processors = []Processor{
		{ID: "inner", Accepts: []string{once}, Returns: ocispec.MediaTypeImageLayerGzip, Path: "sh", Args: decode},
		{ID: "outer", Accepts: []string{twice}, Returns: once, Path: "sh", Args: decode},
		{ID: "fails", Accepts: []string{"application/vnd.test.fails"}, Returns: ocispec.MediaTypeImageLayerGzip, Path: "sh",
			Args: []string{"-c", "base64 -d; echo there is no key >&2; exit 3"}},
		{ID: "loop", Accepts: []string{"application/vnd.test.loop"}, Returns: "application/vnd.test.loop", Path: "cat"},
		{ID: "absent", Accepts: []string{"application/vnd.test.absent"}, Returns: ocispec.MediaTypeImageLayerGzip, Path: "/no/such/program"},
	}
	f.start()

	tar := f.tar(dir(`Files`), file(`Files\a`, strings.Repeat("a", 1<<20)), dir(`Hives`))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(tar)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	encode := func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }
	blobs := map[string][]byte{once: encode(packed.Bytes()), twice: encode(encode(packed.Bytes())),
		"application/vnd.test.fails": encode(packed.Bytes()), "application/vnd.test.loop": packed.Bytes(),
		"application/vnd.test.absent": packed.Bytes(), "application/vnd.test.unknown": packed.Bytes()}
	apply := func(mediaType string, spooled bool) (ocispec.Descriptor, error) {
		desc := f.put(blobs[mediaType])
		desc.MediaType = mediaType
		diffID, parent := digest.FromBytes(tar), ""
		if spooled {
			parent = digest.FromString("a layer that is not there yet").String()
		}
		m, err := f.sn.Prepare(f.ctx, f.key("unpack"), "", unpackLabels(chainOver(nil, diffID), diffID.String(), parent))
		if err != nil {
			t.Fatal(err)
		}
		return f.diff.Apply(f.ctx, desc, m, diff.WithPayloads(nil))
	}
	for _, spooled := range []bool{true, false} {
		if _, err := apply("application/vnd.test.fails", spooled); err == nil || !strings.Contains(err.Error(), "there is no key") {
			t.Errorf("a program that fails, spooled %v: %v", spooled, err)
		}
		if _, err := apply("application/vnd.test.absent", spooled); err == nil || errdefs.IsNotImplemented(err) {
			t.Errorf("a program that is not there, spooled %v: %v", spooled, err)
		}
		for _, mediaType := range []string{"application/vnd.test.unknown", "application/vnd.test.loop"} {
			if _, err := apply(mediaType, spooled); !errdefs.IsNotImplemented(err) {
				t.Errorf("%s: %v", mediaType, err)
			}
		}
	}
	for _, c := range []struct {
		mediaType string
		spooled   bool
	}{{twice, true}, {once, true}, {twice, false}, {once, false}} {
		got, err := apply(c.mediaType, c.spooled)
		if err != nil || got.Digest != digest.FromBytes(tar) || got.Size != int64(len(tar)) {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
	}
}
