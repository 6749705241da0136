package compare_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

func sddl(t *testing.T, text string) []byte {
	t.Helper()
	if text == "" {
		return nil
	}
	d, err := winsec.ParseSDDL(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSecurity(t *testing.T) {
	type field = compare.Field
	for _, c := range []struct {
		name, a, b string
		want       []field
	}{
		{"same", "O:BAG:SYD:(A;;FA;;;BA)", "O:BAG:SYD:(A;;FA;;;BA)", nil},
		{"owner and group", "O:BAG:SYD:(A;;FA;;;BA)", "O:SYG:S-1-5-21-1-2-3-4D:(A;;FA;;;BA)", []field{
			{Name: "owner", Before: `BUILTIN\Administrators`, After: `NT AUTHORITY\SYSTEM`},
			{Name: "group", Before: `NT AUTHORITY\SYSTEM`, After: "S-1-5-21-1-2-3-4"}}},
		{"entries", "D:(A;;FA;;;BA)(A;;FR;;;WD)", "D:(A;;FA;;;BA)(D;;FW;;;WD)(A;;FA;;;BA)", []field{
			{Name: "dacl", Removed: []string{"(A;;FR;;;WD)"}, Added: []string{"(D;;FW;;;WD)", "(A;;FA;;;BA)"}}}},
		{"order", "D:(A;;FA;;;BA)(A;;FR;;;WD)", "D:(A;;FR;;;WD)(A;;FA;;;BA)", []field{
			{Name: "dacl order", Removed: []string{"(A;;FA;;;BA)", "(A;;FR;;;WD)"}, Added: []string{"(A;;FR;;;WD)", "(A;;FA;;;BA)"}}}},
		{"protection", "D:(A;;FA;;;BA)", "D:P(A;;FA;;;BA)", []field{{Name: "dacl flags", Before: "present", After: "present P"}}},
		{"none", "", "O:BA", []field{{Name: "owner", After: `BUILTIN\Administrators`}}},
	} {
		if got := compare.Security(sddl(t, c.a), sddl(t, c.b)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	// A descriptor that cannot be parsed, and one that differs in its layout alone.
	good := sddl(t, "O:BAD:(A;;FA;;;BA)")
	for _, b := range [][]byte{{1, 2}, append(slices.Clone(good), 0, 0, 0, 0)} {
		got := compare.Security(good, b)
		if len(got) != 1 || got[0].Name != "security" || got[0].Before == got[0].After {
			t.Errorf("%x: %+v", b, got)
		}
	}
}

// Every property that differs has a field, and no other has one.
func TestFields(t *testing.T) {
	symlink, err := winfs.EncodeSymlink("target")
	if err != nil {
		t.Fatal(err)
	}
	for want, edit := range map[string]func(f *compare.File){
		"attributes": func(f *compare.File) { f.Attributes |= winfs.AttrHidden },
		"created":    func(f *compare.File) { f.Times.Creation = 1 },
		"written":    func(f *compare.File) { f.Times.LastWrite = 1 },
		"owner":      func(f *compare.File) { f.Security = sddl(t, "O:BA") },
		"ea B":       func(f *compare.File) { f.EAs = []winfs.EA{{Name: "A", Value: []byte{1}}, {Name: "B"}} },
		"stream s":   func(f *compare.File) { f.Streams = []compare.Stream{{Name: "s", Size: 2}} },
		"stream r":   func(f *compare.File) { f.Streams = []compare.Stream{{Name: "r", Size: 2}, {Name: "s", Size: 1}} },
		"reparse":    func(f *compare.File) { f.Reparse = symlink },
		"objectid":   func(f *compare.File) { f.ObjectID = make([]byte, 64) },
		"size":       func(f *compare.File) { f.Size = 7 },
		"content":    func(f *compare.File) { f.Sum[0] = 1 },
		"links":      func(f *compare.File) { f.Links = 2 },
	} {
		aspects := map[string]layer.Aspect{"attributes": layer.AspectAttributes, "created": layer.AspectCreation, "written": layer.AspectLastWrite,
			"owner": layer.AspectSecurity, "ea B": layer.AspectEAs, "stream s": layer.AspectStreams, "stream r": layer.AspectStreams,
			"reparse": layer.AspectReparse, "objectid": layer.AspectObjectID, "size": layer.AspectSize, "content": layer.AspectContent, "links": layer.AspectLinks}
		before := compare.File{Entry: layer.Entry{Path: "a", Kind: layer.File, EAs: []winfs.EA{{Name: "A", Value: []byte{1}}}},
			Streams: []compare.Stream{{Name: "s", Size: 1}}, Links: 1}
		after := before
		edit(&after)
		c := compare.FileChange{Kind: compare.Changed, What: aspects[want], Before: &before, After: &after}
		got := c.Fields()
		if len(got) != 1 || got[0].Name != want || got[0].Before == got[0].After && got[0].Added == nil {
			t.Errorf("%s: %+v", want, got)
		}
	}
}
