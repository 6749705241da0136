package image

import (
	"context"
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/wintar"
)

// besideReader yields what src yields, while a function reads a copy of it in another
// goroutine. It reports io.EOF only if the function returns nil.
type besideReader struct {
	io.Reader // src, a copy of which goes to feed
	src       io.Closer
	feed      *io.PipeWriter
	result    chan error
	err       error // what the reader has ended with
}

func newBesideReader(src io.ReadCloser, beside func(io.Reader) error) *besideReader {
	pr, pw := io.Pipe()
	r := &besideReader{Reader: io.TeeReader(src, pw), src: src, feed: pw, result: make(chan error, 1)}
	go func() {
		err := beside(pr)
		pr.CloseWithError(err) // ends the caller's Read; io.ErrClosedPipe if err is nil
		r.result <- err
	}()
	return r
}

func (r *besideReader) Read(p []byte) (int, error) {
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
func (r *besideReader) Close() error {
	r.feed.CloseWithError(context.Canceled)
	return r.src.Close()
}

// verify reads a blob as it is stored and verifies digest, size and diff ID. With record, a
// blob that holds a layer leaves an index.
func (l *Layer) verify(ctx context.Context, stored io.Reader, record bool) error {
	opts := []blob.ReaderOption{blob.WithLimits(l.img.opts.limits),
		blob.WithDigest(l.Descriptor.Digest, l.Descriptor.Size), blob.WithDiffID(l.DiffID)}
	if record {
		opts = append(opts, blob.WithMap(0))
	}
	plain, err := l.name(blob.NewReader(ctx, stored, opts...))
	if err != nil {
		return err
	}
	defer plain.Close()
	if record {
		l.record(plain, plain)
	}
	return plain.Finish()
}

// record reads a tar, which is the content of a blob that is read with blob.WithMap, and
// keeps its index. A tar that is no layer has none, and is read as far as it makes sense.
func (l *Layer) record(tar io.Reader, b *blob.Reader) {
	r := layerindex.Record(wintar.NewReader(meteredReader{tar, b}, l.tarOptions()...), nil)
	for {
		if _, err := r.Next(); err == io.EOF {
			if x := r.Index(b); x != nil {
				l.keep(x)
			}
			return
		} else if err != nil {
			return
		}
	}
}

// meteredReader is a tar that was decompressed from a blob.
type meteredReader struct {
	io.Reader
	b *blob.Reader
}

// StoredSize implements layer.Metered.
func (r meteredReader) StoredSize() int64 { return r.b.StoredSize() }
