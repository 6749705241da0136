package wctransport

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// unhex turns a spaced vector into bytes.
// The vectors of docs/spec/layers.md, "Vectors", as transport files.
var transportVectors = []struct {
	name    string
	bytes   string
	item    layertest.Item
	extents []layer.Extent
}{
	{
		name:  "hello",
		bytes: "20 00 00 00 | 01 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 00 00 00 00 | 68 65 6c 6c 6f",
		item: layertest.Item{
			Entry:   layer.Entry{Kind: layer.File, Attributes: winfs.AttrArchive, Size: 5},
			Streams: []layertest.Stream{{Data: []byte("hello")}},
		},
	},
	{
		name: "alternate stream",
		bytes: `20 00 00 00 | 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
			04 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 10 00 00 00 | 3a 00 73 00 3a 00 24 00 44 00 41 00 54 00 41 00 | 68 69`,
		item: layertest.Item{
			Entry:   layer.Entry{Kind: layer.File, Attributes: winfs.AttrArchive},
			Streams: []layertest.Stream{{}, {Name: "s", Data: []byte("hi")}},
		},
	},
	{
		name: "sparse",
		bytes: `20 02 00 00 | 01 00 00 00 08 00 00 00 0000000000000000 00000000
			09 00 00 00 08 00 00 00 0b 00 00 00 00 00 00 00 00 00 00 00 | 0000000000000000 | 61 62 63
			09 00 00 00 08 00 00 00 08 00 00 00 00 00 00 00 00 00 00 00 | 40 42 0f 00 00 00 00 00`,
		item: layertest.Item{
			Entry:   layer.Entry{Kind: layer.File, Attributes: winfs.AttrArchive | winfs.AttrSparse, Size: 1_000_000},
			Streams: []layertest.Stream{{Data: append([]byte("abc"), make([]byte, 999_997)...), Sparse: true}},
		},
		extents: []layer.Extent{{Offset: 0, Length: 3}},
	},
	{
		name: "symbolic link",
		bytes: `20 04 00 00 | 08 00 00 00 00 00 00 00 1c 00 00 00 00 00 00 00 00 00 00 00
			0c 00 00 a0 14 00 00 00 | 00 00 02 00 04 00 02 00 | 01 00 00 00 | 61 00 00 00 61 00 00 00`,
		item: layertest.Item{
			Entry: layer.Entry{Kind: layer.File, Attributes: winfs.AttrArchive | winfs.AttrReparsePoint, NoMain: true,
				Reparse: []byte("\x0c\x00\x00\xa0\x14\x00\x00\x00\x00\x00\x02\x00\x04\x00\x02\x00\x01\x00\x00\x00a\x00\x00\x00a\x00\x00\x00")},
			Streams: []layertest.Stream{{}},
		},
	},
}

func TestTransportVectors(t *testing.T) {
	for _, v := range transportVectors {
		t.Run(v.name, func(t *testing.T) {
			want := testenv.Hex(t, v.bytes)
			path := filepath.Join(t.TempDir(), "layer")
			w, err := Create(path, WithSync(SyncNone))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			e := v.item.Entry
			e.Path = `Files\f`
			must(t, w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir}))
			must(t, w.Add(&e))
			for _, s := range v.item.Streams {
				must(t, w.AddStream(&layer.Stream{Name: s.Name, Size: int64(len(s.Data)), Sparse: s.Sparse}))
				if !s.Sparse {
					w.Write(s.Data)
					continue
				}
				at := int64(0)
				for _, x := range v.extents {
					must(t, w.WriteHole(x.Offset-at))
					w.Write(s.Data[x.Offset : x.Offset+x.Length])
					at = x.Offset + x.Length
				}
				must(t, w.WriteHole(int64(len(s.Data))-at))
			}
			must(t, w.Commit())
			got, err := os.ReadFile(filepath.Join(path, "Files", "f"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("wrote\n%x, want\n%x", got, want)
			}
			l := collect(t, path)
			it := l.Items[1]
			it.Path = ""
			if hostfs.NativeObjects {
				it.Times = winfs.Times{} // a host that keeps them has no file without
			}
			if fmt.Sprintf("%+v", it.Entry) != fmt.Sprintf("%+v", v.item.Entry) {
				t.Errorf("read %+v, want %+v", it.Entry, v.item.Entry)
			}
			for i, s := range v.item.Streams {
				g := it.Streams[i]
				if g.Name != s.Name || g.Sparse != s.Sparse || !bytes.Equal(g.Data, s.Data) || s.Sparse && !slices.Equal(g.Extents, v.extents) {
					t.Errorf("stream %d is %q, %d bytes, sparse %v, extents %v", i, g.Name, len(g.Data), g.Sparse, g.Extents)
				}
			}
		})
	}
}

const (
	fileStream = "\x20\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00hi"
	dirStream  = "\x10\x00\x00\x00"
)

// TestTransportOrder reads a directory as Windows tools write one: order,
// tombstones, the recycle bin, the times of Files and Hives.
func TestTransportOrder(t *testing.T) {
	dir := put(t, t.TempDir(), map[string]string{
		"Files.$wcidirs$":              dirStream,
		"Hives.$wcidirs$":              dirStream,
		"Hives/System_Delta":           "regf",
		"Files/a.$wcidirs$":            dirStream,
		"Files/a/z":                    fileStream,
		"Files/a/B.$wcidirs$":          dirStream,
		"Files/a/B/":                   "",
		"Files/a-b":                    fileStream,
		"Files/$recycle.BIN.$wcidirs$": dirStream,
		"Files/$recycle.BIN/gone":      fileStream,
		"Files/$Recycle.Bin-not":       fileStream,
		"Files/\xf0\x90\x80\x80":       fileStream, // U+10000 sorts after U+FFFD by bytes, before it by units
		"Files/\xef\xbf\xbd":           fileStream,
		"tombstones.txt":               "\xef\xbb\xbfVersion 1.0\r\n\\a\\gone\r\n\r\n\\A\\second\n\\absent\\x\r\n\\top\r\n",
		"Files/a/Junction.$wcidirs$":   dirStream + "\x08\x00\x00\x00\x00\x00\x00\x00\x1c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c\x00\x00\xa0\x14\x00\x00\x00\x00\x00\x02\x00\x04\x00\x02\x00\x01\x00\x00\x00a\x00\x00\x00a\x00\x00\x00",
		"Files/a/Junction/":            "",
		"Hives/DefaultUser_Delta":      "regf",
	})
	delta := time.Date(2020, 6, 3, 0, 0, 0, 123456700, time.UTC)
	must(t, os.Chtimes(filepath.Join(dir, "Hives", "System_Delta"), delta, delta))
	expect(t, dir,
		`d Files`, `w Files\top`, `f Files\$Recycle.Bin-not`, `d Files\a`, `w Files\a\gone`, `w Files\A\second`,
		`d Files\a\B`, `d Files\a\Junction`, `f Files\a\z`, `f Files\a-b`, "f Files\\\uFFFD", "f Files\\\U00010000",
		`d Hives`, `f Hives\DefaultUser_Delta`, `f Hives\System_Delta`, `w Files\absent\x`)
	l := collect(t, dir)
	for _, it := range l.Items {
		switch it.Path {
		case "Files", "Hives", `Hives\System_Delta`:
			want := winfs.Filetime(132356160001234567)
			if it.Times != (winfs.Times{Creation: want, LastAccess: want, LastWrite: want, Change: want}) {
				t.Errorf("%s has the times %+v", it.Path, it.Times)
			}
		case `Files\a\Junction`:
			if it.Attributes != winfs.AttrDirectory|winfs.AttrReparsePoint || len(it.Reparse) != 28 {
				t.Errorf("junction: %v, %x", it.Attributes, it.Reparse)
			}
		}
	}
}

// TestTombstones holds the rules of docs/spec/layers.md, "Transport directory".
func TestTombstones(t *testing.T) {
	const head = "\xef\xbb\xbfVersion 1.0"
	for _, c := range []struct {
		name, text string
		want       []string
		err        error
	}{
		{"LF", head + "\n\\a\n\\b\\c\n", []string{`Files\a`, `Files\b\c`}, nil},
		{"CRLF", head + "\r\n\\a\r\n", []string{`Files\a`}, nil},
		{"no end of line", head + "\n\\a", []string{`Files\a`}, nil},
		{"header alone", head, nil, nil},
		{"empty lines", head + "\n\n\r\n\\a\n\n", []string{`Files\a`}, nil},
		{"first byte missing", head + "\na\n", []string{`Files\a`}, nil},
		{"empty file", "", nil, ErrTombstones},
		{"no mark", "Version 1.0\n", nil, ErrTombstones},
		{"other version", "\xef\xbb\xbfVersion 2.0\n", nil, ErrTombstones},
		{"space after header", head + " \n", nil, ErrTombstones},
		{"escape", head + "\n\\..\\x\n", nil, ErrTombstones},
		{"absolute", head + "\n\\\\server\\x\n", nil, ErrTombstones},
		{"stream", head + "\n\\a:b\n", nil, ErrTombstones},
		{"twice", head + "\n\\a\n\\A\n", nil, layer.ErrDuplicate},
		{"backslash alone", head + "\n\\\n", nil, ErrTombstones},
		{"64 KiB", head + "\n\\" + strings.Repeat("a", 64<<10) + "\n", nil, ErrTombstones},
		{"not UTF-8", head + "\n\\\xff\n", nil, ErrTombstones},
	} {
		ts, err := parseTombstones(strings.NewReader(c.text), layerdir.NewOptions(nil).Limits)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
			continue
		}
		if err == nil && !slices.Equal(ts.rest(), c.want) {
			t.Errorf("%s: %q", c.name, ts.paths)
		}
	}
}

// TestManyTombstones holds that the work is linear.
func TestManyTombstones(t *testing.T) {
	var b strings.Builder
	b.WriteString(tombstoneHeader + "\n")
	const n = 200_000
	for i := range n {
		fmt.Fprintf(&b, "\\d\\%d\n", i)
	}
	start := time.Now()
	ts, err := parseTombstones(strings.NewReader(b.String()), layerdir.NewOptions(nil).Limits)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(ts.in(`files\D`)); got != n {
		t.Errorf("%d tombstones", got)
	}
	if len(ts.rest()) != 0 {
		t.Error("some are returned twice")
	}
	t.Log(time.Since(start))
}
