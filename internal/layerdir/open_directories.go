package layerdir

import (
	"errors"
	"slices"

	"github.com/mullion/mullion/internal/hostfs"
)

// handles keeps the directories on the way to the current entry open, because
// the next entry mostly lies in the same one. Of a very deep path not all can be
// open. Those that are lie close together near the end and ever further apart towards
// the root, so that going up a path of n directories opens about n log n of them again
// and not n².
type handles struct {
	Root   hostfs.Directory
	frames []handle
	opened []int // the frames with an open directory, ascending
}

type handle struct {
	id   NodeID
	host string // name in the directory above
	dir  hostfs.Directory
}

// maxHandles bounds the open directories of one reader or writer, with room to
// spare below the 256 descriptors of the stingiest host.
const maxHandles = 48

// Depth is the number of directories below the root.
func (h *handles) Depth() int { return len(h.frames) }

// Dir returns the directory at a depth; 0 is the root.
func (h *handles) Dir(depth int) (hostfs.Directory, error) {
	if depth == 0 {
		return h.Root, nil
	}
	if d := h.frames[depth-1].dir; d != nil {
		return d, nil
	}
	// The nearest ancestor that is open.
	at, _ := slices.BinarySearch(h.opened, depth-1)
	up, from := h.Root, 0
	if at > 0 {
		from = h.opened[at-1] + 1
		up = h.frames[from-1].dir
	}
	for i := from; i < depth; i++ {
		d, err := up.Enter(h.frames[i].host)
		if err != nil {
			return nil, err
		}
		h.frames[i].dir, up = d, d
		at, _ := slices.BinarySearch(h.opened, i)
		h.opened = slices.Insert(h.opened, at, i)
		if len(h.opened) > maxHandles {
			if err := h.shut(i, depth); err != nil {
				return nil, err
			}
		}
	}
	return up, nil
}

// shut closes the open directory that is missed least on the way up from a depth, but
// not that of frame keep: the one whose neighbours are closest to each other, measured
// by how far away they are.
func (h *handles) shut(keep, depth int) error {
	best, bestGap := -1, 0.0
	for j, i := range h.opened {
		if i == keep {
			continue
		}
		before, after := -1, depth
		if j > 0 {
			before = h.opened[j-1]
		}
		if j+1 < len(h.opened) {
			after = h.opened[j+1]
		}
		gap := float64(after-before) / float64(max(depth-before, 1))
		if i >= depth { // below the requested depth
			gap = 0
		}
		if best < 0 || gap < bestGap {
			best, bestGap = j, gap
		}
	}
	i := h.opened[best]
	h.opened = slices.Delete(h.opened, best, best+1)
	d := h.frames[i].dir
	h.frames[i].dir = nil
	return d.Close()
}

// Push goes down into a directory, which is opened when it is first needed.
func (h *handles) Push(id NodeID, host string) {
	h.frames = append(h.frames, handle{id: id, host: host})
}

// Truncate goes up until depth directories are left.
func (h *handles) Truncate(depth int) error {
	var errs []error
	for n := len(h.opened); n > 0 && h.opened[n-1] >= depth; n-- {
		errs = append(errs, h.frames[h.opened[n-1]].dir.Close())
		h.opened = h.opened[:n-1]
	}
	clear(h.frames[depth:])
	h.frames = h.frames[:depth]
	return errors.Join(errs...)
}
