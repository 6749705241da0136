package hives

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mullion/mullion/regf"
)

// ErrNoBase reports that no layer of a chain has the hive to which deltas apply.
var ErrNoBase = errors.New("no layer has the base hive")

// Merge merges a base hive and the deltas above it, the lowest first, into a new file out.
// If out exists, the error is regf.ErrExists and the file is not changed; the sources are
// opened for reading and never changed. A delta may be an ordinary hive, which is then
// united with those below by name. A base that is a differencing hive is regf.ErrInvalid, a
// hive whose logs were not replayed regf.ErrDirty. Damage that could hide something is an
// error: unreadable parts cannot be merged.
//
// The result is a base hive of version 1.5 for all versions of its sources, as from
// ORMergeHives and ORSaveHive for Windows 10 and later (regf.Merge), except that no clock
// is read: the root has the time of the topmost root. Merging several deltas is equivalent
// to merging them one after the other. Equal sources produce equal bytes. Faults that
// cannot change the result are ignored, see [regf.Harmless]; MergeWarn reports them.
func Merge(out, base string, deltas ...string) error { return MergeWarn(nil, out, base, deltas...) }

// MergeWarn is [Merge], and calls warn with each harmless fault and the name of its file.
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

// MergeHives is [Merge] for open hives. The result is in memory, and the caller closes it;
// the sources stay open.
func MergeHives(base *regf.Hive, deltas ...*regf.Hive) (*regf.Hive, error) {
	return regf.Merge(append([]*regf.Hive{base}, deltas...), &regf.MergeOptions{Stepwise: true})
}

// Valid returns an error if a file cannot be the hive of a base layer: it is no hive, its
// logs were not replayed, its root cannot be read, or it is a differencing hive, with which
// nothing can be merged (regf.ErrInvalid). It reads a few pages.
func Valid(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	h, err := regf.OpenReaderAt(f, st.Size(), &regf.Options{AllowHarmless: true})
	if err != nil {
		return err
	}
	return errors.Join(validBase(h), h.Close())
}

// validBase refuses a differencing hive, by the same flag as regf.Merge.
func validBase(h *regf.Hive) error {
	if h.Header().Flags&regf.HeaderLayered != 0 {
		return fmt.Errorf("a differencing hive is no base: %w", regf.ErrInvalid)
	}
	return nil
}
