package hives_test

import (
	"errors"
	"io"
	"testing"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// hole is a layer of one file that is a hole.
type hole struct{ size, read int64 }

func (h *hole) Next() (*layer.Entry, error) {
	if h.read++; h.read > 1 {
		return nil, io.EOF
	}
	return &layer.Entry{Path: `Files\hole`, Kind: layer.File, Size: h.size}, nil
}

func (h *hole) NextStream() (*layer.Stream, error) {
	if h.read > 1 {
		return nil, io.EOF
	}
	return &layer.Stream{Size: h.size, Sparse: true}, nil
}

func (h *hole) NextExtent() (layer.Extent, error) { return layer.Extent{}, io.EOF }
func (h *hole) Read([]byte) (int, error)          { return 0, io.EOF }
func (h *hole) Close() error                      { return nil }

// A writer that stores holes as zeros is bounded behind Complete as it is without.
func TestCompleteBoundsHoles(t *testing.T) {
	v, err := hives.ParseOSVersion("10.0.20348.2700")
	if err != nil {
		t.Fatal(err)
	}
	w := hives.Complete(wintar.NewWriter(io.Discard), v)
	_, err = layer.Copy(t.Context(), w, &hole{size: 1 << 39})
	var limit *layer.LimitError
	if !errors.As(err, &limit) || limit.Limit != "Ratio" {
		t.Errorf("error %v, want the limit Ratio", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
