package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// KeyEvent is what one layer did to a registry key.
type KeyEvent struct {
	Layer  int // from 0, the base
	Action Action
	// Delta is the meaning of the layer's key, or of the key that removes or replaces it,
	// and Cause the path of that key below the root of the hive. Cause is empty if it is
	// the key itself.
	Delta regf.Layer
	Cause string
	// Modified is the time of the layer's key, 0 if it has none.
	Modified winfs.Filetime
	// Values are the values that the layer adds, changes or removes, in its order, those
	// that it removes without naming them last.
	Values []ValueEvent
}

// ValueEvent is a change of one value.
type ValueEvent struct {
	Name string // "" is the default value
	// Before is nil if there was no such value, After if there is none any more.
	Before, After *Data
}

// Data is the content of a registry value.
type Data struct {
	Type  regf.Type
	Bytes []byte
}

// Key returns what each layer did to a registry key, base first. found has the hives of all
// layers; path is below the root of the hive n, as regf.SplitPath reads it. The layers are
// merged as unpacking does it (hives.Merge), key by key.
//
// A layer that has the key and changes no value is an event Repeated: Windows writes such
// keys to keep a time, or as the parents of others. With value, only events that affect this
// value are returned, and only its changes are in them.
//
// If no layer has the key or the value, errors.Is(err, fs.ErrNotExist) holds, as it does if
// no layer has the hive.
func Key(ctx context.Context, found *image.Hives, n hives.Name, path string, value *string) ([]KeyEvent, error) {
	k := keyHistory{names: regf.SplitPath(path), value: value}
	any := false
	for i := range found.Layers() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, base, err := hives.Part(found.Layer(i), n, i == 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
		any = true
		err = k.layer(i, h, base)
		if err = errors.Join(err, h.Close()); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
	}
	switch {
	case !any:
		return nil, missing("the hive " + n.String())
	case len(k.events) == 0 && value != nil && k.ever:
		return nil, missing(fmt.Sprintf(`a value "%s" in the key "%s"`, *value, strings.TrimSuffix(n.String()+`\`+path, `\`)))
	case len(k.events) == 0:
		return nil, missing(fmt.Sprintf(`the key "%s"`, strings.TrimSuffix(n.String()+`\`+path, `\`)))
	}
	return k.events, nil
}

type keyHistory struct {
	names []string
	value *string

	exists bool
	ever   bool
	values []ValueEvent // state after the layers so far: Name and After
	events []KeyEvent
}

// layer adds the event of one layer.
func (k *keyHistory) layer(index int, h *regf.Hive, base bool) error {
	x, ok, err := hives.EffectOn(h, k.names)
	if err != nil || !ok {
		return err
	}
	e := KeyEvent{Layer: index, Delta: x.Delta, Cause: x.Cause}
	existed := k.exists
	if x.Removed {
		if !existed {
			return nil
		}
		e.Action = Removed
		e.Values = k.set(nil, true)
		k.exists = false
		k.add(e)
		return nil
	}
	e.Modified = x.Key.LastWrite()
	list, err := valuesOf(x.Key, !base && h.Layered())
	if err != nil {
		return err
	}
	e.Values = k.set(list, x.Fresh || x.Local || !existed)
	switch {
	case !existed && k.ever:
		e.Action = Restored
	case !existed:
		e.Action = Added
	case x.Fresh:
		e.Action = Replaced
	case len(e.Values) > 0:
		e.Action = Changed
	default:
		e.Action = Repeated
	}
	k.exists, k.ever = true, true
	k.add(e)
	return nil
}

// add keeps an event if it is asked for.
func (k *keyHistory) add(e KeyEvent) {
	if k.value != nil {
		e.Values = slices.DeleteFunc(e.Values, func(v ValueEvent) bool { return !winfs.EqualFold(v.Name, *k.value) })
		if len(e.Values) == 0 {
			return
		}
	}
	k.events = append(k.events, e)
}

// valuesOf reads the values of a key; After is nil for a tombstone. Of several with one
// name the first counts, a malformed tombstone is none (regf.Merge).
func valuesOf(key regf.Key, layered bool) ([]ValueEvent, error) {
	var list []ValueEvent
	seen := map[string]bool{}
	for v, err := range key.Values() {
		if err != nil {
			return nil, err
		}
		name := v.Name()
		folded := winfs.Fold(name)
		tombstone := layered && v.Tombstone()
		if seen[folded] || tombstone && (v.Type() != 0 || v.Size() != 0) {
			continue
		}
		seen[folded] = true
		x := ValueEvent{Name: name}
		if !tombstone {
			data, err := v.Data()
			if err != nil {
				return nil, err
			}
			x.After = &Data{v.Type(), bytes.Clone(data)}
		}
		list = append(list, x)
	}
	return list, nil
}

// set merges the values of a layer into the state and returns the changes. With whole,
// values that the list lacks go away.
func (k *keyHistory) set(list []ValueEvent, whole bool) []ValueEvent {
	at := map[string]int{} // of the values below
	for i, v := range k.values {
		at[winfs.Fold(v.Name)] = i
	}
	var changes []ValueEvent
	listed := make([]bool, len(k.values))
	var next []ValueEvent
	for _, v := range list {
		var before *Data
		if i, ok := at[winfs.Fold(v.Name)]; ok {
			before, listed[i] = k.values[i].After, true
		}
		if v.After != nil {
			next = append(next, v)
		}
		if !equalData(before, v.After) {
			changes = append(changes, ValueEvent{v.Name, before, v.After})
		}
	}
	for i, v := range k.values {
		switch {
		case listed[i]:
		case whole:
			changes = append(changes, ValueEvent{v.Name, v.After, nil})
		default:
			next = append(next, v)
		}
	}
	k.values = next
	return changes
}

func equalData(a, b *Data) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Type == b.Type && bytes.Equal(a.Bytes, b.Bytes)
}
