package hives

import (
	"errors"
	"io/fs"

	"github.com/mullion/mullion/regf"
)

// Effect is what the hive of one layer does to a key, by the rules of [Merge].
type Effect struct {
	// Key is the hive's key, unless Removed is set.
	Key regf.Key
	// Removed reports that a key of the layers below is gone.
	Removed bool
	// Fresh reports that nothing of the layers below shows in the key, and Local that their
	// values do not.
	Fresh, Local bool
	// Delta is the meaning of the key, or of the one that removes or replaces it, and Cause
	// the path of that key below the root. Cause is empty if it is the key itself.
	Delta regf.Layer
	Cause string
}

// EffectOn follows the names of a path through the delta hive of a layer, or the base hive of
// the lowest one. ok is false if the hive does not affect the key.
func EffectOn(h *regf.Hive, names []string) (x Effect, ok bool, err error) {
	upTo := func(i int) string {
		if i == len(names)-1 {
			return ""
		}
		return regf.JoinPath(names[:i+1]...)
	}
	cur := h.Root()
	if l := cur.Layer(); l == regf.LayerTombstone || l == regf.LayerSupersedeTree {
		x.Fresh, x.Delta = true, regf.LayerSupersedeTree // a tombstone on the root supersedes
	}
	for i, name := range names {
		local := cur.Layer() == regf.LayerSupersedeLocal
		sub, err := cur.Subkey(name)
		if errors.Is(err, regf.ErrNotFound) {
			// The names of subkeys come from the layers down to one that supersedes.
			if local && !x.Fresh {
				x.Delta, x.Cause = regf.LayerSupersedeLocal, regf.JoinPath(names[:i]...)
			}
			x.Removed = x.Fresh || local
			return x, x.Removed, nil
		}
		if err != nil {
			return x, false, err
		}
		switch sub.Layer() {
		case regf.LayerTombstone:
			x.Removed, x.Delta, x.Cause = true, regf.LayerTombstone, upTo(i)
			return x, true, nil
		case regf.LayerSupersedeTree:
			if !x.Fresh {
				x.Fresh, x.Delta, x.Cause = true, regf.LayerSupersedeTree, upTo(i)
			}
		}
		cur = sub
	}
	x.Key = cur
	if !x.Fresh {
		x.Delta = cur.Layer()
		x.Local = x.Delta == regf.LayerSupersedeLocal
	}
	return x, true, nil
}

// Part opens the part that one layer has in the hive of a chain: the delta, or of the lowest
// layer the whole hive, of which base is set. A lowest layer that has only a delta is a layer
// without those below it. If the layer has no part, the error is fs.ErrNotExist. The caller
// closes the hive.
func Part(l Layer, n Name, lowest bool) (h *regf.Hive, base bool, err error) {
	if lowest {
		for _, f := range []Form{Config, Base} {
			if h, err = l.OpenHive(n, f); !errors.Is(err, fs.ErrNotExist) {
				return h, true, err
			}
		}
	}
	h, err = l.OpenHive(n, Delta)
	return h, false, err
}

// KeyLayers tells which layers of a chain change keys. It keeps the hives open that it has
// looked into, until Close, and is used by one goroutine at a time.
type KeyLayers struct {
	layers []Layer // base first
	parts  map[Name][]keyPart
}

// keyPart is the part of one layer in a hive.
type keyPart struct {
	layer int
	hive  *regf.Hive
}

// NewKeyLayers returns the KeyLayers of a chain, base first, which must stay open.
func NewKeyLayers(layers []Layer) *KeyLayers {
	return &KeyLayers{layers: layers, parts: map[Name][]keyPart{}}
}

// Top returns the topmost layer, from 0, that changes a key which the merged hive has: one
// that gives it values, or replaces it or a key that it is in, and if there is none, the layer
// that brought it. The keys in deltas that only lead to others do not count. The path is
// below the root of the hive. Top returns -1 if no layer has the key.
func (k *KeyLayers) Top(n Name, path string) (int, error) {
	names := regf.SplitPath(path)
	brought := -1
	parts, err := k.of(n)
	if err != nil {
		return -1, err
	}
	for _, p := range parts {
		x, ok, err := EffectOn(p.hive, names)
		switch {
		case err != nil:
			return -1, err
		case !ok:
			continue
		case x.Removed:
			return brought, nil
		case x.Fresh, x.Local, x.Key.ValueCount() > 0:
			return p.layer, nil
		}
		brought = p.layer
	}
	return brought, nil
}

// of returns the parts of the layers in a hive, topmost first.
func (k *KeyLayers) of(n Name) ([]keyPart, error) {
	if parts, ok := k.parts[n]; ok {
		return parts, nil
	}
	var parts []keyPart
	for i := len(k.layers) - 1; i >= 0; i-- {
		h, _, err := Part(k.layers[i], n, i == 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			for _, p := range parts {
				err = errors.Join(err, p.hive.Close())
			}
			return nil, err
		}
		parts = append(parts, keyPart{i, h})
	}
	k.parts[n] = parts
	return parts, nil
}

// Close closes the hives.
func (k *KeyLayers) Close() error {
	var errs []error
	for _, parts := range k.parts {
		for _, p := range parts {
			errs = append(errs, p.hive.Close())
		}
	}
	clear(k.parts)
	return errors.Join(errs...)
}
