package hives

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mullion/mullion/regf"
)

// Layer gives the hives of one layer, whatever it is kept as. A hive that the layer
// does not have in the form asked for gives fs.ErrNotExist. The caller closes what
// it gets.
type Layer interface {
	OpenHive(n Name, f Form) (*regf.Hive, error)
}

// ChainError says which layer of a chain has the hive that is at fault.
type ChainError struct {
	Layer int // index in the chain, 0 is the base
	Form  Form
	Err   error
}

// Error names the layer by its index, which is 0 for the base.
func (e *ChainError) Error() string {
	return fmt.Sprintf("%v hive of layer %d: %v", e.Form, e.Layer, e.Err)
}

// Unwrap returns the reason.
func (e *ChainError) Unwrap() error { return e.Err }

// link is a hive that takes part in a chain.
type link struct {
	*regf.Hive
	layer int
	form  Form
}

// Chain returns the hive that a container sees: that of the base with the deltas of
// all layers above it merged in. layers is in the order base first, topmost last.
//
// From the top down, deltas count until a layer has the complete hive: one under
// its base name, as unpacking makes it, or the config file in the base layer. (In a layer
// with parents the config file is a file like others: what runs there is the merge.) A
// layer without a delta for the hive changes nothing about it. The caller closes the
// result. [Place] says which entries of a layer that is not unpacked are hives: such a
// layer has no hive under its base name.
//
// A hive that cannot be opened or merged gives a *ChainError, a chain without a complete
// one ErrNoBase.
func Chain(ctx context.Context, layers []Layer, n Name) (h *regf.Hive, err error) {
	var stack []link // topmost first
	defer func() {
		for _, s := range stack {
			if s.Hive != h {
				err = errors.Join(err, s.Close())
			}
		}
	}()
	take := func(i int, f Form) (bool, error) {
		x, err := layers[i].OpenHive(n, f)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, &ChainError{i, f, err}
		}
		stack = append(stack, link{x, i, f})
		return true, nil
	}
	for i := range slices.Backward(layers) {
		found, err := take(i, Base)
		if err == nil && !found && i == 0 {
			found, err = take(i, Config)
		}
		if err != nil {
			return nil, err
		}
		if found {
			slices.Reverse(stack)
			return mergeChain(ctx, stack)
		}
		if _, err := take(i, Delta); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%v: %w: %w", n, ErrNoBase, fs.ErrNotExist)
}

// mergeChain merges the hives of a chain, base first. Without a delta that is the base
// itself.
func mergeChain(ctx context.Context, stack []link) (*regf.Hive, error) {
	base := stack[0]
	if err := validBase(base.Hive); err != nil {
		return nil, &ChainError{base.layer, base.form, err}
	}
	if len(stack) == 1 {
		return base.Hive, nil
	}
	all := make([]*regf.Hive, 0, len(stack))
	for _, s := range stack {
		all = append(all, s.Hive)
	}
	merged, err := MergeHives(ctx, all...)
	if err == nil || ctx.Err() != nil {
		return merged, err
	}
	// Each is merged with an empty one to find the hive at fault.
	for i, s := range stack {
		pair := []*regf.Hive{regf.New(nil), s.Hive}
		if i == 0 {
			pair[0], pair[1] = pair[1], pair[0]
		}
		alone, err := MergeHives(ctx, pair...)
		if err != nil {
			return nil, &ChainError{s.layer, s.form, err}
		}
		if err := alone.Close(); err != nil {
			return nil, err
		}
	}
	return nil, err
}
