package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// snapshot is everything below a directory: names, kinds, permissions and contents.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if rel == "." {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			text += " " + string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(p)
			text += " -> " + to
		}
		all[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// shapes publishes one of each kind at dir/NAME.
var shapes = []struct {
	name string
	run  func(dir string) error
}{
	{"file", func(dir string) error {
		f, err := Create(filepath.Join(dir, "N"), Options{})
		if err != nil {
			return err
		}
		_, err = f.WriteString("mine")
		return errors.Join(err, f.Commit(), f.Close())
	}},
	{"replaced file", func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "N"), []byte("old"), 0o600); err != nil {
			return err
		}
		f, err := Create(filepath.Join(dir, "N"), Options{Replace: true})
		if err != nil {
			return err
		}
		_, err = f.WriteString("mine")
		return errors.Join(err, f.Commit(), f.Close())
	}},
	{"directory", func(dir string) error {
		d, err := CreateDir(filepath.Join(dir, "N"), Options{})
		if err != nil {
			return err
		}
		return errors.Join(d.Root().WriteFile("x", []byte("mine"), 0o600), d.Commit(), d.Close())
	}},
	{"set", func(dir string) error {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		s, err := OpenSet(root, "N", Options{})
		if err != nil {
			return err
		}
		defer s.Close()
		f, err := s.Create("x", 0o600)
		if err != nil {
			return err
		}
		_, err = f.WriteString("mine")
		return errors.Join(err, f.Close(), s.Publish("x", "N"), SyncDir(root), s.Close())
	}},
}

// Somebody has planted every kind of entry under names that this package uses or has
// used. None is followed, written to, emptied or taken over.
func TestPlanted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the traps are those of Unix")
	}
	const leftover = ".N.mullion-tmp-0123456789abcdef"
	inside := func(dir, name string) string { return filepath.Join(dir, name) }
	traps := map[string]func(dir, at string) error{
		"link to a directory": func(dir, at string) error { return os.Symlink("victim", at) },
		"link to a file":      func(dir, at string) error { return os.Symlink("victim/data", at) },
		"dangling link":       func(dir, at string) error { return os.Symlink("nothing", at) },
		"hard link":           func(dir, at string) error { return os.Link(inside(dir, "victim/data"), at) },
		"file":                func(dir, at string) error { return os.WriteFile(at, []byte("theirs"), 0o644) },
		"directory that was moved there": func(dir, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), os.WriteFile(inside(at, "data"), []byte("precious"), 0o600))
		},
		"directory that others can write": func(dir, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), os.WriteFile(inside(at, lockName), nil, 0o600),
				os.WriteFile(inside(at, "data"), []byte("precious"), 0o600), os.Chmod(at, 0o777))
		},
		"directory with a link as its lock": func(dir, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), os.Symlink("../victim/data", inside(at, lockName)), os.WriteFile(inside(at, "data"), []byte("precious"), 0o600))
		},
		"directory with a second name of a file as its lock": func(dir, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), os.Link(inside(dir, "victim/data"), inside(at, lockName)), os.WriteFile(inside(at, "data"), []byte("precious"), 0o600))
		},
	}
	if os.Getuid() == 0 {
		traps["directory of another user"] = func(dir, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), os.WriteFile(inside(at, lockName), nil, 0o600), os.WriteFile(inside(at, "data"), []byte("theirs"), 0o600), os.Chown(at, 65534, 65534))
		}
		traps["lock of another user"] = func(dir, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), os.WriteFile(inside(at, lockName), nil, 0o600), os.Chown(inside(at, lockName), 65534, 65534))
		}
	}
	for name, plant := range traps {
		for _, at := range []string{leftover, ".N.mullion-tmp", ".mullion-partial-N"} {
			for _, shape := range shapes {
				dir := t.TempDir()
				if err := errors.Join(os.Mkdir(inside(dir, "victim"), 0o700), os.WriteFile(inside(dir, "victim/data"), []byte("precious"), 0o600)); err != nil {
					t.Fatal(err)
				}
				if err := plant(dir, inside(dir, at)); err != nil {
					t.Fatal(err)
				}
				before := snapshot(t, dir)
				if err := shape.run(dir); err != nil {
					t.Errorf("%s at %s, %s: %v", name, at, shape.name, err)
				}
				after := snapshot(t, dir)
				if after["N"] == "" {
					t.Errorf("%s at %s, %s: nothing was published", name, at, shape.name)
				}
				delete(after, "N")
				delete(after, "N/x")
				if !maps.Equal(before, after) {
					t.Errorf("%s at %s, %s: before %v, after %v", name, at, shape.name, before, after)
				}
			}
		}
	}
}

// What a killed writer has left is cleared away by a writer of any name, and not while
// its writer lives.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	long := strings.Repeat("x", 255)
	for _, name := range []string{"N", "other", long} {
		s, err := OpenSet(root, name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Root().Mkdir("d", 0o700), s.Root().WriteFile("d/f", []byte("half"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if err := Sweep(root, Options{}); err != nil {
			t.Fatal(err)
		}
		if n := listed(t, dir); len(n) != 1 {
			t.Errorf("%.10s: %v while its writer lives", name, n)
		}
		s.s.lock.Close() // as the system does for a process that dies
		if err := Sweep(root, Options{Kind: "other"}); err != nil {
			t.Fatal(err)
		}
		if n := listed(t, dir); len(n) != 1 {
			t.Errorf("%.10s: %v after somebody else's sweep", name, n)
		}
		if err := shapes[0].run(dir); err != nil {
			t.Fatal(err)
		}
		if n := listed(t, dir); len(n) != 1 || n[0] != "N" {
			t.Errorf("%.10s: left %v", name, n)
		}
		os.Remove(filepath.Join(dir, "N"))
	}
	// An empty folder, whose writer died before it had a lock.
	if err := os.Mkdir(filepath.Join(dir, ".N.mullion-tmp-0123456789abcdef"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(root, Options{}); err != nil {
		t.Fatal(err)
	}
	if n := listed(t, dir); len(n) != 0 {
		t.Errorf("left %v", n)
	}
}

// Undo is asked before a leftover goes, and can keep it.
func TestUndo(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	o := Options{Kind: "k"}
	s, err := OpenSet(root, "N", o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Root().WriteFile("mark", []byte("m"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.s.lock.Close()
	no := errors.New("no")
	calls := 0
	o.Undo = func(parent, private *os.Root, name string) error {
		calls++
		if b, err := private.ReadFile("mark"); err != nil || string(b) != "m" || name != s.Name() {
			t.Errorf("%q, %v in %s", b, err, name)
		}
		if calls == 1 {
			return no
		}
		return nil
	}
	if err := Sweep(root, o); !errors.Is(err, no) {
		t.Errorf("refused: %v", err)
	}
	if n := listed(t, dir); len(n) != 1 || n[0] != s.Name() {
		t.Errorf("refused: %v", n)
	}
	if err := Sweep(root, o); err != nil || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
	if n := listed(t, dir); len(n) != 0 {
		t.Errorf("left %v", n)
	}
}

// Somebody who may rename in the destination's directory replaces the private folder by
// a link at every single step. Whatever becomes of the writer, nothing is written to or
// removed from where the link leads.
func TestReplacedWhileWritten(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open directory cannot be renamed there")
	}
	for _, shape := range []func(dir string) error{
		func(dir string) error {
			f, err := Create(filepath.Join(dir, "N"), Options{})
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := f.Write([]byte("mine")); err != nil {
				return err
			}
			return f.Commit()
		},
		func(dir string) error {
			d, err := CreateDir(filepath.Join(dir, "N"), Options{})
			if err != nil {
				return err
			}
			defer d.Close()
			if err := d.Root().WriteFile("x", []byte("mine"), 0o600); err != nil {
				return err
			}
			return d.Commit()
		},
	} {
		for n := 1; ; n++ {
			dir := t.TempDir()
			victim := filepath.Join(dir, "victim")
			for _, f := range []string{fileName, treeName + "/x", lockName} {
				if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(victim, f)), 0o700), os.WriteFile(filepath.Join(victim, f), []byte("precious"), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			before := snapshot(t, victim)
			steps, at := 0, ""
			Inject(t, func(op, name string) error {
				if steps++; steps != n {
					return nil
				}
				at = op + " " + name
				for _, e := range listed(t, dir) {
					if IsTemp(e, "") {
						if err := errors.Join(os.Rename(filepath.Join(dir, e), filepath.Join(dir, "moved")), os.Symlink("victim", filepath.Join(dir, e))); err != nil {
							t.Fatal(err)
						}
					}
				}
				return nil
			})
			err := shape(dir)
			if steps < n {
				if err != nil || n < 8 {
					t.Errorf("%d steps: %v", steps, err)
				}
				break
			}
			if after := snapshot(t, victim); !maps.Equal(before, after) {
				t.Fatalf("at step %d, %s: the victim has %v", n, at, after)
			}
			if b, rerr := os.ReadFile(filepath.Join(dir, "N")); rerr == nil && string(b) != "mine" {
				t.Errorf("at step %d, %s: published %q, %v", n, at, b, err)
			}
		}
	}
}

// A lock file is nobody else's to open, one that is a link or has a second name is
// refused, and one that an earlier version has made is corrected.
func TestLockFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are access lists there")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	take := func() error {
		unlock, err := Lock(context.Background(), path)
		if err != nil {
			return err
		}
		return unlock()
	}
	for _, mode := range []fs.FileMode{0, 0o644, 0o666} {
		if mode != 0 {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := take(); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%o has become %v, %v", mode, st.Mode(), err)
		}
	}
	if err := os.Link(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	if err := take(); !errors.Is(err, ErrForeign) {
		t.Errorf("a file with two names: %v", err)
	}
	if err := errors.Join(os.Remove(path), os.Symlink("lock2", path)); err != nil {
		t.Fatal(err)
	}
	if err := take(); !errors.Is(err, ErrForeign) {
		t.Errorf("a link: %v", err)
	}
	if err := errors.Join(os.Remove(path), os.Symlink("nothing", path)); err != nil {
		t.Fatal(err)
	}
	if err := take(); err == nil {
		t.Error("a dangling link was followed")
	}
	if _, err := os.Lstat(filepath.Join(dir, "nothing")); err == nil {
		t.Error("a file was made where the link leads")
	}
}

// Modes are right from the first moment: the folder is the own user's alone.
func TestModes(t *testing.T) {
	unix := runtime.GOOS != "windows" // permissions are access lists there
	dir := t.TempDir()
	for _, private := range []bool{false, true} {
		f, err := Create(filepath.Join(dir, fmt.Sprint("f", private)), Options{Private: private})
		if err != nil {
			t.Fatal(err)
		}
		d, err := CreateDir(filepath.Join(dir, fmt.Sprint("d", private)), Options{Private: private})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range listed(t, dir) {
			st, err := os.Stat(filepath.Join(dir, n))
			if err != nil {
				t.Fatal(err)
			}
			if unix && IsTemp(n, "") && st.Mode().Perm() != 0o700 {
				t.Errorf("%s is %v", n, st.Mode())
			}
		}
		if err := errors.Join(f.Commit(), f.Close(), d.Commit(), d.Close()); err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"f", "d"} {
			st, err := os.Stat(filepath.Join(dir, fmt.Sprint(n, private)))
			if err != nil {
				t.Fatal(err)
			}
			if unix && private && st.Mode().Perm()&0o077 != 0 {
				t.Errorf("private %s is %v", n, st.Mode())
			}
		}
	}
}

// What must not be replaced is not, and names that are none are refused.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(filepath.Join(dir, "victim"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("victim", path); err != nil {
		t.Skip(err)
	}
	if err := write(t, path, "x", true); err == nil {
		t.Error("replaced a symbolic link")
	}
	if _, err := CreateDir(path, Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder in place of a link: %v", err)
	}
	for _, bad := range []string{"", ".", "..", dir + "/none/a"} {
		if _, err := Create(bad, Options{}); err == nil {
			t.Errorf("Create(%q) works", bad)
		}
		if _, err := CreateDir(bad, Options{}); err == nil {
			t.Errorf("CreateDir(%q) works", bad)
		}
	}
}

// Another process may rename entries of the directory. It puts a directory of this user
// where the private folder has just been made: nothing in it is removed.
func TestDirectoryMovedToPrivateFolder(t *testing.T) {
	for _, leave := range []bool{false, true} { // whether the caller fails afterwards
		dir := t.TempDir()
		precious := filepath.Join(dir, "precious")
		if err := errors.Join(os.MkdirAll(filepath.Join(precious, "sub"), 0o700), os.WriteFile(filepath.Join(precious, "data"), []byte("precious"), 0o600)); err != nil {
			t.Fatal(err)
		}
		moved := ""
		step := func(op, name string) error {
			if op == "open" && moved == "" && strings.HasPrefix(name, ".N.") {
				moved = filepath.Join(dir, name)
				return errors.Join(os.Rename(moved, filepath.Join(dir, "away")), os.Rename(precious, moved))
			}
			return nil
		}
		Inject(t, step)
		f, err := Create(filepath.Join(dir, "N"), Options{})
		if err == nil {
			if !leave {
				err = f.Commit()
			}
			err = errors.Join(err, f.Close())
		}
		if moved == "" {
			t.Fatal("nothing was moved")
		}
		if !errors.Is(err, ErrForeign) {
			t.Errorf("leave %v: error %v", leave, err)
		}
		list, lerr := os.ReadDir(moved)
		if lerr != nil || len(list) != 2 {
			t.Errorf("leave %v: the directory has %v, %v", leave, list, lerr)
		}
		if b, err := os.ReadFile(filepath.Join(moved, "data")); string(b) != "precious" {
			t.Errorf("leave %v: data %q, %v", leave, b, err)
		}
	}
}

// A file that another process puts under the name while a file is written is replaced, and
// does not decide who can read the result.
func TestFileOfAnotherPutThere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are access lists there")
	}
	for _, before := range []bool{false, true} { // whether there was a file
		name := filepath.Join(t.TempDir(), "N")
		if before {
			if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f, err := Create(name, Options{Replace: true, Private: true})
		if err != nil {
			t.Fatal(err)
		}
		theirs := name + ".theirs"
		err = errors.Join(os.WriteFile(theirs, []byte("theirs"), 0o600), os.Chmod(theirs, 0o666), os.Rename(theirs, name))
		if os.Getuid() == 0 {
			err = errors.Join(err, os.Chown(name, 65534, 65534))
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("mine")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Commit(), f.Close()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 || owner(info) != uint32(os.Getuid()) {
			t.Errorf("a file before %v: mode %v, owner %d", before, info.Mode(), owner(info))
		}
	}
}
