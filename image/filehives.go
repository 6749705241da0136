package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/winfs"
)

// answerHives is the kind of an answer of type hiveSizes, which a cache keeps when all
// layers can be unpacked: their hives can be merged, and no entry is one that unpacking
// refuses for its place.
const answerHives = "mergedhives1"

// hiveSizes has the sizes of hives that merging makes, by the name of the file.
type hiveSizes map[string]int64

// mergedHives are the hives under their base names.
type mergedHives struct {
	all []*mergedHive
}

// mergedHive is a hive under its base name: another name of the base layer's hive, or the
// hive that merging makes.
type mergedHive struct {
	path    string
	link    bool
	ordinal int32 // of the hive in the base layer
	size    int64

	img  *Image
	ctx  context.Context
	name hives.Name

	mu   sync.Mutex
	file *tempfile.File // nil until it is opened
}

// mergedHives finds the hives that unpacking puts into Hives. Where the cache does not know
// what they are, all entries are looked at and the hives are merged, which are taken from
// reading; ctx ends that. serve ends merging when a hive is opened.
func (i *Image) mergedHives(ctx, serve context.Context, sources []*layerindex.Source, reading []layer.Source) (_ *mergedHives, err error) {
	m := &mergedHives{}
	deltas := map[hives.Name]bool{}
	for number, s := range sources {
		for _, ordinal := range s.Hives() {
			e, err := s.EntryAt(ordinal)
			if err != nil {
				return nil, err
			}
			n, form, ok := hives.Match(e.Path)
			switch {
			case !ok || e.Kind != layer.File:
			case number == 0 && form == hives.Config:
				m.all = append(m.all, &mergedHive{path: n.Path(hives.Base), link: true, ordinal: ordinal, img: i, ctx: serve, name: n})
			case number > 0 && form == hives.Delta:
				deltas[n] = true
			}
		}
	}
	var sizes hiveSizes
	if i.Answer(answerHives, &sizes) {
		err := m.set(sizes, deltas)
		if err == nil {
			return m, nil
		}
		i.opts.cache.note(err)
	}
	for number, s := range sources {
		if err := unpackable(ctx, s, number); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	sizes = hiveSizes{}
	wanted := slices.DeleteFunc(hives.All(), func(n hives.Name) bool { return !deltas[n] })
	var found *Hives
	if len(wanted) > 0 {
		if found, err = FindHives(ctx, reading, wanted...); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, found.Close()) }()
	}
	for _, n := range wanted {
		var h *mergedHive
		for _, x := range m.all {
			if x.name == n {
				h = x
			}
		}
		if h == nil {
			return nil, fmt.Errorf("%s: %w", n.Path(hives.Delta), hives.ErrNoBase)
		}
		if err := h.merge(ctx, found); err != nil {
			return nil, err
		}
		if h.link, err = found.same(ctx, n, h.file, h.size); err != nil {
			return nil, err
		}
		if !h.link {
			sizes[n.File(hives.Base)] = h.size
		}
	}
	i.Keep(answerHives, sizes)
	return m, nil
}

// set applies what the cache knows.
func (m *mergedHives) set(sizes hiveSizes, deltas map[hives.Name]bool) error {
	known := 0
	for _, h := range m.all {
		if size, ok := sizes[h.name.File(hives.Base)]; ok && deltas[h.name] && size >= 0 && size <= maxHive {
			known++
		}
	}
	if known != len(sizes) {
		return fmt.Errorf("%w: the answer %s", layerindex.ErrDamaged, answerHives)
	}
	for _, h := range m.all {
		if size, ok := sizes[h.name.File(hives.Base)]; ok {
			h.link, h.size = false, size
		}
	}
	return nil
}

// unpackable refuses the entries of a layer that unpacking it refuses for their place.
func unpackable(ctx context.Context, s *layerindex.Source, number int) (err error) {
	r, err := s.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for n := 1; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		err = layer.CheckPlace(e)
		if err == nil {
			_, _, _, err = hives.Place(e, number == 0)
		}
		if err == nil && winfs.EqualFold(e.Path, cimlayer.LayoutName) {
			err = fmt.Errorf("the file is made when a layer is unpacked and may not be part of one: %w", layer.ErrDuplicate)
		}
		if err == nil && number == 0 && (e.Kind == layer.Whiteout || e.Kind == layer.Opaque) {
			err = fmt.Errorf("%w: there is no layer below", layer.ErrWhiteout)
		}
		if err != nil {
			return &layer.Error{Op: "read layer", Layer: fmt.Sprintf("layer %d", number), Entry: e.Path, Index: int64(n), Offset: -1, Err: err}
		}
	}
}

// merge makes the hive of those of the layers.
func (h *mergedHive) merge(ctx context.Context, found *Hives) (err error) {
	if h.file, h.size, err = found.write(ctx, h.name); err != nil {
		return fmt.Errorf("merge %s: %w", h.path, err)
	}
	return nil
}

// open returns the content of the hive.
func (h *mergedHive) open() (io.ReaderAt, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file != nil {
		return h.file, nil
	}
	found, err := FindHives(h.ctx, h.img.Sources(h.ctx), h.name)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	size := h.size
	if err := h.merge(h.ctx, found); err != nil {
		return nil, err
	}
	if h.size != size {
		err := fmt.Errorf("%w: %s has %d bytes, not %d", layerindex.ErrDamaged, h.path, h.size, size)
		err = errors.Join(err, h.file.Close())
		h.file, h.size = nil, size
		return nil, err
	}
	return h.file, nil
}

// Close removes the files.
func (m *mergedHives) Close() error {
	var errs []error
	for _, h := range m.all {
		h.mu.Lock()
		if h.file != nil {
			errs = append(errs, h.file.Close())
			h.file = nil
		}
		h.mu.Unlock()
	}
	return errors.Join(errs...)
}

// write writes the merged hive to a temporary file.
func (h *Hives) write(ctx context.Context, n hives.Name) (_ *tempfile.File, size int64, err error) {
	hive, err := h.View(ctx, n)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, hive.Close()) }()
	file, err := tempfile.Create("", "mullion-hive-")
	if err != nil {
		return nil, 0, err
	}
	if size, err = hive.WriteImageAt(file); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, size, nil
}

// same reports whether a merged hive, and each that is merged from fewer of the layers, is
// the base hive as it was.
func (h *Hives) same(ctx context.Context, n hives.Name, merged io.ReaderAt, size int64) (bool, error) {
	base := h.layers[0][hives.Config][n]
	if same, err := sameContent(ctx, merged, size, base); !same || err != nil {
		return false, err
	}
	for k := 1; k+1 < len(h.layers); k++ {
		if _, ok := h.layers[k][hives.Delta][n]; !ok {
			continue
		}
		lower := &Hives{names: h.names, layers: h.layers[:k+1], bad: h.bad}
		file, size, err := lower.write(ctx, n)
		if err != nil {
			return false, err
		}
		same, err := sameContent(ctx, file, size, base)
		if err = errors.Join(err, file.Close()); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func sameContent(ctx context.Context, a io.ReaderAt, size int64, b hiveFile) (bool, error) {
	if b.file == nil || b.size != size {
		return false, nil
	}
	x, y := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); at < size; at += int64(len(x)) {
		k := min(int64(len(x)), size-at)
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if n, err := a.ReadAt(x[:k], at); int64(n) < k {
			return false, err
		}
		if n, err := b.file.ReadAt(y[:k], at); int64(n) < k {
			return false, err
		}
		if !bytes.Equal(x[:k], y[:k]) {
			return false, nil
		}
	}
	return true, nil
}
