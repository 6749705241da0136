package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// names lists a folder.
func names(t *testing.T, dir string) []string {
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
	f, err := Create(path, force)
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
	f, err := Create(path, true)
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
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("left %v", n)
	}
}

// A file that appears while another is written is not replaced.
func TestFileAppears(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	f, err := Create(path, false)
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
	f, err := Create(filepath.Join(dir, "a"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Create(filepath.Join(dir, "a"), true); !errors.Is(err, ErrBusy) {
		t.Errorf("second writer of a file: %v", err)
	}
	d, err := CreateDir(filepath.Join(dir, "d"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := CreateDir(filepath.Join(dir, "d")); !errors.Is(err, ErrBusy) {
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
		d, err := CreateDir(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.Path(), "x"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Commit(), d.Close()); err != nil {
			t.Fatal(err)
		}
		if n := names(t, path); len(n) != 1 || n[0] != "x" {
			t.Errorf("holds %v", n)
		}
		if _, err := CreateDir(path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over a folder with something in it: %v", err)
		}
	}
	d, err := CreateDir(filepath.Join(dir, "gone"))
	if err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(filepath.Join(d.Path(), "a", "b"), 0o755)
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if n := names(t, dir); len(n) != 2 {
		t.Errorf("left %v", n)
	}
}

// What must not be followed or replaced is not.
func TestTraps(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a")
	if err := os.Symlink("victim", filepath.Join(dir, TempName("a"))); err != nil {
		t.Skip(err)
	}
	if err := write(t, path, "x", false); err == nil {
		t.Error("wrote through a symbolic link under the temporary name")
	}
	if b, _ := os.ReadFile(victim); string(b) != "precious" {
		t.Errorf("victim holds %q", b)
	}
	if err := os.Symlink("victim", path); err != nil {
		t.Fatal(err)
	}
	if err := write(t, path, "x", true); err == nil {
		t.Error("replaced a symbolic link")
	}
	for _, bad := range []string{"", ".", "..", dir + "/none/a"} {
		if _, err := Create(bad, false); err == nil {
			t.Errorf("Create(%q) works", bad)
		}
		if _, err := CreateDir(bad); err == nil {
			t.Errorf("CreateDir(%q) works", bad)
		}
	}
}

// A killed process leaves nothing under the final name, and the next run takes over
// what it left.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("ATOMICFILE_CHILD"); dir != "" {
		f, err := Create(filepath.Join(dir, "a"), false)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("half of it, longer than what comes next")
		d, err := CreateDir(filepath.Join(dir, "d"))
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(d.Path(), "half"), nil, 0o644)
		os.WriteFile(filepath.Join(dir, "ready"), nil, 0o644)
		time.Sleep(time.Minute)
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), "ATOMICFILE_CHILD="+dir)
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
	d, err := CreateDir(filepath.Join(dir, "d"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Commit(), d.Close()); err != nil {
		t.Fatal(err)
	}
	if n := names(t, filepath.Join(dir, "d")); len(n) != 0 {
		t.Errorf("folder holds %v", n)
	}
	if n := names(t, dir); len(n) != 2 {
		t.Errorf("left %v", n)
	}
}

// A file that is replaced keeps to whom it was open, from the first byte on.
func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions come from the folder")
	}
	path := filepath.Join(t.TempDir(), "SAM")
	for _, mode := range []fs.FileMode{0o600, 0o640, 0o666} {
		if err := errors.Join(os.WriteFile(path, nil, 0o666), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		f, err := Create(path, true)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := f.Stat(); err != nil || info.Mode() != mode {
			t.Errorf("while it is written: %v, %v, want %v", info.Mode(), err, mode)
		}
		if err := errors.Join(f.Commit(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("replaced: %v, %v, want %v", info.Mode(), err, mode)
		}
	}
}
