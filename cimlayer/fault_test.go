package cimlayer_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
)

var errInjected = errors.New("injected")

// Whatever operation fails, there is no layer afterwards, its parents are as they
// were, and the next attempt succeeds.
func TestFaults(t *testing.T) {
	p := newPlace(t)
	base := baseItems(t)
	base[len(base)-1].streams = append(base[len(base)-1].streams, stream{name: "s", data: "an alternate stream"})
	for i := range base { // a hive with an alternate stream has to be spooled
		if base[i].Path == hives.System.Path(hives.Config) {
			base[i].streams = append(base[i].streams, stream{name: "s", data: "of a hive"})
		}
	}
	d := delta(t, minimal(t, hives.System), setText(`ControlSet001\Services\New`, "Name", "value"))
	app := []item{dir(`Files`), file(`Files\new`, "new"), dir(`Hives`), file(`Hives\System_Delta`, d)}
	for _, c := range []struct {
		name    string
		parents []string
		items   []item
		least   int
	}{{"base", nil, base, 30}, {"app", []string{"base"}, app, 8}} {
		before := p.snapshot()
		steps := 0
		for n := 1; ; n++ {
			count := 0
			var failed string
			err := p.write(c.name, c.parents, c.items, cimlayer.WithHook(func(op, name string) error {
				if count++; count == n {
					failed = op + " " + name
					return errInjected
				}
				return nil
			}))
			if err == nil {
				steps = n - 1
				break
			}
			if !errors.Is(err, errInjected) {
				t.Fatalf("%s, %s: %v", c.name, failed, err)
			}
			if got := p.snapshot(); !maps.Equal(got, before) {
				t.Fatalf("%s, %s: the place is not as it was: %v", c.name, failed, difference(before, got))
			}
			if _, err := os.Stat(p.at(c.name).Files); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("%s, %s: the directory is there: %v", c.name, failed, err)
			}
			left, err := filepath.Glob(filepath.Join(p.dir, ".*"))
			if err != nil || len(left) > 0 {
				t.Fatalf("%s, %s: left %v, %v", c.name, failed, left, err)
			}
		}
		if steps < c.least {
			t.Errorf("%s: only %d operations", c.name, steps)
		}
		for name, sum := range before {
			if p.snapshot()[name] != sum {
				t.Errorf("%s: %s was changed", c.name, name)
			}
		}
	}
	if got, err := p.content("app", hives.System.Path(hives.Base)); err != nil || !hasValue(t, got, `ControlSet001\Services\New`, "Name") {
		t.Errorf("the merged hive: %v", err)
	}
}

// difference lists files that only one of two snapshots has, or that differ.
func difference(a, b map[string]string) string {
	var list []string
	for n, s := range a {
		if b[n] != s {
			list = append(list, n)
		}
	}
	for n := range b {
		if _, ok := a[n]; !ok {
			list = append(list, n)
		}
	}
	return strings.Join(list, ", ")
}
