package hives

import (
	"errors"
	"fmt"
	"io/fs"

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
	Layer int // in the chain, 0 being the topmost
	Form  Form
	Err   error
}

// Error counts layers from 1.
func (e *ChainError) Error() string {
	return fmt.Sprintf("%v hive of layer %d from the top: %v", e.Form, e.Layer+1, e.Err)
}

// Unwrap returns the reason.
func (e *ChainError) Unwrap() error { return e.Err }

// link is a hive that takes part in a chain.
type link struct {
	*regf.Hive
	layer int
	form  Form
}

// Chain gives the hive that a container sees: that of the base with the deltas of
// all layers above it merged in. layers has the topmost layer first and the base
// layer last.
//
// From the top down, deltas count until a layer has the complete hive: one under
// its base name, as unpacking makes it, or the config file in the last layer. (In a layer
// with parents the config file is a file like others: what runs there is the merge.) A
// layer without a delta for the hive changes nothing about it. The result is the
// caller's to close. What an entry of a layer that was not unpacked yet is to
// the registry, [Place] says: such a layer has no hive under its base name.
//
// A hive that cannot be opened or merged gives a *ChainError, a chain without a complete
// one ErrNoBase.
func Chain(layers []Layer, n Name) (h *regf.Hive, err error) {
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
	for i := range layers {
		found, err := take(i, Base)
		if err == nil && !found && i == len(layers)-1 {
			found, err = take(i, Config)
		}
		if err != nil {
			return nil, err
		}
		if found {
			return mergeChain(stack)
		}
		if _, err := take(i, Delta); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%v: %w: %w", n, ErrNoBase, fs.ErrNotExist)
}

// mergeChain merges what a chain consists of. Without a delta that is the base itself.
func mergeChain(stack []link) (*regf.Hive, error) {
	base := stack[len(stack)-1]
	if err := validBase(base.Hive); err != nil {
		return nil, &ChainError{base.layer, base.form, err}
	}
	if len(stack) == 1 {
		return base.Hive, nil
	}
	deltas := make([]*regf.Hive, 0, len(stack)-1)
	for j := len(stack) - 2; j >= 0; j-- {
		deltas = append(deltas, stack[j].Hive)
	}
	merged, err := MergeHives(base.Hive, deltas...)
	if err == nil {
		return merged, nil
	}
	// Each is merged with an empty one to find who is at fault.
	for j := len(stack) - 1; j >= 0; j-- {
		pair := []*regf.Hive{regf.New(nil), stack[j].Hive}
		if j == len(stack)-1 {
			pair[0], pair[1] = pair[1], pair[0]
		}
		alone, err := MergeHives(pair[0], pair[1])
		if err != nil {
			return nil, &ChainError{stack[j].layer, stack[j].form, err}
		}
		if err := alone.Close(); err != nil {
			return nil, err
		}
	}
	return nil, err
}
