package wintar

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/layer"
)

// withHook has every operation of Create's file ask before it is done.
func withHook(hook func(op, name string) error) Option { return func(o *options) { o.hook = hook } }

var errInjected = errors.New("injected")

// writeFaulty writes a layer that takes several writes to the file.
func writeFaulty(path string, data []byte, opts ...Option) (err error) {
	w, err := Create(path, opts...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close(), w.Close()) }()
	for i := range 4 {
		name := fmt.Sprintf(`Files\%d`, i)
		if err := w.Add(&layer.Entry{Path: name, Kind: layer.File, Size: int64(len(data))}); err != nil {
			return err
		}
		if err := w.AddStream(&layer.Stream{Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return w.Commit()
}

// content reads a folder: name and bytes of every file.
func content(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, e := range list {
		if e.IsDir() { // left by a writer that cannot remove it
			all[e.Name()] = nil
			continue
		}
		if all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Every operation on the file fails once. Then there is nothing under the final name, or
// the former file, and no leftover, unless removing it has failed: then the next writer
// removes it.
func TestCreateFaults(t *testing.T) {
	data := make([]byte, writerBuffer)
	rand.NewChaCha8([32]byte{}).Read(data)
	whole := filepath.Join(t.TempDir(), "layer.tar")
	if err := writeFaulty(whole, data); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	old := []byte("what was there before")
	for _, replace := range []bool{false, true} {
		seen := map[string]int{}
		for n := 0; ; n++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "layer.tar")
			var opts []Option
			if replace {
				opts = append(opts, Overwrite())
				if err := os.WriteFile(path, old, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			count, failed := 0, ""
			err := writeFaulty(path, data, append(opts, withHook(func(op, _ string) error {
				if count++; count == n+1 {
					failed = op
					return fmt.Errorf("%s: %w", op, errInjected)
				}
				return nil
			}))...)
			if failed == "" {
				if err != nil || !bytes.Equal(content(t, dir)["layer.tar"], want) {
					t.Fatalf("without a fault: %v", err)
				}
				break
			}
			seen[failed]++
			done := err == nil && (failed == "link" || failed == "remove") // renaming does it too, and the next writer removes
			if !done && !errors.Is(err, errInjected) {
				t.Errorf("operation %d, %s: %v", n, failed, err)
			}
			got := content(t, dir)
			final, ok := got["layer.tar"]
			switch {
			case (failed == "syncdir" || failed == "close") && replace, done:
				if !bytes.Equal(final, want) {
					t.Errorf("operation %d, %s: %d bytes under the final name, want all %d", n, failed, len(final), len(want))
				}
			case replace && !bytes.Equal(final, old), !replace && ok:
				t.Errorf("operation %d, %s: %d bytes under the final name", n, failed, len(final))
			}
			delete(got, "layer.tar")
			if len(got) > 0 && failed != "remove" {
				t.Errorf("operation %d, %s leaves %d files", n, failed, len(got))
			}
			// The next writer finds nothing in its way.
			if done {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			if err := writeFaulty(path, data, opts...); err != nil {
				t.Errorf("after operation %d, %s: %v", n, failed, err)
			}
			if got := content(t, dir); len(got) != 1 || !bytes.Equal(got["layer.tar"], want) {
				t.Errorf("after operation %d, %s: %d files, or other bytes", n, failed, len(got))
			}
		}
		move := "link"
		if replace {
			move = "rename"
		}
		for _, op := range []string{"stat", "remove", "mkdir", "create", "write", "sync", "close", move, "syncdir"} {
			if seen[op] == 0 {
				t.Errorf("%s never failed", op)
			}
		}
		if seen["write"] < 4 {
			t.Errorf("only %d writes", seen["write"])
		}
	}
}

// The disk can fail in the cleaning up, too: two faults, at any two places.
func TestCreateTwoFaults(t *testing.T) {
	data := make([]byte, 2000)
	for first := range 14 {
		for second := first + 1; second < 16; second++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "layer.tar")
			count, failed := 0, 0
			err := writeFaulty(path, data, withHook(func(_, _ string) error {
				if count++; count == first+1 || count == second+1 {
					failed++
					return errInjected
				}
				return nil
			}))
			if _, there := content(t, dir)["layer.tar"]; failed > 0 && err == nil && !there {
				t.Errorf("faults %d and %d: no error and no file", first, second)
			}
			if err := writeFaulty(path, data, Overwrite()); err != nil {
				t.Errorf("after faults %d and %d: %v", first, second, err)
			}
			if got := content(t, dir); len(got) != 1 {
				t.Errorf("after faults %d and %d: %d files", first, second, len(got))
			}
		}
	}
}
