package winsec_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winsec"
)

// Keys of genuine hives have the entries that Windows let them inherit. The rules are those of
// files with the rights of keys. The rest has parents that have changed since, or rights that
// the kernel's mapping for keys adds.
func TestInheritedGenuine(t *testing.T) {
	root := testenv.Corpus(t, "hives")
	same, other := 0, 0
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if info, err := e.Info(); err != nil || info.Size() < 4096 || info.Size() > 40<<20 {
			return err
		}
		h, err := regf.Open(path, &regf.Options{AllowDirty: true})
		if err != nil {
			return nil // other files of the corpus
		}
		defer h.Close()
		var walk func(k regf.Key, parent *winsec.Descriptor)
		walk = func(k regf.Key, parent *winsec.Descriptor) {
			b, err := k.Security()
			if err != nil {
				return
			}
			d, err := winsec.Parse(b)
			if err != nil {
				return
			}
			if parent != nil && parent.DACL != nil && d.DACL != nil && d.Control&winsec.DACLAutoInherited != 0 && d.Control&winsec.DACLProtected == 0 {
				got := slices.DeleteFunc(slices.Clone(d.DACL.ACEs), func(a winsec.ACE) bool { return a.Flags&winsec.Inherited == 0 })
				want := winsec.InheritedEntries(parent.DACL, d.Owner, d.Group, winsec.KeyRights)
				switch {
				case len(got) == 0:
				case slices.EqualFunc(got, want, winsec.SameACE):
					same++
				default:
					other++
				}
			}
			for s, err := range k.Subkeys() {
				if err != nil {
					return
				}
				walk(s, d)
			}
		}
		walk(h.Root(), nil)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d keys have what they inherit, %d differ", same, other)
	if same < 70_000 || other > 1_700 {
		t.Errorf("%d keys have what they inherit, %d differ", same, other)
	}
}
