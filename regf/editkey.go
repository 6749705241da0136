package regf

import (
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// maxCreateDepth is the number of levels below the root to which offreg can create a key.
const maxCreateDepth = 508

// Options of ORCreateKey.
const (
	CreateVolatile = 1 // refused
	CreateLink     = 2 // the key is a symbolic link
	CreateBackup   = 4 // refused
)

// CreateOptions are the options for a new key.
type CreateOptions struct {
	Options uint32 // 0 or CreateLink
	Class   []byte // UTF-16, 65,535 bytes at most
	// Security is a self-relative descriptor. The parts that it lacks, an owner, a group or
	// a list, come from the parent; nil lacks all. [Key.SetSecurity] stores a descriptor
	// unchanged.
	Security []byte
	// copy is for keys copied from elsewhere: Security is stored unchanged, and a symbolic
	// link may keep its values and subkeys.
	copy bool
}

// Create creates a subkey, as ORCreateKey does, and reports whether it is new; an existing
// key is returned unchanged. The name may be a path whose parents exist; backslashes at its
// end are allowed. The new key and its parent get the time of the clock: no other edit
// changes a time. Its descriptor is inherited from the parent's, see [winsec.Inherit].
//
// In a layered hive a tombstone of that name becomes a key again that hides the keys it
// hid, and a new key below one that supersedes its tree supersedes too. offreg ignores
// layers: with Options.IgnoreLayers a tombstone is an existing key and remains a tombstone,
// and a new key always merges.
//
// Errors: ErrInvalid for an empty or too long name or a level too deep; ErrNotFound for a
// missing parent, a tombstone as parent, a leading backslash or a doubled one inside;
// ErrSymlink for a symbolic link as parent.
func (k Key) Create(name string) (Key, bool, error) {
	return k.CreateWith(name, CreateOptions{})
}

// CreateWith is Create with options for a new key. In addition to the errors of Create it
// returns ErrClassSize and ErrDescriptor.
func (k Key) CreateWith(name string, opt CreateOptions) (Key, bool, error) {
	n, created, err := k.create(name, opt)
	return n, created, k.err("create key", err)
}

func (k Key) create(name string, opt CreateOptions) (Key, bool, error) {
	switch {
	case name == "" || opt.Options&^CreateLink != 0:
		return Key{}, false, ErrInvalid
	case len(opt.Class) > 0xFFFF:
		return Key{}, false, ErrClassSize
	case opt.Security != nil && !opt.copy && !plausibleDescriptor(opt.Security):
		return Key{}, false, ErrDescriptor
	}
	parent := k
	path := name
	name = strings.TrimRight(name, `\`)
	switch i := strings.LastIndexByte(name, '\\'); {
	case i < 0:
		if name == "" {
			return Key{}, false, fmt.Errorf("path %q has no name: %w", path, ErrInvalid)
		}
	case path[0] == '\\' || name[i-1] == '\\':
		return Key{}, false, ErrNotFound
	default:
		p, err := k.Open(name[:i])
		if err != nil {
			return Key{}, false, err
		}
		parent, name = p, name[i+1:]
	}
	if err := validKeyName(name); err != nil {
		return Key{}, false, err
	}
	pb, err := parent.node()
	if err != nil {
		return Key{}, false, err
	}
	if parent.Layer() == LayerTombstone && !k.h.ignoreLayers {
		return Key{}, false, ErrNotFound
	}
	var t target
	t.set(name)
	off, err := parent.find(&t)
	if err != nil {
		return Key{}, false, err
	}
	there := Key{h: k.h, off: off, level: parent.level + 1}
	if off != nilCell && (there.Layer() != LayerTombstone || k.h.ignoreLayers) {
		return there, false, nil
	}
	if u16(pb[nkFlags:])&uint16(KeySymlink) != 0 && !opt.copy {
		return Key{}, false, ErrSymlink
	}
	depth := k.h.depthOf(parent)
	if depth >= maxCreateDepth {
		return Key{}, false, fmt.Errorf("key would be more than %d levels deep: %w", maxCreateDepth, ErrInvalid)
	}
	if err := k.h.begin(); err != nil {
		return Key{}, false, err
	}
	now := k.h.clock()
	n := there
	if off != nilCell {
		b, err := n.node()
		if err != nil {
			return Key{}, false, err
		}
		b[nkLayer] = b[nkLayer]&^(3|inheritClass) | byte(LayerSupersedeTree)
		n.stamp(now)
		if opt.Security != nil {
			if err := n.setSecurity(parent.descriptorFor(&opt)); err != nil {
				return Key{}, false, err
			}
		}
	} else {
		raw, latin := encodeName(name)
		if n, err = parent.newSubkey(raw, latin, &t, now, parent.descriptorFor(&opt)); err != nil {
			return Key{}, false, err
		}
	}
	if opt.Options&CreateLink != 0 {
		b, err := n.node()
		if err != nil {
			return Key{}, false, err
		}
		put16(b[nkFlags:], u16(b[nkFlags:])|uint16(KeySymlink))
	}
	if len(opt.Class) > 0 {
		if err := n.setClass(opt.Class); err != nil {
			return Key{}, false, err
		}
	}
	parent.stamp(now)
	k.h.edit.depths = [2]keyDepth{{parent.off, depth}, {n.off, depth + 1}}
	return n, true, nil
}

// keyDepth is the number of levels above a key.
type keyDepth struct {
	key    uint32
	levels int
}

// depthOf returns the depth of a key, which is remembered for the last new key and its
// parent: most new keys are a sibling or a child of the one before.
func (h *Hive) depthOf(k Key) int {
	if h.edit != nil {
		for _, d := range h.edit.depths {
			if d.key == k.off && d.levels > 0 {
				return d.levels
			}
		}
	}
	return k.depth()
}

// CreatePath creates a key and its missing parents.
func (h *Hive) CreatePath(path string) (Key, error) {
	k := h.Root()
	if !k.Valid() {
		return Key{}, h.opError("create key", path, -1, ErrNotFound)
	}
	for _, part := range SplitPath(path) {
		var err error
		if k, _, err = k.Create(part); err != nil {
			return Key{}, err
		}
	}
	return k, nil
}

func validKeyName(name string) error {
	switch n := winfs.UTF16Len(name); {
	case name == "" || strings.Contains(name, `\`):
		return ErrInvalid
	case !winfs.ValidWTF8(name):
		return fmt.Errorf("key name is not WTF-8: %w", ErrInvalid)
	case n > MaxKeyName:
		return fmt.Errorf("key name has %d UTF-16 units, %d are allowed: %w", n, MaxKeyName, ErrInvalid)
	}
	return nil
}

// depth counts the levels above a key.
func (k Key) depth() int {
	n := 0
	for p := k; n < MaxDepth; n++ {
		next, ok := p.Parent()
		if !ok {
			break
		}
		p = next
	}
	return n
}

// newSubkey creates a subkey that does not exist yet, with a descriptor.
func (k Key) newSubkey(raw []byte, latin bool, t *target, now winfs.Filetime, sd []byte) (Key, error) {
	h := k.h
	if !h.inOrder(k.off) {
		return Key{}, unorderedList(k.off)
	}
	sk, err := k.securityFor(sd)
	if err != nil {
		return Key{}, err
	}
	off, err := h.alloc(nkSize + len(raw))
	if err == nil {
		if err = k.link(off, raw, latin, t); err != nil {
			h.free(off)
		}
	}
	if err != nil {
		h.dropUnused(sk)
		return Key{}, err
	}
	b := h.bins[off+4:]
	put16(b, sigNK)
	if latin {
		put16(b[nkFlags:], flagNameLatin)
	}
	put64(b[nkTime:], uint64(now))
	if k.Layer() == LayerSupersedeTree && !h.ignoreLayers {
		b[nkLayer] = byte(LayerSupersedeTree)
	}
	put32(b[nkParent:], k.off)
	put32(b[nkList:], nilCell)
	put32(b[nkVolList:], nilCell)
	put32(b[nkValueList:], nilCell)
	put32(b[nkSecurity:], sk)
	put32(b[nkClass:], nilCell)
	put16(b[nkNameLen:], uint16(len(raw)))
	copy(b[nkNameAt:], raw)
	sb, err := h.skCell(sk)
	if err != nil {
		return Key{}, err
	}
	put32(sb[skRefs:], u32(sb[skRefs:])+1)
	pb, err := k.node()
	if err != nil {
		return Key{}, err
	}
	raiseName(pb, 2*unitsOf(raw, latin))
	return Key{h: h, off: off, level: k.level + 1}, nil
}

func unorderedList(key uint32) error {
	return needsRepair(faultf(ruleListOrder, key, "subkeys are not in order"))
}

// stamp sets the time of last write.
func (k Key) stamp(t winfs.Filetime) {
	if b, err := k.node(); err == nil {
		put64(b[nkTime:], uint64(t))
	}
}

// change prepares an edit of the key's own node.
func (k Key) change() ([]byte, error) {
	if k.h == nil {
		return nil, ErrDeleted
	}
	if _, err := k.node(); err != nil {
		return nil, err
	}
	if err := k.h.begin(); err != nil {
		return nil, err
	}
	return k.node()
}

// DeleteSubkey deletes a key by its path below this one, as ORDeleteKey does: an empty path
// is the key itself. It returns ErrHasSubkeys for a key with subkeys, ErrInvalid for the
// root, and ErrNotFound for a path with a backslash at its end.
func (k Key) DeleteSubkey(path string) error {
	if path == "" {
		return k.Delete()
	}
	if strings.HasSuffix(path, `\`) {
		return k.err("delete key", ErrNotFound)
	}
	s, err := k.Open(path)
	if err != nil {
		return err
	}
	return s.Delete()
}

// Delete deletes the key, which must have no subkeys. For the root it returns ErrInvalid.
func (k Key) Delete() error {
	b, err := k.node()
	switch {
	case err != nil:
	case k.IsRoot():
		err = ErrInvalid
	case u32(b[nkSubkeys:]) != 0:
		err = ErrHasSubkeys
	default:
		err = k.remove()
	}
	return k.err("delete key", err)
}

// DeleteTree deletes the key and everything below it. For the root it returns ErrInvalid.
func (k Key) DeleteTree() error {
	if k.IsRoot() {
		return k.err("delete key", ErrInvalid)
	}
	return k.err("delete key", k.remove())
}

// remove unlinks a key and frees everything that belongs to it.
func (k Key) remove() error {
	h := k.h
	if _, err := k.change(); err != nil {
		return err
	}
	parent, ok := k.Parent()
	if !ok {
		return faultf(ruleNkParent, k.off, "key has no parent")
	}
	if err := h.countRefs(); err != nil {
		return err
	}
	// Everything is collected before anything is changed, so that after a fault the hive is
	// unchanged.
	var keys []uint32
	for s, err := range k.Walk() {
		if err != nil {
			return err
		}
		keys = append(keys, s.off)
	}
	if err := parent.unlink(k.off); err != nil {
		return err
	}
	for i := len(keys) - 1; i >= 0; i-- {
		h.freeKey(keys[i])
	}
	return nil
}

// freeKey frees a key's cell and those of its class, lists and values, and releases its
// descriptor.
func (h *Hive) freeKey(off uint32) {
	b, _, err := h.nk(off)
	if err != nil {
		return
	}
	k := Key{h: h, off: off}
	if list, err := k.valueList(); err == nil && list != nil {
		for ; len(list) >= 4; list = list[4:] {
			h.freeValue(u32(list))
		}
		h.free(u32(b[nkValueList:]))
	}
	if u16(b[nkClassLen:]) != 0 {
		h.free(u32(b[nkClass:]))
	}
	if u32(b[nkSubkeys:]) != 0 {
		list := u32(b[nkList:])
		if c, err := h.cell(list); err == nil && len(c) >= 4 {
			if u16(c) == sigRI {
				for i := range min(int(u16(c[2:])), (len(c)-4)/4) {
					h.free(u32(c[4+4*i:]))
				}
			}
			h.free(list)
		}
	}
	h.release(u32(b[nkSecurity:]))
	h.forgetKey(off)
	h.free(off)
}

// Rename changes the key's name, as ORRenameKey does, and returns its new place: the old
// Key is no longer valid. No time changes. It returns ErrExists if a key has the new name
// already, including the key itself in another case, and ErrInvalid for the root, for an
// empty name and for one with a backslash.
func (k Key) Rename(name string) (Key, error) {
	n, err := k.rename(name)
	return n, k.err("rename key", err)
}

func (k Key) rename(name string) (Key, error) {
	h := k.h
	if err := validKeyName(name); err != nil {
		return Key{}, err
	}
	if _, err := k.change(); err != nil {
		return Key{}, err
	}
	parent, ok := k.Parent()
	if !ok {
		return Key{}, ErrInvalid
	}
	var t target
	t.set(name)
	switch found, err := parent.find(&t); {
	case err != nil:
		return Key{}, err
	case found != nilCell: // the key itself too: offreg does not change its case
		return Key{}, ErrExists
	}
	if !h.inOrder(parent.off) {
		return Key{}, unorderedList(parent.off)
	}
	raw, latin := encodeName(name)
	var kids []uint32
	for s, err := range k.Subkeys() {
		if err != nil {
			return Key{}, err
		}
		kids = append(kids, s.off)
	}
	old, oldLatin := k.RawName()
	// The place for the new name is allocated first: later failures are undone.
	to := k.off
	if round8(uint32(nkSize+len(raw)+4)) > uint32(-h.rawSize(k.off)) {
		var err error
		if to, err = h.alloc(nkSize + len(raw)); err != nil {
			return Key{}, err
		}
		b, err := k.node()
		if err != nil {
			return Key{}, err
		}
		copy(h.bins[to+4:], b[:nkSize])
	}
	oldRaw := append([]byte(nil), old...)
	if err := parent.unlink(k.off); err != nil {
		return Key{}, err
	}
	if err := parent.link(to, raw, latin, &t); err != nil {
		if to != k.off {
			h.free(to)
		}
		var back target
		back.set(nameString(oldRaw, oldLatin))
		if berr := parent.link(k.off, oldRaw, oldLatin, &back); berr != nil {
			return Key{}, berr
		}
		return Key{}, err
	}
	b := h.bins[to+4:]
	flags := u16(b[nkFlags:]) &^ flagNameLatin
	if latin {
		flags |= flagNameLatin
	}
	put16(b[nkFlags:], flags)
	put16(b[nkNameLen:], uint16(len(raw)))
	copy(b[nkNameAt:], raw)
	if to == k.off {
		end := uint32(-h.rawSize(to))
		if end < 4+nkNameAt+uint32(len(raw)) {
			return Key{}, faultf(ruleCellShared, to, "key has changed while it was edited: its cell is another's too")
		}
		clear(h.bins[to+4+nkNameAt+uint32(len(raw)) : to+end])
		h.shrink(to, round8(uint32(nkSize+len(raw)+4)))
	} else {
		h.free(k.off)
		h.forgetKey(k.off)
		for _, kid := range kids {
			if kb, _, err := h.nk(kid); err == nil {
				put32(kb[nkParent:], to)
			}
		}
	}
	if pb, err := parent.node(); err == nil {
		raiseName(pb, 2*unitsOf(raw, latin))
	}
	return Key{h: h, off: to, level: k.level}, nil
}

// CopyTo copies the key with its values, class, descriptor, flags, times and everything
// below it to a new subkey of parent, which may be in another hive. It returns ErrExists if
// a subkey of that name exists, and ErrInvalid for a parent inside the key itself, or for a
// tombstone to be copied to a hive without layers. After an error the keys copied so far
// are deleted again.
func (k Key) CopyTo(parent Key, name string) (Key, error) {
	n, err := k.copyTo(parent, name)
	return n, k.err("copy key", err)
}

func (k Key) copyTo(parent Key, name string) (Key, error) {
	if !k.Valid() || !parent.Valid() {
		return Key{}, ErrDeleted
	}
	if err := validKeyName(name); err != nil {
		return Key{}, err
	}
	if parent.h == k.h {
		for p, n := parent, 0; n <= MaxDepth; n++ {
			if p.off == k.off {
				return Key{}, ErrInvalid
			}
			next, ok := p.Parent()
			if !ok {
				break
			}
			p = next
		}
	}
	// A tombstone is an existing key too: a failed copy would lose it.
	if _, err := parent.Subkey(name); err == nil {
		return Key{}, ErrExists
	}
	top, _, err := parent.Create(name)
	if err != nil {
		return Key{}, err
	}
	if err := k.copyBelow(top); err != nil {
		if derr := top.DeleteTree(); derr != nil {
			return Key{}, derr
		}
		return Key{}, err
	}
	return top, nil
}

// copyBelow fills a new key from k.
func (k Key) copyBelow(top Key) error {
	var above []Key // copies of the keys that lead to the current one
	base := int(k.level)
	for s, err := range k.Walk() {
		if err != nil {
			return err
		}
		depth := int(s.level) - base
		dst := top
		if depth > 0 {
			sd, err := s.Security()
			if err != nil {
				return err
			}
			// The hive may be the same, and its memory moves when it grows.
			opt := CreateOptions{Security: append([]byte(nil), sd...), copy: true}
			if dst, _, err = above[depth-1].create(s.Name(), opt); err != nil {
				return err
			}
		}
		above = append(above[:depth], dst)
		if err := s.copyNode(dst); err != nil {
			return err
		}
	}
	// Creating a subkey sets the time of its parent, so times are copied last.
	for s, err := range k.Walk() {
		if err != nil {
			return err
		}
		depth := int(s.level) - base
		dst := top
		if depth > 0 {
			if dst, err = above[depth-1].Subkey(s.Name()); err != nil {
				return err
			}
		}
		above = append(above[:depth], dst)
		dst.stamp(s.LastWrite())
	}
	return nil
}

// copyNode copies the contents of one key.
func (k Key) copyNode(dst Key) error {
	if k.Layer() == LayerTombstone && !dst.h.layered {
		return ErrInvalid
	}
	class, err := k.ClassBytes()
	if err != nil {
		return err
	}
	if err := dst.setClass(append([]byte(nil), class...)); err != nil {
		return err
	}
	sd, err := k.Security()
	if err != nil {
		return err
	}
	if err := dst.setSecurity(append([]byte(nil), sd...)); err != nil {
		return err
	}
	var buf []byte
	for v, err := range k.Values() {
		if err != nil {
			return err
		}
		if buf, err = v.AppendData(buf[:0]); err != nil {
			return err
		}
		flags := v.Flags() &^ vkTombstone // the bit has no meaning without layers
		if v.Tombstone() {
			flags |= vkTombstone
		}
		if err := dst.setValue(v.Name(), v.Type(), buf, flags); err != nil {
			return err
		}
	}
	b, err := k.node()
	if err != nil {
		return err
	}
	d, err := dst.node()
	if err != nil {
		return err
	}
	const kept = uint16(KeyCompressed)
	const place = uint16(KeyHiveEntry | KeyNoDelete | KeyHiveExit | KeyVolatile | KeyPredefined)
	put16(d[nkFlags:], u16(d[nkFlags:])&kept|u16(b[nkFlags:])&^(kept|place))
	d[nkAccess] = b[nkAccess]
	switch {
	case k.h.layered != dst.h.layered: // one of the two bytes has no meaning
	case d[nkLayer]&3 == byte(LayerSupersedeTree) && k.Layer() != LayerTombstone:
		d[nkLayer] = b[nkLayer] | byte(LayerSupersedeTree)
	default:
		d[nkLayer] = b[nkLayer]
	}
	d[nkVirtual], d[nkDebug] = b[nkVirtual], b[nkDebug]
	return nil
}

// SetClass sets the class name in its stored form; nil removes it.
func (k Key) SetClass(class []byte) error {
	if len(class) > 0xFFFF {
		return k.err("set class", ErrClassSize)
	}
	return k.err("set class", k.setClass(class))
}

func (k Key) setClass(class []byte) error {
	h := k.h
	b, err := k.change()
	if err != nil {
		return err
	}
	if len(class) > 0 && k.Layer() == LayerTombstone && !h.ignoreLayers {
		return ErrDeleted
	}
	oldLen, old := u16(b[nkClassLen:]), u32(b[nkClass:])
	off := uint32(nilCell)
	if len(class) > 0 {
		if off, err = h.alloc(len(class)); err != nil {
			return err
		}
		copy(h.bins[off+4:], class)
		if b, err = k.node(); err != nil {
			return err
		}
	}
	if oldLen != 0 && old != nilCell {
		h.free(old)
	}
	put32(b[nkClass:], off)
	put16(b[nkClassLen:], uint16(len(class)))
	if parent, ok := k.Parent(); ok {
		if pb, err := parent.node(); err == nil {
			raise(pb[nkMaxClass:], uint32(len(class)))
		}
	}
	return nil
}

// SetLastWrite sets the time of the last change.
func (k Key) SetLastWrite(t winfs.Filetime) error {
	b, err := k.change()
	if err == nil {
		put64(b[nkTime:], uint64(t))
	}
	return k.err("set time", err)
}

// SetFlags sets the flags of the node. KeyCompressed, which records how the name is stored,
// and KeyPredefined, which would make values unreachable, are not changed.
func (k Key) SetFlags(f KeyFlags) error {
	b, err := k.change()
	if err == nil {
		const kept = uint16(KeyCompressed | KeyPredefined)
		put16(b[nkFlags:], u16(b[nkFlags:])&kept|uint16(f)&^kept)
	}
	return k.err("set flags", err)
}

// SetVirtualFlags sets the virtualisation control, as ORSetVirtualFlags does: a combination
// of the Virtual constants; anything else is ErrInvalid. Subkeys do not inherit it.
func (k Key) SetVirtualFlags(f uint32) error {
	if f&^(VirtualDontVirtualize|VirtualDontSilentFail|VirtualRecurse) != 0 {
		return k.err("set virtual flags", ErrInvalid)
	}
	b, err := k.change()
	if err == nil {
		b[nkVirtual] = b[nkVirtual]&15 | byte(f<<4)
	}
	return k.err("set virtual flags", err)
}

// SetUserFlags sets the user (Wow64) flags, 0 to 15.
func (k Key) SetUserFlags(f uint32) error {
	if f > 15 {
		return k.err("set user flags", ErrInvalid)
	}
	b, err := k.change()
	if err == nil {
		b[nkVirtual] = b[nkVirtual]&0xF0 | byte(f)
	}
	return k.err("set user flags", err)
}

// SetLayer sets the layer semantics. The hive must be layered; see SetLayered.
func (k Key) SetLayer(l Layer, inherit bool) error {
	if k.h == nil || !k.h.layered || l > LayerSupersedeTree {
		return k.err("set layer", ErrInvalid)
	}
	b, err := k.change()
	if err == nil {
		v := b[nkLayer]&^(3|inheritClass) | byte(l)
		if inherit {
			v |= inheritClass
		}
		b[nkLayer] = v
	}
	return k.err("set layer", err)
}

// SetLayered makes the hive a differencing hive, version 1.6, or an ordinary one, version
// 1.5. Making it ordinary clears the layer bits of every key and deletes value tombstones,
// because without layers they would be values.
func (h *Hive) SetLayered(on bool) error {
	return h.opError("set layered", "", -1, h.setLayered(on))
}

func (h *Hive) setLayered(on bool) error {
	if err := h.begin(); err != nil {
		return err
	}
	b := h.data
	if on {
		if h.minor < 4 { // values larger than a segment are stored in another way
			if err := h.segmentValues(); err != nil {
				return err
			}
		}
		if h.minor != 6 {
			put32(b[hdrFlags:], 0)
			if err := h.clearLayers(); err != nil {
				return err
			}
		}
		b = h.data
		put32(b[hdrMinor:], 6)
		put32(b[hdrFlags:], u32(b[hdrFlags:])|HeaderLayered)
		h.minor, h.layered = 6, true
		return nil
	}
	if !h.layered {
		return nil
	}
	if err := h.clearLayers(); err != nil {
		return err
	}
	b = h.data
	put32(b[hdrMinor:], 5)
	put32(b[hdrFlags:], u32(b[hdrFlags:])&^HeaderLayered)
	h.minor, h.layered = 5, false
	return nil
}

func (h *Hive) clearLayers() error {
	for k, err := range h.Root().Walk() {
		if err != nil {
			return err
		}
		b, err := k.node()
		if err != nil {
			return err
		}
		b[nkLayer] &^= 3 | inheritClass
		for i := 0; i < k.ValueCount(); {
			v, err := k.ValueAt(i)
			if err != nil {
				return err
			}
			if v.Flags()&vkTombstone == 0 {
				i++
				continue
			}
			if !h.layered { // the bit had no meaning
				vb, err := v.node()
				if err != nil {
					return err
				}
				put16(vb[vkFlags:], u16(vb[vkFlags:])&^vkTombstone)
				i++
				continue
			}
			if err := k.removeValue(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// segmentValues stores large values of a version 3 hive as big data.
func (h *Hive) segmentValues() error {
	var large []Value
	for k, err := range h.Root().Walk() {
		if err != nil {
			return err
		}
		for v, err := range k.Values() {
			if err != nil {
				return err
			}
			if v.Size() > segmentSize {
				large = append(large, v)
			}
		}
	}
	data := make([][]byte, len(large))
	for i, v := range large {
		d, err := v.AppendData(nil)
		if err != nil {
			return err
		}
		data[i] = d
	}
	h.minor = 5
	for i, v := range large {
		b, err := v.node()
		if err != nil {
			return err
		}
		old := u32(b[vkData:])
		off, err := h.storeData(data[i])
		if err != nil {
			return err
		}
		if b, err = v.node(); err != nil {
			return err
		}
		put32(b[vkData:], off)
		h.free(old)
	}
	return nil
}
