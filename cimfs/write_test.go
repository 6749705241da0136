package cimfs

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// sameSet compares region and object files of two directories, and the images but
// for the reserved bytes.
func sameSet(t *testing.T, wantDir, wantName, gotDir, gotName string) {
	t.Helper()
	a, err := Open(wantDir, wantName)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Open(gotDir, gotName)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if strings.Join(a.FileNames()[1:], " ") != strings.Join(b.FileNames()[1:], " ") {
		t.Fatalf("files %v, want %v", b.FileNames(), a.FileNames())
	}
	for i, n := range a.FileNames() {
		want, err := os.ReadFile(filepath.Join(wantDir, n))
		if err != nil {
			t.Fatal(err)
		}
		m := n
		if i == 0 {
			m = gotName
		}
		got, err := os.ReadFile(filepath.Join(gotDir, m))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, got) {
			at := 0
			for at < len(want) && at < len(got) && want[at] == got[at] {
				at++
			}
			t.Errorf("%s: %d bytes, want %d, first difference at %#x", n, len(got), len(want), at)
		}
	}
}

// The encoder of this sample knew nothing of the hashes of executables, so that these are
// written without.
func TestWriteSyntheticV1Anew(t *testing.T) {
	m, dir := loadManifest(t)
	out := t.TempDir()
	g, err := winfs.ParseGUID(m.GUID)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Create(out, "new.cim", &Options{Version: V1, GUID: g})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, e := range m.Entries {
		meta := &Meta{Times: fileTimes(e.Times)}
		meta.Security, _ = hex.DecodeString(e.SD)
		meta.EAs, _ = hex.DecodeString(e.EA)
		r := record{flags: e.Flags}
		meta.Attributes = r.attributes()
		p := strings.ReplaceAll(e.Path, "/", `\`)
		if e.Directory {
			if err := w.AddDir(p, meta); err != nil {
				t.Fatal(err)
			}
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Content))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.AddFile(p, meta, int64(len(b))); err != nil {
			t.Fatal(err)
		}
		w.unhashed = true
		for len(b) > 0 { // in pieces of odd sizes
			n := min(len(b), 1+len(b)/3)
			if _, err := w.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	sameSet(t, dir, "synthetic.cim", out, "new.cim")
	onlyFiles(t, out, 7)
}

func onlyFiles(t *testing.T, dir string, n int) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != n {
		t.Errorf("%d files in the directory, want %d: %v, %v", len(list), n, list, err)
	}
}

func TestRewriteSamples(t *testing.T) {
	for dir, name := range map[string]string{"hello-v3": "hello.cim", "synthetic-v1": "synthetic.cim"} {
		t.Run(dir, func(t *testing.T) {
			in := testenv.Corpus(t, "cim", dir)
			im, err := Open(in, name)
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			out := t.TempDir()
			if err := Rewrite(t.Context(), out, "again.cim", im, nil); err != nil {
				t.Fatal(err)
			}
			sameSet(t, in, name, out, "again.cim")
		})
	}
}
