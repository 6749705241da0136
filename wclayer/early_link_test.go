package wclayer

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
)

// TestEarlyLinks: a link before a replacement of its target names the parent's file, as on
// Windows, and does so again when the layer is read and written once more.
func TestEarlyLinks(t *testing.T) {
	for _, mode := range []MetadataMode{MetadataAuto, MetadataIndex} {
		write := func(path string, parents []string, entries []layer.Entry, data []string) {
			t.Helper()
			w, err := Create(path, parents, WithSync(SyncNone), WithMetadata(mode))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			for i := range entries {
				e := &entries[i]
				e.Size = int64(len(data[i]))
				if e.Kind != layer.File {
					e.Size = 0
				}
				if err := w.Add(e); err != nil {
					t.Fatal(err)
				}
				if e.Kind != layer.File {
					continue
				}
				if err := w.AddStream(&layer.Stream{Size: e.Size}); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write([]byte(data[i])); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		read := func(path string) (entries []layer.Entry, data, words []string) {
			t.Helper()
			r, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for {
				e, err := r.Next()
				if err == io.EOF {
					return entries, data, words
				}
				if err != nil {
					t.Fatal(err)
				}
				text := ""
				if e.Kind == layer.File {
					if _, err := r.NextStream(); err != nil {
						t.Fatal(err)
					}
					b, err := io.ReadAll(struct{ io.Reader }{r})
					if err != nil {
						t.Fatal(err)
					}
					text = string(b)
				}
				entries, data = append(entries, e.Clone()), append(data, text)
				words = append(words, fmt.Sprintf("%v %s %s%s", e.Kind, e.Path, e.Target, text))
			}
		}
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		write(at("base"), nil, []layer.Entry{{Path: "Files", Kind: layer.Dir}, {Path: `Files\m`, Kind: layer.File}, {Path: `Files\n`, Kind: layer.File}}, []string{"", "old", "old n"})
		upper := []layer.Entry{
			{Path: "Files", Kind: layer.Dir},
			{Path: `Files\a`, Kind: layer.Link, Target: `Files\m`}, {Path: `Files\z`, Kind: layer.Link, Target: `Files\m`},
			{Path: `Files\m`, Kind: layer.File}, {Path: `Files\y`, Kind: layer.Link, Target: `Files\m`},
			{Path: `Files\n`, Kind: layer.Link, Target: `Files\z`}, {Path: `Files\o`, Kind: layer.Link, Target: `Files\n`},
		}
		write(at("upper"), []string{at("base")}, upper, []string{"", "", "", "new", "", "", ""})
		entries, data, words := read(at("upper"))
		order := func(path string) int {
			return slices.IndexFunc(entries, func(e layer.Entry) bool { return e.Path == path })
		}
		if order(`Files\a`) > order(`Files\m`) || order(`Files\z`) > order(`Files\m`) || order(`Files\y`) < order(`Files\m`) {
			t.Errorf("%q", words)
		}
		write(at("again"), []string{at("base")}, entries, data)
		if _, _, again := read(at("again")); !slices.Equal(again, words) {
			t.Errorf("%q, then %q", words, again)
		}
		for _, l := range []string{"upper", "again"} {
			for name, want := range map[string]string{"a": "old", "z": "old", "m": "new", "y": "new", "n": "old", "o": "old"} {
				root, err := hostfs.OpenDirectory(at(l + "/Files"))
				if err != nil {
					t.Fatal(err)
				}
				f, err := root.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(struct{ io.Reader }{f})
				if err := hostfs.FirstError(err, f.Close(), root.Close()); err != nil || string(b) != want {
					t.Errorf("%s: %s holds %q, want %q (%v)", l, name, b, want, err)
				}
			}
		}
	}
}
