package wclayer_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/wclayer"
	"github.com/mullion/mullion/wctransport"
	"github.com/mullion/mullion/wintar"
)

// TestHostile writes every archive of the corpus as a final and as a transport
// directory: refused or not as the corpus says, with an error that names the
// entry, and nothing anywhere but at the destination.
func TestHostile(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	w, err := wclayer.Create(parent, nil, wclayer.WithSync(wclayer.SyncNone))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		n++
		t.Run(c.Name, func(t *testing.T) {
			b, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			out := filepath.Join(dir, "out")
			w, err := wclayer.Create(out, []string{parent}, wclayer.WithSync(wclayer.SyncNone))
			if err != nil {
				t.Fatal(err)
			}
			err = apply(w, b)
			switch {
			case err == nil && c.Unpack == hostile.Refused:
				t.Errorf("%s is accepted", c.What)
			case err != nil && c.Unpack == hostile.Accepted:
				t.Errorf("%s is refused: %v", c.What, err)
			case err != nil && !names(err, c.Entry):
				t.Errorf("the error does not name the entry: %v", err)
			}
			only(t, dir, out, err == nil)
			if err == nil {
				rereadable(t, out)
			}
			out = filepath.Join(dir, "transport")
			tw, err := wctransport.Create(out, wctransport.WithSync(wctransport.SyncNone))
			if err != nil {
				t.Fatal(err)
			}
			// The form refuses more than the corpus says.
			if err := apply(tw, b); err == nil {
				if c.Read == hostile.Refused {
					t.Errorf("%s is accepted in a transport directory", c.What)
				}
				rereadable(t, out)
			} else if !names(err, c.Entry) {
				t.Errorf("the error does not name the entry: %v", err)
			}
		})
	}
	if n < 100 {
		t.Errorf("only %d cases", n)
	}
}

// names reports whether an error says at which entry it happened. The evil name of
// a case may be that of a link's target only, when the entry is a harmless one.
func names(err error, evil string) bool {
	var placed *layer.Error
	return strings.Contains(strings.ToLower(err.Error()), evil) || errors.As(err, &placed) && placed.Entry != ""
}

func apply(w layer.Writer, tar []byte) error {
	defer w.Close()
	if _, err := layer.Copy(context.Background(), w, wintar.NewReader(strings.NewReader(string(tar)))); err != nil {
		return err
	}
	return w.Commit()
}

// only checks that dir holds nothing but out, or nothing at all, and no link of
// the host anywhere.
func only(t *testing.T, dir, out string, published bool) {
	t.Helper()
	filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			if !strings.Contains(err.Error(), "too long") { // deeper than a path of the host reaches
				t.Error(err)
			}
			return nil
		}
		if p != dir && !(published && (p == out || strings.HasPrefix(p, out+string(filepath.Separator)))) {
			t.Errorf("left behind: %s", p)
		}
		if !e.IsDir() && !e.Type().IsRegular() {
			t.Errorf("%s is %v", p, e.Type())
		}
		return nil
	})
}

func rereadable(t *testing.T, dir string) {
	t.Helper()
	r, err := wclayer.Open(dir)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	for {
		_, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Errorf("reading it again: %v", err)
			return
		}
		for {
			_, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Errorf("reading it again: %v", err)
				return
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("reading it again: %v", err)
				return
			}
		}
	}
}
