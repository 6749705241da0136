package cimlayer

import (
	"errors"
	"io/fs"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// ImageHives gives the hives that an image holds. By itself it is a whole chain: an
// image shows its layer with everything below it, and has its hives merged, so
//
//	hives.Chain([]hives.Layer{cimlayer.ImageHives{Image: im}}, hives.System)
//
// is the hive that a container sees. The image stays open while its hives are used.
type ImageHives struct {
	Image *cimfs.Image
	// Warn gets the faults of hives that cannot change what is read, see
	// [regf.Harmless], with the path of the hive as Layer. It must not call the hive.
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
