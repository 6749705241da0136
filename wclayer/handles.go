package wclayer

import "errors"

// handles keeps the directories on the way to the current entry open, because
// the next entry mostly lies in the same one. Of a very deep path only the
// directories near the end stay open; the others are opened again when they are
// needed.
type handles struct {
	root   directory
	frames []handle
	open   int // frames with an open directory
}

type handle struct {
	id   nodeID
	host string // name in the directory above
	dir  directory
}

// maxHandles bounds the open directories of one reader or writer, with room to
// spare below the 256 descriptors of the stingiest host.
const maxHandles = 48

// depth is the number of directories below the root.
func (h *handles) depth() int { return len(h.frames) }

// dir returns the directory at a depth; 0 is the root.
func (h *handles) dir(depth int) (directory, error) {
	if depth == 0 {
		return h.root, nil
	}
	if d := h.frames[depth-1].dir; d != nil {
		return d, nil
	}
	from := depth - 1 // the nearest ancestor that is open
	for from > 0 && h.frames[from-1].dir == nil {
		from--
	}
	up := h.root
	if from > 0 {
		up = h.frames[from-1].dir
	}
	for i := from; i < depth; i++ {
		d, err := up.enter(h.frames[i].host)
		if err != nil {
			return nil, err
		}
		h.frames[i].dir, up = d, d
		h.open++
		if h.open > maxHandles {
			if err := h.shut(i); err != nil {
				return nil, err
			}
		}
	}
	return up, nil
}

// shut closes the open directory that is nearest to the root, but not that of
// frame keep.
func (h *handles) shut(keep int) error {
	for i := range h.frames {
		if i != keep && h.frames[i].dir != nil {
			d := h.frames[i].dir
			h.frames[i].dir = nil
			h.open--
			return d.close()
		}
	}
	return nil
}

// push goes down into a directory, which is opened when it is first needed.
func (h *handles) push(id nodeID, host string) {
	h.frames = append(h.frames, handle{id: id, host: host})
}

// truncate goes up until depth directories are left.
func (h *handles) truncate(depth int) error {
	var errs []error
	for i := len(h.frames) - 1; i >= depth; i-- {
		if d := h.frames[i].dir; d != nil {
			errs = append(errs, d.close())
			h.open--
		}
		h.frames[i] = handle{}
	}
	h.frames = h.frames[:depth]
	return errors.Join(errs...)
}
