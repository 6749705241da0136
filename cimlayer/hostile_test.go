package cimlayer_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// TestHostile writes every archive of the corpus as a base layer and on top of an
// empty one: refused or not as the corpus says, with an error that names the entry,
// and nothing left behind of what was refused.
func TestHostile(t *testing.T) {
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			b, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			loc := func(name string) cimlayer.Location {
				return cimlayer.Location{Images: dir, Name: name + ".cim", Files: filepath.Join(dir, name)}
			}
			write := func(l cimlayer.Location, parents []cimlayer.Location, tar []byte) error {
				w, err := cimlayer.Create(l, parents, cimlayer.WithMissingHives(cimlayer.LeaveMissing), cimlayer.WithLossy(func(string, string) {}))
				if err != nil {
					return err
				}
				defer w.Close()
				if _, err := layer.Copy(context.Background(), w, wintar.NewReader(bytes.NewReader(tar))); err != nil {
					return err
				}
				return w.Commit()
			}
			if err := write(loc("parent"), nil, make([]byte, 1024)); err != nil {
				t.Fatal(err)
			}
			before := list(t, dir)
			for _, base := range []bool{true, false} {
				l, parents := loc("fork"), []cimlayer.Location{loc("parent")}
				if base {
					l, parents = loc("base"), nil
				}
				err := write(l, parents, b)
				switch {
				case err == nil && c.Unpack == hostile.Refused:
					t.Errorf("base %v: %s is accepted", base, c.What)
				case err != nil && c.Unpack == hostile.Accepted && !(base && errors.Is(err, layer.ErrWhiteout)):
					t.Errorf("base %v: %s is refused: %v", base, c.What, err)
				case err != nil && !names(err, c.Entry):
					t.Errorf("base %v: the error does not name the entry: %v", base, err)
				}
				if err == nil {
					im, err := cimfs.Open(l.Images, l.Name)
					if err != nil {
						t.Fatal(err)
					}
					if found, err := finding.Collect(im.Check(context.Background(), cimfs.CheckOptions{})); err != nil || len(found) > 0 {
						t.Errorf("base %v: %v, %v", base, found, err)
					}
					im.Close()
					if err := l.Remove(); err != nil {
						t.Fatal(err)
					}
				}
				if after := list(t, dir); after != before {
					t.Errorf("base %v: left behind:\n%s\nbefore:\n%s", base, after, before)
				}
			}
		})
	}
}

// names reports whether an error says at which entry it happened. The evil name of
// a case may be that of a link's target only, when the entry is a harmless one.
func names(err error, evil string) bool {
	var placed *layer.Error
	return strings.Contains(winfs.Fold(err.Error()), winfs.Fold(evil)) || errors.As(err, &placed) && placed.Entry != ""
}

// list returns the names in a directory.
func list(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, "\n")
}
