package regf

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

// A hive that was cut short is whole again only if its logs hold all that is missing.
func TestRecoverCutHive(t *testing.T) {
	hive := tinyHive(6, 'a')
	setBase(hive, 2, 1, 0)
	page := func(i int) logRun { return logRun{i * pageSize, tinyBin(i, 'b')} }
	cut := hive[:baseSize+3*pageSize+100]
	for _, c := range []struct {
		name    string
		runs    []logRun
		missing []MissingPart
	}{
		{"none", []logRun{page(1)}, []MissingPart{{3*pageSize + 100, 3*pageSize - 100}}},
		{"the middle", []logRun{page(4)}, []MissingPart{{3*pageSize + 100, pageSize - 100}, {5 * pageSize, pageSize}}},
		{"all but the rest of a page", []logRun{page(4), page(5)}, []MissingPart{{3*pageSize + 100, pageSize - 100}}},
		{"all", []logRun{page(5), page(3), page(4)}, nil},
	} {
		log := newLog(hive, 2, newLogEntry(2, 6*pageSize, c.runs...))
		image, rep, err := Recover(t.Context(), cut, log)
		if !reflect.DeepEqual(rep.Missing, c.missing) {
			t.Errorf("%s: missing %v, want %v", c.name, rep.Missing, c.missing)
		}
		if errors.Is(err, ErrTruncated) != (c.missing != nil) || c.missing == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(image) != len(hive) {
			t.Errorf("%s: %d bytes", c.name, len(image))
		}
	}
	// A clean one too.
	setBase(hive, 1, 1, 0)
	if _, rep, err := Recover(t.Context(), hive[:baseSize+pageSize]); !errors.Is(err, ErrTruncated) || !rep.Clean || len(rep.Missing) != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
	if image, _, err := Recover(t.Context(), hive); err != nil || !bytes.Equal(image, hive) {
		t.Error(err)
	}
}

// A log that was itself being written when the machine stopped is not used.
func TestTornLogIsNotUsed(t *testing.T) {
	hive := tinyHive(2, 'a')
	setBase(hive, 2, 1, 0)
	log := newLog(hive, 2, newLogEntry(2, 2*pageSize, logRun{pageSize, tinyBin(1, 'b')}))
	if _, _, err := Recover(t.Context(), hive, log); err != nil {
		t.Fatal(err)
	}
	setBase(log, 2, 1, 6)
	_, rep, err := Recover(t.Context(), hive, log)
	if !errors.Is(err, ErrNoUsableLog) || rep.Logs[0].Stop == nil || rep.Logs[0].Applied != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	// Not for its base block either.
	broken := bytes.Clone(hive)
	broken[hdrChecksum]++
	if _, _, err := Recover(t.Context(), broken, log); !errors.Is(err, ErrNoUsableLog) {
		t.Errorf("%v", err)
	}
}

// A repair saves the part before the truncation.
func TestRepairCutHive(t *testing.T) {
	whole := wide(t, 300)
	cut := whole[:len(whole)/2&^(pageSize-1)+1000]
	h, err := OpenBytes(cut, &Options{Mode: Salvage})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Repair(t.Context(), nil); !errors.Is(err, ErrUnrepairable) {
		t.Errorf("without leave to lose: %v", err)
	}
	r, err := h.Repair(t.Context(), &RepairOptions{AllowLoss: true})
	if err != nil {
		t.Fatal(err)
	}
	requireClean(t, r.Hive)
	keys, values, err := count(r.Hive)
	if err != nil || keys < 150 || values > 300 {
		t.Errorf("%d keys and %d values, %v", keys, values, err)
	}
	found := false
	for _, f := range r.Lost {
		found = found || f.Rule == "hive-truncated"
	}
	if !found {
		t.Errorf("the cut is not said: %v", r.Lost[:min(3, len(r.Lost))])
	}
}

// A deleted branch has its paths up to the root, also where its cells are behind the
// end of a hive that has become smaller.
func TestDeletedPaths(t *testing.T) {
	h := New(nil)
	for i := range 60 {
		if _, err := h.CreatePath(`Keep\` + string(rune('a'+i%26)) + string(rune('a'+i/26))); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{`Gone\Deeper\Leaf`, `Gone\Other`} {
		k, err := h.CreatePath(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetValue("v", RegSZ, StringData(p)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	gone, err := h.Key("Gone")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{`Gone`: true, `Gone\Deeper`: true, `Gone\Deeper\Leaf`: true, `Gone\Other`: true}
	check := func(t *testing.T, b []byte) {
		t.Helper()
		o, err := OpenBytes(b, &Options{Mode: Salvage})
		if err != nil {
			t.Fatal(err)
		}
		r, err := o.Deleted()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, k := range r.Keys {
			if got[k.Path] = true; !k.Rooted {
				t.Errorf("%s has no root", k.Path)
			}
			if k.Path == `Gone\Deeper\Leaf` && (len(k.Values) != 1 || !bytes.Equal(k.Values[0].Data, StringData(k.Path))) {
				t.Errorf("values of %s: %+v", k.Path, k.Values)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v", got)
		}
	}
	// Unlisted: the root names one key less, the cells are in use still.
	c := bytes.Clone(b)
	root := h.Root()
	l := c[baseSize+root.field32(nkList)+4:]
	n := int(u16(l[2:]))
	for i := range n {
		if u32(l[4+8*i:]) == gone.Offset() {
			copy(l[4+8*i:], l[4+8*(i+1):4+8*n])
		}
	}
	put16(l[2:], uint16(n-1))
	put32(c[baseSize+root.Offset()+4+nkSubkeys:], uint32(n-1))
	t.Run("in cells that nothing points at", func(t *testing.T) { check(t, c) })
}

// Data of a hive from before it became smaller is searched after its end.
func TestDeletedBehindTheEnd(t *testing.T) {
	h := New(nil)
	if _, err := h.CreatePath("Keep"); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := h.CreatePath(fmt.Sprintf(`Gone\Key%03d\Leaf`, i)); err != nil {
			t.Fatal(err)
		}
	}
	before, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	k, err := h.Key("Gone")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.DeleteTree(); err != nil {
		t.Fatal(err)
	}
	after, err := h.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) >= len(before) {
		t.Fatal("the hive has not become smaller")
	}
	s, err := OpenBytes(append(after, before[len(after):]...), &Options{Mode: Salvage})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Deleted()
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, k := range r.Keys {
		if int(k.Offset) < len(after)-baseSize || !k.Free {
			t.Errorf("%+v", k)
		}
		paths[k.Path] = true
	}
	// The key Gone itself was before the end, and so was part of its contents.
	if len(paths) < 300 || !paths[`Key150\Leaf`] {
		t.Errorf("%d keys: %v", len(paths), r.Keys[:min(5, len(r.Keys))])
	}
}
