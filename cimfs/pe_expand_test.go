package cimfs_test

import (
	"bytes"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimfs/internal/plaincim"
	"github.com/mullion/mullion/internal/testenv"
)

// page rounds up to the next 4 KiB.
func page(n uint64) uint64 { return (n + 4095) &^ 4095 }

// expected lays an executable out by the rules of docs/spec/cimfs.md, "Executables",
// written down a second time: every run of raw data, in file order, and the overlay
// begin on a page; only a change of the distance is noted.
func expected(p pePlan) (maps []plaincim.Mapping, length uint64) {
	var runs []uint64
	end := uint64(0)
	for _, s := range p.sections {
		if s.size > 0 {
			runs = append(runs, uint64(s.ptr))
			end = max(end, uint64(s.ptr)+uint64(s.size))
		}
	}
	overlay := uint64(p.length) > end
	sort.Slice(runs, func(i, j int) bool { return runs[i] < runs[j] })
	if overlay {
		runs = append(runs, end)
	}
	delta := uint64(0)
	for _, at := range runs {
		if start := page(at + delta); start != at+delta {
			delta = start - at
			maps = append(maps, plaincim.Mapping{Offset: uint32(at), Delta: uint32(delta)})
		}
	}
	if overlay {
		return maps, uint64(p.length) + delta
	}
	return maps, page(uint64(p.length) + delta)
}

// writeOne makes an image of one file and returns how the independent reader sees it.
func writeOne(t *testing.T, data []byte, opts cimfs.Options) *plaincim.File {
	t.Helper()
	dir := t.TempDir()
	w, err := cimfs.Create(dir, "pe.cim", &opts)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.AddFile("file.exe", &cimfs.Meta{Security: cimfs.NullDACL()}, int64(len(data))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	tree := agree(t, dir, "pe.cim")
	clean(t, dir, "pe.cim")
	if wrong, dead := tree.Verify(dir); len(wrong) > 0 || dead > 0 {
		t.Errorf("%d dead objects, %v", dead, wrong)
	}
	f := tree.Root.Children[0].File
	if !bytes.Equal(f.Main.Data, data) {
		t.Errorf("%d bytes came back as other %d", len(data), len(f.Main.Data))
	}
	return f
}

func TestExpandedExecutables(t *testing.T) {
	sec := func(v ...uint32) (out []peSection) {
		for i := 0; i < len(v); i += 2 {
			out = append(out, peSection{v[i], v[i+1]})
		}
		return out
	}
	for _, c := range []struct {
		name string
		plan pePlan
	}{
		{"one section", pePlan{sections: sec(0x400, 0xC00), length: 0x1000}},
		{"several", pePlan{sections: sec(0x400, 0x1200, 0x1600, 0x200, 0x1800, 0x600), length: 0x1E00}},
		{"a section that already stands on a page", pePlan{sections: sec(0x400, 0xC00, 0x1000, 0x1000), length: 0x2000}},
		{"overlay", pePlan{sections: sec(0x400, 0x200, 0x600, 0xA00), length: 0x1000 + 77}},
		{"overlay of one byte", pePlan{sections: sec(0x400, 0xC00), length: 0x1001}},
		{"sections without data", pePlan{sections: sec(0x400, 0x200, 0, 0, 0x600, 0xA00, 0, 0), length: 0x1000}},
		{"32 bits", pePlan{pe32: true, sections: sec(0x400, 0x200, 0x600, 0xA00), length: 0x1000}},
		{"putty's deltas", pePlan{sections: sec(0x400, 0x8CE00, 0x8D200, 0x27A00, 0xB4C00, 0x200, 0xB4E00, 0x200,
			0xB5000, 0xA200, 0xBF200, 0x1000), length: 0xC0200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, v := range []cimfs.Version{cimfs.V1, cimfs.V3} {
				data := buildPE(c.plan)
				f := writeOne(t, data, cimfs.Options{Version: v})
				want, _ := expected(c.plan)
				if f.Main.Type != 2 || !slices.Equal(f.Main.Mappings, want) {
					t.Errorf("version %d: type %d, mappings %v, want %v", v, f.Main.Type, f.Main.Mappings, want)
				}
				if f := writeOne(t, data, cimfs.Options{Version: v, PlainExecutables: true}); f.Main.Type != 0 {
					t.Errorf("version %d: stored as type %d with expansion turned off", v, f.Main.Type)
				}
			}
		})
	}
}

// The example of the format description, put together here without the builder of
// expectations.
func TestPuttyMappings(t *testing.T) {
	plan := pePlan{sections: []peSection{{0x400, 0x8CE00}, {0x8D200, 0x27A00}, {0xB4C00, 0x200}, {0xB4E00, 0x200},
		{0xB5000, 0xA200}, {0xBF200, 0x1000}}, length: 0xC0200}
	want := []plaincim.Mapping{{Offset: 0x400, Delta: 0xC00}, {Offset: 0x8D200, Delta: 0xE00}, {Offset: 0xB4C00, Delta: 0x1400},
		{Offset: 0xB4E00, Delta: 0x2200}, {Offset: 0xB5000, Delta: 0x3000}, {Offset: 0xBF200, Delta: 0x3E00}}
	if f := writeOne(t, buildPE(plan), cimfs.Options{}); !slices.Equal(f.Main.Mappings, want) {
		t.Errorf("mappings %v", f.Main.Mappings)
	}
}

// What is no sound executable is stored as plain data.
func TestOddExecutablesStayPlain(t *testing.T) {
	good := pePlan{sections: []peSection{{0x400, 0x800}, {0xC00, 0x400}}, length: 0x1000}
	with := func(change func(*pePlan)) []byte {
		p := good
		p.sections = slices.Clone(good.sections)
		change(&p)
		return buildPE(p)
	}
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"unsorted", with(func(p *pePlan) { p.sections[0], p.sections[1] = p.sections[1], p.sections[0] })},
		{"overlapping", with(func(p *pePlan) { p.sections[1].ptr = 0xA00 })},
		{"a gap between sections", with(func(p *pePlan) { p.sections[1] = peSection{0xE00, 0x200} })},
		{"raw data ends in the page", with(func(p *pePlan) { p.sections[1].size = 0x3F0 })},
		{"too small", with(func(p *pePlan) { p.sections = p.sections[:1]; p.length = 0xFFF })},
		{"the same twice", with(func(p *pePlan) { p.sections[1] = p.sections[0] })},
		{"section beyond the end", with(func(p *pePlan) { p.sections[1].size = 0x10000 })},
		{"section begins beyond the end", with(func(p *pePlan) { p.sections[1].ptr = 0x10000 })},
		{"section wraps around", with(func(p *pePlan) { p.sections[1] = peSection{0xFFFFFE00, 0x400} })},
		{"truncated section table", with(func(p *pePlan) { p.claim, p.length = 60, 0x900; p.sections = p.sections[:1] })},
		{"65,535 sections", with(func(p *pePlan) { p.claim = 0xFFFF })},
		{"section over the headers", with(func(p *pePlan) { p.sections[0].ptr = 0x100 })},
		{"no signature", with(func(p *pePlan) { p.noMagic = true })},
		{"new header beyond the end", with(func(p *pePlan) { p.headers = 0x7FFFFFF0 })},
		{"only MZ", []byte("MZ")},
		{"cut inside the header", with(func(*pePlan) {})[:0xA0]},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f := writeOne(t, c.data, cimfs.Options{}); f.Main.Type != 0 {
				t.Errorf("stored as type %d with mappings %v", f.Main.Type, f.Main.Mappings)
			}
		})
	}
}

const testProgram = `
#include <stdio.h>
static int zeros[5000];
const char text[] = "mullion";
int main(void) { zeros[7] = 1; return printf("%s %d\n", text, zeros[7]) < 0; }
`

// Executables of a real linker, whose sections stand every 512 bytes.
func TestMingwExecutables(t *testing.T) {
	gcc := testenv.Program(t, "x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64")
	dir := t.TempDir()
	src := filepath.Join(dir, "main.c")
	if err := os.WriteFile(src, []byte(testProgram), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		flags []string
		tail  int
	}{
		{"stripped", []string{"-s"}, 0},
		{"with symbols", nil, 0}, // the symbol table is an overlay
		{"overlay", []string{"-s"}, 1234},
		{"library", []string{"-shared", "-s"}, 0},
		{"page aligned", []string{"-s", "-Wl,--file-alignment,4096"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			exe := filepath.Join(t.TempDir(), "out.exe")
			args := append([]string{"-o", exe, src, "-Wl,--no-insert-timestamp"}, c.flags...)
			if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			data, err := os.ReadFile(exe)
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, bytes.Repeat([]byte{0x5A}, c.tail)...)
			f := writeOne(t, data, cimfs.Options{})
			plan := pePlan{sections: rawSections(t, data), length: len(data)}
			want, _ := expected(plan)
			if len(want) == 0 {
				return // every section on its page: both forms are the same bytes
			}
			if f.Main.Type != 2 || !slices.Equal(f.Main.Mappings, want) {
				t.Errorf("type %d, mappings %v, want %v", f.Main.Type, f.Main.Mappings, want)
			}
		})
	}
}

// rawSections reads the section table with debug/pe, which knows nothing of ours.
func rawSections(t *testing.T, data []byte) (out []peSection) {
	t.Helper()
	f, err := pe.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Sections {
		out = append(out, peSection{s.Offset, s.Size})
	}
	return out
}
