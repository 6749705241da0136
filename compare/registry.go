package compare

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
)

// Registry provides the hives of one side of a comparison.
type Registry interface {
	// Open returns a hive as a container sees it, all deltas merged, or hives.ErrNoBase. The
	// caller closes it.
	Open(ctx context.Context, n hives.Name) (*regf.Hive, error)
	// OpenHive returns a hive of the topmost layer.
	hives.Layer
}

// LayerHives is the registry of a chain of tables. It is valid until the scanner is closed.
type LayerHives struct {
	layers []map[hives.Form]map[hives.Name]*hiveEntry // base first
	bad    map[hives.Name]error                       // why the layers make no such hive
	// ordinary has the hives of which a layer above the base has the config file.
	ordinary map[hives.Name]bool
	warn     func(finding.Finding)
}

var _ Registry = (*LayerHives)(nil)

// NewLayerHives returns the registry of a chain of tables, base first, by the rules of
// [hives.Place]. warn is called with faults that cannot change the result, see
// [regf.Harmless]; it can be nil and must not call a hive. A finding's layer is "layer N:
// PATH".
func NewLayerHives(warn func(finding.Finding), tables ...*Table) *LayerHives {
	l := &LayerHives{bad: map[hives.Name]error{}, ordinary: map[hives.Name]bool{}, warn: warn}
	for i, t := range tables {
		found := map[hives.Form]map[hives.Name]*hiveEntry{}
		l.layers = append(l.layers, found)
		for j := range t.hives {
			l.offer(i, found, &t.hives[j])
		}
	}
	return l
}

// offer takes a hive of layer i, or records why it cannot be one.
func (l *LayerHives) offer(i int, found map[hives.Form]map[hives.Name]*hiveEntry, h *hiveEntry) {
	refuse := func(err error) {
		if l.bad[h.name] == nil {
			l.bad[h.name] = fmt.Errorf("layer %d: %w", i, &layer.Error{Op: "find hives", Entry: h.path, Offset: -1, Err: err})
		}
	}
	has := func(f hives.Form) bool { _, ok := found[f][h.name]; return ok }
	// The lowest of layers that are given alone is not known to be a base layer.
	_, _, ok, err := hives.Place(&layer.Entry{Path: h.path, Kind: h.kind}, false)
	switch {
	case !ok:
		return
	case err != nil:
		refuse(err)
		return
	case h.form == hives.Config && i > 0:
		l.ordinary[h.name] = true // a file like others, see hives.Place
		return
	case i == 0 && (h.form == hives.Delta && has(hives.Config) || h.form == hives.Config && has(hives.Delta)):
		refuse(hives.ErrBaseDelta)
		return
	case has(h.form):
		refuse(layer.ErrDuplicate)
		return
	}
	if found[h.form] == nil {
		found[h.form] = map[hives.Name]*hiveEntry{}
	}
	found[h.form][h.name] = h
}

// layerAt is a layer of the chain.
type layerAt struct {
	*LayerHives
	index int
}

// OpenHive implements hives.Layer.
func (l layerAt) OpenHive(n hives.Name, f hives.Form) (*regf.Hive, error) {
	h, ok := l.layers[l.index][f][n]
	if !ok {
		return nil, fs.ErrNotExist
	}
	opt := &regf.Options{AllowHarmless: true, Content: string(h.sum[:])}
	if l.warn != nil {
		opt.Warn = func(x finding.Finding) { l.warn(x.In(fmt.Sprintf("layer %d: %s", l.index, h.path))) }
	}
	return regf.OpenFile(h.file.File, opt) // mapped: it would be read to the heap otherwise
}

// Open implements Registry. It returns a view, see hives.ChainView.
func (l *LayerHives) Open(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	if err := l.bad[n]; err != nil {
		return nil, err
	}
	chain := make([]hives.Layer, len(l.layers))
	for i := range l.layers {
		chain[i] = layerAt{l, i}
	}
	return hives.ChainView(ctx, chain, n)
}

// OpenHive implements hives.Layer for the topmost layer.
func (l *LayerHives) OpenHive(n hives.Name, f hives.Form) (*regf.Hive, error) {
	if err := l.bad[n]; err != nil {
		return nil, err
	}
	if len(l.layers) == 0 {
		return nil, fs.ErrNotExist
	}
	return layerAt{l, len(l.layers) - 1}.OpenHive(n, f)
}

// Ordinary reports whether a layer above the base has a file at the place of a hive of the
// running system, which is a file like others there, and not part of the registry.
func (l *LayerHives) Ordinary(n hives.Name) bool { return l.ordinary[n] }

// hiveID identifies what a merged hive is made of.
func (l *LayerHives) hiveID(n hives.Name) []Sum {
	if l.bad[n] != nil {
		return nil
	}
	var list []Sum
	for _, found := range l.layers {
		for _, f := range []hives.Form{hives.Config, hives.Base, hives.Delta} {
			if h := found[f][n]; h != nil {
				list = append(list, h.sum)
			}
		}
	}
	return list
}

// SameHive reports whether the two sides make a hive of the same files, so that it need not
// be compared.
func SameHive(a, b Registry, n hives.Name) bool {
	x, ok := a.(*LayerHives)
	y, ok2 := b.(*LayerHives)
	return ok && ok2 && x.bad[n] == nil && len(x.hiveID(n)) > 0 && slices.Equal(x.hiveID(n), y.hiveID(n))
}

// OnlyDeltas reports whether a registry has delta hives without the base hives below them.
func OnlyDeltas(ctx context.Context, r Registry) (bool, error) {
	for _, n := range hives.All() {
		d, err := r.OpenHive(n, hives.Delta)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = d.Close()
		}
		if err != nil {
			return false, err
		}
		h, err := r.Open(ctx, n)
		if errors.Is(err, hives.ErrNoBase) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		return false, h.Close()
	}
	return false, nil
}

// HiveChange is a difference between two hives.
type HiveChange struct {
	regf.Difference
	// Keys and Values count what is below an added or removed key: the keys without itself,
	// and the values with its own. They are set if the change is folded.
	Keys, Values int
}

// Kind returns the kind of the difference.
func (c *HiveChange) Kind() Kind {
	switch c.Difference.Kind {
	case regf.Added:
		return Added
	case regf.Removed:
		return Removed
	}
	return Changed
}

// Key returns the key on the side that has it; for a changed one that of the second side.
func (c *HiveChange) Key() regf.Key {
	if c.B.Valid() {
		return c.B
	}
	return c.A
}

// HiveOptions select the differences that count, and their form.
type HiveOptions struct {
	regf.CompareOptions
	// Unfold lists all keys and values below an added or removed key. Otherwise the key is
	// one change that counts them.
	Unfold bool
	// NoSecurity leaves out descriptors of keys.
	NoSecurity bool
	// Keep reports whether a key counts, by its path below the root; nil keeps all. It is
	// called for keys of both sides, and must not regard case.
	Keep func(path string) bool
}

// Hives yields the differences between two hives in the order of keys. One of them can be
// nil, then all of the other is added or removed. A read error ends the sequence.
func Hives(ctx context.Context, a, b *regf.Hive, opt HiveOptions) iter.Seq2[*HiveChange, error] {
	if a == nil || b == nil {
		return func(yield func(*HiveChange, error) bool) {
			c := &hiveComparer{ctx: ctx, opt: opt, yield: yield}
			c.whole(a, b)
		}
	}
	return Differences(ctx, regf.Compare(a, b, opt.CompareOptions), opt)
}

// Differences yields what Hives yields for the differences of regf.Compare, or of
// regf.CompareKeys. The CompareOptions do not count.
func Differences(ctx context.Context, list iter.Seq2[regf.Difference, error], opt HiveOptions) iter.Seq2[*HiveChange, error] {
	return func(yield func(*HiveChange, error) bool) {
		c := &hiveComparer{ctx: ctx, opt: opt, yield: yield}
		for d, err := range list {
			if err == nil {
				err = c.every()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if d.Field == regf.FieldSecurity && opt.NoSecurity {
				continue
			}
			if !c.difference(d) {
				return
			}
		}
	}
}

type hiveComparer struct {
	ctx   context.Context
	opt   HiveOptions
	yield func(*HiveChange, error) bool
	n     int
}

// every checks the context now and then.
func (c *hiveComparer) every() error {
	c.n++
	if c.n%1024 == 0 {
		return c.ctx.Err()
	}
	return nil
}

// whole yields a hive that one side alone has, with the empty path.
func (c *hiveComparer) whole(a, b *regf.Hive) {
	d := regf.Difference{Kind: regf.Added, Field: regf.FieldKey}
	if a == nil && b == nil {
		return
	}
	if b == nil {
		d.Kind, d.A = regf.Removed, a.Root().Traverse()
	} else {
		d.B = b.Root().Traverse()
	}
	if root := (&HiveChange{Difference: d}).Key(); !root.Valid() {
		c.yield(nil, fmt.Errorf("compare hives: %w: the root key", regf.ErrNotFound))
		return
	}
	c.difference(d)
}

// difference yields a difference, and what is below it, and reports whether to continue.
func (c *hiveComparer) difference(d regf.Difference) bool {
	keeps := func(path string) bool { return c.opt.Keep == nil || c.opt.Keep(path) }
	if d.Field != regf.FieldKey {
		return !keeps(d.Path) || c.yield(&HiveChange{Difference: d}, nil)
	}
	if !c.opt.Unfold {
		return c.fold(d, keeps)
	}
	return c.unfold(d, keeps)
}

// fold yields one change for a key with all below it. A filter can leave part of it.
func (c *hiveComparer) fold(d regf.Difference, keeps func(string) bool) bool {
	ch := &HiveChange{Difference: d}
	kept := false
	for k, err := range c.below(ch.Key(), d.Path) {
		if err != nil {
			return c.yield(nil, err) && false
		}
		if !keeps(k.path) {
			continue
		}
		kept = true
		if !k.top {
			ch.Keys++
		}
		ch.Values += k.ValueCount()
	}
	return !kept || c.yield(ch, nil)
}

// unfold yields a key, its values and all below it.
func (c *hiveComparer) unfold(d regf.Difference, keeps func(string) bool) bool {
	for k, err := range c.below((&HiveChange{Difference: d}).Key(), d.Path) {
		if err != nil {
			return c.yield(nil, err) && false
		}
		if !keeps(k.path) {
			continue
		}
		x := regf.Difference{Kind: d.Kind, Path: k.path, Field: regf.FieldKey}
		if d.Kind == regf.Added {
			x.B = k.Key
		} else {
			x.A = k.Key
		}
		if !c.yield(&HiveChange{Difference: x}, nil) {
			return false
		}
		x.Field = regf.FieldValue
		for v, err := range k.Values() {
			if err != nil {
				return c.yield(nil, err) && false
			}
			x.Name = v.Name()
			if d.Kind == regf.Added {
				x.ValueB = v
			} else {
				x.ValueA = v
			}
			if !c.yield(&HiveChange{Difference: x}, nil) {
				return false
			}
		}
	}
	return true
}

// keyAt is a key with its path.
type keyAt struct {
	regf.Key
	path string
	top  bool
}

// below yields a key and all below it, depth first. It continues the traversal that the key
// is from instead of beginning one, which would take time for the size of the whole hive.
func (c *hiveComparer) below(top regf.Key, path string) iter.Seq2[keyAt, error] {
	return func(yield func(keyAt, error) bool) {
		stack := []keyAt{{top, path, true}}
		for len(stack) > 0 {
			k := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if err := c.every(); err != nil {
				yield(keyAt{}, err)
				return
			}
			if !yield(k, nil) {
				return
			}
			from := len(stack)
			for sub, err := range k.Subkeys() {
				if err != nil {
					yield(keyAt{}, err)
					return
				}
				p := regf.JoinPath(sub.Name())
				if k.path != "" {
					p = k.path + `\` + p
				}
				stack = append(stack, keyAt{sub, p, false})
			}
			slices.Reverse(stack[from:])
		}
	}
}
