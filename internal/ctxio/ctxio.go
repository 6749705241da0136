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

// Detach returns a reader of r whose Read ends with ctx even while a Read of r waits, as one
// of a terminal or a pipe does. It reads r in a goroutine, up to one buffer ahead; after the
// end of ctx the goroutine remains until its last Read of r returns.
func Detach(ctx context.Context, r io.Reader) io.Reader {
	d := &detached{ctx: ctx, chunks: make(chan chunk)}
	go func() {
		for {
			b := make([]byte, 32<<10)
			n, err := r.Read(b)
			select {
			case d.chunks <- chunk{b[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return d
}

type chunk struct {
	b   []byte
	err error
}

type detached struct {
	ctx    context.Context
	chunks chan chunk
	rest   chunk
}

func (d *detached) Read(p []byte) (int, error) {
	for len(d.rest.b) == 0 {
		if d.rest.err != nil {
			return 0, d.rest.err
		}
		if err := d.ctx.Err(); err != nil {
			return 0, err
		}
		select {
		case d.rest = <-d.chunks:
		case <-d.ctx.Done():
			return 0, d.ctx.Err()
		}
	}
	n := copy(p, d.rest.b)
	d.rest.b = d.rest.b[n:]
	return n, nil
}
