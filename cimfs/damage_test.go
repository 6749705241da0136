package cimfs_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimfs/internal/plaincim"
	"github.com/mullion/mullion/winfs"
)

// memory is a set of image files.
type memory map[string][]byte

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

func (m memory) OpenFile(name string) (cimfs.Source, error) {
	b, ok := m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return memoryFile{bytes.NewReader(b)}, nil
}

// featured writes a small image with everything in it.
func featured(t *testing.T) string {
	t.Helper()
	w, dir := create(t, &cimfs.Options{GUID: winfs.GUID{1, 2, 3}})
	reparse, err := winfs.EncodeSymlink("a")
	if err != nil {
		t.Fatal(err)
	}
	eas, err := winfs.EncodeEAs([]winfs.EA{{Name: "EA", Value: []byte("value")}})
	if err != nil {
		t.Fatal(err)
	}
	pe := buildPE(pePlan{sections: []peSection{{0x400, 0x200}, {0x600, 0x800}}, length: 0x1040})
	for _, step := range []func() error{
		func() error { return w.AddDir("d", meta()) },
		func() error { return w.AddFile(`d\a`, &cimfs.Meta{Security: cimfs.NullDACL(), EAs: eas}, 5) },
		func() error { _, err := io.WriteString(w, "alpha"); return err },
		func() error { return w.CreateStream(`d\a`, "s", 3) },
		func() error { _, err := io.WriteString(w, "ads"); return err },
		func() error { return w.Link("b", `d\a`) },
		func() error { return w.AddFile("link", &cimfs.Meta{Reparse: reparse}, 0) },
		func() error { return w.AddFile("hole", &cimfs.Meta{Hole: true}, 99) },
		func() error { return w.AddFile("pe.exe", meta(), int64(len(pe))) },
		func() error { _, err := w.Write(pe); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	finish(t, w, dir)
	return dir
}

// Two readers that know nothing of each other see the same in a damaged image,
// wherever neither of them refuses it: no byte means two things.
func TestReadersAgreeOnDamage(t *testing.T) {
	src := featured(t)
	set := memory(files(t, src))
	dir := t.TempDir()
	for name, b := range set {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	both, flips := 0, 0
	bits, stride := []byte{1}, 2
	if os.Getenv("MULLION_LONG") == "1" {
		bits, stride = []byte{1, 2, 4, 8, 16, 32, 64, 128}, 1
	}
	for name, b := range set {
		if strings.HasPrefix(name, "objectid") {
			continue // no reader looks at it
		}
		step := stride
		if strings.HasSuffix(name, "_1") || strings.HasSuffix(name, "_2") {
			step = 101 * stride // content: a flipped byte is another content, and that is all
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for at := 0; at < len(b); at += step {
			if strings.HasSuffix(name, "_0") && at > 0x400 && at < len(b)-0x800 && at%5003 != 0 {
				continue // the inside of the upcase table
			}
			for _, flip := range bits {
				flips++
				old := b[at]
				b[at] ^= flip
				if _, err := f.WriteAt(b[at:at+1], int64(at)); err != nil {
					t.Fatal(err)
				}
				if damaged(t, dir, set, fmt.Sprintf("%s at %#x, bit %#x", name, at, flip)) {
					both++
				}
				b[at] = old
				if _, err := f.WriteAt(b[at:at+1], int64(at)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Logf("%d flips, %d images that both read", flips, both)
	if both == 0 {
		t.Error("no damaged image was read by both")
	}
}

// damaged compares the readers and reports whether both read the image.
func damaged(t *testing.T, dir string, set memory, what string) bool {
	plain, err := plaincim.Read(filepath.Join(dir, "a.cim"))
	if err != nil {
		return false
	}
	im, err := cimfs.OpenFiles(set, "a.cim", cimfs.Limits{})
	if err != nil {
		return false
	}
	defer im.Close()
	diff := differences(im, plain)
	for _, d := range diff {
		if strings.HasPrefix(d, "refused") || strings.Contains(d, "corrupt") {
			return false
		}
	}
	for _, d := range diff {
		t.Errorf("%s: %s", what, d)
	}
	return len(diff) == 0
}
