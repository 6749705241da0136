package hostile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/wclayer"
	"github.com/mullion/mullion/wctransport"
	"github.com/mullion/mullion/wintar"
)

// form is one way to keep a layer that has a parent.
type form struct {
	name string
	// write returns a writer, and a function that opens the layer once it is committed.
	write func(t *testing.T) (layer.Writer, func() (layer.Reader, error), error)
}

// forms returns all ways. The parent is an empty base layer in each.
func forms(t *testing.T) []form {
	dir := t.TempDir()
	var count atomic.Int64
	next := func() string { return fmt.Sprintf("layer-%d", count.Add(1)) }
	base := filepath.Join(dir, "base")
	w, err := wclayer.Create(base, nil, wclayer.WithSync(wclayer.SyncNone))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	images := func(name string) cimlayer.Location {
		return cimlayer.Location{Images: filepath.Join(dir, "images"), Name: name + ".cim", Files: filepath.Join(dir, "files-"+name)}
	}
	if err := os.Mkdir(filepath.Join(dir, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	parent := []cimlayer.Location{images("base")}
	cw, err := cimlayer.Create(parent[0], nil, cimlayer.WithMissingHives(cimlayer.LeaveMissing))
	if err != nil {
		t.Fatal(err)
	}
	if err := cw.Commit(); err != nil {
		t.Fatal(err)
	}
	return []form{
		{"tar", func(*testing.T) (layer.Writer, func() (layer.Reader, error), error) {
			var b bytes.Buffer
			return wintar.NewWriter(&b), func() (layer.Reader, error) { return wintar.NewReader(bytes.NewReader(b.Bytes())), nil }, nil
		}},
		{"final directory", func(*testing.T) (layer.Writer, func() (layer.Reader, error), error) {
			path := filepath.Join(dir, next())
			w, err := wclayer.Create(path, []string{base}, wclayer.WithSync(wclayer.SyncNone))
			return w, func() (layer.Reader, error) { return wclayer.Open(path) }, err
		}},
		{"transport directory", func(*testing.T) (layer.Writer, func() (layer.Reader, error), error) {
			path := filepath.Join(dir, next())
			w, err := wctransport.Create(path, wctransport.WithSync(wctransport.SyncNone))
			return w, func() (layer.Reader, error) { return wclayer.Open(path) }, err
		}},
		{"image", func(*testing.T) (layer.Writer, func() (layer.Reader, error), error) {
			loc := images(next())
			w, err := cimlayer.Create(loc, parent, cimlayer.WithMissingHives(cimlayer.LeaveMissing), cimlayer.WithLossy(func(string, string) {}))
			return w, func() (layer.Reader, error) { return cimlayer.Open(loc, parent) }, err
		}},
	}
}

// pass writes the entries of a reader in a form. It returns a function that opens the
// result.
func pass(t *testing.T, f form, r layer.Reader) (func() (layer.Reader, error), error) {
	t.Helper()
	w, open, err := f.write(t)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err = layer.Copy(context.Background(), w, r); err == nil {
		err = w.Commit()
	}
	return open, err
}

// vocabulary are the errors with which a writer may refuse an entry.
var vocabulary = []error{
	layer.ErrUnsupported, layer.ErrWhiteout, layer.ErrNotDirectory, layer.ErrLinkTarget, layer.ErrCaseConflict, layer.ErrDuplicate, layer.ErrInvalidName, layer.ErrLimit,
	cimlayer.ErrHive,
}

// TestPairs: a layer that a writer accepts, its reader reads to the end, and the same
// writer and that of tars, which hold everything, accept it from there. Any other writer
// accepts it too, or returns an error of package layer for the part that its form cannot
// hold.
func TestPairs(t *testing.T) {
	all := forms(t)
	accepted := map[string]int{}
	for i, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy || c.Read == hostile.Refused {
			continue
		}
		b, err := c.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 64<<10 && os.Getenv("MULLION_LONG") != "1" {
			continue // a thousand directories say no more than ten here
		}
		// Images are made durable, which takes its time: they are tried with some of the cases,
		// and with all in TestHostile of package cimlayer.
		all := all
		if i%5 != 0 && os.Getenv("MULLION_LONG") != "1" {
			all = all[:len(all)-1]
		}
		for _, a := range all {
			open, err := pass(t, a, wintar.NewReader(bytes.NewReader(b)))
			if err != nil {
				continue // TestHostile of each form says whether it may
			}
			accepted[a.name]++
			for _, z := range all {
				r, err := open()
				if err != nil {
					t.Errorf("%s as %s: %v", c.Name, a.name, err)
					break
				}
				again, err := pass(t, z, r)
				if cerr := r.Close(); cerr != nil {
					t.Errorf("%s as %s: %v", c.Name, a.name, cerr)
				}
				must := z.name == "tar" || z.name == a.name
				known := false
				for _, v := range vocabulary {
					known = known || errors.Is(err, v)
				}
				if err != nil {
					if must || !known {
						t.Errorf("%s from %s to %s: %v", c.Name, a.name, z.name, err)
					}
					continue
				}
				if err := readAll(again); err != nil {
					t.Errorf("%s from %s to %s, read again: %v", c.Name, a.name, z.name, err)
				}
			}
		}
	}
	for _, f := range all {
		if accepted[f.name] < 10 {
			t.Errorf("only %d cases go through a %s", accepted[f.name], f.name)
		}
	}
	t.Logf("%v", accepted)
}

// readAll reads entries and streams to the end.
func readAll(open func() (layer.Reader, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = e.Defect
		}
		if err != nil {
			return err
		}
		for {
			_, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err == nil {
				_, err = io.Copy(io.Discard, struct{ io.Reader }{r})
			}
			if err != nil {
				return err
			}
		}
	}
}
