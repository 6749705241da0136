package regf

import (
	"context"
	"errors"
	"fmt"

	"github.com/mullion/mullion/finding"
)

// ErrUnrepairable says that a repair would lose what cannot be read, or that the
// result still had faults. Findings say which.
var ErrUnrepairable error = &sentinel{text: "hive cannot be repaired without loss", codes: [2]Errno{ErrorBadDB}}

// RepairOptions say how far a repair may go.
type RepairOptions struct {
	// AllowLoss lets go what no longer can be read: keys, values, or the end of data.
	// Without it such damage gives ErrUnrepairable.
	AllowLoss bool
}

// Repair is the outcome of a repair.
type Repair struct {
	// Hive is the repaired hive, in memory; Check finds nothing of severity Warning or
	// above in it. It is nil where the repair gave an error.
	Hive *Hive
	// Before is what Check found.
	Before []finding.Finding
	// Mended are the findings of Before that are gone without loss, and what was done
	// beyond them: keys that were found again, and those that have a new name.
	Mended []finding.Finding
	// Lost is what had to be left out or cut. It was not readable before either.
	Lost []finding.Finding
}

// Repair makes a sound copy of a damaged hive: everything that can be reached is
// written anew, so that bins, free space, lists, their order and hashes, counts,
// longest-something fields, segments of large data and the ring of descriptors are
// right. The result is checked before it is returned. The hive itself stays as it is.
//
// A repair reaches more than reading in [Report] mode does: cells that are marked
// free or have an impossible size while a record of the right kind stands in them;
// keys whose list is damaged, by their pointers upwards; the root, where the base
// block does not lead to it. Nothing that can be reached is left out: the second of
// two keys or values with one name gets another name, and so does a key whose name
// cannot be. A key without a readable descriptor gets that of the key above.
//
// Deleted keys and values are not brought back: see [Hive.Recovered].
//
// A hive whose logs were not replayed gives ErrDirty unless Options.EditDirty
// insists. In a layered hive keys below a key that supersedes its tree do so too,
// as Windows takes them; content of tombstones is lost.
func (h *Hive) Repair(opt *RepairOptions) (*Repair, error) {
	r, err := h.repaired(opt != nil && opt.AllowLoss)
	return r, h.opError("repair", "", -1, err)
}

func (h *Hive) repaired(lossy bool) (*Repair, error) {
	if h.bins == nil {
		return nil, ErrClosed
	}
	if h.dirty && !h.editDirty {
		return nil, ErrDirty
	}
	before, err := h.check(context.Background())
	if err != nil {
		return nil, err
	}
	out := &Repair{Before: before}
	reachable := h.reachable()
	r := newRepairer(h)
	if err := r.findRoot(); err != nil {
		return out, err
	}
	b, err := r.v.compactImage(&SaveOptions{})
	if err == nil && r.misses(reachable) {
		// Pointers upwards have kept something from the only list that names it.
		r.byParent = false
		b, err = r.v.compactImage(&SaveOptions{})
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
	after, err := fixed.check(context.Background())
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
func (h *Hive) reachable() []uint64 {
	v := newChecker(h).v
	w := newWalk(v)
	if v.root == nilCell {
		return w.seen
	}
	for k, err := range v.Root().Walk() {
		if err == nil {
			w.claim(k.off)
		}
	}
	return w.seen
}

// settle writes down what became of each finding.
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

// repairer is what a save needs to know to write a sound hive from a damaged one.
type repairer struct {
	v       *Hive
	c       *checker // knows which cells are in use
	covered []uint64 // one bit per 8 bytes inside a cell in use, its first 8 left out

	byParent bool // a list or key that belongs elsewhere by its pointers upwards is left to it
	room     int  // list entries that may still be looked at

	orphans []orphan // all keys in use, by the key above; nil until they are needed
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
	}
	return r
}

// begin is called when a save begins to write, which it does again where the first
// attempt has found the descriptors in another order.
func (r *repairer) begin() {
	r.keyNames, r.supersede = map[uint32]storedName{}, map[uint32]struct{}{}
	r.mended, r.lost = append([]finding.Finding(nil), r.rootFault...), nil
	// No sound hive has more entries in its lists than it has room for keys.
	r.room = len(r.v.bins)/4 + 4096
	v := r.v
	b, name, err := v.nk(v.root)
	if err != nil {
		return
	}
	root := Key{h: v, off: v.root}
	r.nameRead(root, root, b)
	if root.Layer() == LayerTombstone {
		r.supersede[v.root] = struct{}{} // which is what it does
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

// revive gives a size to a cell that something points at but that is free, or whose
// size cannot be: the one that it has, or up to the end of its bin. How much of it a
// record needs, the record says. Nothing is written: what stands there may be part of
// another record, and the pointer wrong.
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
	// Tolerant reading takes a cell that goes past its bin: the bin may be what is wrong.
	if was < 0 && whole && int64(off)+n <= int64(len(b)) || hasBit(r.covered, off) {
		return 0, false
	}
	// Where nothing was written, or all was wiped, data would be made up.
	if was == 0 && !r.isRecord(off) {
		return 0, false
	}
	if !fits {
		n = (end - int64(off)) &^ 7
	}
	return uint32(n), n >= 8
}

// isRecord reports whether a cell begins as one of the records that have a signature.
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

// misses reports whether the last save has left out a key that was reachable, for
// another reason than its depth.
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

// buried reports whether a key is a tombstone, which has nothing.
func (r *repairer) buried(k Key, b []byte) bool {
	if r.layer(k) != LayerTombstone {
		return false
	}
	if u32(b[nkSubkeys:]) != 0 || k.ValueCount() != 0 || u16(b[nkClassLen:]) != 0 {
		r.lose(faultf(ruleLayerTombstone, k.off, "tombstone has subkeys, values or a class"), k, "they have no meaning and are left out")
	}
	return true
}

// unsecured notes a key whose descriptor cannot be read.
func (r *repairer) unsecured(k Key) {
	off := k.SecurityCell()
	sd, err := r.v.sk(off)
	if err == nil {
		err = faultf(ruleSkDescriptor, off, "descriptor of %d bytes is not self-relative", len(sd))
	}
	r.lose(err, k, "the key has the descriptor of the key above")
}

// classRead notes a class that could not be read whole.
func (r *repairer) classRead(k Key, b []byte, err error) {
	var f *fault
	switch {
	case errors.As(err, &f):
		r.lose(f, k, "what is left of the class is kept")
	case err != nil:
		r.lose(err, k, "the class is left out")
	case u16(b[nkClassLen:]) != 0 && u32(b[nkClass:]) == nilCell:
		r.lose(faultf(ruleClassSize, k.off, "class of %d bytes has no cell", u16(b[nkClassLen:])), k, "the class is left out")
	}
}

// dataCut notes data that could not be read whole.
func (r *repairer) dataCut(v Value, data []byte, err error) {
	var f *fault
	if !errors.As(err, &f) {
		f = faultf(ruleDataSize, v.off, "data cannot be read")
	}
	r.lose(f, Key{h: r.v, off: v.key}, "value %q keeps %d of %d bytes", v.Name(), len(data), v.Size())
}

// nameRead notes a name that goes past its cell.
func (r *repairer) nameRead(k, at Key, b []byte) {
	if n := int(u16(b[nkNameLen:])); n > len(b)-nkSize {
		r.lose(faultf(ruleNkName, k.off, "name of %d bytes goes past the cell", n), at, "%d bytes of the name are kept", len(b)-nkSize)
	}
}
