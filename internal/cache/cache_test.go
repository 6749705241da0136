package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func openDir(t *testing.T, limit int64) *Dir {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "a", "cache"), limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// long returns the name of a file that the tests call by one letter.
func long(name string) string { return strings.Repeat("0", 64) + "-" + name + ".index" }

func put(t *testing.T, d *Dir, name, text string) {
	t.Helper()
	if err := d.Put(long(name), func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
		t.Fatal(err)
	}
}

// get returns the content of a file, "" if there is none.
func get(t *testing.T, d *Dir, name string) string {
	t.Helper()
	f, err := d.Get(long(name))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPutGet(t *testing.T) {
	d := openDir(t, 100)
	if got := get(t, d, "x"); got != "" {
		t.Errorf("got %q from an empty cache", got)
	}
	put(t, d, "x", "one")
	put(t, d, "x", "two")
	if got := get(t, d, "x"); got != "two" {
		t.Errorf("got %q", got)
	}
	broken := errors.New("broken")
	if err := d.Put(long("x"), func(w io.Writer) error { io.WriteString(w, "half"); return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if got := get(t, d, "x"); got != "two" {
		t.Errorf("got %q after a failure", got)
	}
	if n, size, err := d.Clear(); n != 1 || size != 3 || err != nil {
		t.Errorf("Clear: %d, %d, %v", n, size, err)
	}
	if list, err := d.Files(); len(list) != 0 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
}

// TestEvict: the file that was used last stays.
func TestEvict(t *testing.T) {
	d := openDir(t, 100)
	old := time.Now().Add(-time.Hour)
	for i := range 5 {
		name := fmt.Sprint(i)
		put(t, d, name, string(make([]byte, 20)))
		if err := d.root.Chtimes(long(name), old, old.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	get(t, d, "0") // records the use
	put(t, d, "5", string(make([]byte, 40)))
	var left string
	list, err := d.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		left += f.Name[len(long(""))-len(".index"):][:1]
	}
	if left != "045" { // 80 bytes: with 3 there would be no room for more
		t.Errorf("%s are left, want 045", left)
	}
	put(t, d, "6", string(make([]byte, 101)))
	if get(t, d, "6") != "" || get(t, d, "0") == "" {
		t.Error("a file beyond the limit is kept")
	}
}

// TestCountsSeldom: files are counted once for each sixteenth of the limit that is written, and
// what another process has written in between is found then.
func TestCountsSeldom(t *testing.T) {
	d := openDir(t, 1600)
	put(t, d, "a", "x")
	other := filepath.Join(d.Path(), long("b"))
	if err := os.WriteFile(other, make([]byte, 1600), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(other, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	put(t, d, "c", string(make([]byte, 100)))
	if _, err := os.Stat(other); err != nil {
		t.Errorf("counted after 100 bytes of 1600: %v", err)
	}
	put(t, d, "e", "x")
	if _, err := os.Stat(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not counted after 101 bytes of 1600: %v", err)
	}
	if get(t, d, "a") == "" || get(t, d, "c") == "" || get(t, d, "e") == "" {
		t.Error("files within the limit are gone")
	}
}

// TestForeign: what other users can open is not used, and nobody else is let in.
func TestForeign(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the mode of a file does not say who may open it")
	}
	d := openDir(t, 100)
	put(t, d, "x", "one")
	info, err := os.Stat(filepath.Join(d.Path(), long("x")))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	at := filepath.Join(d.Path(), long("x"))
	for what, spoil := range map[string]func() error{
		"readable": func() error { return os.Chmod(at, 0o644) },
		"a link": func() error {
			return errors.Join(os.Rename(at, at+"y"), os.Symlink(long("x")+"y", at))
		},
		"a second name": func() error { return os.Link(at, at+"z") },
	} {
		put(t, d, "x", "one")
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if got := get(t, d, "x"); got != "" {
			t.Errorf("%s: got %q", what, got)
		}
		put(t, d, "x", "again")
		if info, err := os.Lstat(at); err != nil || info.Mode() != 0o600 || get(t, d, "x") != "again" {
			t.Errorf("%s: %v, %v", what, info.Mode(), err)
		}
	}
	if err := os.Chmod(d.Path(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(d.Path(), 100); !errors.Is(err, ErrForeign) {
		t.Errorf("a directory that others may read: %v", err)
	}
}

// TestConcurrent: readers find complete files, whoever writes at the same time.
func TestConcurrent(t *testing.T) {
	d := openDir(t, 1<<20)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			other, err := Open(d.Path(), 1<<20)
			if err != nil {
				t.Error(err)
				return
			}
			defer other.Close()
			for range 20 {
				text := bytes.Repeat([]byte{byte('a' + i)}, 5000)
				if err := other.Put(long("x"), func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
					t.Error(err)
				}
				if got := get(t, other, "x"); len(got) != 5000 || got != string(bytes.Repeat([]byte{got[0]}, 5000)) {
					t.Errorf("%d bytes", len(got))
				}
			}
		})
	}
	group.Wait()
}

// TestOthers: a directory that was named by mistake keeps what is in it.
func TestOthers(t *testing.T) {
	d := openDir(t, 100)
	digits := strings.Repeat("0123456789abcdef", 4)
	others := []string{
		"thesis.doc", ".profile", "book.index", "a-b.answer", "dump-1.index", digits, digits + ".index", digits[1:] + "-0.index",
		digits + "-0.index.bak", digits + "-0_.index", digits[1:] + "A-0.index", digits + "0-.answer",
	}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(d.Path(), name), make([]byte, 200), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.Put(name, func(io.Writer) error { return nil }); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	put(t, d, "x", "one")
	put(t, d, "y", "two")
	if get(t, d, "x") != "one" || get(t, d, "y") != "two" {
		t.Error("other files count")
	}
	if list, err := d.Files(); len(list) != 2 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	if n, size, err := d.Clear(); n != 2 || size != 6 || err != nil {
		t.Errorf("Clear: %d, %d, %v", n, size, err)
	}
	for _, name := range others {
		if info, err := os.Stat(filepath.Join(d.Path(), name)); err != nil || info.Size() != 200 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
