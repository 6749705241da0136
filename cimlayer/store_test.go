package cimlayer_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
)

// A chain that cannot be one is refused before anything is read or written: a parent
// that is not there, the layer among its own parents, a parent twice.
func TestStoreRefusesChains(t *testing.T) {
	store, err := cimlayer.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	id := func(n int) string { return fmt.Sprintf("sha256:%064x", n) }
	add := func(chain string, parents ...string) error {
		_, err := store.Add(t.Context(), chain, parents, func(w layer.Writer) error {
			for _, i := range []item{dir(`Files`), file(`Files\`+chain[len(chain)-1:], "x")} {
				if err := w.Add(&i.Entry); err != nil {
					return err
				}
				for _, s := range i.streams {
					if err := w.AddStream(&layer.Stream{Size: int64(len(s.data))}); err != nil {
						return err
					}
					if _, err := w.Write([]byte(s.data)); err != nil {
						return err
					}
				}
			}
			return nil
		}, cimlayer.WithMissingHives(cimlayer.CreateMissing))
		return err
	}
	if err := add(id(1)); err != nil {
		t.Fatal(err)
	}
	if err := add(id(2), id(1)); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		var names []string
		for _, d := range []string{"cim-layers", "layers"} {
			list, err := os.ReadDir(filepath.Join(store.Dir(), d))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				names = append(names, e.Name())
			}
		}
		return strings.Join(names, " ")
	}
	before := state()
	for name, c := range map[string]struct {
		parents []string
		missing bool
	}{
		"base that is not there":   {[]string{id(7), id(1)}, true},
		"parent that is not there": {[]string{id(1), id(7)}, true},
		"its own parent":           {[]string{id(3)}, false},
		"its own base":             {[]string{id(3), id(1), id(2)}, false},
		"a parent twice":           {[]string{id(2), id(1), id(2)}, false},
	} {
		err := add(id(3), c.parents...)
		if !errors.Is(err, cimlayer.ErrChain) || errors.Is(err, fs.ErrNotExist) != c.missing {
			t.Errorf("%s: %v", name, err)
		}
		if got := state(); got != before {
			t.Errorf("%s: there is %s", name, got)
		}
	}
	if err := add(id(3), id(1), id(2)); err != nil {
		t.Error(err)
	}
}
