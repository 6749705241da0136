package regf

import (
	"strings"

	"iter"
	"slices"

	"github.com/mullion/mullion/winfs"
)

// Key is a key of an open hive. The zero Key is no key: its methods return zero values or
// ErrDeleted.
type Key struct {
	h     *Hive
	w     *walk
	off   uint32
	level uint16
}

// KeyFlags are the flags of a key node (docs/spec/registry.md, "Keys").
type KeyFlags uint16

// The flags of a key.
const (
	KeyVolatile      KeyFlags = 0x0001
	KeyHiveExit      KeyFlags = 0x0002
	KeyHiveEntry     KeyFlags = 0x0004
	KeyNoDelete      KeyFlags = 0x0008
	KeySymlink       KeyFlags = 0x0010
	KeyCompressed    KeyFlags = 0x0020 // the name is stored as Latin-1
	KeyPredefined    KeyFlags = 0x0040 // the value count is a handle: the key has no values
	KeyVirtualSource KeyFlags = 0x0080
	KeyVirtualTarget KeyFlags = 0x0100
	KeyVirtualStore  KeyFlags = 0x0200
)

// Layer is the effect of a key of a differencing hive on the layers below.
type Layer uint8

// The layer semantics (docs/spec/registry.md, "Layered keys").
const (
	LayerMerge          Layer = 0 // values and subkeys are united with those below
	LayerTombstone      Layer = 1 // the key does not exist
	LayerSupersedeLocal Layer = 2 // values and class replace those below, subkeys merge
	LayerSupersedeTree  Layer = 3 // everything below is hidden
)

// String returns merge, tombstone, supersede-local or supersede-tree.
func (l Layer) String() string {
	switch l {
	case LayerMerge:
		return "merge"
	case LayerTombstone:
		return "tombstone"
	case LayerSupersedeLocal:
		return "supersede-local"
	case LayerSupersedeTree:
		return "supersede-tree"
	}
	return "invalid layer semantics"
}

const inheritClass = 0x80

// Bits of VirtualFlags and UserFlags.
const (
	VirtualDontVirtualize uint32 = 2
	VirtualDontSilentFail uint32 = 4
	VirtualRecurse        uint32 = 8

	User32Bit        uint32 = 1
	UserReflected    uint32 = 2
	UserNoReflection uint32 = 4
)

// node returns the key's cell.
func (k Key) node() ([]byte, error) {
	if k.h == nil {
		return nil, ErrDeleted
	}
	b, _, err := k.h.nk(k.off)
	return b, err
}

// Valid reports whether the key can be read.
func (k Key) Valid() bool {
	_, err := k.node()
	return err == nil
}

// Hive returns the hive of the key.
func (k Key) Hive() *Hive { return k.h }

// Offset returns the key's cell offset, which identifies the key in its hive until
// it is renamed or deleted.
func (k Key) Offset() uint32 { return k.off }

// Level returns how many levels the key is below the root as it was reached. The
// root is 0.
func (k Key) Level() int { return int(k.level) }

// IsRoot reports whether the key is the root of its hive.
func (k Key) IsRoot() bool { return k.h != nil && k.off == k.h.root }

// RawName returns the stored bytes of the name, in place, and whether they are
// Latin-1 rather than UTF-16.
func (k Key) RawName() (name []byte, latin bool) {
	if k.h == nil {
		return nil, true
	}
	b, name, err := k.h.nk(k.off)
	if err != nil {
		return nil, true
	}
	return name, k.h.latinKey(b)
}

// latinKey reports whether a key's name is stored as Latin-1.
func (h *Hive) latinKey(b []byte) bool { return b[nkFlags]&flagNameLatin != 0 && !h.ancient() }

// Name returns the name in WTF-8.
func (k Key) Name() string { return nameString(k.RawName()) }

// AppendName appends the name in WTF-8 to dst.
func (k Key) AppendName(dst []byte) []byte {
	name, latin := k.RawName()
	return appendName(dst, name, latin)
}

// NameEqualFold reports whether the key has this name, without regard to case.
func (k Key) NameEqualFold(name string) bool {
	var t target
	t.set(name)
	return t.equal(k.RawName())
}

// CompareName orders the names of two keys as subkey lists are ordered: -1, 0, +1.
func (k Key) CompareName(other Key) int {
	a, la := k.RawName()
	b, lb := other.RawName()
	return compareStored(a, la, b, lb)
}

// NameHash returns the hash of the name. Names that are equal without regard to case have
// the same hash.
func (k Key) NameHash() uint32 { return hashStored(k.RawName()) }

// Parent returns the parent key. The root has none.
func (k Key) Parent() (Key, bool) {
	b, err := k.node()
	if err != nil || k.off == k.h.root {
		return Key{}, false
	}
	p := k.h.parent(b)
	if _, _, err := k.h.nk(p); err != nil {
		return Key{}, false
	}
	return Key{h: k.h, off: p, level: k.level - min(k.level, 1)}, true
}

// Path returns the path below the root, separated by backslashes; "" for the root. It
// follows at most MaxDepth parents. A backslash in a name is escaped, see JoinPath.
func (k Key) Path() string {
	var parts []string
	for p, n := k, 0; n < MaxDepth; n++ {
		if p.h == nil || p.off == p.h.root || !p.Valid() {
			break
		}
		parts = append(parts, p.Name())
		next, ok := p.Parent()
		if !ok {
			break
		}
		p = next
	}
	slices.Reverse(parts)
	return JoinPath(parts...)
}

func (k Key) field16(at int) uint16 {
	if b, err := k.node(); err == nil {
		return u16(b[at:])
	}
	return 0
}

func (k Key) field32(at int) uint32 {
	if b, err := k.node(); err == nil {
		return u32(b[at:])
	}
	return 0
}

func (k Key) field8(at int) byte {
	if b, err := k.node(); err == nil {
		return b[at]
	}
	return 0
}

// Flags returns the flags of the node.
func (k Key) Flags() KeyFlags {
	flags := KeyFlags(k.field16(nkFlags))
	if k.inView() {
		flags &= mergedFlags | flagNameLatin
	}
	return flags
}

// Symlink reports whether the key is a symbolic link: its value SymbolicLinkValue
// of type REG_LINK names the target.
func (k Key) Symlink() bool { return k.Flags()&KeySymlink != 0 }

// LastWrite returns the time of the last change.
func (k Key) LastWrite() winfs.Filetime {
	if b, err := k.node(); err == nil {
		return winfs.Filetime(u64(b[nkTime:]))
	}
	return 0
}

// AccessBits returns the access bits of the node.
func (k Key) AccessBits() byte {
	if k.inView() {
		return 0
	}
	return k.field8(nkAccess)
}

// DebugBits returns the debug bits of the node.
func (k Key) DebugBits() byte { return k.field8(nkDebug) }

// VirtualFlags returns the virtualisation control, the high nibble of its byte.
func (k Key) VirtualFlags() uint32 { return uint32(k.virtual() >> 4) }

// UserFlags returns the user (Wow64) flags, the low nibble of the same byte. Windows
// XP and 2003 kept them in the top nibble of Flags.
func (k Key) UserFlags() uint32 { return uint32(k.virtual() & 15) }

// virtual returns the byte of VirtualFlags and UserFlags.
func (k Key) virtual() byte {
	b := k.field8(nkVirtual)
	if k.inView() {
		b &= mergedVirtual
	}
	return b
}

// LayerByte returns the byte for layer semantics, in hives without layers too.
func (k Key) LayerByte() byte {
	b := k.field8(nkLayer)
	if k.inView() {
		b &= spareLayerBits
	}
	return b
}

// Layer returns the layer semantics, LayerMerge if the hive is not layered.
func (k Key) Layer() Layer {
	if k.h == nil || !k.h.layered {
		return LayerMerge
	}
	return Layer(k.field8(nkLayer) & 3)
}

// InheritClass reports whether the class comes from the layer below.
func (k Key) InheritClass() bool {
	return k.h != nil && k.h.layered && k.field8(nkLayer)&inheritClass != 0
}

// ClassBytes returns the class name as it is stored, UTF-16 by convention, in place. It is
// nil if there is none.
func (k Key) ClassBytes() ([]byte, error) {
	b, err := k.node()
	if err != nil {
		return nil, k.err("read class", err)
	}
	n, off := int(u16(b[nkClassLen:])), u32(b[nkClass:])
	if n == 0 || off == nilCell || k.h.view != nil && b[nkLayer]&inheritClass != 0 {
		return nil, nil
	}
	c, err := k.h.cell(off)
	if err != nil {
		k.note(err)
		return nil, k.err("read class", err)
	}
	if n > len(c) {
		err := faultf(ruleClassSize, off, "class of %d bytes goes past its cell", n)
		k.note(err)
		return c, k.err("read class", err)
	}
	return c[:n], nil
}

// Class returns the class name as WTF-8; an odd last byte is left out.
func (k Key) Class() (string, error) {
	b, err := k.ClassBytes()
	return winfs.DecodeUTF16LE(b), err
}

// SecurityCell returns the offset of the sk cell, which keys with equal
// descriptors share.
func (k Key) SecurityCell() uint32 { return k.field32(nkSecurity) }

// Security returns the self-relative security descriptor, in place.
func (k Key) Security() ([]byte, error) {
	b, err := k.node()
	if err != nil {
		return nil, k.err("read security", err)
	}
	sd, err := k.h.sk(u32(b[nkSecurity:]))
	if err != nil {
		k.note(err)
		return nil, k.err("read security", err)
	}
	return sd, nil
}

// sk returns the descriptor of a security cell.
func (h *Hive) sk(off uint32) ([]byte, error) {
	c, err := h.skCell(off)
	if err != nil {
		return nil, err
	}
	n := u32(c[skLen:])
	if uint64(n) > uint64(len(c)-skSize) {
		return nil, faultf(ruleSkSize, off, "descriptor of %d bytes goes past its cell", n)
	}
	return c[skBytes : skBytes+n : skBytes+n], nil
}

// skCell returns the payload of a security cell.
func (h *Hive) skCell(off uint32) ([]byte, error) {
	c, err := h.cell(off)
	if err == nil && (len(c) < skSize || u16(c) != sigSK) {
		err = faultf(ruleSk, off, "cell is not a security descriptor")
	}
	return c, err
}

// note records a fault in the modes that record faults.
func (k Key) note(err error) {
	if k.h.mode != Strict {
		k.h.note(err, &k)
	}
}

func (k Key) err(op string, err error) error {
	if err == nil {
		return nil
	}
	return k.h.opError(op, k.Path(), int64(k.off), err)
}

// SubkeyCount returns the number of subkeys that the node declares.
func (k Key) SubkeyCount() int { return int(k.field32(nkSubkeys)) }

// ValueCount returns the number of values that the node declares.
func (k Key) ValueCount() int {
	b, err := k.node()
	if err != nil || u16(b[nkFlags:])&uint16(KeyPredefined) != 0 || k.h.view != nil && k.brokenLink(b) {
		return 0
	}
	return int(u32(b[nkValues:]))
}

// Subkeys yields the subkeys in stored order, which is by name. In strict mode the first
// fault ends the sequence with an error.
func (k Key) Subkeys() iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) { k.subkeys(yield) }
}

func (k Key) subkeys(yield func(Key, error) bool) {
	b, err := k.node()
	if err != nil {
		yield(Key{}, k.err("list subkeys", err))
		return
	}
	if u32(b[nkSubkeys:]) == 0 && u32(b[nkList:]) == nilCell {
		return
	}
	if k.level >= MaxDepth {
		if err := k.h.tolerate(faultf(ruleDepth, k.off, "more than %d levels", MaxDepth), &k); err != nil {
			yield(Key{}, k.err("list subkeys", err))
		}
		return
	}
	var it subIter
	it.start(k.h, k.w, k.off, b)
	for {
		off, ok := it.next()
		if !ok {
			if it.err != nil {
				yield(Key{}, k.err("list subkeys", it.err))
			}
			return
		}
		if err := it.child(off); err != nil {
			it.fault(err)
			if it.err != nil {
				yield(Key{}, k.err("list subkeys", it.err))
				return
			}
			continue
		}
		if !yield(Key{h: k.h, w: k.w, off: off, level: k.level + 1}, nil) {
			return
		}
	}
}

// SubkeyAt returns the subkey with an index from 0, in stored order, as OREnumKey does.
// Past the last subkey it returns ErrNoMore.
func (k Key) SubkeyAt(index int) (Key, error) {
	b, err := k.node()
	if err != nil {
		return Key{}, k.err("list subkeys", err)
	}
	var it subIter
	it.start(k.h, nil, k.off, b)
	for index >= 0 {
		// Skip whole leaves.
		if n := len(it.leaf) / int(max(it.step, 1)); it.step != 0 && index >= n && n > 0 {
			index -= n
			it.leaf, it.count = nil, it.count+uint32(n)
			it.left -= min(it.left, uint32(n))
		}
		off, ok := it.next()
		if !ok {
			break
		}
		if index > 0 {
			index--
			continue
		}
		if err := it.child(off); err != nil {
			return Key{}, k.err("list subkeys", err)
		}
		return Key{h: k.h, off: off, level: k.level + 1}, nil
	}
	if it.err != nil {
		return Key{}, k.err("list subkeys", it.err)
	}
	return Key{}, k.err("list subkeys", ErrNoMore)
}

// Open finds a key by its path below this one. Backslashes at its end are allowed, as in
// offreg; an empty path or one of backslashes alone is ErrInvalid, a leading backslash or a
// doubled one inside ErrNotFound, as there. The error for a missing key names the deepest
// key that exists. Characters of a name that cannot be typed are escaped, see SplitPath.
func (k Key) Open(path string) (Key, error) {
	rest := strings.TrimRight(path, `\`)
	if rest == "" {
		return Key{}, k.err("open key", ErrInvalid)
	}
	cur := k
	for rest != "" {
		var part string
		part, rest = cutName(rest)
		if part == "" {
			return Key{}, k.h.opError("open key "+path+" in", k.Path(), int64(k.off), ErrNotFound)
		}
		next, err := cur.Subkey(part)
		if err != nil {
			return Key{}, err
		}
		cur = next
	}
	return cur, nil
}

// Subkey finds a direct subkey by its name, without regard to case. The first of several
// with one name wins. A missing one is ErrNotFound.
func (k Key) Subkey(name string) (Key, error) {
	var t target
	t.set(name)
	off, err := k.find(&t)
	if err != nil {
		return Key{}, k.err("open key", err)
	}
	if off == nilCell {
		return Key{}, k.h.opError("open key "+name+" in", k.Path(), int64(k.off), ErrNotFound)
	}
	return Key{h: k.h, off: off, level: k.level + 1}, nil
}

// KeyInfo is the result of ORQueryInfoKey. Lengths are in bytes as UTF-16.
type KeyInfo struct {
	ClassLen      int
	Subkeys       int
	MaxSubkeyName int
	MaxSubClass   int
	Values        int
	MaxValueName  int
	MaxValueData  int
	SecurityLen   int
	LastWrite     winfs.Filetime
}

// Info returns the counts and maximum sizes that the node declares.
func (k Key) Info() (KeyInfo, error) {
	b, err := k.node()
	if err != nil {
		return KeyInfo{}, k.err("query key", err)
	}
	sd, err := k.Security()
	if err != nil {
		return KeyInfo{}, err
	}
	class := int(u16(b[nkClassLen:]))
	if k.inView() && b[nkLayer]&inheritClass != 0 {
		class = 0
	}
	return KeyInfo{
		ClassLen: class, Subkeys: k.SubkeyCount(), Values: k.ValueCount(),
		MaxSubkeyName: int(u16(b[nkMaxName:])), MaxSubClass: int(u32(b[nkMaxClass:])),
		MaxValueName: int(u32(b[nkMaxValName:])), MaxValueData: int(u32(b[nkMaxValData:])),
		SecurityLen: len(sd), LastWrite: winfs.Filetime(u64(b[nkTime:])),
	}, nil
}
