package cimlayer

import (
	"errors"
	"io/fs"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// ImageHives opens the hives in an image. It is a whole chain by itself: an image
// contains its layer with everything below it, and its hives are merged, so
//
//	hives.Chain(ctx, []hives.Layer{cimlayer.ImageHives{Image: im}}, hives.System)
//
// is the hive that a container sees. The image stays open while its hives are used.
type ImageHives struct {
	Image *cimfs.Image
	// Warn receives the faults of hives that cannot change the result, see
	// [regf.Harmless]. It must not call the hive.
	Warn func(finding.Finding)
}

var _ hives.Layer = ImageHives{}

// OpenHive implements hives.Layer.
func (h ImageHives) OpenHive(n hives.Name, f hives.Form) (*regf.Hive, error) {
	path := n.Path(f)
	file, err := h.Image.Lookup(path)
	if errors.Is(err, cimfs.ErrNotDirectory) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fail("open hive", h.Image.Name(), path, err)
	}
	s, err := file.Data()
	if err != nil {
		return nil, fail("open hive", h.Image.Name(), path, err)
	}
	opt := &regf.Options{AllowHarmless: true}
	if h.Warn != nil {
		opt.Warn = func(x finding.Finding) { h.Warn(x.In(path)) }
	}
	hive, err := regf.OpenReaderAt(s, s.Size(), opt)
	if err != nil {
		return nil, fail("open hive", h.Image.Name(), path, err)
	}
	return hive, nil
}
