package image_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wclayer"
)

// contentsOf is everything below a directory: names, permissions and contents.
func contentsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			text += string(b)
		}
		all[p] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// swap is another process with the right to rename in place: again and again it puts a
// link to victim where a directory of that name was, and mostly the directory back. It
// returns how often, when stop is set. Of any name, "", one is swapped at least.
func swap(place, victim, target string, stop *atomic.Bool) int {
	swaps := 0
	for round := 0; !stop.Load() || target == "" && swaps == 0 && round < 1000; round++ {
		var dirs []string
		filepath.WalkDir(place, func(p string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() && p != place && (target == "" || e.Name() == target) {
				dirs = append(dirs, p)
			}
			return nil
		})
		for i, d := range dirs {
			// A link that replaces a directory above would lead to the victim: the rename
			// would then be this test's own damage.
			if real, err := filepath.EvalSymlinks(filepath.Dir(d)); err != nil || real != filepath.Dir(d) {
				continue
			}
			away := filepath.Join(place, fmt.Sprintf("away-%d-%d", round, i))
			if os.Rename(d, away) != nil {
				continue
			}
			if os.Symlink(victim, d) == nil {
				swaps++
			}
			runtime.Gosched()
			if (round+i)%8 > 0 && os.Remove(d) == nil {
				os.Rename(away, d)
			}
		}
		runtime.Gosched()
	}
	return swaps
}

// Whoever may rename directories in the place where an image is unpacked can spoil the
// result, and cannot have anything written, changed or removed elsewhere.
func TestUnpackRaces(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open directory cannot be renamed there")
	}
	base := append(hiveEntries(t), entry{kind: layer.Dir, path: `UtilityVM`}, entry{kind: layer.Dir, path: `UtilityVM\Files`})
	change := []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.Dir, path: `UtilityVM`}, {kind: layer.Dir, path: `UtilityVM\Files`}}
	for i := range 12 {
		d := fmt.Sprintf(`UtilityVM\Files\d%d`, i)
		base = append(base, entry{kind: layer.Dir, path: d}, entry{kind: layer.File, path: d + `\data`, data: "base"})
		change = append(change, entry{kind: layer.Dir, path: d}, entry{kind: layer.File, path: d + `\new`, data: "new"},
			entry{kind: layer.File, path: fmt.Sprintf(`Files\f%d`, i), data: "file"})
	}
	source := layout(t, gzipped(base, change)(t))
	victim := t.TempDir()
	for _, p := range []string{"data", "d1/data", "Files/data", "Files/d1/data", "UtilityVM/Files/d2/data", "tree/Files/data", "Hives/SAM_BASE", ".mullion-lock", "region_x", "oci-layout"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(victim, p)), 0o755), os.WriteFile(filepath.Join(victim, p), []byte("precious"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	before := contentsOf(t, victim)
	for name, unpack := range map[string]func(place string) error{
		"layer directories": func(place string) error {
			_, err := openLayout(t, source).Unpack(t.Context(), filepath.Join(place, "out"), func(root *os.Root, name string, parents []string) (layer.Writer, error) {
				return wclayer.CreateIn(root, name, parents, wclayer.WithSync(wclayer.SyncNone))
			})
			return err
		},
		"store": func(place string) error {
			store, err := cimlayer.OpenStore(filepath.Join(place, "store"))
			if err != nil {
				return err
			}
			defer store.Close()
			_, err = openLayout(t, source).UnpackStore(t.Context(), store)
			return err
		},
	} {
		spoilt, swaps := 0, 0
		targets := []string{"", "UtilityVM", "Files", "d1", "d7", "Hives", "config", "tree", "cim-layers", "layers", "locks", "store"}
		for _, target := range targets {
			place, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			var stop atomic.Bool
			var wg sync.WaitGroup
			wg.Go(func() { swaps += swap(place, victim, target, &stop) })
			if unpack(place) != nil {
				spoilt++
			}
			stop.Store(true)
			wg.Wait()
			if after := contentsOf(t, victim); !maps.Equal(before, after) {
				for p, text := range after {
					if before[p] != text {
						t.Errorf("%s: the victim has %s, %.40q", name, p, text)
					}
				}
				t.Fatalf("%s: the victim has %d entries, and had %d", name, len(after), len(before))
			}
		}
		if swaps == 0 {
			t.Errorf("%s: nothing was swapped", name)
		}
		t.Logf("%s: %d swaps spoilt %d of %d", name, swaps, spoilt, len(targets))
	}
}
