package hives

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/regf"
)

// ErrNoBase reports that no layer of a chain has the hive to which deltas apply.
var ErrNoBase = errors.New("no layer has the base hive")

// MergeOption changes how files are merged.
type MergeOption func(*mergeOptions)

type mergeOptions struct {
	warn func(finding.Finding)
}

// WithWarnings calls f with each fault that cannot change the result, see
// [regf.Harmless]. Layer of the finding is the name of the file. Without the option such
// faults are ignored.
func WithWarnings(f func(finding.Finding)) MergeOption {
	return func(o *mergeOptions) { o.warn = f }
}

// Merge merges the hives in files, the base first and each delta over those before it, into
// a new file out. If out exists, the error is regf.ErrExists and the file is not changed;
// the sources are opened for reading and never changed. A delta may be an ordinary hive,
// which is then united with those below by name. A base that is a differencing hive is
// regf.ErrInvalid, a hive whose logs were not replayed regf.ErrDirty. Damage that could hide
// something is an error: unreadable parts cannot be merged.
//
// The result is a base hive of version 1.5 for all versions of its sources, as from
// ORMergeHives and ORSaveHive for Windows 10 and later (regf.Merge), except that no clock
// is read: the root has the time of the topmost root. Merging several deltas is equivalent
// to merging them one after the other. Equal sources produce equal bytes. Merge ends soon
// after ctx does, and out does not exist then.
func Merge(ctx context.Context, out string, files []string, opts ...MergeOption) (err error) {
	var o mergeOptions
	for _, f := range opts {
		f(&o)
	}
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
	for _, name := range files {
		opt := &regf.Options{AllowHarmless: true}
		if o.warn != nil {
			opt.Warn = func(f finding.Finding) { o.warn(f.In(name)) }
		}
		h, err := regf.Open(name, opt)
		if err != nil {
			return err
		}
		layers = append(layers, h)
	}
	merged, err := regf.MergeView(ctx, layers, stepwise)
	if err != nil {
		return err
	}
	layers = nil // which the view closes
	return errors.Join(merged.WriteImageFile(out, nil), merged.Close())
}

// MergeHives is [Merge] for open hives. The result is in memory, and the caller closes it;
// the sources stay open.
func MergeHives(ctx context.Context, layers ...*regf.Hive) (*regf.Hive, error) {
	return regf.Merge(ctx, layers, stepwise)
}

// MergeHivesTo is [MergeHives] with the result in a file, from its start on, in little
// memory; see [regf.MergeTo]. It returns the size of the result.
func MergeHivesTo(ctx context.Context, f regf.ReadWriterAt, layers ...*regf.Hive) (size int64, err error) {
	return regf.MergeTo(ctx, f, layers, stepwise)
}

// stepwise merges as unpacking the layers one after the other does.
var stepwise = &regf.MergeOptions{Stepwise: true}

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
