package regf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/mullion/mullion/finding"
)

// contents is everything in a hive, without names and places.
type contents struct {
	keys, values int
	keyNames     map[string]int
	data         map[string]int // by type and bytes
	classes      map[string]int
}

func contentsOf(h *Hive) *contents {
	c := &contents{keyNames: map[string]int{}, data: map[string]int{}, classes: map[string]int{}}
	for k, err := range h.Root().Walk() {
		if err != nil {
			continue
		}
		c.keys++
		c.keyNames[k.Name()]++
		if class, _ := k.ClassBytes(); len(class) > 0 {
			c.classes[string(class)]++
		}
		names := map[string]bool{}
		for v, err := range k.Values() {
			if err != nil {
				continue
			}
			data, err := v.Data()
			if err != nil {
				continue // a repair may read more of it
			}
			id := fmt.Sprintf("%d %x", v.Type(), data)
			name := foldStored(v.RawName()) + id
			if names[name] { // there twice, equal in all
				continue
			}
			names[name] = true
			c.values++
			c.data[id]++
		}
	}
	return c
}

// less returns the parts of c that are not in other.
func (c *contents) less(other *contents) (names int, lost []string) {
	for n, count := range c.keyNames {
		names += max(0, count-other.keyNames[n])
	}
	for id, count := range c.data {
		if other.data[id] < count {
			lost = append(lost, "value "+id[:min(len(id), 60)])
		}
	}
	for class, count := range c.classes {
		if other.classes[class] < count {
			lost = append(lost, fmt.Sprintf("class %q", class))
		}
	}
	if other.keys < c.keys {
		lost = append(lost, fmt.Sprintf("%d of %d keys", c.keys-other.keys, c.keys))
	}
	return names, lost
}

// repairAnything repairs damaged bytes: nothing that tolerant reading reaches is lost,
// and the result is sound.
func repairAnything(t testing.TB, b []byte, what string) *Repair {
	t.Helper()
	opt := &Options{Mode: Salvage, AllowDirty: true, EditDirty: true}
	h, err := OpenBytes(b, opt)
	if err != nil {
		return nil
	}
	before := bytes.Clone(b)
	r, err := h.Repair(t.Context(), &RepairOptions{AllowLoss: true})
	if !bytes.Equal(b, before) {
		t.Fatalf("%s: the repair changed the bytes that were opened", what)
	}
	if err != nil {
		if h.Root().Valid() && !errors.Is(err, ErrLimit) {
			t.Fatalf("%s: %v", what, err)
		}
		return nil
	}
	if f := serious(checked(r.Hive)); len(f) > 0 {
		t.Fatalf("%s: the repaired hive has findings: %v", what, f)
	}
	lenient, err := OpenBytes(b, opt)
	if err != nil {
		t.Fatal(err)
	}
	renamed := 0
	for _, f := range append(append([]finding.Finding{}, r.Mended...), r.Lost...) {
		switch f.Rule {
		case "nk-name", "nk-duplicate", "name-odd":
			renamed++
		case "layer-tombstone", "layer-value", "depth":
			return r // values without a meaning are omitted
		}
	}
	names, lost := contentsOf(lenient).less(contentsOf(r.Hive))
	if len(lost) > 0 || names > renamed {
		t.Fatalf("%s: lost: %v; %d names, %d renamed\nmended %v\nlost %v", what, lost, names, renamed, r.Mended, r.Lost)
	}
	return r
}

// scattered returns a copy with n changes, each a byte, a word, or a block.
func scattered(r *rand.Rand, b []byte, n int) []byte {
	b = bytes.Clone(b)
	for range n {
		at := min(baseSize+r.IntN(len(b)-baseSize), len(b)-4)
		switch r.IntN(6) {
		case 0, 1:
			b[at] ^= byte(1 + r.IntN(255))
		case 2:
			at &^= 3
			put32(b[at:], r.Uint32())
		case 3: // a pointer to another cell
			at &^= 3
			put32(b[at:], uint32(r.IntN(len(b)-baseSize))&^7)
		case 4: // the sign of a size
			at &^= 7
			put32(b[at:], -u32(b[at:]))
		default:
			clear(b[at:min(at+1+r.IntN(64), len(b))])
		}
	}
	return b
}

func TestRepairRandomDamage(t *testing.T) {
	rounds := 500
	if os.Getenv("MULLION_LONG") != "" {
		rounds = 20000
	}
	for _, minor := range []int{3, 5, 6} {
		b := small(t, minor)
		for seed := range uint64(rounds) {
			r := rand.New(rand.NewPCG(seed, uint64(minor)))
			repairAnything(t, scattered(r, b, 1+r.IntN(12)), fmt.Sprintf("version 1.%d, seed %d", minor, seed))
		}
	}
	for _, g := range corpus(t) {
		if g.keys > 500 || g.keys < 20 {
			continue
		}
		b, err := os.ReadFile(g.path)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(rounds / 50) {
			r := rand.New(rand.NewPCG(seed, 99))
			repairAnything(t, scattered(r, b, 1+r.IntN(20)), fmt.Sprintf("%s, seed %d", g.name, seed))
		}
	}
}

// wide is a hive with one key of many subkeys, each with a value and a class.
func wide(t testing.TB, n int) []byte {
	t.Helper()
	h := New(nil)
	for i := range n {
		k, err := h.CreatePath(fmt.Sprintf(`Top\Key%04d\Below`, i))
		if err == nil {
			err = k.SetValue("v", RegBinary, binary.LittleEndian.AppendUint64(nil, uint64(i)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := h.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Repairing damage to parts that can be computed from the rest of the hive loses nothing:
// no key, no value, no name.
func TestRepairLosesNothing(t *testing.T) {
	b := wide(t, 1200)
	h, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	top, err := h.Key("Top")
	if err != nil {
		t.Fatal(err)
	}
	kid, err := h.Key(`Top\Key0700\Below`)
	if err != nil {
		t.Fatal(err)
	}
	other, err := h.Key(`Top\Key0001`)
	if err != nil {
		t.Fatal(err)
	}
	v, err := kid.Value("v")
	if err != nil {
		t.Fatal(err)
	}
	vb, err := v.node()
	if err != nil {
		t.Fatal(err)
	}
	data := u32(vb[vkData:])
	ri := top.field32(nkList)
	leaf := u32(b[baseSize+ri+4+4:])
	node := func(k Key) uint32 { return baseSize + k.Offset() + 4 }
	flip := func(c []byte, cell uint32) { put32(c[baseSize+cell:], -u32(c[baseSize+cell:])) }
	for name, damage := range map[string]func(c []byte){
		"root list gone":            func(c []byte) { clear(c[baseSize+ri+4 : baseSize+ri+20]) },
		"leaf gone":                 func(c []byte) { clear(c[baseSize+leaf+4 : baseSize+leaf+4000]) },
		"leaf free":                 func(c []byte) { flip(c, leaf) },
		"list pointer wild":         func(c []byte) { put32(c[node(top)+nkList:], 0x12345678) },
		"list pointer to another":   func(c []byte) { put32(c[node(other)+nkList:], ri) },
		"count none":                func(c []byte) { put32(c[node(top)+nkSubkeys:], 0) },
		"count huge":                func(c []byte) { put32(c[node(top)+nkSubkeys:], 0xFFFFFFFF) },
		"count of leaf":             func(c []byte) { put16(c[baseSize+leaf+6:], 3) },
		"count of leaf huge":        func(c []byte) { put16(c[baseSize+leaf+6:], 0xFFFF) },
		"entry wild":                func(c []byte) { put32(c[baseSize+leaf+8+8*100:], 0x20000001) },
		"entry twice":               func(c []byte) { copy(c[baseSize+leaf+8+8*100:][:8], c[baseSize+leaf+8+8*101:]) },
		"key free":                  func(c []byte) { flip(c, kid.Offset()) },
		"key of impossible size":    func(c []byte) { put32(c[baseSize+kid.Offset():], 0x80000003) },
		"key of no size":            func(c []byte) { put32(c[baseSize+kid.Offset():], 0) },
		"key larger than its bin":   func(c []byte) { put32(c[baseSize+kid.Offset():], 0xFFF00000) },
		"value free":                func(c []byte) { flip(c, v.Offset()) },
		"data free":                 func(c []byte) { flip(c, data) },
		"data of impossible size":   func(c []byte) { put32(c[baseSize+data:], 0x7FFFFFF1) },
		"list of values free":       func(c []byte) { flip(c, kid.field32(nkValueList)) },
		"more values than there is": func(c []byte) { put32(c[node(kid)+nkValues:], 0x10001) },
		"descriptor free":           func(c []byte) { flip(c, kid.SecurityCell()) },
		"root pointer wild":         func(c []byte) { put32(c[hdrRoot:], 0x48) },
		"root pointer below":        func(c []byte) { put32(c[hdrRoot:], top.Offset()) },
		"every bin header": func(c []byte) {
			for p := baseSize; p < len(c); p += pageSize {
				if string(c[p:p+4]) == "hbin" {
					clear(c[p : p+32])
				}
			}
		},
		"pointers upwards": func(c []byte) { put32(c[node(top)+nkParent:], kid.Offset()); put32(c[node(kid)+nkParent:], 8) },
	} {
		t.Run(name, func(t *testing.T) {
			c := bytes.Clone(b)
			damage(c)
			put32(c[hdrChecksum:], HeaderChecksum(c))
			d, err := OpenBytes(c, &Options{Mode: Salvage})
			if err != nil {
				t.Fatal(err)
			}
			if len(serious(checked(d))) == 0 {
				t.Fatal("no damage")
			}
			r, err := d.Repair(t.Context(), nil)
			if err != nil {
				t.Fatal(err, r.Lost)
			}
			requireClean(t, r.Hive)
			for x, err := range Compare(h, r.Hive, CompareOptions{Times: true}) {
				t.Fatal(x.Kind, x.Path, x.Field, x.Name, err)
			}
			if len(r.Mended) == 0 {
				t.Error("nothing is said to be mended")
			}
		})
	}
}

// A hive whose base block is destroyed is still a hive, as its bins are.
func TestRepairBaseBlock(t *testing.T) {
	b := wide(t, 100)
	h, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(c []byte){
		"signature": func(c []byte) { c[1] = 'x' },
		"all":       func(c []byte) { clear(c[:baseSize]) },
		"type":      func(c []byte) { c[hdrType] = 1 },
		"version":   func(c []byte) { c[hdrMinor] = 99 },
		"major":     func(c []byte) { c[hdrMajor] = 2 },
	} {
		c := bytes.Clone(b)
		damage(c)
		before := bytes.Clone(c)
		if _, err := OpenBytes(c, &Options{Mode: Report, AllowDirty: true}); err == nil {
			t.Errorf("%s: report mode opens it", name)
		}
		if _, err := OpenBytes(c, &Options{Mode: Salvage}); !errors.Is(err, ErrDirty) {
			t.Errorf("%s: not dirty: %v", name, err)
		}
		d, err := OpenBytes(c, &Options{Mode: Salvage, AllowDirty: true, EditDirty: true})
		if err != nil {
			t.Fatal(name, err)
		}
		r, err := d.Repair(t.Context(), &RepairOptions{AllowLoss: true})
		if err != nil {
			t.Fatal(name, err)
		}
		requireClean(t, r.Hive)
		if len(r.Lost) != 1 || r.Lost[0].Rule != "base-block" || r.Hive.Minor() != 5 {
			t.Errorf("%s: version 1.%d, lost %v", name, r.Hive.Minor(), r.Lost)
		}
		for x, err := range Compare(h, r.Hive, CompareOptions{Times: true}) {
			t.Fatal(name, x.Kind, x.Path, x.Field, err)
		}
		if !bytes.Equal(c, before) {
			t.Errorf("%s: the bytes that were opened have changed", name)
		}
	}
}

// Segments of large data are written in full: Windows drops a value with a short one.
func TestRepairFillsSegments(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 3000)
	h := New(nil)
	if err := h.Root().SetValue("big", RegBinary, data); err != nil {
		t.Fatal(err)
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	segments := func(h *Hive) (sizes []int) {
		t.Helper()
		v, err := h.Root().Value("big")
		if err != nil {
			t.Fatal(err)
		}
		vb, err := v.node()
		if err != nil {
			t.Fatal(err)
		}
		list, n, err := h.segments(u32(vb[vkData:]))
		if err != nil {
			t.Fatal(err)
		}
		c, err := h.cell(list)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			s, err := h.cell(u32(c[4*i:]))
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, len(s))
		}
		return sizes
	}
	// As an edit in place once wrote it: the last segment as long as the rest, and a
	// free cell behind it.
	o, err := OpenBytes(b, &Options{Mode: Report})
	if err != nil {
		t.Fatal(err)
	}
	v, err := o.Root().Value("big")
	if err != nil {
		t.Fatal(err)
	}
	vb, _ := v.node()
	list, n, err := o.segments(u32(vb[vkData:]))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := o.cell(list)
	last := u32(c[4*(n-1):])
	rest := round8(uint32(len(data)-(n-1)*segmentSize) + 4)
	if whole := -u32(b[baseSize+last:]); whole > rest+8 {
		put32(b[baseSize+last:], -rest)
		put32(b[baseSize+last+rest:], whole-rest)
	}
	o, err = OpenBytes(b, &Options{Mode: Report})
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.Repair(t.Context(), nil)
	if err != nil {
		t.Fatal(err, r.Lost)
	}
	for _, n := range segments(r.Hive) {
		if n < segmentSize {
			t.Errorf("segments of %v bytes", segments(r.Hive))
		}
	}
	w, err := r.Hive.Root().Value("big")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.Data(); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// The second of two with one name is kept under another; one that is equal in all is kept
// once.
func TestRepairDuplicates(t *testing.T) {
	h := New(nil)
	for _, name := range []string{"aaa1", "aaa2", "aaa3", "AAA2 (2)"} {
		k, err := h.CreatePath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetValue("from", RegSZ, StringData(name)); err != nil {
			t.Fatal(err)
		}
	}
	k, err := h.Key("aaa1")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"v1", "v2", "v3"} {
		if err := k.SetValue(name, RegDword, []byte{byte(i / 2), 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	rename := func(off uint32, at int, name string) { copy(b[baseSize+int(off)+4+at:], name) }
	for v, err := range k.Values() {
		if err == nil && v.Name() != "from" {
			rename(v.Offset(), vkNameAt, "v1")
		}
	}
	for _, name := range []string{"aaa1", "aaa3"} {
		k, err := h.Key(name)
		if err != nil {
			t.Fatal(err)
		}
		rename(k.Offset(), nkNameAt, "aaa2")
	}
	d, err := OpenBytes(b, &Options{Mode: Report})
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Repair(t.Context(), nil)
	if err != nil {
		t.Fatal(err, r.Lost)
	}
	requireClean(t, r.Hive)
	for name, from := range map[string]string{"aaa2": "aaa1", "aaa2 (2)": "AAA2 (2)", "aaa2 (3)": "aaa2", "aaa2 (4)": "aaa3"} {
		k, err := r.Hive.Key(name)
		if err != nil {
			t.Fatal(err, r.Mended)
		}
		v, err := k.Value("from")
		if err != nil {
			t.Fatal(err)
		}
		if s, err := v.AsString(); s != from || err != nil {
			t.Errorf("%q is from %q, want %q, %v", name, s, from, err)
		}
	}
	k, err = r.Hive.Key("aaa2")
	if err != nil {
		t.Fatal(err)
	}
	if n := k.ValueCount(); n != 3 {
		t.Errorf("%d values, want from, v1 and another v1", n)
	}
	if v, err := k.Value("v1 (2)"); err != nil {
		t.Error(err)
	} else if n, _ := v.AsUint32(); n != 1 {
		t.Errorf("v1 (2) is %d", n)
	}
}

// FuzzRepair repairs anything that opens.
func FuzzRepair(f *testing.F) {
	seedHives(f, func(b []byte) { f.Add(b, uint64(1), uint8(3)) })
	f.Fuzz(func(t *testing.T, b []byte, seed uint64, n uint8) {
		if len(b) > 1<<18 || len(b) < baseSize+pageSize {
			return
		}
		b = fixHeader(b)
		repairAnything(t, scattered(rand.New(rand.NewPCG(seed, 1)), b, int(n)), "fuzzed hive")
	})
}
