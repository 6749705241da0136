package inventory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// many is a Cataloger that yields components without end.
type many struct{ name, value string }

func (c many) Name() string           { return c.name }
func (many) Wants(string, int64) bool { return false }
func (c many) Catalog(context.Context, System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		for i := 0; ; i++ {
			x := Component{Kind: Library, Name: fmt.Sprint(i), Evidence: FileEvidence("f")}
			x.SetProperty("value", c.value)
			if !yield(x, nil) {
				return
			}
		}
	}
}

// The components of an inventory take a bounded amount of memory, all catalogers together.
func TestMemoryOfComponents(t *testing.T) {
	s := NewSystem(fstest.MapFS{}, nil)
	inv, err := Run(t.Context(), s, many{"first", strings.Repeat("x", 1<<20)}, many{"second", strings.Repeat("x", 1<<10)})
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]int64{}
	for i := range inv.Components {
		sums[inv.Components[i].FoundBy] += inv.Components[i].memory()
	}
	if a, b := sums["first"], sums["second"]; a > MaxCatalogerMemory || a < MaxCatalogerMemory-2<<20 || a+b > MaxMemory || a+b < MaxMemory-2<<20 {
		t.Errorf("the components take %v bytes, limits %d and %d", sums, MaxCatalogerMemory, MaxMemory)
	}
	if len(inv.Skipped) != 2 || !strings.Contains(inv.Skipped[0].Reason, "the rest is left out") {
		t.Errorf("skipped %v", inv.Skipped)
	}
}

// A limit that each file meets again is told once.
func TestLimitToldOnce(t *testing.T) {
	files := fstest.MapFS{}
	for i := range 10 {
		files[fmt.Sprintf("Files/%d.exe", i)] = file([]byte("x"))
	}
	r := newRun(NewSystem(files, nil))
	r.memory = MaxMemory
	if err := r.walkFiles(t.Context(), []Cataloger{taker{".exe"}}); err != nil {
		t.Fatal(err)
	}
	if len(r.inv.Skipped) != 1 || len(r.inv.Components) != 0 {
		t.Errorf("%d components, skipped %v", len(r.inv.Components), r.inv.Skipped)
	}
}

// An executable without room in the inventory leaves no digests behind.
func TestDigestsOfLeftOut(t *testing.T) {
	x := newExecutables(AllExecutables)
	b := makePE(peOptions{})
	for range x.CatalogFile(t.Context(), &File{Path: `Files\a.exe`, Size: int64(len(b)), SHA256: "x", Content: bytes.NewReader(b)}) {
		if len(x.unsigned) != 1 {
			t.Errorf("%d digests", len(x.unsigned))
		}
		break
	}
	if len(x.unsigned) != 0 {
		t.Errorf("%d digests of executables that are left out", len(x.unsigned))
	}
}

// A value that is too large for a text is a skipped item, with a reason that has bounds too.
func TestLargeValues(t *testing.T) {
	long := strings.Repeat("x", maxValueText/2)
	h := software(t, `
Microsoft\Windows\CurrentVersion\Uninstall\Long
DisplayName=`+long+`
Microsoft\Windows\CurrentVersion\Uninstall\Fits
DisplayName=`+long[:maxValueText/2-1]+`
Microsoft\Windows\CurrentVersion\Uninstall\WrongType
DisplayName=Name
Publisher=dword:7
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1
ProfileImagePath=C:\`+long+`
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-2
ProfileImagePath=D:\`+long[:maxValueText/2-10]+`
`)
	inv, err := Run(t.Context(), NewSystem(nil, map[hives.Name]*regf.Hive{hives.Software: h}), programs{})
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Components) != 2 || inv.Components[0].Name != "Name" || len(inv.Components[1].Name) != maxValueText/2-1 {
		t.Errorf("%d components", len(inv.Components))
	}
	if len(inv.Skipped) != 3 {
		t.Fatalf("%d skipped items", len(inv.Skipped))
	}
	for _, s := range inv.Skipped {
		if len(s.Reason) > maxReason+len("…") || s.Reason == "" {
			t.Errorf("%s: a reason of %d bytes", s.Evidence, len(s.Reason))
		}
	}
	if r := inv.Skipped[0].Reason; !strings.Contains(r, "too large") || !strings.Contains(r, "DisplayName") {
		t.Errorf("%.200s", r)
	}
}

// zeroFS has a file of zeros of a size under each name.
type zeroFS struct {
	size  int64
	opens *int
}

func (z zeroFS) Open(name string) (fs.File, error) {
	*z.opens++
	return &zeroFile{name, z.size, z.size}, nil
}

type zeroFile struct {
	name       string
	size, left int64
}

func (f *zeroFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *zeroFile) Close() error               { return nil }
func (f *zeroFile) Read(b []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n := min(len(b), int(f.left))
	clear(b[:n])
	f.left -= int64(n)
	return n, nil
}
func (f *zeroFile) Name() string       { return f.name }
func (f *zeroFile) Size() int64        { return f.size }
func (f *zeroFile) Mode() fs.FileMode  { return 0o644 }
func (f *zeroFile) ModTime() time.Time { return time.Time{} }
func (f *zeroFile) IsDir() bool        { return false }
func (f *zeroFile) Sys() any           { return nil }

// Thousands of profiles with large hives, which can be names of one file, are read up to a
// number of bytes.
func TestManyLargeProfiles(t *testing.T) {
	var list strings.Builder
	for i := range 200 {
		fmt.Fprintf(&list, "Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\S-1-5-21-%d\nProfileImagePath=C:\\Users\\%d\n", i, i)
	}
	opens := 0
	s := NewSystem(zeroFS{maxUserLog, &opens}, map[hives.Name]*regf.Hive{hives.Software: software(t, list.String())})
	var last error
	for _, err := range users(s) {
		last = err
	}
	// 32 files have a GiB; the next one is not read.
	if !errors.Is(last, errUserHives) || opens != maxUserHives/maxUserLog+1 {
		t.Errorf("%d files are opened; %v", opens, last)
	}
}

// When the spool is full, files are read from their layers again a number of times.
func TestRereads(t *testing.T) {
	var words, names []string
	for i := range maxRereads + 10 {
		names = append(names, fmt.Sprintf("Files/%d.mum", i))
		words = append(words, names[i]+"=x")
	}
	words = append(words, baseSoftware+hiveText(t, software(t, "")))
	for _, full := range []bool{false, true} {
		c := &opener{names, ".mum"}
		if full {
			c.suffix = "" // nothing is kept
		}
		inv, err := runTars(t, [][]byte{layerTar(t, words...)}, spoolFiller{full}, c)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		if full {
			want = 10
		}
		if len(inv.Skipped) != want || len(inv.Components) != len(names)-want {
			t.Errorf("full %v: %d components, %d skipped items, want %d", full, len(inv.Components), len(inv.Skipped), want)
		}
		for _, s := range inv.Skipped {
			if !strings.Contains(s.Reason, "the rest is left out") {
				t.Error(s)
			}
		}
	}
}

// spoolFiller makes a spool look full.
type spoolFiller struct{ full bool }

func (spoolFiller) Name() string             { return "filler" }
func (spoolFiller) Wants(string, int64) bool { return false }
func (f spoolFiller) Catalog(_ context.Context, s System) iter.Seq2[Component, error] {
	return func(func(Component, error) bool) { s.(*layersSystem).spool.full = f.full }
}

// A file without room in a spool makes it full.
func TestSpoolFull(t *testing.T) {
	s := spool{names: map[string]filePlace{}, files: map[filePlace]*spooledFile{}}
	defer s.close()
	if err := s.add(t.Context(), &spooledFile{path: "a", size: 1}, strings.NewReader("x")); err != nil || s.full {
		t.Fatal(err, s.full)
	}
	s.count = spoolSize
	if err := s.add(t.Context(), &spooledFile{path: "b", place: filePlace{0, 1}, size: 1}, strings.NewReader("x")); err != nil || !s.full || s.find("b") != nil {
		t.Error(err, s.full)
	}
}
