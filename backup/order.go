package backup

import (
	"fmt"
	"math"
)

// order checks which header may follow which. Reader and Writer share it, so that each
// refuses what the other would.
type order struct {
	data       bool  // there was a data stream to which blocks may belong
	end        int64 // end in the file of its last byte so far
	terminated bool
}

// next checks h and records it. The returned text describes the fault.
func (o *order) next(h *Header) (problem string) {
	switch {
	case h.Size < 0:
		return "negative size"
	case h.ID.isData():
		*o = order{data: true, end: h.Size}
	case h.ID != SparseBlock:
		// Metadata may come anywhere.
	case !o.data:
		return "sparse block before any data stream"
	case o.terminated:
		return "sparse block after the terminator"
	case h.Offset < o.end:
		return fmt.Sprintf("sparse block at %d begins before %d, where the last one ended", h.Offset, o.end)
	case h.Size > math.MaxInt64-h.Offset:
		return fmt.Sprintf("sparse block at %d ends past the largest file", h.Offset)
	default:
		o.end = h.Offset + h.Size
		o.terminated = h.Size == 0
	}
	return ""
}
