package hives

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mullion/mullion/regf"
)

// Layer opens the hives of one layer, in any format of layer. If the layer does not have
// the hive in that form, the error is fs.ErrNotExist. The caller closes the hive.
type Layer interface {
	OpenHive(n Name, f Form) (*regf.Hive, error)
}

// ChainError holds an error with the layer of the chain whose hive caused it.
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

// Chain returns the hive that a container sees: that of the base with the deltas of all
// layers above it merged in. layers has the base layer first and the topmost one last.
//
// From the top down, deltas count until a layer has the complete hive: one under its base
// name, as unpacking creates it, or the config file in the base layer. (In a layer with
// parents the config file is an ordinary file: the running container uses the merge.) A
// layer without a delta for the hive does not change it. The caller closes the result.
// [Place] defines the role of an entry of a layer that was not unpacked yet: such a layer
// has no hive under its base name.
//
// If a hive cannot be opened or merged, the error is a *ChainError; for a chain without a
// complete hive it is ErrNoBase.
func Chain(ctx context.Context, layers []Layer, n Name) (h *regf.Hive, err error) {
	return chain(ctx, layers, n, false)
}

// ChainView returns a view of the hive that [Chain] makes, see [regf.MergeView]: for reading
// some of a large hive, or all of it in little memory. Writing it out merges the hives, in
// little memory too; it cannot be edited. A fault in a part of the base that no delta touches is an error only
// when the part is read. The hives of the layers are closed with the view, so that the
// layers must stay open until then.
func ChainView(ctx context.Context, layers []Layer, n Name) (h *regf.Hive, err error) {
	return chain(ctx, layers, n, true)
}

func chain(ctx context.Context, layers []Layer, n Name, view bool) (h *regf.Hive, err error) {
	var stack []link // topmost first
	defer func() {
		if view && err == nil {
			return // the view has them
		}
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
			return mergeChain(ctx, stack, view)
		}
		if _, err := take(i, Delta); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%v: %w: %w", n, ErrNoBase, fs.ErrNotExist)
}

// mergeChain merges the hives of a chain, base first. Without a delta the result is the
// base itself.
func mergeChain(ctx context.Context, stack []link, view bool) (*regf.Hive, error) {
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
	var merged *regf.Hive
	var err error
	if view {
		merged, err = regf.MergeView(ctx, all, stepwise)
	} else {
		merged, err = MergeHives(ctx, all...)
	}
	if err == nil || ctx.Err() != nil {
		return merged, err
	}
	// Each is merged with an empty hive to find the one that causes the error.
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
