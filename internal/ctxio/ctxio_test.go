package ctxio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
)

// endless cancels a context while it is read, and never ends.
type endless struct {
	left   int
	cancel func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left--; e.left == 0 {
		e.cancel()
	}
	return len(p), nil
}

func TestReader(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, Reader(ctx, &endless{left: 3, cancel: cancel}), make([]byte, 10))
	if n != 30 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d bytes, %v", n, err)
	}
	b, err := io.ReadAll(Reader(t.Context(), bytes.NewReader([]byte("all"))))
	if string(b) != "all" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
