package hives

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mullion/mullion/regf"
)

// Errors of hives in layers. Those of package regf stand behind them.
var (
	// ErrNotDelta says that a hive that should change another is no differencing hive.
	ErrNotDelta = errors.New("not a differencing hive")
	// ErrNoBase says that no layer of a chain has the hive that deltas apply to.
	ErrNoBase = errors.New("no layer has the base hive")
)

// Merge merges a base hive and the deltas above it, the lowest first, into a new
// file out. An existing file is an error, regf.ErrExists, and stays as it is; the
// sources are opened for reading and never changed. A delta that is no differencing
// hive gives ErrNotDelta, a hive whose logs were not replayed regf.ErrDirty. Damage
// that could hide something is an error: what cannot be read cannot be merged.
//
// The result is a base hive of version 1.5 whatever the versions of its sources,
// which is what ORMergeHives and ORSaveHive for Windows 10 and later give as far as
// is known. Equal sources give equal bytes. Faults that cannot change the result are
// passed over, see [regf.Harmless]; MergeWarn tells of them.
func Merge(out, base string, deltas ...string) error { return MergeWarn(nil, out, base, deltas...) }

// MergeWarn is [Merge], and calls warn with each harmless fault in the file that is
// named.
func MergeWarn(warn func(file string, f regf.Finding), out, base string, deltas ...string) (err error) {
	if _, err := os.Lstat(out); err == nil {
		return &regf.Error{Op: "merge", Hive: out, Offset: -1, Err: regf.ErrExists}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var layers []*regf.Hive
	defer func() {
		for _, h := range layers {
			err = errors.Join(err, h.Close())
		}
	}()
	for _, name := range append([]string{base}, deltas...) {
		opt := &regf.Options{AllowHarmless: true}
		if warn != nil {
			opt.Warn = func(f regf.Finding) { warn(name, f) }
		}
		h, err := regf.Open(name, opt)
		if err != nil {
			return err
		}
		layers = append(layers, h)
	}
	merged, err := MergeHives(layers[0], layers[1:]...)
	if err != nil {
		return err
	}
	err = merged.Store(out, nil)
	return errors.Join(err, merged.Close())
}

// MergeHives is [Merge] for open hives. The result is in memory and the caller's to
// close; the sources stay open.
func MergeHives(base *regf.Hive, deltas ...*regf.Hive) (*regf.Hive, error) {
	for _, d := range deltas {
		if !d.Layered() {
			return nil, fmt.Errorf("merge %s: version 1.%d: %w", d.Name(), d.Minor(), ErrNotDelta)
		}
	}
	return regf.Merge(append([]*regf.Hive{base}, deltas...), nil)
}

// Valid reports what keeps a file from being used as a hive: that it is none, that
// its logs were not replayed, that its root cannot be read. It reads a few pages.
func Valid(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	h, err := regf.OpenReaderAt(f, st.Size(), &regf.Options{AllowHarmless: true})
	if err != nil {
		return err
	}
	return h.Close()
}

// Layer gives the hives of one layer, whatever it is kept as. A hive that the layer
// does not have in the form asked for gives fs.ErrNotExist. The caller closes what
// it gets.
type Layer interface {
	OpenHive(n Name, f Form) (*regf.Hive, error)
}

// Chain gives the hive that a container sees: that of the base with the deltas of
// all layers above it merged in. layers has the topmost layer first and the base
// layer last.
//
// From the top down, deltas count until a layer has the complete hive: one under
// its base name anywhere, or the config file in the last layer. (In a layer with
// parents the config file is a file like others: what runs there is the merge.) A
// layer without a delta for the hive changes nothing about it. The result is the
// caller's to close.
func Chain(layers []Layer, n Name) (h *regf.Hive, err error) {
	var stack []*regf.Hive // topmost first
	defer func() {
		for _, s := range stack {
			if s != h {
				err = errors.Join(err, s.Close())
			}
		}
	}()
	take := func(l Layer, f Form) (bool, error) {
		x, err := l.OpenHive(n, f)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		stack = append(stack, x)
		return true, nil
	}
	for i, l := range layers {
		found, err := take(l, Base)
		if err == nil && !found && i == len(layers)-1 {
			found, err = take(l, Config)
		}
		if err != nil {
			return nil, fmt.Errorf("layer %d from the top: %w", i+1, err)
		}
		if found {
			if len(stack) == 1 {
				return stack[0], nil
			}
			deltas := make([]*regf.Hive, 0, len(stack)-1)
			for j := len(stack) - 2; j >= 0; j-- {
				deltas = append(deltas, stack[j])
			}
			return MergeHives(stack[len(stack)-1], deltas...)
		}
		if _, err := take(l, Delta); err != nil {
			return nil, fmt.Errorf("layer %d from the top: %w", i+1, err)
		}
	}
	return nil, fmt.Errorf("%v: %w: %w", n, ErrNoBase, fs.ErrNotExist)
}
