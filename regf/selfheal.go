package regf

import (
	"iter"

	"github.com/mullion/mullion/finding"
)

// hdrBootType is the field of the base block in which Windows records how a hive was
// loaded.
const (
	hdrBootType  = 0xFF8
	bootSelfHeal = 4
)

// SelfHeal deletes the keys and values that the Offline Registry Library 10.0 silently
// omits when it opens a hive, records this in the base block as that library does, and
// returns the deletions. Edits after SelfHeal have the results of that library. The deleted
// data is lost: no function of this package needs SelfHeal or calls it.
//
// The library omits (golden corpus, edit/open-symlink-2, open-dups, section 2):
//
//   - the values of a symbolic link, except for a single one that is spelled exactly
//     SymbolicLinkValue, of type REG_LINK and an even size of 6 bytes or more;
//   - a subkey whose name does not sort after that of the one before, with all below it;
//   - in a layered hive a tombstone value with a type or data.
func (h *Hive) SelfHeal() ([]finding.Finding, error) {
	found, err := h.selfHeal()
	return found, h.opError("self-heal", "", -1, err)
}

func (h *Hive) selfHeal() ([]finding.Finding, error) {
	if !h.Root().Valid() {
		return nil, ErrNotFound
	}
	var found []finding.Finding
	var keys []Key
	var values []valueOf
	err := h.omits(func(rule *finding.Rule, k Key, v Value, message string) bool {
		off := k.off
		if v.Valid() {
			off = v.off
			values = append(values, valueOf{k, v.off})
		} else {
			keys = append(keys, k)
		}
		found = append(found, rule.At(k.Path(), int64(off), "%s", message))
		return true
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, nil
	}
	if err := h.begin(); err != nil {
		return nil, err
	}
	for _, v := range values {
		for i := range v.key.ValueCount() {
			at, err := v.key.ValueAt(i)
			if err != nil {
				return nil, err
			}
			if at.off != v.value {
				continue
			}
			if err := v.key.removeValue(i); err != nil {
				return nil, err
			}
			break
		}
		if b, err := v.key.node(); err == nil && u32(b[nkValues:]) == 0 {
			put32(b[nkMaxValName:], 0)
			put32(b[nkMaxValData:], 0)
		}
	}
	for _, k := range keys {
		if !k.Valid() { // it was below another
			continue
		}
		if err := k.remove(); err != nil {
			return nil, err
		}
	}
	put32(h.data[hdrBootType:], bootSelfHeal)
	return found, nil
}

// valueOf is a value of a key, by its cell.
type valueOf struct {
	key   Key
	value uint32
}

// omits calls note with each value, and with each key and no value, that the library omits,
// until note returns false.
func (h *Hive) omits(note func(rule *finding.Rule, k Key, v Value, message string) bool) error {
	for k, err := range h.Root().Walk() {
		if err != nil {
			return err
		}
		k.w = nil
		sound := true
		if k.Symlink() {
			if sound, err = k.soundLink(); err != nil {
				return err
			}
		}
		for v, err := range k.Values() {
			if err != nil {
				return err
			}
			more := true
			switch {
			case !sound:
				more = note(ruleSymlinkValue, k, v, "value of a symbolic link is not its target alone")
			case v.Tombstone() && (v.Type() != 0 || v.Size() != 0):
				more = note(ruleLayerValue, k, v, "tombstone value has a type or data")
			}
			if !more {
				return nil
			}
		}
		var last Key
		for sub, err := range k.Subkeys() {
			if err != nil {
				return err
			}
			if !last.Valid() || last.CompareName(sub) < 0 {
				last = sub
				continue
			}
			if !note(ruleListOrder, sub, Value{}, "key does not come after the one before") {
				return nil
			}
		}
	}
	return nil
}

// Omitted yields the keys and values that the Offline Registry Library 10.0 silently omits
// when it opens the hive, and that [Hive.SelfHeal] would delete. The hive is not changed.
// The error is that of a hive that cannot be read to its end.
func (h *Hive) Omitted() iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		err := ErrNotFound
		if h.Root().Valid() {
			err = h.omits(func(rule *finding.Rule, k Key, v Value, message string) bool {
				f := rule.At(k.Path(), int64(k.off), "%s", message)
				if v.Valid() {
					f.Value, f.Offset = v.Name(), int64(v.off)
				}
				return yield(f, nil)
			})
		}
		if err != nil {
			yield(finding.Finding{}, h.opError("look for omissions", "", -1, err))
		}
	}
}

// soundLink reports whether a symbolic link has its target as the only value, or no value.
func (k Key) soundLink() (bool, error) {
	switch k.ValueCount() {
	case 0:
		return true, nil
	case 1:
	default:
		return false, nil
	}
	v, err := k.ValueAt(0)
	if err != nil {
		return false, err
	}
	n := v.Size()
	return v.Name() == "SymbolicLinkValue" && v.Type() == RegLink && n%2 == 0 && n >= 6, nil
}
