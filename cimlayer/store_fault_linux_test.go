package cimlayer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/faulttest"
	"github.com/mullion/mullion/layer"
)

// A disk that fails at any moment while a layer is put into a store, under a name that is
// known before or only at the end: there is nothing of the layer afterwards, and the next
// attempt succeeds.
func TestStoreFaults(t *testing.T) {
	disk, mount := t.TempDir(), t.TempDir()
	f := faulttest.Mount(t, disk, mount)
	store, err := cimlayer.OpenStore(mount)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() }) // before the file system is unmounted
	id := func(n int) string { return fmt.Sprintf("sha256:%064x", n) }
	fill := func(w layer.Writer) error {
		for _, i := range []item{dir(`Files`), file(`Files\x`, "text")} {
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
	}
	hives := cimlayer.WithMissingHives(cimlayer.LeaveMissing)
	add := func() error {
		_, err := store.Add(t.Context(), id(1), nil, fill, hives)
		return err
	}
	computed := func() error {
		_, _, err := store.AddComputed(t.Context(), nil, func(w layer.Writer) (string, error) { return id(1), fill(w) }, hives)
		return err
	}
	left := func() (all []string) {
		for _, d := range []string{"cim-layers", "layers"} {
			list, err := os.ReadDir(filepath.Join(disk, d))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				all = append(all, filepath.Join(d, e.Name()))
			}
		}
		return all
	}
	for i, run := range []func() error{add, computed} {
		for range 2 { // the second time there are lock files
			f.Fail("", 0, 0)
			if err := run(); err != nil {
				t.Fatal(err)
			}
			if err := store.Remove(t.Context(), id(1)); err != nil {
				t.Fatal(err)
			}
		}
		done, _ := f.End()
		if len(done[faulttest.Fsync]) < 10 || len(done[faulttest.Rename]) < 5 || len(done[faulttest.Create]) < 10 {
			t.Errorf("only %v", done)
		}
		for op, files := range done {
			for at := range files {
				f.Fail(op, at+1, at+1)
				err := run()
				_, failed := f.End()
				what := fmt.Sprintf("way %d, %s", i, strings.Join(failed, ", "))
				switch l := left(); {
				case err == nil && op == faulttest.Write:
					// The system has cut a write in pieces and told that it was short, and
					// the rest has been written again.
				case !errors.Is(err, syscall.EIO):
					t.Errorf("%s: %v", what, err)
				case len(l) > 0:
					t.Errorf("%s: left %q", what, l)
				default:
					if err := run(); err != nil {
						t.Errorf("after %s: %v", what, err)
					}
				}
				findings, err := finding.Collect(cimfs.Check(context.Background(), filepath.Join(mount, "cim-layers"), strings.TrimPrefix(id(1), "sha256:")+".cim", cimfs.CheckOptions{}))
				if err != nil || len(findings) > 0 {
					t.Errorf("after %s: %v, %v", what, findings, err)
				}
				if err := store.Remove(t.Context(), id(1)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if l := left(); len(l) > 0 {
		t.Errorf("left %q", l)
	}
}
