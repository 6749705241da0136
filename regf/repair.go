package regf

import (
	"context"
	"errors"
	"fmt"

	"github.com/mullion/mullion/finding"
)

// ErrUnrepairable reports that a repair would lose unreadable parts, or that the result
// still had faults. Findings name them.
var ErrUnrepairable error = &sentinel{text: "hive cannot be repaired without loss", codes: [2]Errno{ErrorBadDB}}

// RepairOptions are the options of a repair.
type RepairOptions struct {
	// AllowLoss drops the parts that can no longer be read: keys, values, or the end of
	// data. Without it such damage is ErrUnrepairable.
	AllowLoss bool
}

// Repair is the outcome of a repair.
type Repair struct {
	// Hive is the repaired hive, in memory; Check finds nothing of severity Warning or
	// above in it. It is nil if the repair returned an error.
	Hive *Hive
	// Before are the findings of Check before the repair.
	Before []finding.Finding
	// Mended are the findings of Before that were repaired without loss, and further
	// repairs: keys that were found again, and those that have a new name.
	Mended []finding.Finding
	// Lost are the parts that had to be omitted or truncated. They were not readable before
	// either.
	Lost []finding.Finding
}

// Repair makes a sound copy of a damaged hive: everything that can be reached is written
// anew, so that bins, free space, lists, their order and hashes, counts, maximum lengths,
// segments of large data and the ring of descriptors are right. The result is checked
// before it is returned. The hive itself is not changed.
//
// A repair reaches more than reading in [Report] mode does: cells that are marked free or
// have an impossible size but hold a record of the right kind; keys whose list is damaged,
// by their pointers to the parent; the root, if the base block does not lead to it. Nothing
// that can be reached is omitted: the second of two keys or values with one name is
// renamed, and so is a key whose name is not allowed. A key without a readable descriptor
// gets that of its parent.
//
// Deleted keys and values are not restored: see [Hive.Deleted].
//
// For a hive whose logs were not replayed, Repair returns ErrDirty unless Options.EditDirty
// is set. In a layered hive, keys below a key that supersedes its tree do so too, as
// Windows treats them; the content of tombstones is lost.
func (h *Hive) Repair(ctx context.Context, opt *RepairOptions) (*Repair, error) {
	r, err := h.repaired(ctx, opt != nil && opt.AllowLoss)
	return r, h.opError("repair", "", -1, err)
}

func (h *Hive) repaired(ctx context.Context, lossy bool) (*Repair, error) {
	if h.bins == nil {
		return nil, ErrClosed
	}
	if h.dirty && !h.editDirty {
		return nil, ErrDirty
	}
	before, err := h.check(ctx)
	if err != nil {
		return nil, err
	}
	out := &Repair{Before: before}
	reachable, err := h.reachable(ctx)
	if err != nil {
		return nil, err
	}
	r := newRepairer(h)
	r.ctx = ctx
	if err := r.findRoot(); err != nil {
		return out, err
	}
	b, err := r.v.compactImage(&CompactOptions{})
	if err == nil && r.misses(reachable) {
		// A key was left out of the only list that names it, because its pointer to the
		// parent leads elsewhere.
		r.byParent = false
		b, err = r.v.compactImage(&CompactOptions{})
	}
	if err != nil {
		return out, err
	}
	r.settle(h, out)
	if len(out.Lost) > 0 && !lossy {
		return out, ErrUnrepairable
	}
	fixed, err := OpenBytes(b, &Options{Clock: h.clock})
	if err != nil {
		return out, errors.Join(ErrUnrepairable, err)
	}
	after, err := fixed.check(ctx)
	if err != nil {
		return out, err
	}
	for _, f := range after {
		if f.Severity >= finding.Warning {
			return out, fmt.Errorf("%w: the result has a fault: %v", ErrUnrepairable, f)
		}
	}
	fixed.owned = true
	out.Hive = fixed
	return out, nil
}

// reachable returns the keys that tolerant reading reaches, one bit per 8 bytes.
func (h *Hive) reachable(ctx context.Context) ([]uint64, error) {
	v := newChecker(h).v
	w := newWalk(v)
	if v.root == nilCell {
		return w.seen, nil
	}
	for k, err := range v.Root().Walk() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err == nil {
			w.claim(k.off)
		}
	}
	return w.seen, nil
}

// settle records the outcome of each finding.
func (r *repairer) settle(h *Hive, out *Repair) {
	for _, f := range h.Findings() {
		if f.Rule == RuleTruncated.ID || f.Rule == ruleBaseBlock.ID { // known when the hive was opened, and to nobody since
			r.lost = append(r.lost, f)
		}
	}
	type place struct {
		rule string
		off  int64
	}
	said := map[place]bool{}
	lostRules := map[string]bool{}
	for _, f := range r.lost {
		if p := (place{f.Rule, f.Offset}); !said[p] {
			said[p], lostRules[f.Rule] = true, true
			out.Lost = append(out.Lost, f)
		}
	}
	for _, f := range r.mended {
		if p := (place{f.Rule, f.Offset}); !said[p] {
			said[p] = true
			out.Mended = append(out.Mended, f)
		}
	}
	for _, f := range out.Before {
		p := place{f.Rule, f.Offset}
		switch {
		case said[p] || f.Rule == ruleDirty.ID || f.Rule == ruleRead.ID:
		case f.Rule == ruleLayerTombstone.ID && lostRules[f.Rule]:
			out.Lost = append(out.Lost, f)
		default:
			out.Mended = append(out.Mended, f)
		}
		said[p] = true
	}
}

// repairer is the state with which a save writes a sound hive from a damaged one.
type repairer struct {
	ctx     context.Context
	v       *Hive
	c       *checker // records the cells in use
	covered []uint64 // one bit per 8 bytes inside a cell in use, its first 8 left out

	byParent bool // a list or key that belongs elsewhere by its pointers to the parent is left to that key
	room     int  // list entries that may still be examined

	orphans []orphan // all keys in use, by parent; nil until needed
	walk    *walk    // of the last save

	keyNames, valueNames map[uint32]storedName // what is not named as it was
	supersede            map[uint32]struct{}   // keys that supersede their tree though they do not say so
	rootFault            []finding.Finding
	mended, lost         []finding.Finding
}

type storedName struct {
	b     []byte
	latin bool
}

type orphan struct{ parent, off uint32 }

func newRepairer(h *Hive) *repairer {
	c := newChecker(h)
	c.cells()
	v := c.v
	v.editDirty = true
	v.findings, v.findingSet = nil, nil
	r := &repairer{v: v, c: c, covered: make([]uint64, len(c.alloc)), byParent: true, valueNames: map[uint32]storedName{}}
	v.repair = r
	for i, w := range c.alloc {
		for ; w != 0; w &= w - 1 {
			off := uint32(i*64+trailing(w)) * 8
			end := off + uint32(-int32(u32(v.bins[off:])))
			for at := off + 8; at < end; at += 8 {
				setBit(r.covered, at)
			}
		}
		if i%(residentMax/512) == 0 {
			v.releaseMapped()
		}
	}
	return r
}

// releaseMapped releases the pages of a mapped hive that was not edited.
func (h *Hive) releaseMapped() {
	if h.resident != nil {
		releasePages(h.resident.mapping)
	}
}

// begin is called when a save starts to write, and again if the first attempt has found the
// descriptors in another order.
func (r *repairer) begin() {
	r.keyNames, r.supersede = map[uint32]storedName{}, map[uint32]struct{}{}
	r.mended, r.lost = append([]finding.Finding(nil), r.rootFault...), nil
	// No sound hive has more entries in its lists than it has room for keys.
	r.room = r.entries()
	v := r.v
	b, name, err := v.nk(v.root)
	if err != nil {
		return
	}
	root := Key{h: v, off: v.root}
	r.nameRead(root, root, b)
	if root.Layer() == LayerTombstone {
		r.supersede[v.root] = struct{}{} // a tombstone root has this effect
	}
	if len(name) == 0 || !v.latinKey(b) && len(name)%2 != 0 {
		s := nameString(name, v.latinKey(b))
		if s == "" {
			s = "ROOT"
		}
		r.keyNames[v.root] = r.encode(s)
	}
}

func (r *repairer) lose(err error, k Key, format string, args ...any) {
	f, ok := err.(*fault)
	if !ok {
		f = faultf(ruleRead, k.off, "%v", err)
	}
	r.lost = append(r.lost, f.rule.At(k.Path(), f.off, "%s: %s", f.msg, fmt.Sprintf(format, args...)))
}

func (r *repairer) mend(rule *finding.Rule, off uint32, k Key, format string, args ...any) {
	r.mended = append(r.mended, rule.At(k.Path(), int64(off), format, args...))
}

// revive returns a size for a cell that is pointed at but is free or has an impossible
// size: its own size, or up to the end of its bin. The record itself determines how much of
// it is used. Nothing is written: the bytes may be part of another record, and the pointer
// wrong.
func (r *repairer) revive(off uint32) (size uint32, ok bool) {
	b := r.v.bins
	was := int32(u32(b[off:]))
	n := int64(was)
	if n < 0 {
		n = -n
	}
	end := int64(len(b))
	if bin, binSize, ok := r.v.bin(off / pageSize); ok {
		end = int64(bin + binSize)
	}
	whole := n >= 8 && n%8 == 0
	fits := whole && int64(off)+n <= end
	// Tolerant reading accepts a cell that extends past its bin: the bin may be wrong.
	if was < 0 && whole && int64(off)+n <= int64(len(b)) || hasBit(r.covered, off) {
		return 0, false
	}
	// If nothing was written there, or all was wiped, data would be invented.
	if was == 0 && !r.isRecord(off) {
		return 0, false
	}
	if !fits {
		n = (end - int64(off)) &^ 7
	}
	return uint32(n), n >= 8
}

// isRecord reports whether a cell starts as one of the records that have a signature.
func (r *repairer) isRecord(off uint32) bool {
	at := uint64(off) + uint64(r.v.cellHdr)
	if at+2 > uint64(len(r.v.bins)) {
		return false
	}
	switch u16(r.v.bins[at:]) {
	case sigNK, sigVK, sigSK, sigLF, sigLH, sigLI, sigRI, sigDB:
		return true
	}
	return false
}

// misses reports whether the last save has omitted a reachable key, for another reason than
// its depth.
func (r *repairer) misses(reachable []uint64) bool {
	for _, f := range r.lost {
		if f.Rule == "depth" {
			return false
		}
	}
	for i, w := range reachable {
		if i < len(r.walk.seen) && w&^r.walk.seen[i] != 0 {
			return true
		}
	}
	return false
}

// layer returns the layer semantics that a key gets.
func (r *repairer) layer(k Key) Layer {
	if _, ok := r.supersede[k.off]; ok {
		return LayerSupersedeTree
	}
	return k.Layer()
}

// buried reports whether a key is a tombstone, which has no contents.
func (r *repairer) buried(k Key, b []byte) bool {
	if r.layer(k) != LayerTombstone {
		return false
	}
	if u32(b[nkSubkeys:]) != 0 || k.ValueCount() != 0 || u16(b[nkClassLen:]) != 0 {
		r.lose(faultf(ruleLayerTombstone, k.off, "tombstone has subkeys, values or a class"), k, "they have no meaning and are left out")
	}
	return true
}

// unsecured records a key whose descriptor cannot be read.
func (r *repairer) unsecured(k Key) {
	off := k.SecurityCell()
	sd, err := r.v.sk(off)
	if err == nil {
		err = faultf(ruleSkDescriptor, off, "descriptor of %d bytes is not self-relative", len(sd))
	}
	r.lose(err, k, "the key has the descriptor of the key above")
}

// classRead records a class that could not be read whole.
func (r *repairer) classRead(k Key, b []byte, err error) {
	var f *fault
	switch {
	case errors.As(err, &f):
		r.lose(f, k, "the readable part of the class is kept")
	case err != nil:
		r.lose(err, k, "the class is left out")
	case u16(b[nkClassLen:]) != 0 && u32(b[nkClass:]) == nilCell:
		r.lose(faultf(ruleClassSize, k.off, "class of %d bytes has no cell", u16(b[nkClassLen:])), k, "the class is left out")
	}
}

// dataCut records data that could not be read whole.
func (r *repairer) dataCut(v Value, data []byte, err error) {
	var f *fault
	if !errors.As(err, &f) {
		f = faultf(ruleDataSize, v.off, "data cannot be read")
	}
	r.lose(f, Key{h: r.v, off: v.key}, "value %q keeps %d of %d bytes", v.Name(), len(data), v.Size())
}

// nameRead records a name that extends past its cell.
func (r *repairer) nameRead(k, at Key, b []byte) {
	if n := int(u16(b[nkNameLen:])); n > len(b)-nkSize {
		r.lose(faultf(ruleNkName, k.off, "name of %d bytes goes past the cell", n), at, "%d bytes of the name are kept", len(b)-nkSize)
	}
}
