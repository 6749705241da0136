package regf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// exercise opens damaged bytes in every mode and performs every operation on them. It fails
// on results that are wrong for any bytes.
func exercise(t testing.TB, b []byte, what string) {
	start := time.Now()
	before := append([]byte(nil), b...)
	for _, mode := range []Mode{Strict, Report, Salvage} {
		h, err := OpenBytes(b, &Options{Mode: mode, AllowDirty: true, EditDirty: true})
		if err != nil {
			if h != nil {
				t.Fatalf("%s: hive and error %v", what, err)
			}
			continue
		}
		if mode == Salvage { // the tree is read as in Report
			if _, err := h.Deleted(); err != nil {
				t.Fatalf("%s: salvage: %v", what, err)
			}
			continue
		}
		keys := 0
		for k, err := range h.Root().Walk() {
			if err != nil {
				break
			}
			keys++
			_ = k.Path()
			k.ClassBytes()
			k.Security()
			k.Info()
			for v, err := range k.Values() {
				if err != nil {
					break
				}
				v.Name()
				v.Data()
				v.AppendData(nil)
				v.AsStrings()
			}
			if name := k.Name(); !k.IsRoot() {
				if p, ok := k.Parent(); ok {
					p.Subkey(name)
				}
			}
		}
		if keys > len(b)/76 {
			t.Fatalf("%s: %d keys in %d bytes", what, keys, len(b))
		}
		checked(h)
		for d, err := range Compare(h, h, CompareOptions{Times: true}) {
			if err == nil {
				t.Fatalf("%s: %v: hive differs from itself: %v %q %v %q", what, mode, d.Kind, d.Path, d.Field, d.Name)
			}
		}
		out, err := h.Compact(nil)
		if err != nil {
			continue
		}
		s, err := OpenBytes(out, nil)
		if err != nil {
			t.Fatalf("%s: %v: saved hive does not open: %v", what, mode, err)
		}
		again, err := s.Compact(nil)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%s: %v: second save differs, %v", what, mode, err)
		}
		if mode == Report {
			if r, err := h.Repair(t.Context(), &RepairOptions{AllowLoss: true}); err == nil {
				if f := serious(checked(r.Hive)); len(f) > 0 {
					t.Fatalf("%s: repaired hive has findings: %v", what, f)
				}
				if again, err := r.Hive.Compact(nil); err != nil || !bytes.Equal(again, r.Hive.data) {
					t.Fatalf("%s: the save of a repaired hive differs from it, %v", what, err)
				}
			}
		}
	}
	if !bytes.Equal(b, before) {
		t.Fatalf("%s: the bytes that were opened have changed", what)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Fatalf("%s: took %v", what, d)
	}
}

// small makes a hive that has everything and few bytes.
func small(t testing.TB, minor int) []byte {
	t.Helper()
	h := New(&Options{Clock: func() winfs.Filetime { return 133000000000000000 }})
	if minor == 6 {
		if err := h.SetLayered(true); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{`a\x`, `a\y`, `b`, "c\u0434", `Deep\er\still`} {
		k, err := h.CreatePath(p)
		must(err)
		must(k.SetValue("", RegSZ, StringData("default")))
		must(k.SetValue("inline", RegDword, []byte{1, 2, 3, 4}))
		must(k.SetValue("\u0434", RegBinary, []byte("data of a value")))
	}
	k, err := h.Key("b")
	must(err)
	must(k.SetClass(StringData("class")))
	must(k.SetSecurity([]byte(testDescriptors[2])))
	must(k.SetValue("big", RegBinary, bytes.Repeat([]byte("b"), 17000)))
	if minor == 6 {
		must(k.SetValueTombstone("gone"))
	}
	k, err = h.Key(`Deep\er`)
	must(err)
	must(k.DeleteTree())
	b, err := h.Compact(&CompactOptions{Minor: minor})
	must(err)
	o, err := OpenBytes(b, &Options{Clock: func() winfs.Filetime { return 133000000000000000 }})
	must(err)
	requireClean(t, o)
	k, err = o.Key("a")
	must(err)
	must(k.DeleteSubkey("x")) // leaves free space
	b, err = o.Image()
	must(err)
	return b
}

// Every byte flipped: an error, a report or data; never a panic, never a loop.
func TestEveryByteFlipped(t *testing.T) {
	hives := map[string][]byte{"1.3": small(t, 3), "1.5": small(t, 5), "1.6": small(t, 6)}
	for _, name := range []string{"JimDude7404_WSA-Windows-10/Registry.dat", "buildpacks_imgutil/BCD"} {
		b, err := os.ReadFile(testenv.Corpus(t, "hives", name))
		if err != nil {
			t.Fatal(err)
		}
		hives[name] = b
	}
	masks := []byte{0xFF}
	if os.Getenv("MULLION_LONG") != "" {
		masks = []byte{0xFF, 0x01, 0x08, 0x80}
	}
	for name, b := range hives {
		t.Run(name, func(t *testing.T) {
			exercise(t, b, "untouched")
			if name != "1.5" && name != "JimDude7404_WSA-Windows-10/Registry.dat" && os.Getenv("MULLION_LONG") == "" {
				return
			}
			for _, mask := range masks {
				for i := range b {
					if i >= 512 && i < baseSize || b[i] == 'b' && i > 0 && b[i-1] == 'b' || b[i] == 0 && i > 16 && allZero(b[i-16:min(i+16, len(b))]) {
						continue // padding, and the inside of data
					}
					c := append([]byte(nil), b...)
					c[i] ^= mask
					exercise(t, c, fmt.Sprintf("byte %#x flipped by %#x", i, mask))
					if i < hdrChecksum { // the same with a checksum that is right
						put32(c[hdrChecksum:], HeaderChecksum(c))
						exercise(t, c, fmt.Sprintf("header byte %#x flipped by %#x", i, mask))
					}
				}
			}
		})
	}
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func TestTruncated(t *testing.T) {
	b := small(t, 5)
	for n := 0; n <= len(b); n += 97 {
		exercise(t, b[:n], fmt.Sprintf("cut to %d bytes", n))
		if n < len(b) {
			if h, err := OpenBytes(b[:n], nil); err == nil {
				t.Errorf("%d of %d bytes open as %v", n, len(b), h.Root())
			}
		}
	}
}

// libhivex writes large data as one cell in every version. Strict mode refuses that, as
// Windows would; the others read it, and a repair cuts it into segments without loss.
func TestFlatBigData(t *testing.T) {
	for _, first := range []string{"db", "text"} {
		data := append([]byte(first), bytes.Repeat([]byte{0xAB}, 3*segmentSize)...)
		copy(data[2:], []byte{1, 0, 0x20, 0, 0, 0}) // as a list of segments: the root's cell
		h := New(nil)
		k, err := h.CreatePath(`some\key`)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetValue("big", RegBinary, data); err != nil {
			t.Fatal(err)
		}
		b, err := h.Compact(&CompactOptions{Minor: 3})
		if err != nil {
			t.Fatal(err)
		}
		put32(b[hdrMinor:], 5)
		put32(b[hdrChecksum:], HeaderChecksum(b))
		read := func(h *Hive) ([]byte, error) {
			t.Helper()
			k, err := h.Key(`some\key`)
			if err != nil {
				t.Fatal(err)
			}
			v, err := k.Value("big")
			if err != nil {
				t.Fatal(err)
			}
			return v.Data()
		}
		s, err := OpenBytes(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(s)
		if !errors.Is(err, ErrCorrupt) || len(got) != 0 {
			t.Errorf("%s: strict: %d bytes, %v", first, len(got), err)
		}
		var e *Error
		if !errors.As(err, &e) || e.Path != `some\key` || e.Op != "read value big" || e.Rule != "db-flat" {
			t.Errorf("%s: the error does not say where: %#v", first, e)
		}
		r, err := OpenBytes(b, &Options{Mode: Report})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(r); !bytes.Equal(got, data) || err == nil {
			t.Errorf("%s: report: %d bytes, %v", first, len(got), err)
		}
		for name, f := range map[string][]finding.Finding{"findings": r.Findings(), "check": checked(s)} {
			if len(f) != 1 || f[0].Rule != "db-flat" || f[0].Path != `some\key` {
				t.Errorf("%s: %s: %v", first, name, f)
			}
		}
		fixed, err := s.Repair(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(fixed.Hive); !bytes.Equal(got, data) || err != nil {
			t.Errorf("%s: repaired: %d bytes, %v", first, len(got), err)
		}
		// Deleting it leaves no cell behind.
		if k, err = r.Key(`some\key`); err != nil {
			t.Fatal(err)
		}
		if err := k.DeleteValue("big"); err != nil {
			t.Fatal(err)
		}
		requireClean(t, r)
	}
}

// A fault that was noted before costs the same wherever its key is.
func TestKnownFaultsAreCheap(t *testing.T) {
	h := New(nil)
	k := h.Root()
	var values []Value
	for depth := range 400 {
		var err error
		if k, _, err = k.Create("below"); err != nil {
			t.Fatal(err)
		}
		if depth == 0 || depth == 399 {
			if err := k.SetValue("v", RegBinary, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			v, err := k.Value("v")
			if err != nil {
				t.Fatal(err)
			}
			b, _ := v.node()
			put32(b[vkDataSize:], inlineBit|100)
			values = append(values, v)
		}
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenBytes(b, &Options{Mode: Report})
	if err != nil {
		t.Fatal(err)
	}
	var cost [2]float64
	for i, v := range values {
		v.h = r
		// The least of several counts: goroutines of other tests, such as finalizers, allocate
		// meanwhile.
		cost[i] = math.Inf(1)
		for range 5 {
			cost[i] = min(cost[i], testing.AllocsPerRun(10, func() {
				if _, err := v.Data(); err == nil {
					t.Fatal("no fault")
				}
			}))
		}
	}
	if cost[1] > cost[0] {
		t.Errorf("%v allocations at the top, %v at the bottom", cost[0], cost[1])
	}
	if f := r.Findings(); len(f) != 2 || len(f[1].Path) != 400*len("below")+399 {
		t.Errorf("%v", f)
	}
}

// A base block that fails its checksum and declares too little hides nothing in the
// tolerant modes; a whole one is believed, and so is the end of the chain of bins.
func TestBrokenBaseBlockDeclaresLess(t *testing.T) {
	h := New(nil)
	for i := range 300 {
		if _, err := h.CreatePath(fmt.Sprintf("key%03d\\below", i)); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := h.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	less := append(bytes.Clone(whole), make([]byte, 3*pageSize)...)
	put32(less[hdrBins:], 2*pageSize)
	opened := func(b []byte, mode Mode) *Hive {
		t.Helper()
		h, err := OpenReaderAt(bytes.NewReader(b), int64(len(b)), &Options{Mode: mode, AllowDirty: true})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	r := opened(less, Report)
	if keys, _, err := count(r); err != nil || keys != 601 || len(r.bins) != len(whole)-baseSize {
		t.Errorf("%d keys, %#x bytes of bins, %v", keys, len(r.bins), err)
	}
	if f := r.Findings(); len(f) != 1 || f[0].Rule != "bins-size" {
		t.Errorf("%v", f)
	}
	if _, _, err := count(opened(less, Strict)); err == nil {
		t.Error("strict mode went beyond the declared bins")
	}
	put32(less[hdrChecksum:], HeaderChecksum(less))
	if r := opened(less, Report); len(r.bins) != 2*pageSize {
		t.Errorf("a whole base block was not believed: %#x", len(r.bins))
	}
}

// Lists that name each other, themselves or one key many times must not multiply.
func TestHostileLists(t *testing.T) {
	b := small(t, 5)
	h, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	var lists, keys, vlists []uint32
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k.Offset())
		if k.SubkeyCount() > 0 {
			lists = append(lists, k.field32(nkList))
		}
		if k.ValueCount() > 0 {
			vlists = append(vlists, k.field32(nkValueList))
		}
	}
	for _, l := range lists {
		for _, target := range append(append([]uint32{}, keys...), lists...) {
			c := append([]byte(nil), b...)
			n := int(u16(c[baseSize+l+6:]))
			for i := range n {
				put32(c[baseSize+int(l)+8+8*i:], target)
			}
			exercise(t, c, fmt.Sprintf("list %#x names %#x", l, target))
			put16(c[baseSize+l+4:], sigRI)
			exercise(t, c, fmt.Sprintf("ri %#x names %#x", l, target))
		}
	}
	for _, k := range keys {
		for _, v := range vlists {
			c := append([]byte(nil), b...)
			put32(c[baseSize+k+4+nkValues:], 2)
			put32(c[baseSize+k+4+nkValueList:], v)
			exercise(t, c, fmt.Sprintf("key %#x has values %#x", k, v))
		}
		for _, l := range lists {
			c := append([]byte(nil), b...)
			put32(c[baseSize+k+4+nkSubkeys:], 0xFFFFFFFF)
			put32(c[baseSize+k+4+nkList:], l)
			exercise(t, c, fmt.Sprintf("key %#x has list %#x", k, l))
		}
	}
}

// A chain of keys, each listed twice by the one above, is 2^n paths: each key must
// come once.
func TestDoubledBranches(t *testing.T) {
	h := New(nil)
	k := h.Root()
	for range 100 {
		a, _, err := k.Create("a")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := k.Create("b"); err != nil {
			t.Fatal(err)
		}
		k = a
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		if k.SubkeyCount() == 2 {
			l := baseSize + k.field32(nkList)
			copy(b[l+16:l+20], b[l+8:l+12])
		}
	}
	exercise(t, b, "doubled branches")
	r, err := OpenBytes(b, &Options{Mode: Report})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var count func(k Key)
	count = func(k Key) {
		n++
		for s, err := range k.Subkeys() {
			if err != nil {
				t.Fatal(err)
			}
			count(s)
		}
	}
	count(r.Root().Traverse())
	if n != 101 {
		t.Errorf("%d keys, want 101", n)
	}
}

// Data that was deleted without zeroing is found again.
func TestSalvageDeleted(t *testing.T) {
	h := New(nil)
	k, err := h.CreatePath(`Software\Deleted`)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"text": StringData("still here"), "number": {1, 2, 3, 4}, "big": bytes.Repeat([]byte("z"), 20000)} {
		if err := k.SetValue(name, RegBinary, data); err != nil {
			t.Fatal(err)
		}
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	parent, ok := k.Parent()
	if !ok {
		t.Fatal("no parent")
	}
	// As Windows deletes: sizes change their sign, contents stay.
	free := func(off uint32) {
		at := b[baseSize+off:]
		put32(at, uint32(-int32(binary.LittleEndian.Uint32(at))))
	}
	list := parent.field32(nkList)
	free(list)
	put32(b[baseSize+parent.Offset()+4+nkSubkeys:], 0)
	put32(b[baseSize+parent.Offset()+4+nkList:], nilCell)
	for v, err := range k.Values() {
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := v.node(); u32(n[vkDataSize:])&inlineBit == 0 {
			if v.Size() > segmentSize {
				segs, n, err := h.segments(u32(n[vkData:]))
				if err != nil {
					t.Fatal(err)
				}
				c, _ := h.cell(segs)
				for i := range n {
					free(u32(c[4*i:]))
				}
				free(segs)
			}
			free(u32(n[vkData:]))
		}
		free(v.Offset())
	}
	free(k.field32(nkValueList))
	free(k.Offset())
	s, err := OpenBytes(b, &Options{Mode: Salvage})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Deleted()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Keys) != 1 || r.Keys[0].Name != "Deleted" || r.Keys[0].Path != `Software\Deleted` || !r.Keys[0].Rooted || !r.Keys[0].Free || len(r.Values) != 0 {
		t.Fatalf("%+v", r)
	}
	if got := r.Keys[0].Values; len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	for _, v := range r.Keys[0].Values {
		if want, err := k.Value(v.Name); err != nil {
			t.Error(err)
		} else if data, err := want.Data(); err != nil || !v.Complete || !bytes.Equal(v.Data, data) {
			t.Errorf("%s: %d of %d bytes, complete %v, %v", v.Name, len(v.Data), len(data), v.Complete, err)
		}
	}
	for k, err := range s.Root().Walk() {
		if err != nil || k.Name() == "Deleted" {
			t.Error("a recovered key is in the tree", err)
		}
	}
	if r, err := h.Deleted(); err != nil || len(r.Keys)+len(r.Values) != 0 {
		t.Error("recovered without salvage mode", r, err)
	}
}

// In genuine hives something is recovered, and nothing that is in the tree.
func TestSalvageCorpus(t *testing.T) {
	var keys, values int
	for _, g := range corpus(t) {
		if g.keys > 10000 {
			continue
		}
		h, err := Open(g.path, &Options{Mode: Salvage, AllowDirty: true})
		if err != nil {
			t.Fatal(g.name, err)
		}
		r, err := h.Deleted()
		if err != nil {
			t.Fatal(g.name, err)
		}
		live := map[uint32]bool{}
		for k, err := range h.Root().Walk() {
			if err != nil {
				t.Fatal(err)
			}
			live[k.Offset()] = true
		}
		for _, k := range r.Keys {
			if live[k.Offset] {
				t.Errorf("%s: %q at %#x is alive", g.name, k.Name, k.Offset)
			}
		}
		keys, values = keys+len(r.Keys), values+len(r.Values)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d keys and %d values without a key", keys, values)
	if keys < 50 || values < 50 {
		t.Errorf("only %d keys and %d values", keys, values)
	}
}

// Damage that can be computed away is repaired without loss, other damage only
// where loss is allowed.
func TestRepair(t *testing.T) {
	b := small(t, 5)
	h, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	root := h.Root()
	list := baseSize + root.field32(nkList)
	sk := baseSize + root.SecurityCell()
	a, err := h.Key("a")
	if err != nil {
		t.Fatal(err)
	}
	node := baseSize + a.Offset() + 4
	mend := map[string]func(c []byte){
		"list-hash": func(c []byte) { c[list+12] ^= 1 },
		"list-order": func(c []byte) {
			x := append([]byte{}, c[list+8:list+16]...)
			copy(c[list+8:], c[list+16:list+24])
			copy(c[list+16:], x)
		},
		"sk-refs":        func(c []byte) { c[sk+4+skRefs]++ },
		"longest-subkey": func(c []byte) { c[baseSize+root.Offset()+4+nkMaxName] = 0; c[node+nkMaxValName] = 0 },
		"nk-parent":      func(c []byte) { c[node+nkParent] ^= 8 },
		"bin-header":     func(c []byte) { c[baseSize+3] = 'x' },
		"sk-ring":        func(c []byte) { put32(c[sk+4+skFlink:], root.SecurityCell()) },
	}
	for rule, damage := range mend {
		t.Run(rule, func(t *testing.T) {
			c := append([]byte(nil), b...)
			damage(c)
			d, err := OpenBytes(c, &Options{Mode: Report})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, f := range checked(d) {
				found = found || f.Rule == rule
			}
			if !found {
				t.Fatalf("check finds %v", checked(d))
			}
			r, err := d.Repair(t.Context(), nil)
			if err != nil {
				t.Fatal(err, r.Lost)
			}
			requireClean(t, r.Hive)
			if want := shadowOf(t, h.Root()); want.same(r.Hive.Root()) != nil {
				t.Error(want.same(r.Hive.Root()))
			}
		})
	}
	for _, g := range corpus(t) {
		if !g.damaged() && imperfect[g.name] == "" {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			h, err := Open(g.path, &Options{Mode: Report})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			r, err := h.Repair(t.Context(), &RepairOptions{AllowLoss: true})
			if err != nil {
				t.Fatal(err, r.Lost)
			}
			requireClean(t, r.Hive)
			keys, values, err := count(r.Hive)
			if err != nil || keys < g.keys-3 || values < g.values {
				t.Errorf("%d keys and %d values are left of %d and %d, %v", keys, values, g.keys, g.values, err)
			}
			t.Logf("%d findings, %d lost", len(r.Before), len(r.Lost))
		})
	}
}
