// Package ctxio ends copies of long streams when a context ends.
package ctxio

import (
	"context"
	"io"
)

// Reader returns a reader of r that returns the error of ctx once ctx has ended. It has
// no other methods than Read, so that io.Copy asks it between two buffers.
func Reader(ctx context.Context, r io.Reader) io.Reader { return &reader{ctx, r} }

type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
