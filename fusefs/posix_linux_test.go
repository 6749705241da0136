package fusefs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// posixImage makes an image and a plain directory with the same content.
func posixImage(t *testing.T) (*cimfs.Image, string) {
	t.Helper()
	images, plain := t.TempDir(), t.TempDir()
	w, err := cimfs.Create(images, "base.cim", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, name := range []string{"a", `a\b`, "c"} {
		if err := w.AddDir(name, &cimfs.Meta{Attributes: winfs.AttrDirectory}); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(plain, filepath.FromSlash(winfs.ToSlash(name))), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"f", `a\f`, `a\b\g`, `c\x`} {
		content := bytes.Repeat([]byte{byte('0' + i)}, 5000*i)
		if err := w.AddFile(name, &cimfs.Meta{Attributes: winfs.AttrArchive}, int64(len(content))); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := w.CloseStream(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(plain, filepath.FromSlash(winfs.ToSlash(name)))
		if err := os.WriteFile(path, content, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Link(`c\y`, "f"); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(plain, "f"), filepath.Join(plain, "c", "y")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(images, "base.cim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im, plain
}

// survey describes a tree as a program sees it.
func survey(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	inodes := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		sys := st.Sys().(*syscall.Stat_t)
		if rel == "." {
			return nil
		}
		s := fmt.Sprintf("%v %d:%d", st.Mode(), sys.Uid, sys.Gid)
		switch {
		case st.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			first := inodes[sys.Ino]
			if first == "" {
				inodes[sys.Ino], first = rel, rel
			}
			s += fmt.Sprintf(" %d links, first %s, %d bytes %x", sys.Nlink, first, st.Size(), b)
			if st.ModTime().Year() < 2020 && st.ModTime().Year() > 1970 { // set by the test
				s += " " + st.ModTime().UTC().Format(time.RFC3339)
			}
			buf := make([]byte, 4096)
			n, err := unix.Listxattr(path, buf)
			if err != nil {
				return err
			}
			names := strings.Split(string(buf[:n]), "\x00")
			sort.Strings(names)
			for _, name := range names {
				if strings.HasPrefix(name, "user.") {
					v := make([]byte, 4096)
					n, err := unix.Getxattr(path, name, v)
					if err != nil {
						return err
					}
					s += fmt.Sprintf(" %s=%x", name, v[:n])
				}
			}
		case st.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			s += fmt.Sprintf(" to %s, %d", to, st.Size())
		}
		out[rel] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// posix does one random operation in each of several directories.
type posix struct {
	r     *rand.Rand
	roots []string
	open  [][]*os.File // of each root
	log   []string
}

var posixNames = []string{"a", "b", "c", "f", "g", "x", "y", "new", "dir"}

func (p *posix) path() string {
	n := 1 + p.r.IntN(3)
	parts := make([]string, n)
	for i := range parts {
		parts[i] = posixNames[p.r.IntN(len(posixNames))]
	}
	return filepath.Join(parts...)
}

// both runs fn in each root and compares the errors.
func (p *posix) both(t *testing.T, what string, fn func(i int, root string) error) {
	t.Helper()
	p.log = append(p.log, what)
	var errnos []syscall.Errno
	for i, root := range p.roots {
		err := fn(i, root)
		var errno syscall.Errno
		if err != nil && !errors.As(err, &errno) {
			t.Fatalf("%s: %v", what, err)
		}
		errnos = append(errnos, errno)
	}
	if errnos[0] != errnos[1] {
		t.Fatalf("%s: %v in the mount, %v in the plain directory\n%s", what, errnos[0], errnos[1], strings.Join(p.log, "\n"))
	}
}

func (p *posix) step(t *testing.T) {
	path, other := p.path(), p.path()
	data := bytes.Repeat([]byte{byte(p.r.Uint32())}, p.r.IntN(9000))
	mode := []uint32{0o755, 0o644, 0o700, 0o4750, 0o600}[p.r.IntN(5)]
	n := int64(p.r.IntN(12000))
	join := filepath.Join
	switch p.r.IntN(18) {
	case 0, 1:
		flags := []int{os.O_EXCL, os.O_TRUNC, os.O_APPEND, 0}[p.r.IntN(4)]
		keep := p.r.IntN(4) == 0
		p.both(t, fmt.Sprintf("create %s %#x %d", path, flags, len(data)), func(i int, root string) error {
			f, err := os.OpenFile(join(root, path), os.O_CREATE|os.O_RDWR|flags, fs.FileMode(mode&0o777))
			if err != nil {
				return err
			}
			_, err = f.Write(data)
			if keep {
				p.open[i] = append(p.open[i], f)
				return err
			}
			return errors.Join(err, f.Close())
		})
	case 2:
		p.both(t, fmt.Sprintf("write %s %d at %d", path, len(data), n), func(_ int, root string) error {
			f, err := os.OpenFile(join(root, path), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt(data, n)
			return errors.Join(err, f.Close())
		})
	case 3, 4:
		p.both(t, "mkdir "+path, func(_ int, root string) error { return syscall.Mkdir(join(root, path), mode&0o777) })
	case 5, 6:
		p.both(t, "unlink "+path, func(_ int, root string) error { return syscall.Unlink(join(root, path)) })
	case 7:
		p.both(t, "rmdir "+path, func(_ int, root string) error { return syscall.Rmdir(join(root, path)) })
	case 8, 9:
		flags := []uint{0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE}[p.r.IntN(4)]
		p.both(t, fmt.Sprintf("rename %s %s %d", path, other, flags), func(_ int, root string) error {
			return unix.Renameat2(unix.AT_FDCWD, join(root, path), unix.AT_FDCWD, join(root, other), flags)
		})
	case 10:
		p.both(t, "link "+path+" "+other, func(_ int, root string) error {
			// NTFS has no further names for links to directories.
			if st, err := os.Lstat(join(root, path)); err == nil && st.Mode()&fs.ModeSymlink != 0 {
				return nil
			}
			return syscall.Link(join(root, path), join(root, other))
		})
	case 11:
		// No target climbs: after a move to the root it would lead out of the view, which
		// links never do.
		to := []string{"f", "a/../f", "a/b", "./c", "nowhere"}[p.r.IntN(5)]
		p.both(t, "symlink "+to+" "+other, func(_ int, root string) error {
			return syscall.Symlink(to, join(root, other))
		})
	case 12:
		p.both(t, fmt.Sprintf("chmod %s %o", path, mode), func(_ int, root string) error { return syscall.Chmod(join(root, path), mode) })
	case 13:
		p.both(t, "chown "+path, func(_ int, root string) error { return syscall.Lchown(join(root, path), int(n%3), int(n%5)) })
	case 14:
		p.both(t, fmt.Sprintf("truncate %s %d", path, n), func(_ int, root string) error { return syscall.Truncate(join(root, path), n) })
	case 15:
		at := time.Unix(1e9+n*1e4, 0)
		p.both(t, "utimes "+path, func(_ int, root string) error { return os.Chtimes(join(root, path), at, at) })
	case 16:
		name := []string{"user.s", "user.t"}[p.r.IntN(2)]
		if len(data) > 1000 {
			p.both(t, "removexattr "+path+" "+name, func(_ int, root string) error { return unix.Lremovexattr(join(root, path), name) })
			return
		}
		p.both(t, "setxattr "+path+" "+name, func(_ int, root string) error { return unix.Lsetxattr(join(root, path), name, data, 0) })
	case 17:
		p.both(t, "mmap "+path, func(_ int, root string) error {
			st, err := os.Lstat(join(root, path))
			if err != nil || !st.Mode().IsRegular() || st.Size() == 0 {
				return err
			}
			// In a process of its own: Go does not know that a page fault waits, and it
			// waits for this process.
			cmd := exec.Command(os.Args[0], "-test.run=^TestMapped$")
			cmd.Env = append(os.Environ(), mappedFile+"="+join(root, path))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return nil
		})
	}
}

const mappedFile = "MULLION_TEST_MAPPED"

// TestMapped writes to a file through memory, for the sake of TestPOSIX.
func TestMapped(t *testing.T) {
	path := os.Getenv(mappedFile)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	copy(m[len(m)/2:], "mapped")
	if err := syscall.Munmap(m); err != nil {
		t.Fatal(err)
	}
}

// Programs get the same results in a mounted overlay as in a plain directory: the same
// errors, the same tree, also when it is mounted again.
func TestPOSIX(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("owners are only set as root")
	}
	needFUSE(t)
	seeds := 6
	if os.Getenv("MULLION_LONG") != "" {
		seeds = 150
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testPOSIX(t, uint64(seed)) })
	}
}

func testPOSIX(t *testing.T, seed uint64) {
	im, plain := posixImage(t)
	upper, dir := t.TempDir(), t.TempDir()
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	p := &posix{r: rand.New(rand.NewPCG(seed, 3)), roots: []string{dir, plain}}
	for round := range 3 {
		tr, err := overlay.Open(upper, overlay.CimLower(im), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(p.log, "\n"))
		}
		s, err := MountOverlay(dir, tr, &Options{SameProcess: true})
		if err != nil {
			t.Fatal(err)
		}
		p.open = make([][]*os.File, 2)
		func() {
			defer func() {
				for _, list := range p.open {
					for _, f := range list {
						f.Close()
					}
				}
				if err := s.Unmount(); err != nil {
					t.Error(err)
				}
				s.Wait()
				if err := tr.Close(); err != nil {
					t.Error(err)
				}
			}()
			for n := range 250 {
				p.step(t)
				if n%25 == 0 {
					compareTrees(t, p, round)
				}
			}
			p.checkOpen(t)
			compareTrees(t, p, round)
		}()
	}
}

func (p *posix) checkOpen(t *testing.T) {
	t.Helper()
	for n := range p.open[0] {
		var got [2][]byte
		for i := range got {
			f := p.open[i][n]
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			got[i] = make([]byte, st.Size())
			if _, err := f.ReadAt(got[i], 0); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got[0], got[1]) {
			t.Fatalf("an open file has %d bytes in the mount, %d in the plain directory\n%s", len(got[0]), len(got[1]), strings.Join(p.log, "\n"))
		}
	}
}

func compareTrees(t *testing.T, p *posix, round int) {
	t.Helper()
	got, want := survey(t, p.roots[0]), survey(t, p.roots[1])
	for path, w := range want {
		if got[path] != w {
			t.Fatalf("round %d: %s is\n%.300s, want\n%.300s\n%s", round, path, got[path], w, strings.Join(p.log, "\n"))
		}
	}
	for path := range got {
		if want[path] == "" {
			t.Fatalf("round %d: %s should not be\n%s", round, path, strings.Join(p.log, "\n"))
		}
	}
}
