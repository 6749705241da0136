package regf

// hdrBootType is where Windows notes in the base block how a hive came up.
const (
	hdrBootType  = 0xFF8
	bootSelfHeal = 4
)

// SelfHeal deletes what the Offline Registry Library 10.0 leaves out, in silence, when it
// opens a hive, notes it in the base block as it does, and returns what was deleted. Edits
// of a hive that went through SelfHeal give what that library gives. What it deletes is
// lost: none of this package's functions needs it, and nothing calls it.
//
// Left out are (docs/spec/registry.md, "Merging"; golden corpus, edit/open-symlink-2
// and open-dups):
//
//   - the values of a symbolic link, except for a single one that is spelled exactly
//     SymbolicLinkValue, of type REG_LINK and an even size of 6 bytes or more;
//   - a subkey whose name does not come after that of the one before, with all below it;
//   - in a layered hive a tombstone value with a type or data.
func (h *Hive) SelfHeal() ([]Finding, error) {
	found, err := h.selfHeal()
	return found, h.opError("self-heal", "", -1, err)
}

func (h *Hive) selfHeal() ([]Finding, error) {
	if !h.Root().Valid() {
		return nil, ErrNotFound
	}
	var found []Finding
	note := func(rule string, k Key, off uint32, message string) {
		found = append(found, Finding{Severity: SevereError, Rule: rule, Path: k.Path(), Offset: int64(off), Message: message})
	}
	type valueOf struct {
		key   Key
		value uint32
	}
	var keys []Key
	var values []valueOf
	for k, err := range h.Root().Walk() {
		if err != nil {
			return nil, err
		}
		k.w = nil
		sound := true
		if k.Symlink() {
			if sound, err = k.soundLink(); err != nil {
				return nil, err
			}
		}
		for v, err := range k.Values() {
			if err != nil {
				return nil, err
			}
			switch {
			case !sound:
				note("symlink-value", k, v.off, "value of a symbolic link is not its target alone")
			case v.Tombstone() && (v.Type() != 0 || v.Size() != 0):
				note("layer-value", k, v.off, "tombstone value has a type or data")
			default:
				continue
			}
			values = append(values, valueOf{k, v.off})
		}
		var last Key
		for sub, err := range k.Subkeys() {
			if err != nil {
				return nil, err
			}
			if !last.Valid() || last.CompareName(sub) < 0 {
				last = sub
				continue
			}
			note("list-order", sub, sub.off, "key does not come after the one before")
			keys = append(keys, sub)
		}
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

// soundLink reports whether a symbolic link has what makes one: its target, or no value.
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
