package regf

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// A mapped hive whose pages are given back while it is read reads, saves and edits
// as one that is in memory.
func TestPagesThatAreGivenBack(t *testing.T) {
	opt := &Options{Clock: func() winfs.Filetime { return 1 }}
	h := New(opt)
	for i := range 40 {
		k, err := h.CreatePath(fmt.Sprintf(`a%d\b`, i))
		if err != nil {
			t.Fatal(err)
		}
		for j := range 40 {
			if err := k.SetValue(fmt.Sprint("v", j), RegBinary, bytes.Repeat([]byte{byte(i), byte(j)}, 8000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	name := filepath.Join(t.TempDir(), "hive")
	if err := h.WriteCompactFile(name, nil); err != nil {
		t.Fatal(err)
	}
	mapped, err := Open(name, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	memory, err := Open(name, &Options{InMemory: true, Clock: opt.Clock})
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	if len(memory.bins) < residentMax*5/4 {
		t.Fatalf("%d bytes do not fill what is kept", len(memory.bins))
	}
	root := mapped.Root()
	first, err := root.Open(`a0\b`)
	if err != nil {
		t.Fatal(err)
	}
	v, err := first.Value("v7")
	if err != nil {
		t.Fatal(err)
	}
	held, err := v.Data()
	if err != nil {
		t.Fatal(err)
	}
	same := func() {
		t.Helper()
		for d, err := range Compare(memory, mapped, CompareOptions{Times: true}) {
			t.Fatalf("%v %q %q, %v", d.Kind, d.Path, d.Name, err)
		}
		if !bytes.Equal(held, bytes.Repeat([]byte{0, 7}, 8000)) {
			t.Error("data that was held has changed")
		}
		a, err := memory.Compact(nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := mapped.Compact(nil); err != nil || !bytes.Equal(a, b) {
			t.Errorf("saved hives differ: %v", err)
		}
	}
	same()
	if r := mapped.resident; canRelease && (r == nil || r.read.Load() >= residentMax) {
		t.Error("nothing was given back")
	}
	if canRelease {
		// Check reads bins before it reads keys, and releases memory both times.
		mapped.resident.read.Store(residentMax - 1)
		if f := checked(mapped); len(f) > 0 {
			t.Error(f)
		}
		if mapped.resident.read.Load() >= residentMax-1 {
			t.Error("a check gives nothing back")
		}
	}
	for _, h := range []*Hive{memory, mapped} {
		for i := range 40 {
			k, err := h.Key(fmt.Sprintf(`a%d\b`, i))
			if err != nil {
				t.Fatal(err)
			}
			if err := k.SetValue("new", RegBinary, []byte("what is written stays")); err != nil {
				t.Fatal(err)
			}
		}
	}
	same()
	a, err := memory.Image()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := mapped.Image(); err != nil || !bytes.Equal(a, b) {
		t.Errorf("stored hives differ: %v", err)
	}
}
