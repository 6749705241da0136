//go:build linux || darwin

package plaindir_test

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/plaindir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"golang.org/x/sys/unix"
)

// withAttributes returns a new directory on a file system that has extended attributes.
func withAttributes(t *testing.T) string {
	dir := t.TempDir()
	if err := unix.Setxattr(dir, "user.test", []byte("x"), 0); errors.Is(err, unix.ENOTSUP) {
		t.Skip("the file system has no extended attributes")
	} else if err != nil {
		t.Fatal(err)
	}
	return dir
}

func extract(t *testing.T, dir string, items ...layertest.Item) plaindir.Lost {
	t.Helper()
	w, err := plaindir.CreateWith(dir, plaindir.CreateOptions{Attributes: true, Rooted: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r, err := (&layertest.Layer{Items: items}).Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	move(t, w, r)
	return w.Lost()
}

func attribute(t *testing.T, path, name string) string {
	t.Helper()
	b := make([]byte, 1<<16)
	n, err := unix.Getxattr(path, name, b)
	if errors.Is(err, unix.ENODATA) {
		return ""
	}
	if err != nil {
		t.Fatalf("%s of %s: %v", name, path, err)
	}
	return hex.EncodeToString(b[:n])
}

func TestAttributes(t *testing.T) {
	out := filepath.Join(withAttributes(t), "out")
	unknown := []byte{0x1d, 0, 0, 0xa0, 0, 0, 0, 0} // IO_REPARSE_TAG_LX_SYMLINK, which leads nowhere here
	lost := extract(t, out,
		layertest.Item{Entry: layer.Entry{Path: "d", Kind: layer.Dir, Attributes: winfs.AttrDirectory | winfs.AttrHidden},
			Streams: []layertest.Stream{{Name: "on", Data: []byte("dir")}}},
		layertest.Item{Entry: layer.Entry{Path: `d\f`, Kind: layer.File, Size: 4, Attributes: winfs.AttrArchive, Security: []byte{1, 2, 3},
			Times: winfs.Times{Creation: 1, LastWrite: 2, LastAccess: 3, Change: 4}, EAs: []winfs.EA{{Name: "A", Value: []byte("v")}}, ObjectID: make([]byte, 64)},
			Streams: []layertest.Stream{{Data: []byte("text")}, {Name: "s", Data: []byte("more")}, {Name: "ntfs_acl", Data: []byte("no")},
				{Name: "large", Data: make([]byte, 1<<16+1)}}},
		layertest.Item{Entry: layer.Entry{Path: `r`, Kind: layer.File, Reparse: unknown, Attributes: winfs.AttrReparsePoint}},
	)
	f := filepath.Join(out, "d", "f")
	for _, c := range []struct{ path, name, want string }{
		{filepath.Join(out, "d"), "user.ntfs_attrib", "12000000"},
		{filepath.Join(out, "d"), "user.on", "646972"},
		{f, "user.ntfs_attrib", "20000000"},
		{f, "user.ntfs_acl", "010203"},
		{f, "user.ntfs_times", "0100000000000000" + "0200000000000000" + "0300000000000000" + "0400000000000000"},
		{f, "user.ntfs_ea", "00000000" + "00" + "01" + "0100" + "4100" + "76" + "00"},
		{f, "user.ntfs_object_id", strings.Repeat("00", 64)},
		{f, "user.s", "6d6f7265"},
		{f, "user.large", ""},
		{filepath.Join(out, "r"), "user.ntfs_reparse_data", hex.EncodeToString(unknown)},
	} {
		if got := attribute(t, c.path, c.name); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.name, c.path, got, c.want)
		}
	}
	if want := (plaindir.Lost{Streams: 2}); lost != want {
		t.Errorf("lost %+v, want %+v", lost, want)
	}
}

// A link to a path on the drive becomes relative, and no link leads outside.
func TestRooted(t *testing.T) {
	link := func(path, target string, encode func(string) ([]byte, error)) layertest.Item {
		b, err := encode(target)
		if err != nil {
			t.Fatal(err)
		}
		return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.Dir, Reparse: b, Attributes: winfs.AttrDirectory | winfs.AttrReparsePoint}}
	}
	out := filepath.Join(t.TempDir(), "out")
	extract(t, out,
		layertest.Item{Entry: layer.Entry{Path: `Files`, Kind: layer.Dir}},
		layertest.Item{Entry: layer.Entry{Path: `Files\Windows`, Kind: layer.Dir}},
		link(`Files\a`, `C:\windows\x`, winfs.EncodeSymlink),
		link(`Files\Windows\b`, `c:\`, winfs.EncodeMountPoint),
		link(`Files\c`, `\Windows`, winfs.EncodeSymlink),
		link(`UtilityVM\Files\d`, `C:\Windows`, winfs.EncodeSymlink),
		link(`Files\e`, `D:\Windows`, winfs.EncodeSymlink),
		link(`Files\f`, `..\..\x`, winfs.EncodeSymlink),
		link(`Files\h`, `C:\..\..\x`, winfs.EncodeSymlink),
		link(`Hives\i`, `C:\Windows`, winfs.EncodeSymlink),
	)
	for name, want := range map[string]string{
		"Files/a": "Windows/x", "Files/Windows/b": "..", "Files/c": "Windows", "UtilityVM/Files/d": "Windows",
		"Files/e": "", "Files/f": "", "Files/h": "", "Hives/i": "",
	} {
		got, err := os.Readlink(filepath.Join(out, name))
		if want == "" {
			if info, statErr := os.Lstat(filepath.Join(out, name)); statErr != nil || !info.IsDir() {
				t.Errorf("%s: %v, %v", name, info, statErr)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s -> %q, want %q, %v", name, got, want, err)
		}
	}
}

// Directories in another spelling are the same, and two files with one name are refused.
func TestSpelling(t *testing.T) {
	dir := t.TempDir()
	extract(t, filepath.Join(dir, "out"),
		layertest.Item{Entry: layer.Entry{Path: `Dir`, Kind: layer.Dir}},
		layertest.Item{Entry: layer.Entry{Path: `DIR\a`, Kind: layer.File}},
		layertest.Item{Entry: layer.Entry{Path: `dir\b`, Kind: layer.Link, Target: `dir\A`}},
	)
	if list, err := os.ReadDir(filepath.Join(dir, "out", "Dir")); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
	w, err := plaindir.CreateWith(filepath.Join(dir, "no"), plaindir.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Add(&layer.Entry{Path: "a", Kind: layer.File}); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(&layer.Entry{Path: "A", Kind: layer.File}); !errors.Is(err, layer.ErrDuplicate) {
		t.Errorf("two names that differ in case: %v", err)
	}
}
