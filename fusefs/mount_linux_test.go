package fusefs

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

func needFUSE(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		testenv.Missing(t, fmt.Sprintf("this machine has no usable FUSE: %v", err))
		return
	}
	f.Close()
}

// mount shows a tree for the length of a test.
func mount(t *testing.T, tree Tree) string {
	t.Helper()
	needFUSE(t)
	dir := t.TempDir()
	s, err := Mount(dir, tree, &Options{SameProcess: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Unmount(); err != nil {
			t.Error(err)
		}
		s.Wait()
	})
	return dir
}

func getxattr(t *testing.T, path, name string) ([]byte, error) {
	t.Helper()
	buf := make([]byte, maxXattr)
	n, err := syscall.Getxattr(path, name, buf)
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// The image's manifest has the expected contents.
func TestMountSample(t *testing.T) {
	corpus := testenv.Corpus(t, "cim", "synthetic-v1")
	im, err := cimfs.Open(corpus, "synthetic.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	dir := mount(t, CimTree(im))

	var manifest struct {
		Entries []struct {
			ID        uint64
			Path      string
			Directory bool
			Content   *string
			Flags     uint16
			Times     [4]winfs.Filetime // creation, last write, change, last access
			SD, EA    *string
		}
	}
	b, err := os.ReadFile(filepath.Join(corpus, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &manifest); err != nil {
		t.Fatal(err)
	}
	for _, e := range manifest.Entries {
		// A spelling that no one has used finds the file too.
		for _, name := range []string{e.Path, strings.ToUpper(e.Path)} {
			path := filepath.Join(dir, name)
			st, err := os.Lstat(path)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			sys := st.Sys().(*syscall.Stat_t)
			if sys.Ino != e.ID || st.IsDir() != e.Directory || !st.ModTime().Equal(e.Times[1].Time()) ||
				sys.Atim.Nano() != e.Times[3].Time().UnixNano() || sys.Ctim.Nano() != e.Times[2].Time().UnixNano() {
				t.Errorf("%s: %+v", name, sys)
			}
		}
		path := filepath.Join(dir, e.Path)
		if e.Content != nil {
			want, err := os.ReadFile(filepath.Join(corpus, *e.Content))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v; want %d", e.Path, len(got), err, len(want))
			}
		}
		for _, x := range []struct {
			name string
			want *string
		}{{"system.ntfs_acl", e.SD}, {"system.ntfs_ea", e.EA}} {
			got, err := getxattr(t, path, x.name)
			if x.want == nil && err == syscall.ENODATA {
				continue
			}
			if x.want == nil || err != nil || hex.EncodeToString(got) != *x.want {
				t.Errorf("%s: %s is %x, %v", e.Path, x.name, got, err)
			}
		}
		got, err := getxattr(t, path, "system.ntfs_times")
		if err != nil || len(got) != 32 || winfs.Filetime(binary.LittleEndian.Uint64(got)) != e.Times[0] {
			t.Errorf("%s: times %x, %v", e.Path, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "nothing")); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o644); err == nil {
		t.Error("a file was made in a read-only view")
	}
	// A walk lists exactly the entries of the manifest.
	n := 0
	err = filepath.Walk(dir, func(_ string, _ os.FileInfo, err error) error { n++; return err })
	if err != nil || n != len(manifest.Entries)+1 {
		t.Errorf("the walk finds %d names, %v; the manifest has %d and the root", n, err, len(manifest.Entries))
	}
}

// mountOverlay shows a writable tree for the length of a test.
func mountOverlay(t *testing.T, tr *overlay.Tree) string {
	t.Helper()
	needFUSE(t)
	dir := t.TempDir()
	s, err := MountOverlay(dir, tr, &Options{SameProcess: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Unmount(); err != nil {
			t.Error(err)
		}
		s.Wait()
	})
	return dir
}

// Files are made, changed and found in every case; the image stays as it is.
func TestMountOverlay(t *testing.T) {
	corpus := testenv.Corpus(t, "cim", "synthetic-v1")
	im, err := cimfs.Open(corpus, "synthetic.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	tr, err := overlay.Open(t.TempDir(), overlay.CimLower(im), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	dir := mountOverlay(t, tr)
	before, err := os.Stat(filepath.Join(dir, "Readme.txt"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "README.TXT"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("more"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "readme.TXT"))
	if err != nil || int64(len(got)) != before.Size()+4 || !bytes.HasSuffix(got, []byte("more")) {
		t.Errorf("%q, %v", got, err)
	}
	after, err := os.Stat(filepath.Join(dir, "Readme.txt"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the file has another number when it was written: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "New"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "NEW")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "New")); !os.IsNotExist(err) {
		t.Errorf("the name that was removed in another case: %v", err)
	}
	lower, err := im.Lookup("Readme.txt")
	if err != nil || lower.Size() != before.Size() {
		t.Errorf("the image has changed: %v", err)
	}
}
