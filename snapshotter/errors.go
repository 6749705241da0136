package snapshotter

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/containerd/errdefs"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
)

// ErrInUse says that another process has the directory open.
var ErrInUse = errors.New("another process uses the directory")

// ErrRoot says that the directory cannot be kept from other users.
var ErrRoot = errors.New("the directory is open to other users")

// kinded is an error with one of containerd's kinds and an unchanged text.
type kinded struct{ kind, err error }

func (e *kinded) Error() string   { return e.err.Error() }
func (e *kinded) Unwrap() []error { return []error{e.kind, e.err} }

func as(kind, err error) error { return &kinded{kind, err} }

// classify wraps an error in the kind that containerd understands, unless it has one. It
// never chooses ErrNotImplemented, which would make containerd try another differ.
func classify(err error) error {
	if err == nil || !errors.Is(errdefs.Resolve(err), errdefs.ErrUnknown) {
		return err
	}
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	var mismatch *blob.MismatchError
	switch {
	case is(context.Canceled, context.DeadlineExceeded):
		return err
	case errors.As(err, &mismatch) && mismatch.What == "blob":
		return as(errdefs.ErrDataLoss, err)
	case errors.As(err, &mismatch):
		return as(errdefs.ErrFailedPrecondition, err)
	case is(layer.ErrCorrupt, layer.ErrInvalidName, layer.ErrDuplicate, layer.ErrCaseConflict, layer.ErrLinkTarget,
		layer.ErrNotDirectory, layer.ErrWhiteout, layer.ErrStreamSize, layer.ErrLimit,
		blob.ErrCorrupt, blob.ErrCompression, io.ErrUnexpectedEOF):
		return as(errdefs.ErrInvalidArgument, err)
	case is(layer.ErrUnsupported, layer.ErrMissingParent, cimlayer.ErrChain, cimlayer.ErrHive, cimlayer.ErrNoHive):
		return as(errdefs.ErrFailedPrecondition, err)
	case noSpace(err):
		return as(errdefs.ErrResourceExhausted, err)
	}
	var path *fs.PathError
	var link *os.LinkError
	if errors.As(err, &path) || errors.As(err, &link) {
		return as(errdefs.ErrInternal, err)
	}
	return err
}
