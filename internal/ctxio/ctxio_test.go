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

// A read that waits for ever ends with the context, and a stream arrives whole.
func TestDetach(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	d := Detach(ctx, r)
	cancel()
	if _, err := d.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a waiting read ends with %v", err)
	}
	want := bytes.Repeat([]byte("0123456789"), 10_000)
	if b, err := io.ReadAll(Detach(t.Context(), bytes.NewReader(want))); err != nil || !bytes.Equal(b, want) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
