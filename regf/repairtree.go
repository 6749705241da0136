package regf

import (
	"bytes"
	"fmt"
	"sort"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/winfs"
)

// findRoot sets the root key if the base block does not lead to it: to no key, or to one
// below the root.
func (r *repairer) findRoot() error {
	v := r.v
	if v.root != nilCell {
		if _, _, err := v.nk(v.root); err != nil {
			v.root = nilCell
		}
	}
	was := u32(v.data[hdrRoot:])
	if v.root == nilCell {
		v.root = r.likelyRoot()
		if v.root == nilCell {
			return faultf(ruleRootKey, nilCell, "hive has no root key")
		}
	}
	for range MaxDepth {
		k := Key{h: v, off: v.root}
		b, err := k.node()
		if err != nil {
			return err
		}
		up := u32(b[nkParent:])
		if u16(b[nkFlags:])&uint16(KeyHiveEntry) != 0 || up == v.root || !r.lists(up, k) {
			break
		}
		v.root = up
	}
	if v.root != was {
		r.rootFault = []finding.Finding{ruleRootKey.At("", int64(v.root), "the base block leads to %#x, the root is here", was)}
	}
	return nil
}

// lists reports whether the key at an offset lists k as its subkey.
func (r *repairer) lists(up uint32, k Key) bool {
	v := r.v
	if _, _, err := v.nk(up); err != nil {
		return false
	}
	var t target
	t.set(k.Name())
	// The root is never found as a subkey, and k may be taken for it.
	root := v.root
	v.root = nilCell
	off, err := Key{h: v, off: up}.find(&t)
	v.root = root
	return err == nil && off == k.off
}

// likelyRoot returns a key that is marked as a root, or one without a parent.
func (r *repairer) likelyRoot() uint32 {
	best, rank := uint32(nilCell), 0
	for _, o := range r.allKeys() {
		b, name, err := r.v.nk(o.off)
		if err != nil || len(name) == 0 {
			continue
		}
		n := 0
		if u16(b[nkFlags:])&uint16(KeyHiveEntry) != 0 {
			n = 3
		} else if o.parent == nilCell {
			n = 2
		} else if _, _, err := r.v.nk(o.parent); err != nil && u32(b[nkSubkeys:]) > 0 {
			n = 1
		}
		if n > rank || n == rank && n > 0 && o.off < best {
			best, rank = o.off, n
		}
	}
	return best
}

// allKeys returns all keys in cells in use, by the offset of the parent. Where bins are not
// properly cut into cells, it returns everything that looks like a key.
func (r *repairer) allKeys() []orphan {
	if r.orphans != nil {
		return r.orphans
	}
	r.orphans = []orphan{}
	b := r.v.bins
	hdr := r.v.cellHdr
	for off := uint32(binHeader); uint64(off)+uint64(hdr)+nkSize <= uint64(len(b)); off += 8 {
		if u16(b[off+hdr:]) != sigNK {
			continue
		}
		n := -int64(int32(u32(b[off:])))
		if n < int64(nkSize+hdr) || n%8 != 0 || int64(off)+n > int64(len(b)) {
			continue
		}
		page := off / pageSize
		if r.c.cut[page/64]>>(page%64)&1 != 0 && !hasBit(r.c.alloc, off) || hasBit(r.covered, off) {
			continue
		}
		r.orphans = append(r.orphans, orphan{u32(b[off+hdr+nkParent:]), off})
	}
	sort.Slice(r.orphans, func(i, j int) bool {
		a, b := r.orphans[i], r.orphans[j]
		return a.parent < b.parent || a.parent == b.parent && a.off < b.off
	})
	return r.orphans
}

// below returns the keys whose pointer to the parent leads to a key.
func (r *repairer) below(off uint32) []orphan {
	all := r.allKeys()
	i := sort.Search(len(all), func(i int) bool { return all[i].parent >= off })
	j := i
	for j < len(all) && all[j].parent == off {
		j++
	}
	return all[i:j]
}

// subkeys appends the subkeys of a key in order.
func (r *repairer) subkeys(w *walk, k Key, b []byte, kids []uint32) ([]uint32, error) {
	v := r.v
	r.walk = w
	want, list := u32(b[nkSubkeys:]), u32(b[nkList:])
	if want == 0 {
		return r.forgotten(w, k, b, kids)
	}
	var faults []*fault
	entries := 0 // entries for a key of their own
	bad := 0     // of these, those that lead to no key
	if owner := r.ownerOf(list); owner != nilCell && owner != k.off {
		faults = append(faults, faultf(ruleListShared, list, "list belongs to another key"))
		bad++
	} else {
		var it subIter
		it.keep = &faults
		it.start(v, nil, k.off, b)
		for {
			off, ok := it.next()
			if !ok {
				break
			}
			if r.room--; r.room < 0 {
				return kids, r.crowded()
			}
			nb, name, err := v.nk(off)
			if err == nil && off == v.root {
				err = faultf(ruleNkCycle, off, "root is listed as a subkey")
			}
			if f, ok := err.(*fault); ok {
				faults = append(faults, f)
				entries, bad = entries+1, bad+1
				continue
			}
			if err != nil {
				return kids, err
			}
			if p := u32(nb[nkParent:]); p != k.off && r.byParent && r.belongs(w, p, off, name, v.latinKey(nb)) {
				continue
			}
			if !w.claim(off) {
				continue
			}
			entries++
			kids = append(kids, off)
		}
		if it.err != nil {
			return kids, it.err
		}
	}
	unread := false // the list itself could not be read to its end
	for _, f := range faults {
		unread = unread || f.rule != ruleSubkeyCount && f.rule != ruleListCount
	}
	if unread || len(kids) != int(want) {
		for _, o := range r.below(k.off) {
			if o.off == v.root || !w.claim(o.off) {
				continue
			}
			kids = append(kids, o.off)
			r.mend(ruleNkLost, o.off, k, "subkey %q is in no list that can be read, and found by its pointer upwards", Key{h: v, off: o.off}.Name())
		}
	}
	if uint64(want) > uint64(len(v.bins)/nkSize) {
		want = 0 // the number is impossible
	}
	if got := len(kids); got != int(want) && got < max(int(want), entries) && (bad > 0 || unread) {
		for _, f := range faults {
			if f.rule != ruleSubkeyCount {
				r.lose(f, k, "a subkey cannot be found")
			}
		}
		r.lose(faultf(ruleSubkeyCount, k.off, "%d subkeys", max(int(want), entries)), k, "%d can be found", got)
	}
	return r.named(k, kids)
}

// forgotten collects the subkeys of a key that declares none, if its list is present, in
// use, and holds only keys whose pointers to the parent lead to this key: then the declared
// number is wrong.
func (r *repairer) forgotten(w *walk, k Key, b []byte, kids []uint32) ([]uint32, error) {
	v := r.v
	list := u32(b[nkList:])
	if list&7 != 0 || list < binHeader || uint64(list)+8 > uint64(len(v.bins)) || int32(u32(v.bins[list:])) >= 0 || hasBit(r.covered, list) {
		return kids, nil
	}
	var it subIter
	node := bytes.Clone(b[:nkSize])
	put32(node[nkSubkeys:], 1) // any number except 0
	it.start(v, nil, k.off, node)
	for {
		off, ok := it.next()
		if !ok {
			break
		}
		if r.room--; r.room < 0 {
			return kids[:0], r.crowded()
		}
		nb, _, err := v.nk(off)
		if err != nil || off == v.root || u32(nb[nkParent:]) != k.off || w.has(off) {
			return kids[:0], nil
		}
		kids = append(kids, off)
	}
	claimed := kids[:0]
	for _, off := range kids {
		if w.claim(off) {
			claimed = append(claimed, off)
		}
	}
	if len(claimed) > 0 {
		r.mend(ruleSubkeyCount, k.off, k, "key declares no subkeys, its list has %d", len(claimed))
	}
	return r.named(k, claimed)
}

// ownerOf returns the key to which a list belongs by the parent of its first key, or
// nilCell if that cannot be determined.
func (r *repairer) ownerOf(list uint32) uint32 {
	if !r.byParent {
		return nilCell
	}
	v := r.v
	at := list
	for range 2 {
		c, err := v.cell(at)
		if err != nil {
			return nilCell
		}
		e, sig, err := listEntries(v, at, c)
		if err != nil || len(e) < 4 {
			return nilCell
		}
		if sig == sigRI {
			at = u32(e)
			continue
		}
		kid, _, err := v.nk(u32(e))
		if err != nil {
			return nilCell
		}
		up := u32(kid[nkParent:])
		if b, _, err := v.nk(up); err == nil && u32(b[nkList:]) == list && u32(b[nkSubkeys:]) != 0 {
			return up
		}
		return nilCell
	}
	return nilCell
}

// belongs reports whether a key that another one lists is in the list of its parent.
func (r *repairer) belongs(w *walk, up, off uint32, name []byte, latin bool) bool {
	b, _, err := r.v.nk(up)
	if err != nil || up == off {
		return false
	}
	if r.room -= int(min(u32(b[nkSubkeys:]), uint32(len(r.v.bins)/8))); r.room < 0 {
		r.room = 0
		return false
	}
	var t target
	t.set(nameString(name, latin))
	at, err := Key{h: r.v, off: up}.find(&t)
	return err == nil && at == off
}

// named sorts subkeys by name, after renaming those whose name is not allowed or is taken
// by one before them.
func (r *repairer) named(k Key, kids []uint32) ([]uint32, error) {
	v := r.v
	tree := r.layer(k) == LayerSupersedeTree
	for _, off := range kids {
		b, name, err := v.nk(off)
		if err != nil {
			return kids, err
		}
		kid := Key{h: v, off: off}
		r.nameRead(kid, k, b)
		if tree && kid.Layer() != LayerTombstone {
			r.supersede[off] = struct{}{}
		}
		latin := v.latinKey(b)
		if good, rule := possibleName(name, latin); rule != nil {
			r.keyNames[off] = r.encode(good)
			r.mend(rule, off, k, "subkey %q cannot have this name and is called %q", nameString(name, latin), good)
		}
	}
	if r.sort(kids) {
		return kids, nil
	}
	taken := make(map[string]struct{}, len(kids))
	for _, off := range kids {
		taken[foldStored(r.nameOf(off))] = struct{}{}
	}
	next := map[string]int{}
	for i := 1; i < len(kids); i++ {
		a, la := r.nameOf(kids[i-1])
		b, lb := r.nameOf(kids[i])
		first := i
		for first < len(kids) && compareStored(a, la, b, lb) == 0 {
			name := another(nameString(b, lb), MaxKeyName, taken, next)
			r.keyNames[kids[first]] = r.encode(name)
			r.mend(ruleNkDuplicate, kids[first], k, "another subkey %q, with the name of the first, is called %q", nameString(b, lb), name)
			if first++; first < len(kids) {
				b, lb = r.nameOf(kids[first])
			}
		}
		i = max(i, first-1)
	}
	r.sort(kids)
	return kids, nil
}

// sort sorts keys and reports whether all names differ.
func (r *repairer) sort(kids []uint32) bool {
	compare := func(x, y uint32) int {
		a, la := r.nameOf(x)
		b, lb := r.nameOf(y)
		return compareStored(a, la, b, lb)
	}
	ordered := true
	for i := 1; i < len(kids) && ordered; i++ {
		ordered = compare(kids[i-1], kids[i]) < 0
	}
	if ordered {
		return true
	}
	sort.SliceStable(kids, func(i, j int) bool { return compare(kids[i], kids[j]) < 0 })
	for i := 1; i < len(kids); i++ {
		if compare(kids[i-1], kids[i]) == 0 {
			return false
		}
	}
	return true
}

// nameOf returns the new name of a key.
func (r *repairer) nameOf(off uint32) ([]byte, bool) {
	b, name, err := r.v.nk(off)
	if err != nil {
		return nil, true
	}
	return r.keyName(off, name, r.v.latinKey(b))
}

func (r *repairer) keyName(off uint32, name []byte, latin bool) ([]byte, bool) {
	if n, ok := r.keyNames[off]; ok {
		return n.b, n.latin
	}
	return name, latin
}

func (r *repairer) valueName(off uint32, name []byte, latin bool) ([]byte, bool) {
	if n, ok := r.valueNames[off]; ok {
		return n.b, n.latin
	}
	return name, latin
}

// encode returns a name in its stored form.
func (r *repairer) encode(name string) storedName {
	b, latin := encodeName(name)
	if latin && r.v.ancient() {
		return storedName{winfs.AppendUTF16LE(nil, name), false}
	}
	return storedName{b, latin}
}

// possibleName returns a replacement for a key name that violates a rule, and that rule; ""
// if it violates none.
func possibleName(name []byte, latin bool) (good string, rule *finding.Rule) {
	odd := !latin && len(name)%2 != 0
	long := unitsOf(name, latin) > MaxKeyName
	slash := bytes.IndexByte(name, '\\') >= 0 // or a unit with that byte
	if !odd && !long && !slash && len(name) > 0 {
		return "", nil
	}
	s := nameString(name, latin)
	if odd {
		rule = ruleNameOdd
	}
	if strings.Contains(s, `\`) {
		s, rule = strings.ReplaceAll(s, `\`, "_"), ruleNkName
	}
	if long {
		s, rule = shortened(s, MaxKeyName), ruleNkName
	}
	if s == "" {
		s, rule = "unnamed", ruleNkName
	}
	return s, rule
}

// shortened cuts a name to n UTF-16 units.
func shortened(s string, n int) string {
	u := winfs.AppendUTF16(nil, s)
	if len(u) <= n {
		return s
	}
	return winfs.DecodeUTF16(u[:n])
}

// another returns the name with a number appended that makes it different from all in
// taken, and adds it to taken.
func another(name string, limit int, taken map[string]struct{}, next map[string]int) string {
	key := winfs.Fold(name)
	for {
		next[key] = max(next[key]+1, 2)
		suffix := fmt.Sprintf(" (%d)", next[key])
		s := strings.TrimPrefix(shortened(name, limit-len(suffix))+suffix, " ")
		b, latin := encodeName(s)
		fold := foldStored(b, latin)
		if _, ok := taken[fold]; !ok {
			taken[fold] = struct{}{}
			return s
		}
	}
}

// values appends the values of a key.
func (r *repairer) values(k Key, out []uint32) []uint32 {
	v := r.v
	clear(r.valueNames)
	b, err := k.node()
	if err != nil {
		return out
	}
	n, list := u32(b[nkValues:]), u32(b[nkValueList:])
	if n == 0 || u16(b[nkFlags:])&uint16(KeyPredefined) != 0 {
		return out
	}
	c, err := v.cell(list)
	if err != nil {
		r.lose(err, k, "%d values cannot be found", n)
		return out
	}
	fits := uint64(n)*4 <= uint64(len(c))
	if !fits {
		n = uint32(len(c) / 4)
	}
	type missing struct {
		index uint32
		err   error
	}
	var gone []missing
	last := uint32(0)
	seen := make(map[uint32]struct{}, min(n, 64))
	var names nameSet
	for i := range n {
		off := u32(c[4*i:])
		vb, name, err := v.vk(off)
		if err != nil {
			gone = append(gone, missing{i, err})
			continue
		}
		last = i
		if _, twice := seen[off]; twice {
			continue
		}
		seen[off] = struct{}{}
		if v.layered && u16(vb[vkFlags:])&vkTombstone != 0 && (u32(vb[vkDataSize:]) != 0 || u32(vb[vkType:]) != 0) {
			r.lose(faultf(ruleLayerValue, off, "tombstone value has a type or data"), k, "Windows takes no notice of it, and it is left out")
			continue
		}
		if m := int(u16(vb[vkNameLen:])); m > len(vb)-vkSize {
			r.lose(faultf(ruleVkName, off, "name of %d bytes goes past the cell", m), k, "%d bytes of the name are kept", len(vb)-vkSize)
		}
		latin := v.latinValue(vb)
		if !latin && len(name)%2 != 0 {
			r.valueNames[off] = r.encode(nameString(name, latin))
			name, latin = r.valueName(off, name, latin)
			r.mend(ruleNameOdd, off, k, "the odd last byte of the name of value %q is left out", nameString(name, latin))
		}
		out = append(out, off)
		if !names.add(name, latin) {
			r.valueNames[off] = storedName{name, latin} // to be renamed when all names are known
		}
	}
	if len(r.valueNames) > 0 {
		out = r.renameValues(k, out)
	}
	for _, m := range gone {
		// After the last value of a list that is too short for the number of values there
		// were none: the number is wrong.
		if fits || m.index < last {
			r.lose(m.err, k, "a value cannot be read")
		}
	}
	return out
}

// renameValues renames values that have the name of one before them. A value that is equal
// in all is omitted.
func (r *repairer) renameValues(k Key, list []uint32) []uint32 {
	stored := func(off uint32) ([]byte, bool) {
		raw, latin := r.valueName(off, nil, true)
		if raw == nil {
			raw, latin = Value{h: r.v, off: off, key: k.off}.RawName()
		}
		return raw, latin
	}
	taken := make(map[string]int, len(list)) // the first value of a name
	for i, off := range list {
		fold := foldStored(stored(off))
		if _, ok := taken[fold]; !ok {
			taken[fold] = i
		}
	}
	var names map[string]struct{}
	next := map[string]int{}
	kept := list[:0:0]
	for i, off := range list {
		v := Value{h: r.v, off: off, key: k.off}
		raw, latin := stored(off)
		first := taken[foldStored(raw, latin)]
		if first == i {
			kept = append(kept, off)
			continue
		}
		name := nameString(raw, latin)
		if same, err := sameData(v, Value{h: r.v, off: list[first], key: k.off}); same && err == nil {
			r.mend(ruleVkDuplicate, off, k, "value %q is there twice, and kept once", name)
			continue
		}
		if names == nil {
			names = make(map[string]struct{}, len(taken))
			for n := range taken {
				names[n] = struct{}{}
			}
		}
		s := another(name, MaxValueName, names, next)
		r.valueNames[off] = r.encode(s)
		r.mend(ruleVkDuplicate, off, k, "another value %q, with the name of the first, is called %q", name, s)
		kept = append(kept, off)
	}
	return kept
}

// entries returns how many entries of lists a repair examines: several times as many as a
// sound hive of this size has.
func (r *repairer) entries() int { return len(r.v.bins)/4 + 4096 }

// crowded returns the error for a hive with more entries.
func (r *repairer) crowded() error {
	return &LimitError{"entries in lists of subkeys, more than a hive of this size has room for", int64(r.entries())}
}
