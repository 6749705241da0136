package wclayer

import (
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

func TestConformanceFinal(t *testing.T) {
	for _, m := range []struct {
		name string
		mode MetadataMode
	}{{"auto", MetadataAuto}, {"index", MetadataIndex}} {
		for _, base := range []bool{true, false} {
			parents := []string(nil)
			if !base {
				parents = []string{emptyBase(t, filepath.Join(t.TempDir(), "base"))}
			}
			t.Run(m.name+map[bool]string{true: "/base", false: "/upper"}[base], func(t *testing.T) {
				layertest.Run(t, layertest.Format{
					Publishes: true,
					Unordered: true,
					Base:      base,
					New: func(tb testing.TB) (layer.Writer, func() (layer.Reader, error)) {
						path := filepath.Join(tb.TempDir(), "layer")
						w, err := Create(path, parents, WithMetadata(m.mode), WithSync(SyncNone))
						if err != nil {
							tb.Fatal(err)
						}
						return w, func() (layer.Reader, error) { return Open(path) }
					},
				})
			})
		}
	}
}

// emptyBase makes a base layer that has nothing but its directory Files.
func emptyBase(tb testing.TB, path string) string {
	tb.Helper()
	w, err := Create(path, nil, WithSync(SyncNone))
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	if err := w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir}); err != nil {
		tb.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		tb.Fatal(err)
	}
	return path
}

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
					// The rules of docs/spec/layers.md, "Times", tested on their own.
					if it.Path == filesName || it.Path == hivesName || winfs.Under(it.Path, hivesName) {
						it.Times = winfs.Times{}
					}
				},
				New: func(tb testing.TB) (layer.Writer, func() (layer.Reader, error)) {
					path := filepath.Join(tb.TempDir(), "layer")
					w, err := CreateTransport(path, WithMetadata(m.mode), WithSync(SyncNone))
					if err != nil {
						tb.Fatal(err)
					}
					return w, func() (layer.Reader, error) { return Open(path) }
				},
			})
		})
	}
}
