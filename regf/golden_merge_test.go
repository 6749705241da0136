package regf

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// wideString is a JSON string whose escapes may be lone surrogates, in WTF-8.
type wideString string

func (s *wideString) UnmarshalJSON(b []byte) error {
	var units []uint16
	b = b[1 : len(b)-1]
	for len(b) > 0 {
		if !bytes.HasPrefix(b, []byte(`\u`)) {
			n := 1
			if b[0] == '\\' {
				n = 2
			} else {
				for n < len(b) && b[n]&0xC0 == 0x80 {
					n++
				}
			}
			var plain string
			if err := json.Unmarshal([]byte(`"`+string(b[:n])+`"`), &plain); err != nil {
				return err
			}
			units = winfs.AppendUTF16(units, plain)
			b = b[n:]
			continue
		}
		u, err := strconv.ParseUint(string(b[2:6]), 16, 16)
		if err != nil {
			return err
		}
		units = append(units, uint16(u))
		b = b[6:]
	}
	var le []byte
	for _, u := range units {
		le = append(le, byte(u), byte(u>>8))
	}
	*s = wideString(winfs.DecodeUTF16LE(le))
	return nil
}

// mergeFacts are the facts in the corpus about one call of ORMergeHives and the hive that
// it made.
type mergeFacts struct {
	Note       string
	Layers     []string
	Merge      string
	Save       []any
	MergeClock winfs.Filetime `json:"merge_clock"`
	SaveClock  winfs.Filetime `json:"save_clock"`
	Header     map[string]any
	SDs        []string
	Keys       []struct {
		Path, Name                                     wideString
		Flags, Layer, Access, Virt, Debug, Spare, Work uint32
		Time                                           winfs.Filetime
		SD                                             int
		Class                                          *struct {
			Size int
			Data string
		}
		Values []struct {
			Name              wideString
			Type, Flags, Size uint32
			Data              string
			SHA256            string // instead of long data
		}
	}
}

// goldenHive reads a file of a case, which may be packed.
func goldenHive(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		var f *os.File
		if f, err = os.Open(filepath.Join(dir, name+".gz")); err == nil {
			defer f.Close()
			var z *gzip.Reader
			if z, err = gzip.NewReader(f); err == nil {
				b, err = io.ReadAll(z)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// describeHive lists all properties of a hive that are in the facts of a case, one line per
// field.
func describeHive(t testing.TB, h *Hive) []string {
	t.Helper()
	hdr := h.Header()
	out := []string{fmt.Sprintf("header seq %d %d time %d 1.%d type %d root %d bins %d cluster %d flags %d name %q ofrg %v reorganised %d serialised %d",
		hdr.Primary, hdr.Secondary, hdr.LastWritten, hdr.Minor, hdr.Type, hdr.Root, hdr.BinsSize, hdr.Clustering, hdr.Flags, hdr.FileName, hdr.OfRg, hdr.Reorganized, hdr.Serialized)}
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		b, err := k.node()
		if err != nil {
			t.Fatal(err)
		}
		sd, err := k.Security()
		if err != nil {
			t.Fatal(err)
		}
		class, err := k.ClassBytes()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%q %q flags %#x time %d layer %#x access %d virt %#x debug %d spare %d work %d class %x sd %x",
			k.Path(), k.Name(), b[nkFlags:nkFlags+2], k.LastWrite(), k.LayerByte(), b[nkAccess], b[nkVirtual], b[nkDebug], u16(b[nkLayer+1:]), u32(b[nkWorkVar:]), class, sd))
		for v, err := range k.Values() {
			if err != nil {
				t.Fatal(err)
			}
			data, err := v.Data()
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > 256 {
				sum := sha256.Sum256(data)
				data = sum[:]
			}
			out = append(out, fmt.Sprintf("%q value %q type %d flags %d size %d data %x", k.Path(), v.Name(), v.Type(), v.Flags(), v.Size(), data))
		}
	}
	return out
}

// lines lists the same of the facts.
func (f *mergeFacts) lines(t testing.TB) []string {
	t.Helper()
	num := func(name string) uint64 {
		n, err := f.Header[name].(json.Number).Int64()
		if err != nil {
			t.Fatal(name, err)
		}
		return uint64(n)
	}
	out := []string{fmt.Sprintf("header seq %d %d time %d 1.%d type %d root %d bins %d cluster %d flags %d name %q ofrg %v reorganised %d serialised %d",
		num("primary"), num("secondary"), num("written"), num("minor"), num("type"), num("root"), num("bins"), num("clustering"), num("flags"), f.Header["name"],
		f.Header["tag"] == "4f66526701000000", num("reorganised"), num("serialised"))}
	for _, k := range f.Keys {
		class := ""
		if k.Class != nil {
			class = k.Class.Data
		}
		out = append(out, fmt.Sprintf("%q %q flags %#x time %d layer %#x access %d virt %#x debug %d spare %d work %d class %s sd %s",
			string(k.Path), string(k.Name), []byte{byte(k.Flags), byte(k.Flags >> 8)}, k.Time, k.Layer, k.Access, k.Virt, k.Debug, k.Spare, k.Work, class, f.SDs[k.SD]))
		for _, v := range k.Values {
			out = append(out, fmt.Sprintf("%q value %q type %d flags %d size %d data %s", string(k.Path), string(v.Name), v.Type, v.Flags, v.Size, v.Data+v.SHA256))
		}
	}
	return out
}

// differentMerges are the cases in which the output of the library is not followed, and
// how far.
var differentMerges = map[string]struct{ fields, bytes bool }{
	// Names that msvcrt's _wcsicmp, which was not Microsoft's, takes for equal or not.
	"case-rare": {fields: true, bytes: true},
	// The library allocates a cell for the class of the root and leaves its length at 0.
	"class-root": {bytes: true},
}

// withoutSecurityPadding clears the unused word in security cells. In the library's output
// it is memory that was not cleared.
func withoutSecurityPadding(t testing.TB, b []byte) []byte {
	t.Helper()
	h, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Clone(b)
	at := h.Root().SecurityCell()
	for first := at; ; {
		c, err := h.skCell(at)
		if err != nil {
			t.Fatal(err)
		}
		put16(b[baseSize+at+4+2:], 0)
		if at = u32(c[skFlink:]); at == first {
			return b
		}
	}
}

// Every merge of the golden corpus, made by ORMergeHives and ORSaveHive of Windows 10:
// all fields of the output, its bytes, and the refusals.
func TestGoldenMerges(t *testing.T) {
	dir := testenv.Corpus(t, "golden", "hives", "merge")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	cases, refused, equal, identical := 0, 0, 0, 0
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			dir := filepath.Join(dir, e.Name())
			var f mergeFacts
			d := json.NewDecoder(bytes.NewReader(goldenHive(t, dir, "facts.json")))
			d.UseNumber()
			if err := d.Decode(&f); err != nil {
				t.Fatal(err)
			}
			cases++
			var layers []*Hive
			opened := map[string]*Hive{}
			for _, name := range f.Layers {
				if same := opened[name]; same != nil && e.Name() == "same" {
					layers = append(layers, same) // one handle twice; elsewhere two of one file
					continue
				}
				h, err := OpenBytes(goldenHive(t, dir, name), nil)
				if err != nil {
					t.Fatal(err)
				}
				opened[name] = h
				layers = append(layers, h)
			}
			h, err := Merge(t.Context(), layers, &MergeOptions{Now: f.MergeClock})
			if f.Merge != "0" {
				if f.Merge != "87" || !errors.Is(err, ErrInvalid) {
					t.Fatalf("%v, want error %s", err, f.Merge)
				}
				refused++
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			viewed(t, h, layers, &MergeOptions{Now: f.MergeClock})
			var version [2]int
			for i := range version {
				n, _ := f.Save[i].(json.Number).Int64()
				version[i] = int(n)
			}
			minor, err := MinorForWindows(version[0], version[1])
			if err != nil {
				t.Fatal(err)
			}
			b, err := h.Compact(&CompactOptions{Minor: minor, Tag: true, Time: f.SaveClock})
			if err != nil {
				t.Fatal(err)
			}
			out, err := OpenBytes(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			differs := differentMerges[e.Name()]
			got, want := strings.Join(describeHive(t, out), "\n"), strings.Join(f.lines(t), "\n")
			if got == want {
				equal++
			}
			if (got != want) != differs.fields {
				t.Errorf("%s: the fields are equal: %v\ngot  %s\nwant %s", f.Note, got == want, got, want)
			}
			golden := goldenHive(t, dir, "out")
			a, c := withoutSecurityPadding(t, b), withoutSecurityPadding(t, golden)
			if bytes.Equal(a, c) {
				identical++
			}
			if bytes.Equal(a, c) == differs.bytes {
				at := 0
				for at < len(a) && at < len(c) && a[at] == c[at] {
					at++
				}
				t.Errorf("%d bytes, want %d; the first that differs is at %#x", len(a), len(c), at)
			}
			theirs, err := OpenBytes(golden, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range []*Hive{h, out, theirs} {
				for _, f := range checked(h) {
					t.Errorf("check: %v", f)
				}
			}
		})
	}
	t.Logf("%d cases: %d refused alike, %d outputs equal in every field, %d in every byte", cases, refused, equal, identical)
}
