package hives

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/regf"
)

// ErrNoBase says that no layer of a chain has the hive that deltas apply to.
var ErrNoBase = errors.New("no layer has the base hive")

// Merge merges a base hive and the deltas above it, the lowest first, into a new
// file out. An existing file is an error, regf.ErrExists, and stays as it is; the
// sources are opened for reading and never changed. A delta may be an ordinary hive,
// which is then united with those below by name; a base that is a differencing hive gives
// regf.ErrInvalid, a hive whose logs were not replayed regf.ErrDirty. Damage that could
// hide something is an error: what cannot be read cannot be merged.
//
// The result is a base hive of version 1.5 whatever the versions of its sources,
// which is what ORMergeHives and ORSaveHive for Windows 10 and later give (regf.Merge),
// except that no clock is read: the root has the time of the topmost root. Several
// deltas give what merging them one after the other gives. Equal sources give equal bytes.
// Faults that cannot change the result are passed over, see [regf.Harmless]; MergeWarn
// tells of them.
func Merge(out, base string, deltas ...string) error { return MergeWarn(nil, out, base, deltas...) }

// MergeWarn is [Merge], and calls warn with each harmless fault. Layer of the finding is
// the name of the file.
func MergeWarn(warn func(finding.Finding), out, base string, deltas ...string) (err error) {
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
			opt.Warn = func(f finding.Finding) { warn(f.In(name)) }
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
	return regf.Merge(append([]*regf.Hive{base}, deltas...), &regf.MergeOptions{Stepwise: true})
}

// Valid reports what keeps a file from being the hive of a base layer: that it is no
// hive, that its logs were not replayed, that its root cannot be read, that it is a
// differencing hive, which nothing can be merged with (regf.ErrInvalid). It reads a few
// pages.
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
