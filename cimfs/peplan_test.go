package cimfs

import (
	"reflect"
	"testing"
)

func TestPEPlan(t *testing.T) {
	p := planPE(samplePE(1, 700), 0x400+0x600+0x1200+0x200+700)
	want := []peMapping{{0x400, 0xC00}, {0xA00, 0x1600}, {0x1C00, 0x2400}, {0x1E00, 0x3200}}
	if p == nil || !reflect.DeepEqual(p.mappings, want) || p.sizeOfImage != 0x12345000 || p.stored != 0x1E00+700+0x3200 {
		t.Fatalf("plan %+v", p)
	}
	p = planPE(samplePE(1, 0), 0x1E00)
	if p == nil || !reflect.DeepEqual(p.mappings, want[:3]) || p.stored != 0x5000 {
		t.Fatalf("plan without overlay %+v", p)
	}
	section := func(n int) int { return 0x98 + 0xF0 + 40*n }
	change := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint32(b[at:], v); return b }
	}
	for _, c := range []struct {
		what string
		make func([]byte) []byte
	}{
		{"no MZ", change(0, 0)},
		{"no signature", change(0x80, 0)},
		{"signature far away", change(0x3C, 0xFFFFFFF0)},
		{"signature at the end", change(0x3C, 0x1FFF)},
		{"optional header too short", change(0x94, 40)},
		{"other optional magic", change(0x98, 0x107)},
		{"section alignment below a page", change(0x98+32, 0x200)},
		{"section alignment above a page", change(0x98+32, 0x2000)},
		{"file alignment", change(0x98+36, 0x400)},
		{"headers that end before the first section", change(0x98+60, 0x200)},
		{"headers that end in the first section", change(0x98+60, 0x600)},
		{"address of the first section", change(section(0)+12, 0x2000)},
		{"address behind a gap", change(section(1)+12, 0x3000)},
		{"address inside the section before", change(section(3)+12, 0x3000)},
		{"virtual size below the raw size", change(section(1)+8, 0x1000)},
		{"raw size", change(section(3)+16, 0x1FF)},
		{"image that ends before the last section", change(0x98+56, 0x41FF)},
		{"gap", change(section(3)+20, 0x2000)},
		{"section table beyond the file", change(0x86, 60000)},
		{"unsorted", func(b []byte) []byte {
			le.PutUint32(b[section(0)+20:], 0xA00)
			le.PutUint32(b[section(1)+20:], 0x400)
			return b
		}},
		{"overlapping", change(section(1)+20, 0x800)},
		{"inside the headers", change(section(0)+20, 0x100)},
		{"past the end", change(section(3)+16, 0x10000)},
		{"cut off", func(b []byte) []byte { return b[:0x1D00] }},
		{"overflowing", change(section(3)+20, 0xFFFFFFFF)},
	} {
		b := c.make(samplePE(1, 700))
		if p := planPE(b, int64(len(b))); p != nil {
			t.Errorf("%s: plan %+v", c.what, p)
		}
	}
	b := buildPE(0x1000, []int{0x1000}, 0)
	le.PutUint32(b[section(0)+20:], 0x1000)
	le.PutUint32(b[0x98+60:], 0x1000)
	b = append(b, make([]byte, 0x2000-len(b))...)
	if p := planPE(b, int64(len(b))); p != nil {
		t.Errorf("on pages already: plan %+v", p)
	}
	for n, want := range map[int]bool{4095: false, 4096: true} {
		b := buildPE(0x1000, []int{0x200}, n-0x600)
		if p := planPE(b, int64(n)); len(b) != n || (p != nil) != want {
			t.Errorf("%d bytes: plan %+v", n, p)
		}
	}
	// What is allowed to differ.
	for what, c := range map[string]func([]byte) []byte{
		"larger image":                    change(0x98+56, 0xFFFFFFFF),
		"image of the last byte":          change(0x98+56, 0x4200),
		"virtual size rounded up":         change(section(1)+8, 0x1001),
		"virtual size above the raw size": change(section(1)+8, 0x2000),
		"machine":                         change(0x84, 0x0004AA64),
		"checksum":                        change(0x98+64, 0xFFFFFFFF),
	} {
		b := c(samplePE(1, 700))
		if p := planPE(b, int64(len(b))); p == nil || p.flags != peValidImage || p.hash == nil {
			t.Errorf("%s: plan %+v", what, p)
		}
	}
	// A last section of which nothing is in the file.
	b = buildPE(0x1000, []int{0x1000, 0}, 0)
	if p := planPE(b, int64(len(b))); p == nil || p.flags != 0 || p.sizeOfImage != 0 || p.hash != nil || len(p.mappings) != 1 {
		t.Errorf("without raw data at the end: plan %+v", p)
	}
}

// The mappings of a real program, putty.exe, from docs/spec/cimfs.md, "Executables".
func TestPEPlanPutty(t *testing.T) {
	sizes := []int{0x8CE00, 0x27A00, 0x200, 0x200, 0xA200, 0x1000}
	b := buildPE(0x1000, sizes, 0)
	want := []peMapping{{0x400, 0xC00}, {0x8D200, 0xE00}, {0xB4C00, 0x1400}, {0xB4E00, 0x2200}, {0xB5000, 0x3000}, {0xBF200, 0x3E00}}
	p := planPE(b[:peHeadLimit], int64(len(b)))
	if p == nil || !reflect.DeepEqual(p.mappings, want) {
		t.Fatalf("plan %+v", p)
	}
	checkPlan(t, b)
}
