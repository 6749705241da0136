package wclayer

import "github.com/mullion/mullion/winfs"

// findBelow looks for a file in the parents from the top down. In the utility VM there is
// nothing to look for: the parent's files are all here.
func (w *writer) findBelow(target string) (parentFile, error) {
	if w.cloned && winfs.Under(target, utilityFiles) {
		return parentFile{}, nil
	}
	for _, p := range w.parents {
		found, err := p.find(target, &w.o)
		if err != nil {
			return parentFile{}, err
		}
		if found.hidden {
			break
		}
		if found.dir != nil {
			return found, nil
		}
	}
	return parentFile{}, nil
}
