package regf

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/testenv"
)

func merged(t testing.TB, opt *MergeOptions, layers ...*Hive) *Hive {
	t.Helper()
	h, err := Merge(t.Context(), layers, opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, bench := t.(*testing.B); bench {
		return h
	}
	if b, err := h.Compact(nil); err != nil || !bytes.Equal(b, h.data) {
		t.Fatalf("the result is not compact: %v", err)
	}
	spilled(t, h, layers, opt)
	return h
}

// rounds is how many random cases a property gets.
func rounds() int {
	if os.Getenv("MULLION_LONG") == "1" {
		return 20000
	}
	return 400
}

func TestMergeAgainstModel(t *testing.T) {
	for seed := range rounds() {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		base := randomModel(r, 3, false)
		stepped := naiveMerge(base)
		models, layers := []*model{base}, []*Hive{base.open(t, 5, false)}
		for range 1 + r.IntN(3) {
			d := randomModel(r, 3, true)
			if r.IntN(2) == 0 {
				d.loosen(r)
			}
			models = append(models, d)
			layers = append(layers, d.open(t, 3+r.IntN(4), true))
			stepped = naiveMerge(stepped, d)
		}
		h := merged(t, nil, layers...)
		if got, want := modelOf(t, h), naiveMerge(models...); got.String() != want.String() {
			t.Fatalf("seed %d:\ngot\n%swant\n%s", seed, got, want)
		}
		if h.Minor() != 5 || h.Layered() || h.Dirty() {
			t.Fatal("the result is not a clean base hive")
		}
		sound(t, h)
		again := merged(t, nil, layers...)
		if !bytes.Equal(again.data, h.data) {
			t.Fatalf("seed %d: the same merge gives other bytes", seed)
		}
		steps := merged(t, &MergeOptions{Stepwise: true}, layers...)
		if got := modelOf(t, steps); got.String() != stepped.String() {
			t.Fatalf("seed %d: step by step:\ngot\n%swant\n%s", seed, got, stepped)
		}
	}
}

// loosen sets semantics that Windows never writes: of other kinds below a node that
// supersedes its tree, and below a tombstone.
func (m *model) loosen(r *rand.Rand) {
	if r.IntN(3) == 0 {
		m.layer = m.layer&^3 | byte(r.IntN(4))
	}
	for _, k := range m.kids {
		k.loosen(r)
	}
}

// sound requires that a full check finds nothing, and, by another way, that counts
// of descriptors and longest-name fields survive a compacting save unchanged.
func sound(t testing.TB, h *Hive) {
	t.Helper()
	for _, f := range checked(h) {
		if f.Severity != finding.Info {
			t.Fatal(f)
		}
	}
	b, err := h.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	var saved []KeyInfo
	for k, err := range c.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		info, err := k.Info()
		if err != nil {
			t.Fatal(err)
		}
		saved = append(saved, info)
	}
	refs := map[uint32]uint32{}
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		info, err := k.Info()
		if err != nil {
			t.Fatal(err)
		}
		if len(saved) == 0 || info != saved[0] {
			t.Fatalf("%q: %+v becomes another when it is saved", k.Path(), info)
		}
		saved = saved[1:]
		refs[k.SecurityCell()]++
	}
	if len(saved) > 0 {
		t.Fatalf("%d keys more after saving", len(saved))
	}
	first := h.Root().SecurityCell()
	at, n := first, 0
	for {
		b, err := h.cell(at)
		if err != nil {
			t.Fatal(err)
		}
		if u32(b[skRefs:]) != refs[at] {
			t.Fatalf("descriptor at %#x counts %d keys, %d use it", at, u32(b[skRefs:]), refs[at])
		}
		n++
		if at = u32(b[skFlink:]); at == first {
			break
		}
	}
	if n != len(refs) {
		t.Fatalf("%d descriptors in the ring, %d in use", n, len(refs))
	}
}

// Folding is associative, and a folded delta is equivalent to its parts one after the
// other.
func TestFold(t *testing.T) {
	fold, steps := &MergeOptions{Fold: true}, &MergeOptions{Stepwise: true}
	for seed := range rounds() {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		base := randomModel(r, 3, false).open(t, 5, false)
		var d []*Hive
		for range 3 {
			d = append(d, randomModel(r, 3, true).open(t, 6, true))
		}
		want := modelOf(t, merged(t, steps, base, d[0], d[1], d[2])).String()
		left := merged(t, fold, merged(t, fold, d[0], d[1]), d[2])
		right := merged(t, fold, d[0], merged(t, fold, d[1], d[2]))
		flat := merged(t, fold, d...)
		if !flat.Layered() || flat.Minor() != 6 {
			t.Fatal("a folded delta is not layered")
		}
		sound(t, flat)
		for name, h := range map[string]*Hive{"left": left, "right": right, "flat": flat} {
			if got := modelOf(t, merged(t, nil, base, h)).String(); got != want {
				t.Fatalf("seed %d: %s: got\n%swant\n%s", seed, name, got, want)
			}
		}
		if a, b := modelOf(t, left).unordered(), modelOf(t, right).unordered(); a != b {
			t.Fatalf("seed %d: folding is not associative:\n%s\n%s", seed, a, b)
		}
		if got := modelOf(t, merged(t, nil, merged(t, nil, base, d[0]), merged(t, fold, d[1], d[2]))).String(); got != want {
			t.Fatalf("seed %d: layers taken apart in another place: got\n%swant\n%s", seed, got, want)
		}
	}
}

// Merging a difference reproduces the second hive, to the last detail.
func TestDiffMerge(t *testing.T) {
	for seed := range rounds() {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		a := randomModel(r, 3, false)
		b := randomModel(r, 3, false)
		if r.IntN(2) == 0 {
			b = a.changed(r)
		}
		ha, hb := a.open(t, 5, false), b.open(t, 3+2*r.IntN(2), false)
		delta, err := Diff(ha, hb, nil)
		if err != nil {
			t.Fatal(err)
		}
		sound(t, delta)
		if got := modelOf(t, merged(t, nil, ha, delta)); got.String() != naiveMerge(b).String() {
			t.Fatalf("seed %d: base\n%sdelta\n%sgot\n%swant\n%s", seed, a, modelOf(t, delta), got, b)
		}
		none, err := Diff(ha, ha, nil)
		if err != nil {
			t.Fatal(err)
		}
		if m := modelOf(t, none); len(m.kids) != 0 || len(m.values) != 0 || m.layer != inheritClass {
			t.Fatalf("seed %d: the difference to itself is not empty: %s", seed, m)
		}
		small, err := Diff(ha, hb, &DiffOptions{IgnoreValueOrder: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(small.bins) > len(delta.bins) {
			t.Fatalf("seed %d: the delta without order is larger", seed)
		}
		if got, want := modelOf(t, merged(t, nil, ha, small)).unordered(), naiveMerge(b).unordered(); got != want {
			t.Fatalf("seed %d: small delta: got\n%swant\n%s", seed, got, want)
		}
	}
}

// changed returns a copy with a few edits that are newer than the original.
func (m *model) changed(r *rand.Rand) *model {
	c := *m
	c.values = append([]modelValue(nil), m.values...)
	c.kids = nil
	if r.IntN(3) == 0 {
		c.time = m.time + 100
		if len(c.values) > 0 {
			switch i := r.IntN(len(c.values)); r.IntN(3) {
			case 0:
				c.values = append(c.values[:i:i], c.values[i+1:]...)
			case 1:
				c.values[i].data = "new"
			case 2:
				c.class += "x"
			}
		}
	}
	for _, k := range m.kids {
		if r.IntN(6) > 0 {
			c.kids = append(c.kids, k.changed(r))
		}
	}
	return &c
}

func TestMergeOptions(t *testing.T) {
	base := &model{name: "ROOT", time: 50, kids: []*model{{name: "a", time: 60, class: "low"}, {name: "b", time: 5}}}
	delta := &model{name: "Delta", time: 40, layer: inheritClass, sd: 1, kids: []*model{{name: "A", time: 10, sd: 2, layer: inheritClass, values: []modelValue{{"v", 1, "x", false}}}}}
	hb, hd := base.open(t, 3, false), delta.open(t, 6, true)
	if got := modelOf(t, merged(t, nil, hb, hd)); got.time != 40 || got.kids[0].time != 10 || got.kids[1].time != 5 || got.kids[0].sd != 0 {
		t.Errorf("without options:\n%s", got)
	}
	if got := modelOf(t, merged(t, &MergeOptions{Time: TimeNewest}, hb, hd)); got.time != 50 || got.kids[0].time != 60 || got.kids[1].time != 5 {
		t.Errorf("newest time:\n%s", got)
	}
	if got := modelOf(t, merged(t, &MergeOptions{Security: SecurityTop}, hb, hd)); got.sd != 1 || got.kids[0].sd != 2 || got.kids[1].sd != 0 {
		t.Errorf("descriptor of the top:\n%s", got)
	}
	h := merged(t, &MergeOptions{Now: 77}, hb, hd)
	if got := modelOf(t, h); got.time != 77 || got.kids[0].time != 10 || h.Header().Serialized != 77 {
		t.Errorf("time of the merge:\n%s", got)
	}
	if h := merged(t, &MergeOptions{Minor: 3}, hb, hd); h.Minor() != 3 {
		t.Error("minor version", h.Minor())
	}
	for _, bad := range []*MergeOptions{{Minor: 2}, {Minor: 7}, {Minor: 5, Fold: true}} {
		if _, err := Merge(t.Context(), []*Hive{hb, hd}, bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := Diff(hb, hd, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("difference to a delta: %v", err)
	}
}

// System_Delta is a genuine delta of a Windows 10 sandbox. Its base is not available;
// SYSTEM hives of other builds are used instead.
func TestMergeSystemDelta(t *testing.T) {
	delta, err := Open(testenv.Corpus(t, "hives", "msuhanov_yarp", "System_Delta"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer delta.Close()
	semantics := map[string]int{}
	for k, err := range delta.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		s := k.Layer().String()
		if k.InheritClass() {
			s += "+inherit"
		}
		semantics[s]++
		for v := range k.Values() {
			if v.Tombstone() {
				semantics["value tombstone"]++
			}
		}
	}
	for s, n := range map[string]int{"merge+inherit": 514, "merge": 8, "supersede-tree": 61, "supersede-tree+inherit": 1, "tombstone": 2, "value tombstone": 3} {
		if semantics[s] != n {
			t.Errorf("%s: %d, want %d", s, semantics[s], n)
		}
	}
	bases := []string{"SYSTEM_WIN_10_1709"}
	if os.Getenv("MULLION_LONG") == "1" {
		bases = append(bases, "SYSTEM", "SYSTEM_before_offreg")
	}
	for _, name := range bases {
		base, err := Open(testenv.Corpus(t, "hives", "mkorman90_regipy", name), &Options{AllowDirty: true})
		if err != nil {
			t.Fatal(err)
		}
		defer base.Close()
		h := merged(t, nil, base, delta)
		want := naiveMerge(modelOf(t, base), modelOf(t, delta))
		if got := modelOf(t, h); got.String() != want.String() {
			t.Errorf("%s: the merged tree is not that of the model", name)
		}
		sound(t, h)
		keys, values, err := count(h)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: merged %d keys, %d values, %d bytes of bins", name, keys, values, len(h.bins))
		// The delta alone, folded, does the same.
		again := merged(t, nil, base, merged(t, &MergeOptions{Fold: true}, delta))
		if a, b := modelOf(t, again).unordered(), modelOf(t, h).unordered(); a != b {
			t.Errorf("%s: the folded delta does something else", name)
		}
		back, err := Diff(base, h, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, _, err := count(back)
		if err != nil {
			t.Fatal(err)
		}
		if got := modelOf(t, merged(t, nil, base, back)); got.String() != want.String() {
			t.Errorf("%s: the difference to the merged hive does not lead back to it", name)
		}
		t.Logf("%s: the difference has %d keys, %d bytes of bins", name, n, len(back.bins))
	}
}

func BenchmarkMergeSystemDelta(b *testing.B) {
	delta, err := Open(testenv.Corpus(b, "hives", "msuhanov_yarp", "System_Delta"), nil)
	if err != nil {
		b.Fatal(err)
	}
	open := func() *Hive {
		base, err := Open(testenv.Corpus(b, "hives", "mkorman90_regipy", "SYSTEM"), &Options{InMemory: true})
		if err != nil {
			b.Fatal(err)
		}
		return base
	}
	b.Run("enumerate", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := count(open()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			if _, err := open().Compact(nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("merge", func(b *testing.B) {
		for b.Loop() {
			merged(b, nil, open(), delta)
		}
	})
	b.Run("diff", func(b *testing.B) {
		for b.Loop() {
			if _, err := Diff(open(), open(), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func FuzzMerge(f *testing.F) {
	for seed := range 3 {
		r := rand.New(rand.NewPCG(uint64(seed), 9))
		f.Add(randomModel(r, 2, false).hive(5, false), randomModel(r, 2, true).hive(6, true), uint8(seed))
	}
	f.Fuzz(func(t *testing.T, a, b []byte, how uint8) {
		opt := &Options{AllowDirty: true, Mode: Mode(how & 1)}
		ha, err := OpenBytes(fixSum(a), opt)
		if err != nil {
			return
		}
		hb, err := OpenBytes(fixSum(b), opt)
		if err != nil {
			return
		}
		h, err := Merge(t.Context(), []*Hive{ha, hb}, &MergeOptions{Fold: how&2 != 0})
		if err != nil {
			return
		}
		if len(h.data) > 16*(len(a)+len(b))+1<<17 {
			t.Fatalf("%d bytes from %d", len(h.data), len(a)+len(b))
		}
		if _, _, err := count(h); err != nil {
			t.Fatalf("the result is damaged: %v", err)
		}
		if b, err := h.Compact(nil); err != nil || !bytes.Equal(b, h.data) {
			t.Fatalf("the result is not compact: %v", err)
		}
		if d, err := Diff(ha, hb, nil); err == nil {
			if _, _, err := count(d); err != nil {
				t.Fatalf("the difference is damaged: %v", err)
			}
			none, err := Diff(hb, hb, nil)
			if err != nil || ha.Mode() != Strict {
				return // a differencing hive by its base block alone, or damage
			}
			want, err := Merge(t.Context(), []*Hive{hb, none}, nil) // as far as a merged hive has what it holds
			if err != nil {
				return
			}
			again, err := Merge(t.Context(), []*Hive{ha, d}, nil)
			if err != nil {
				t.Fatalf("merging the difference: %v", err)
			}
			for x, err := range Compare(want, again, CompareOptions{Times: true}) {
				t.Fatalf("the difference does not lead to the second hive: %v %q %v %q, %v", x.Kind, x.Path, x.Field, x.Name, err)
			}
		}
	})
}

// fixSum makes the checksum right, or nearly nothing would be opened.
func fixSum(b []byte) []byte {
	if len(b) < 512 {
		return b
	}
	b = bytes.Clone(b)
	put32(b[hdrChecksum:], HeaderChecksum(b))
	return b
}

// Merging with the same layer again changes no byte, unless a symbolic link is in it
// (TestMergeSymbolicLinks). cimlayer relies on it.
func TestMergeTwice(t *testing.T) {
	for seed := range rounds() {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		base, layer := randomModel(r, 3, false), randomModel(r, 3, true)
		if r.IntN(2) == 0 {
			layer.loosen(r)
		}
		d := layer.open(t, 3+r.IntN(4), true)
		once := merged(t, &MergeOptions{Stepwise: true}, base.open(t, 5, false), d)
		twice := merged(t, &MergeOptions{Stepwise: true}, once, d)
		if !bytes.Equal(once.data, twice.data) {
			t.Fatalf("seed %d: once\n%stwice\n%s", seed, modelOf(t, once), modelOf(t, twice))
		}
	}
}
