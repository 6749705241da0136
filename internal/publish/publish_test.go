package publish

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"
	"time"
)

// listed lists a folder.
func listed(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func write(t *testing.T, path, text string, force bool) error {
	t.Helper()
	f, err := Create(path, Options{Replace: force})
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Commit()
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := write(t, path, "one", false); err != nil {
		t.Fatal(err)
	}
	if err := write(t, path, "two", false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing file: %v", err)
	}
	if err := write(t, path, "three", true); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "three" {
		t.Errorf("holds %q", b)
	}
	f, err := Create(path, Options{Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("never")
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "three" {
		t.Errorf("holds %q", b)
	}
	if n := listed(t, dir); len(n) != 1 {
		t.Errorf("left %v", n)
	}
}

// A file that replaces another has its permissions, whatever the process's mask cuts
// off, and is nobody else's to read before.
func TestFilePermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are access lists there")
	}
	path := filepath.Join(t.TempDir(), "a")
	for _, mode := range []fs.FileMode{0o600, 0o666, 0o444, 0o640} {
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		f, err := Create(path, Options{Replace: true})
		if err != nil {
			t.Fatal(err)
		}
		if st, err := f.Stat(); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%o: %v while it is written", mode, st.Mode())
		}
		if err := errors.Join(f.Commit(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%o has become %v", mode, st.Mode())
		}
	}
	if os.Getuid() != 0 {
		return
	}
	if err := os.Chown(path, 12345, 54321); err != nil {
		t.Fatal(err)
	}
	if err := write(t, path, "x", true); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if sys := reflect.ValueOf(st.Sys()).Elem(); sys.FieldByName("Uid").Uint() != 12345 || sys.FieldByName("Gid").Uint() != 54321 {
		t.Errorf("owner is now %v:%v", sys.FieldByName("Uid"), sys.FieldByName("Gid"))
	}
}

// A file that appears while another is written is not replaced.
func TestFileAppears(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	f, err := Create(path, Options{Replace: false})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "theirs" {
		t.Errorf("holds %q", b)
	}
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "a"), Options{Replace: false})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Create(filepath.Join(dir, "a"), Options{Replace: true}); !errors.Is(err, ErrBusy) {
		t.Errorf("second writer of a file: %v", err)
	}
	d, err := CreateDir(filepath.Join(dir, "d"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := CreateDir(filepath.Join(dir, "d"), Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("second writer of a folder: %v", err)
	}
}

func TestDir(t *testing.T) {
	dir := t.TempDir()
	for _, empty := range []bool{false, true} { // an empty folder may stand there
		path := filepath.Join(dir, map[bool]string{false: "new", true: "empty"}[empty])
		if empty {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		d, err := CreateDir(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.Path(), "x"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Commit(), d.Close()); err != nil {
			t.Fatal(err)
		}
		if n := listed(t, path); len(n) != 1 || n[0] != "x" {
			t.Errorf("holds %v", n)
		}
		if _, err := CreateDir(path, Options{}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over a folder with something in it: %v", err)
		}
	}
	d, err := CreateDir(filepath.Join(dir, "gone"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(filepath.Join(d.Path(), "a", "b"), 0o755)
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if n := listed(t, dir); len(n) != 2 {
		t.Errorf("left %v", n)
	}
}

// A killed process leaves nothing under the final name, and the next run takes over
// what it left.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("PUBLISH_CHILD"); dir != "" {
		f, err := Create(filepath.Join(dir, "a"), Options{Replace: false})
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("half of it, longer than what comes next")
		d, err := CreateDir(filepath.Join(dir, "d"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(d.Path(), "half"), nil, 0o644)
		os.WriteFile(filepath.Join(dir, "ready"), nil, 0o644)
		time.Sleep(time.Minute)
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), "PUBLISH_CHILD="+dir)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	child.Process.Kill()
	child.Wait()
	os.Remove(filepath.Join(dir, "ready"))
	for _, name := range []string{"a", "d"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is visible", name)
		}
	}
	if err := write(t, filepath.Join(dir, "a"), "whole", false); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "a")); string(b) != "whole" {
		t.Errorf("holds %q", b)
	}
	d, err := CreateDir(filepath.Join(dir, "d"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Commit(), d.Close()); err != nil {
		t.Fatal(err)
	}
	if n := listed(t, filepath.Join(dir, "d")); len(n) != 0 {
		t.Errorf("folder holds %v", n)
	}
	if n := listed(t, dir); len(n) != 2 {
		t.Errorf("left %v", n)
	}
}
