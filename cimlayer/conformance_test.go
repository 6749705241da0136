package cimlayer_test

import (
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// closing closes the image after its reader.
type closing struct {
	*cimlayer.ImageReader
	im *cimfs.Image
}

func (c closing) Close() error {
	if err := c.ImageReader.Close(); err != nil {
		return err
	}
	return c.im.Close()
}

// An image keeps a tree, in its own order: no whiteouts, no order of entries, one
// record for all names of a file. Of the attributes it has room for five.
func TestConformance(t *testing.T) {
	for _, version := range []cimfs.Version{cimfs.V1, cimfs.V3} {
		lacks := layertest.Whiteouts | layertest.Opaques | layertest.ObjectIDs | layertest.Extents |
			layertest.LinkMetadata | layertest.NoMain | layertest.NoAttributes
		layertest.Run(t, layertest.Format{
			Lacks:     lacks,
			Unordered: true,
			Publishes: true,
			Normalize: func(it *layertest.Item) {
				const kept = winfs.AttrReadOnly | winfs.AttrHidden | winfs.AttrSystem | winfs.AttrArchive | winfs.AttrDirectory | winfs.AttrReparsePoint
				if it.Attributes &= kept; it.Attributes == 0 && it.Kind == layer.File {
					it.Attributes = winfs.AttrNormal
				}
				// Data and holes in one stream are stored as data.
				for i := range it.Streams {
					it.Streams[i].Sparse, it.Streams[i].Extents = false, nil
				}
			},
			New: func(tb testing.TB) (layer.Writer, func() (layer.Reader, error)) {
				folder := tb.TempDir()
				w, err := cimfs.Create(folder, "a.cim", &cimfs.Options{Version: version})
				if err != nil {
					tb.Fatal(err)
				}
				iw := cimlayer.NewImageWriter(w, nil, cimlayer.ImageOptions{Name: "a.cim"})
				return iw, func() (layer.Reader, error) {
					im, err := cimfs.Open(folder, "a.cim")
					if err != nil {
						return nil, err
					}
					return closing{cimlayer.NewImageReader(im), im}, nil
				}
			},
		})
	}
}
