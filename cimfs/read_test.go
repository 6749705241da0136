package cimfs

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

type manifest struct {
	GUID    string
	Entries []struct {
		ID        FileID
		Path      string
		Directory bool
		Content   string
		Flags     uint16
		Times     [4]int64 // creation, last write, change, last access
		SD        string
		EA        string
		Mappings  [][2]uint32 `json:"pe_mappings"`
	}
}

func loadManifest(t testing.TB) (m manifest, dir string) {
	dir = testenv.Corpus(t, "cim", "synthetic-v1")
	b, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m, dir
}

func fileTimes(v [4]int64) winfs.Times {
	f := func(i int) winfs.Filetime { return winfs.Filetime(v[i]) }
	return winfs.Times{Creation: f(0), LastWrite: f(1), Change: f(2), LastAccess: f(3)}
}

func TestReadSyntheticV1(t *testing.T) {
	m, dir := loadManifest(t)
	im, err := Open(dir, "synthetic.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if im.Version() != V1 || im.GUID().String() != m.GUID || im.NumFiles() != int64(len(m.Entries)+1) {
		t.Fatalf("version %d, GUID %v, %d files", im.Version(), im.GUID(), im.NumFiles())
	}
	if ok, err := im.StandardUpcase(); !ok || err != nil {
		t.Fatalf("StandardUpcase() = %v, %v", ok, err)
	}
	for _, e := range m.Entries {
		p := strings.ReplaceAll(e.Path, "/", `\`)
		for _, spelling := range []string{p, winfs.Fold(p), strings.ToLower(p)} {
			f, err := im.Lookup(spelling)
			if err != nil || f.ID() != e.ID {
				t.Fatalf("Lookup(%q) = %v, %v", spelling, f, err)
			}
		}
		f, _ := im.Lookup(p)
		if f.IsDir() != e.Directory || f.rec.flags != e.Flags || f.Times() != fileTimes(e.Times) {
			t.Errorf("%s: record %+v", p, f.rec)
		}
		if sd, err := f.Security(); err != nil || hex.EncodeToString(sd) != e.SD {
			t.Errorf("%s: descriptor %x, %v", p, sd, err)
		}
		if ea, err := f.EAs(); err != nil || hex.EncodeToString(ea) != e.EA {
			t.Errorf("%s: EAs %x, %v", p, ea, err)
		}
		if e.Directory {
			continue
		}
		want, err := os.ReadFile(filepath.Join(dir, e.Content))
		if err != nil {
			t.Fatal(err)
		}
		s, err := f.Data()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(s.Reader()); err != nil || string(got) != string(want) {
			t.Errorf("%s: content differs, %v", p, err)
		}
		if len(e.Mappings) == 0 != (s.pe == nil) {
			t.Errorf("%s: PE image %v", p, s.pe)
		}
	}
	for _, p := range []string{"nothing", `data\nothing`, `Readme.txt\x`, `\data`, `data\\24.bin`} {
		if f, err := im.Lookup(p); err == nil {
			t.Errorf("Lookup(%q) found file %d", p, f.ID())
		}
	}
	n := 0
	if err := im.Walk(func(p string, f *File) error { n++; return nil }); err != nil || n != len(m.Entries)+1 {
		t.Errorf("walk saw %d, %v", n, err)
	}
	names := []string{"Readme.txt", "Windows/System32/zeta.dll", "data/日本語.txt", "data/Ünder_score"}
	if err := fstest.TestFS(im.FS(), names...); err != nil {
		t.Error(err)
	}
}

func TestReadHelloV3(t *testing.T) {
	im, err := Open(testenv.Corpus(t, "cim", "hello-v3"), "hello.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	f, err := im.Lookup("HELLO.txt")
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.Data()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(s.Reader()); err != nil || string(b) != "Hello world!" {
		t.Errorf("content %q, %v", b, err)
	}
	links, err := f.Links()
	if err != nil || len(links) != 1 || links[0] != (Link{1, "hello.txt"}) || f.ParentID() != 1 {
		t.Errorf("links %v, %v", links, err)
	}
	root, _ := im.Root()
	if links, err := root.Links(); err != nil || len(links) != 1 || links[0] != (Link{1, "."}) {
		t.Errorf("root links %v, %v", links, err)
	}
	if err := fstest.TestFS(im.FS(), "hello.txt"); err != nil {
		t.Error(err)
	}
}
