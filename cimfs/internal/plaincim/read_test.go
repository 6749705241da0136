package plaincim_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs/internal/plaincim"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// verified reads an image and checks its object tables.
func verified(t *testing.T, path string) *plaincim.Tree {
	t.Helper()
	tree, err := plaincim.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	wrong, dead := tree.Verify(filepath.Dir(path))
	if len(wrong) > 0 || dead != 0 {
		t.Errorf("%d dead objects, %s", dead, strings.Join(wrong, "\n"))
	}
	return tree
}

func TestGenuineHello(t *testing.T) {
	tree := verified(t, testenv.Corpus(t, "cim", "hello-v3", "hello.cim"))
	if tree.Major != 3 || tree.GUID.String() != "2cf2ae9f-8556-4421-9f2f-d9ca60534d62" {
		t.Errorf("version %d, GUID %s", tree.Major, tree.GUID)
	}
	for i, u := range tree.Upcase {
		if u != winfs.Upcase(uint16(i)) {
			t.Fatalf("upcase of %#x is %#x", i, u)
		}
	}
	if len(tree.Root.Children) != 1 || len(tree.Files) != 3 {
		t.Fatalf("%d children, %d records", len(tree.Root.Children), len(tree.Files))
	}
	root, hello := tree.Root.File, tree.Root.Children[0]
	if root.Parent != 1 || len(root.Links) != 1 || root.Links[0] != (plaincim.Link{ID: 1, Name: "."}) {
		t.Errorf("root: parent %d, links %v", root.Parent, root.Links)
	}
	f := hello.File
	if hello.Name != "hello.txt" || string(f.Main.Data) != "Hello world!" || f.Flags != 8 || f.Parent != 1 {
		t.Errorf("%q: %q, flags %d, parent %d", hello.Name, f.Main.Data, f.Flags, f.Parent)
	}
	if len(f.Links) != 1 || f.Links[0] != (plaincim.Link{ID: 1, Name: "hello.txt"}) {
		t.Errorf("links %v", f.Links)
	}
	if len(f.Security) != 0xA0 || len(f.EA) != 0x57 {
		t.Errorf("descriptor of %#x bytes, EAs of %#x", len(f.Security), len(f.EA))
	}
}

type manifest struct {
	GUID    string
	Entries []struct {
		ID         uint32
		Path       string
		Directory  bool
		Content    *string
		Flags      uint16
		Times      [4]int64
		SD         string
		EA         *string
		PEMappings [][2]uint32 `json:"pe_mappings"`
	}
}

func TestSyntheticManifest(t *testing.T) {
	dir := testenv.Corpus(t, "cim", "synthetic-v1")
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	tree := verified(t, filepath.Join(dir, "synthetic.cim"))
	if tree.Major != 1 || tree.GUID.String() != m.GUID || len(tree.Files) != len(m.Entries)+2 {
		t.Errorf("version %d, GUID %s, %d records", tree.Major, tree.GUID, len(tree.Files)-1)
	}
	found := map[string]*plaincim.File{}
	tree.Walk(func(path string, n *plaincim.Node) { found[strings.ReplaceAll(path, `\`, "/")] = n.File })
	if len(found) != len(m.Entries)+1 {
		t.Errorf("%d paths, %d in the manifest", len(found), len(m.Entries)+1)
	}
	for _, e := range m.Entries {
		f := found[e.Path]
		if f == nil {
			t.Errorf("%s is missing", e.Path)
			continue
		}
		if f.ID != e.ID || f.Directory != e.Directory || f.Flags != e.Flags {
			t.Errorf("%s: ID %d, directory %v, flags %#x", e.Path, f.ID, f.Directory, f.Flags)
		}
		times := [4]int64{int64(f.Creation), int64(f.Write), int64(f.Change), int64(f.Access)}
		if times != e.Times {
			t.Errorf("%s: times %d, want %d", e.Path, times, e.Times)
		}
		if hex.EncodeToString(f.Security) != e.SD {
			t.Errorf("%s: descriptor %x", e.Path, f.Security)
		}
		if e.EA == nil && f.EA != nil || e.EA != nil && hex.EncodeToString(f.EA) != *e.EA {
			t.Errorf("%s: EAs %x", e.Path, f.EA)
		}
		if len(f.Main.Mappings) != len(e.PEMappings) {
			t.Errorf("%s: %d mappings, want %d", e.Path, len(f.Main.Mappings), len(e.PEMappings))
		} else {
			for i, p := range e.PEMappings {
				if f.Main.Mappings[i] != (plaincim.Mapping{Offset: p[0], Delta: p[1]}) {
					t.Errorf("%s: mapping %d is %v", e.Path, i, f.Main.Mappings[i])
				}
			}
		}
		if e.Content == nil {
			continue
		}
		want, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(*e.Content)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.Main.Data, want) {
			t.Errorf("%s: %d bytes differ from %s", e.Path, len(f.Main.Data), *e.Content)
		}
	}
}

// A verifier that finds nothing in a damaged image would prove nothing.
func TestVerifyFindsDamage(t *testing.T) {
	src := testenv.Corpus(t, "cim", "hello-v3")
	const guid = "2cf2ae9f-8556-4421-9f2f-d9ca60534d62"
	for _, c := range []struct {
		file string
		at   int64
	}{
		{"objectid_" + guid + "_0", 0x30},  // a length
		{"objectid_" + guid + "_0", 0x40},  // a digest
		{"objectid_" + guid + "_1", 0x50},  // an offset
		{"objectid_" + guid + "_0", 0x2C},  // the count
		{"region_" + guid + "_0", 0x100},   // an EA
		{"region_" + guid + "_0", 0x2014D}, // padding
		{"region_" + guid + "_1", 0x28},    // content
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(src)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, c.file)
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[c.at] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		tree, err := plaincim.Read(filepath.Join(dir, "hello.cim"))
		if err != nil {
			t.Fatalf("%s at %#x: %v", c.file, c.at, err)
		}
		if wrong, _ := tree.Verify(dir); len(wrong) == 0 {
			t.Errorf("%s at %#x: the damage was not found", c.file, c.at)
		}
	}
}
