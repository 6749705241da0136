package image

import (
	"context"
	"io"

	"github.com/mullion/mullion/blob"
)

// diffIDReader yields the stored bytes of a layer while it decompresses and hashes them
// beside its caller.
type diffIDReader struct {
	io.Reader // stored bytes, a copy of which goes to feed
	stored    *blob.Reader
	feed      *io.PipeWriter
	result    chan error
	err       error // what the reader has ended with
}

func newDiffIDReader(ctx context.Context, stored *blob.Reader, l *Layer) *diffIDReader {
	pr, pw := io.Pipe()
	r := &diffIDReader{Reader: io.TeeReader(stored, pw), stored: stored, feed: pw, result: make(chan error, 1)}
	go func() {
		err := func() error {
			plain, err := l.name(blob.NewReader(ctx, pr, blob.WithLimits(l.img.opts.limits), blob.WithDiffID(l.DiffID)))
			if err != nil {
				return err
			}
			defer plain.Close()
			return plain.Finish()
		}()
		pr.CloseWithError(err) // ends the caller's Read; io.ErrClosedPipe if err is nil
		r.result <- err
	}()
	return r
}

func (r *diffIDReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.feed.Close()
		if bad := <-r.result; bad != nil {
			err = bad
		}
	}
	r.err = err
	return n, err
}

// Close ends the reader before its end, or after it.
func (r *diffIDReader) Close() error {
	r.feed.CloseWithError(context.Canceled)
	return r.stored.Close()
}
