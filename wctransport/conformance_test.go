package wctransport

import (
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

func TestConformanceTransport(t *testing.T) {
	for _, m := range []struct {
		name string
		mode MetadataMode
	}{{"auto", MetadataAuto}, {"index", MetadataIndex}} {
		t.Run(m.name, func(t *testing.T) {
			layertest.Run(t, layertest.Format{
				Publishes: true,
				Unordered: true,
				Lacks:     layertest.Opaques,
				Normalize: func(it *layertest.Item) {
					// The time rules of section 1.9, tested on their own.
					if it.Path == layerdir.FilesName || it.Path == layerdir.HivesName || winfs.Under(it.Path, layerdir.HivesName) {
						it.Times = winfs.Times{}
					}
				},
				New: func(tb testing.TB) (layer.Writer, func() (layer.Reader, error)) {
					path := filepath.Join(tb.TempDir(), "layer")
					w, err := Create(path, WithMetadata(m.mode), WithSync(SyncNone))
					if err != nil {
						tb.Fatal(err)
					}
					return w, func() (layer.Reader, error) { return Open(path) }
				},
			})
		})
	}
}
