package wclayer

import (
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/winfs"
)

// FindBelow looks for a file in the parents from the top down. In the utility VM there is
// nothing to look for: the parent's files are all here.
func (w *writer) FindBelow(target string) (layerdir.ParentFile, error) {
	if w.Cloned && winfs.Under(target, layerdir.UtilityFiles) {
		return layerdir.ParentFile{}, nil
	}
	for _, p := range w.parents {
		found, err := p.find(target, &w.O)
		if err != nil {
			return layerdir.ParentFile{}, err
		}
		if found.Hidden {
			break
		}
		if found.Dir != nil {
			return found, nil
		}
	}
	return layerdir.ParentFile{}, nil
}
