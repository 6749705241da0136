package wintar_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/wintar"
)

func TestConformance(t *testing.T) {
	layertest.Run(t, layertest.Format{
		New: func(testing.TB) (layer.Writer, func() (layer.Reader, error)) {
			var b bytes.Buffer
			return wintar.NewWriter(&b), func() (layer.Reader, error) { return wintar.NewReader(bytes.NewReader(b.Bytes())), nil }
		},
	})
}

func TestConformanceOfFiles(t *testing.T) {
	layertest.Run(t, layertest.Format{
		Publishes: true,
		Layers:    2,
		New: func(tb testing.TB) (layer.Writer, func() (layer.Reader, error)) {
			path := filepath.Join(tb.TempDir(), "layer.tar")
			w, err := wintar.Create(path)
			if err != nil {
				tb.Fatal(err)
			}
			return w, func() (layer.Reader, error) { return wintar.Open(tb.Context(), path) }
		},
	})
}
