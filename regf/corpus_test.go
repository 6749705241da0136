package regf

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// genuine is one row of the corpus manifest.
type genuine struct {
	name     string
	path     string
	keys     int
	values   int
	features string
}

// corpus returns the hives of the manifest, logs left out.
func corpus(t testing.TB) []genuine {
	t.Helper()
	manifest := testenv.Corpus(t, "hives", "manifest.tsv")
	f, err := os.Open(manifest)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []genuine
	s := bufio.NewScanner(f)
	for s.Scan() {
		col := strings.Split(s.Text(), "\t")
		if len(col) < 12 || col[0] == "file" || strings.HasPrefix(col[11], "log ") {
			continue
		}
		g := genuine{name: col[0], path: filepath.Join(filepath.Dir(manifest), filepath.FromSlash(col[0])), features: col[11]}
		g.keys, _ = strconv.Atoi(col[5])
		g.values, _ = strconv.Atoi(col[6])
		list = append(list, g)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if len(list) < 30 {
		t.Fatalf("manifest lists %d hives only", len(list))
	}
	return list
}

func (g genuine) damaged() bool { return strings.Contains(g.features, "ERR(") }
func (g genuine) dirty() bool   { return strings.Contains(g.features, "DIRTY") }

// count walks a hive and reads everything.
func count(h *Hive) (keys, values int, err error) {
	for k, err := range h.Root().Walk() {
		if err != nil {
			return keys, values, err
		}
		keys++
		if _, err := k.ClassBytes(); err != nil && h.Mode() == Strict {
			return keys, values, err
		}
		if _, err := k.Security(); err != nil && h.Mode() == Strict {
			return keys, values, err
		}
		for v, err := range k.Values() {
			if err != nil {
				return keys, values, err
			}
			values++
			if _, err := v.Data(); err != nil && h.Mode() == Strict {
				return keys, values, err
			}
		}
	}
	return keys, values, nil
}

func TestCorpusCounts(t *testing.T) {
	for _, g := range corpus(t) {
		t.Run(g.name, func(t *testing.T) {
			for _, mode := range []Mode{Strict, Report, Salvage} {
				h, err := Open(g.path, &Options{Mode: mode})
				if g.dirty() != (err != nil && h == nil) && !g.damaged() {
					t.Fatalf("%v: opening a hive that is dirty=%v: %v", mode, g.dirty(), err)
				}
				if h == nil {
					h, err = Open(g.path, &Options{Mode: mode, AllowDirty: true})
				}
				if err != nil {
					if mode == Strict && g.damaged() {
						continue
					}
					t.Fatal(mode, err)
				}
				defer h.Close()
				keys, values, err := count(h)
				if mode == Strict && g.damaged() {
					if err == nil {
						t.Errorf("strict reading of a damaged hive finds nothing")
					}
					continue
				}
				if err != nil {
					t.Fatal(mode, err)
				}
				if keys != g.keys || values != g.values {
					t.Errorf("%v: %d keys and %d values, want %d and %d", mode, keys, values, g.keys, g.values)
				}
				if found := h.Findings(); (len(found) != 0) != (g.damaged() && mode != Strict) {
					t.Errorf("%v: findings %v", mode, found)
				}
			}
		})
	}
}
