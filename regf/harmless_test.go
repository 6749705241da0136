package regf

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/winfs"
)

// disordered is a hive of which one list is in the order of lower-case names, as some
// tools leave it, one has wrong hashes, one a wrong count, and one key a wrong parent.
func disordered(t *testing.T, minor int) []byte {
	t.Helper()
	h := New(nil)
	names := []string{"a_x", "aA", "aB", "aC", "aZ", "a^", "a[", "ab_", "abC"}
	for _, n := range names {
		for _, top := range []string{"Order", "Hash", "Count", "Parent"} {
			if _, err := h.CreatePath(top + `\` + n); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := h.Compact(&CompactOptions{Minor: minor})
	if err != nil {
		t.Fatal(err)
	}
	o, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	list := func(path string) ([]byte, Key) {
		k, err := o.Key(path)
		if err != nil {
			t.Fatal(err)
		}
		return b[baseSize+k.field32(nkList)+4:], k
	}
	l, _ := list("Order")
	for i, j := 0, len(names)-1; i < j; i, j = i+1, j-1 {
		var x [8]byte
		copy(x[:], l[4+8*i:])
		copy(l[4+8*i:][:8], l[4+8*j:])
		copy(l[4+8*j:], x[:])
	}
	l, _ = list("Hash")
	for i := range names {
		put32(l[4+8*i+4:], uint32(i))
	}
	_, k := list("Count")
	put32(b[baseSize+k.Offset()+4+nkSubkeys:], 4)
	_, k = list(`Parent\aA`)
	put32(b[baseSize+k.Offset()+4+nkParent:], 0x20)
	return b
}

// Harmless faults change no result: every key is found, and merging, comparing and saving
// produce the results of the sound hive.
func TestHarmlessFaults(t *testing.T) {
	for _, minor := range []int{3, 5} {
		t.Run(fmt.Sprintf("1.%d", minor), func(t *testing.T) {
			b := disordered(t, minor)
			var told []finding.Finding
			h, err := OpenBytes(b, &Options{AllowHarmless: true, Warn: func(f finding.Finding) { told = append(told, f) }})
			if err != nil {
				t.Fatal(err)
			}
			for _, top := range []string{"Order", "Hash", "Count", "Parent"} {
				for _, n := range []string{"a_x", "aA", "aB", "aC", "aZ", "a^", "a[", "ab_", "abC"} {
					if _, err := h.Key(top + `\` + n); err != nil {
						t.Error(err)
					}
				}
			}
			fixed, err := h.Repair(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			merged, err := Merge(t.Context(), []*Hive{h, emptyLayer()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Merge(t.Context(), []*Hive{fixed.Hive, emptyLayer()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(merged.data, want.data) {
				t.Error("merging the sound hive gives another result")
			}
			for d, err := range Compare(h, fixed.Hive, CompareOptions{Times: true}) {
				t.Fatal(d.Path, d.Field, err)
			}
			rules := map[string]bool{}
			for _, f := range told {
				if rules[f.Rule] = true; f.Severity != finding.Warning || !Harmless(f.Rule) {
					t.Errorf("%v", f)
				}
			}
			for _, r := range []string{"list-order", "nk-parent", "subkey-count"} {
				if !rules[r] {
					t.Errorf("nothing was told of %s: %v", r, told)
				}
			}
			if len(told) != len(h.Findings()) {
				t.Errorf("%d findings, %d were told", len(h.Findings()), len(told))
			}
			// Without leave the first is the end.
			strict, err := OpenBytes(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Merge(t.Context(), []*Hive{strict, emptyLayer()}, nil); !errors.Is(err, ErrCorrupt) {
				t.Errorf("strict: %v", err)
			}
		})
	}
}

// Two keys of one name in a list that is out of order are no harmless fault: which one
// counts is not known.
func TestDuplicateIsNotHarmless(t *testing.T) {
	h := New(nil)
	for _, n := range []string{"aa1", "aa2", "aa3"} {
		if _, err := h.CreatePath(n); err != nil {
			t.Fatal(err)
		}
	}
	k, err := h.Key("aa3")
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	copy(b[baseSize+k.Offset()+4+nkNameAt:], "AA1")
	o, err := OpenBytes(b, &Options{AllowHarmless: true})
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := Merge(t.Context(), []*Hive{o, emptyLayer()}, nil); !errors.As(err, &e) || e.Rule != "nk-duplicate" {
		t.Errorf("%v", err)
	}
}

// Damage that can hide something ends strict reading, harmless faults allowed or not.
func TestHarmfulFaultsEndReading(t *testing.T) {
	b := disordered(t, 5)
	o, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := o.Key(`Hash\aA`)
	if err != nil {
		t.Fatal(err)
	}
	put32(b[baseSize+k.Offset():], -u32(b[baseSize+k.Offset():]))
	h, err := OpenBytes(b, &Options{AllowHarmless: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Merge(t.Context(), []*Hive{h, emptyLayer()}, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

// emptyLayer is a layer that changes nothing but the root's time.
func emptyLayer() *Hive { return New(&Options{Clock: func() winfs.Filetime { return 1 }}) }
