package image

import (
	"io/fs"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// Layers returns the number of layers that were searched.
func (h *Hives) Layers() int { return len(h.layers) }

// InLayer opens a hive as one layer has it, without those of other layers; 0 is the base.
// The error is fs.ErrNotExist if the layer does not have the hive in that form, and the one
// that Open returns if layers have files that may not be hives. The caller closes the
// result before h.
func (h *Hives) InLayer(index int, n hives.Name, f hives.Form) (*regf.Hive, error) {
	if err := h.bad[n]; err != nil {
		return nil, err
	}
	if index < 0 || index >= len(h.layers) {
		return nil, fs.ErrNotExist
	}
	return warned{h.layers[index], index, h.Warn}.OpenHive(n, f)
}

// Layer returns one layer, from 0, the base, for the functions of package hives. It opens what
// InLayer does.
func (h *Hives) Layer(index int) hives.Layer { return hivesOf{h, index} }

type hivesOf struct {
	h     *Hives
	index int
}

func (l hivesOf) OpenHive(n hives.Name, f hives.Form) (*regf.Hive, error) {
	return l.h.InLayer(l.index, n, f)
}
