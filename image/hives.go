package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/regf"
)

// maxHive is the largest hive that is taken out of a layer: the base block and 2 GiB
// of bins, more than Windows loads.
const maxHive = 2<<30 + 4096

// Hives are the hives of a chain of layers, taken out into temporary files.
type Hives struct {
	// Entries is how many entries of layers were looked at to find them.
	Entries int64
	// Warn is called with faults of hives that cannot change the result, as they are met;
	// see [regf.Harmless]. Layer is "layer N: PATH", the number of the layer from 0 for
	// the base and the path of the hive in it. Warn is set before a hive is opened and
	// must not call one.
	Warn func(finding.Finding)

	names  []hives.Name
	layers []hiveLayer          // base first
	bad    map[hives.Name]error // why the layers make no such hive
}

// hiveLayer is the part of one layer.
type hiveLayer map[hives.Form]map[hives.Name]hiveFile

// warned is a layer whose hives report harmless faults.
type warned struct {
	hiveLayer
	index int
	warn  func(finding.Finding)
}

// hiveFile is a hive in a temporary file.
type hiveFile struct {
	file *tempfile.File
	size int64
}

// OpenHive implements hives.Layer.
func (l warned) OpenHive(n hives.Name, f hives.Form) (*regf.Hive, error) {
	h, ok := l.hiveLayer[f][n]
	if !ok {
		return nil, fs.ErrNotExist
	}
	opt := &regf.Options{AllowHarmless: true}
	if l.warn != nil {
		opt.Warn = func(x finding.Finding) { l.warn(x.In(fmt.Sprintf("layer %d: %s", l.index, n.Path(f)))) }
	}
	return regf.OpenFile(h.file.File, opt) // which gives back pages that were read
}

// FindHives takes the named hives, all five without names, out of a chain of layers,
// base first, in every form that the layers have. Each layer is read once and to its
// end, the base only until all names are found: deltas are at the end of a layer,
// the hives of a base in the middle. The base of an image with a cache is read to its end
// too, which verifies it and leaves an index. A layer that has a file which hives.Place
// refuses, as unpacking does, makes Open of that hive fail. The caller closes the result.
func FindHives(ctx context.Context, layers []layer.Source, names ...hives.Name) (*Hives, error) {
	h := newHives(names)
	for i, src := range layers {
		if err := h.find(ctx, src, i); err != nil {
			return nil, errors.Join(fmt.Errorf("find hives in layer %d: %w", i, err), h.Close())
		}
	}
	return h, nil
}

func newHives(names []hives.Name) *Hives {
	if len(names) == 0 {
		names = hives.All()
	}
	return &Hives{names: names, bad: map[hives.Name]error{}}
}

func (h *Hives) find(ctx context.Context, src layer.Source, index int) (err error) {
	h.layers = append(h.layers, hiveLayer{})
	if s, ok := src.(layer.IndexedSource); ok {
		if x, ok := s.Indexed().(*layerindex.Source); ok {
			return h.findIndexed(ctx, x, index)
		}
	}
	r, err := src.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s, whole := src.(*layerSource)
	whole = whole && s.l.img.opts.cache != nil
	for complete := false; !complete || whole; {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if complete {
			continue // what follows is not looked at, as without a cache
		}
		if _, err := h.offer(ctx, index, e, r); err != nil {
			return err
		}
		complete = index == 0 && len(h.layers[0][hives.Config]) == len(h.names)
	}
	return nil
}

// findIndexed looks at the entries alone that are at the place of a hive.
func (h *Hives) findIndexed(ctx context.Context, x *layerindex.Source, index int) error {
	if err := x.CheckEntries(); err != nil {
		return err
	}
	err := ReadEntries(ctx, x, x.Hives(), func(_ int32, e *layer.Entry, r layer.Reader) error {
		_, err := h.offer(ctx, index, e, r)
		if err == nil && index == 0 && len(h.layers[0][hives.Config]) == len(h.names) {
			return errComplete
		}
		return err
	})
	if errors.Is(err, errComplete) {
		return nil
	}
	return err
}

// errComplete ends the search for hives.
var errComplete = errors.New("all hives are found")

// offer takes the main stream of an entry if it is a wanted hive, and returns its
// size; otherwise it returns -1 and reads nothing.
func (h *Hives) offer(ctx context.Context, index int, e *layer.Entry, r layer.Reader) (int64, error) {
	h.Entries++
	// The lowest of layers that are given alone is not known to be a base layer.
	n, form, ok, err := hives.Place(e, false)
	if !ok || !slices.Contains(h.names, n) {
		return -1, nil
	}
	refuse := func(err error) {
		if h.bad[n] == nil {
			h.bad[n] = fmt.Errorf("layer %d: %w", index, &layer.Error{Op: "find hives", Entry: e.Path, Offset: -1, Err: err})
		}
	}
	found := h.layers[index]
	has := func(f hives.Form) bool { _, ok := found[f][n]; return ok }
	switch {
	case err != nil:
		refuse(err)
		return -1, nil
	case form == hives.Config && index > 0:
		return -1, nil // a file like others, see hives.Place
	case index == 0 && (form == hives.Delta && has(hives.Config) || form == hives.Config && has(hives.Delta)):
		refuse(hives.ErrBaseDelta)
		return -1, nil
	}
	if found[form] == nil {
		found[form] = map[hives.Name]hiveFile{}
	}
	if has(form) {
		refuse(layer.ErrDuplicate)
		return -1, nil
	}
	f, err := takeOut(ctx, r)
	if err != nil {
		return -1, &layer.Error{Op: "find hives", Entry: e.Path, Offset: -1, Err: err}
	}
	found[form][n] = f
	return f.size, nil
}

// takeOut copies the main stream of the current entry to a file.
func takeOut(ctx context.Context, r layer.Reader) (h hiveFile, err error) {
	s, err := r.NextStream()
	if err == io.EOF {
		s, err = &layer.Stream{}, nil
	}
	if err != nil {
		return h, err
	}
	if s.Size > maxHive {
		return h, &layer.LimitError{Limit: "hive size", Max: maxHive}
	}
	f, err := tempfile.Create("", "mullion-hive-")
	if err != nil {
		return h, err
	}
	if s.Size > 0 {
		_, err = io.CopyBuffer(struct{ io.Writer }{f}, ctxio.Reader(ctx, r), make([]byte, 1<<18))
	}
	if err != nil {
		return h, errors.Join(err, f.Close())
	}
	return hiveFile{f, s.Size}, nil
}

// Open returns one hive as a container sees it, all deltas merged. Without a base
// hive that is hives.ErrNoBase. The caller closes it before h.
func (h *Hives) Open(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	chain, err := h.chain(n)
	if err != nil {
		return nil, err
	}
	return hives.Chain(ctx, chain, n)
}

// View returns a view of the hive that Open makes, for reading it without the time and
// memory that merging takes: see hives.ChainView. The caller closes it before h.
func (h *Hives) View(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	chain, err := h.chain(n)
	if err != nil {
		return nil, err
	}
	return hives.ChainView(ctx, chain, n)
}

// chain returns the layers for one hive.
func (h *Hives) chain(n hives.Name) ([]hives.Layer, error) {
	if err := h.bad[n]; err != nil {
		return nil, err
	}
	chain := make([]hives.Layer, len(h.layers))
	for i, l := range h.layers {
		chain[i] = warned{l, i, h.Warn}
	}
	return chain, nil
}

// OpenHive implements hives.Layer for the topmost layer.
func (h *Hives) OpenHive(n hives.Name, f hives.Form) (*regf.Hive, error) {
	if err := h.bad[n]; err != nil {
		return nil, err
	}
	if len(h.layers) == 0 {
		return nil, fs.ErrNotExist
	}
	top := len(h.layers) - 1
	return warned{h.layers[top], top, h.Warn}.OpenHive(n, f)
}

// OSVersion reads the build from the merged SOFTWARE hive.
func (h *Hives) OSVersion(ctx context.Context) (v hives.OSVersion, err error) {
	s, err := h.View(ctx, hives.Software)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return hives.OSVersionOf(s)
}

// Environment composes the environment of a process in a container with the given
// configuration. Hives that the image lacks count as empty.
func (h *Hives) Environment(ctx context.Context, config *Config) (env *hives.Env, err error) {
	var reg hives.Registry
	for _, x := range []struct {
		name hives.Name
		hive **regf.Hive
	}{{hives.System, &reg.System}, {hives.Software, &reg.Software}, {hives.Default, &reg.Default}} {
		s, err := h.View(ctx, x.name)
		if errors.Is(err, hives.ErrNoBase) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		*x.hive = s
	}
	var user string
	var words []string
	if config != nil {
		user, words = config.Config.User, config.Config.Env
	}
	return hives.Environment(reg, user, words)
}

// Close ends the temporary files.
func (h *Hives) Close() error {
	var errs []error
	for _, l := range h.layers {
		for _, form := range l {
			for _, f := range form {
				errs = append(errs, f.file.Close())
			}
		}
	}
	h.layers = nil
	return errors.Join(errs...)
}
