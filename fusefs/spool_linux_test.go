package fusefs

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

// lxattr reads an extended attribute of the file itself, nil if it has none.
func lxattr(path, name string) ([]byte, error) {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return nil, err
	}
	n, err := syscall.BytePtrFromString(name)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, maxXattr)
	got, _, errno := syscall.Syscall6(syscall.SYS_LGETXATTR, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(n)),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if errno == syscall.ENODATA {
		return nil, nil
	}
	if errno != 0 {
		return nil, &os.PathError{Op: "getxattr " + name, Path: path, Err: errno}
	}
	return append([]byte{}, buf[:got]...), nil
}

func listxattr(path string) ([]string, error) {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, maxXattr)
	got, _, errno := syscall.Syscall(syscall.SYS_LLISTXATTR, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	if errno != 0 {
		return nil, &os.PathError{Op: "listxattr", Path: path, Err: errno}
	}
	return strings.FieldsFunc(string(buf[:got]), func(r rune) bool { return r == 0 }), nil
}

// mountItems reads a mounted tree back, through nothing but the calls that every
// program makes.
func mountItems(t *testing.T, dir string) *layertest.Layer {
	t.Helper()
	out, seen := &layertest.Layer{}, map[uint64]string{}
	names := map[uint64]int{}
	promised := map[uint64]uint64{}
	err := filepath.WalkDir(dir, func(host string, _ os.DirEntry, err error) error {
		if err != nil || host == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, host)
		path := strings.ReplaceAll(rel, "/", `\`)
		var st syscall.Stat_t
		if err := syscall.Lstat(host, &st); err != nil {
			return err
		}
		names[st.Ino]++
		promised[st.Ino] = st.Nlink
		isDir := st.Mode&syscall.S_IFMT == syscall.S_IFDIR
		if first := seen[st.Ino]; first != "" {
			out.Items = append(out.Items, layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.Link, Target: first}})
			return nil
		}
		seen[st.Ino] = path
		it, err := mountItem(host, path, &st)
		if err != nil {
			return err
		}
		out.Items = append(out.Items, it)
		if isDir {
			promised[st.Ino] = 1 // the link count of stat includes the directory itself
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for ino, n := range names {
		if uint64(n) != promised[ino] {
			t.Errorf("%s has %d names, stat says %d", seen[ino], n, promised[ino])
		}
	}
	return out
}

func mountItem(host, path string, st *syscall.Stat_t) (it layertest.Item, err error) {
	it.Entry = layer.Entry{Path: path, Kind: layer.File}
	attrib, err := lxattr(host, "system.ntfs_attrib")
	if err != nil {
		return it, err
	}
	it.Attributes = winfs.Attributes(binary.LittleEndian.Uint32(attrib))
	if it.Attributes&winfs.AttrDirectory != 0 {
		it.Kind = layer.Dir
	}
	times, err := lxattr(host, "system.ntfs_times")
	if err != nil {
		return it, err
	}
	for i, p := range []*winfs.Filetime{&it.Times.Creation, &it.Times.LastWrite, &it.Times.LastAccess, &it.Times.Change} {
		*p = winfs.Filetime(binary.LittleEndian.Uint64(times[8*i:]))
	}
	if it.Security, err = lxattr(host, "system.ntfs_acl"); err != nil {
		return it, err
	}
	if it.Reparse, err = lxattr(host, "system.ntfs_reparse_data"); err != nil {
		return it, err
	}
	eas, err := lxattr(host, "system.ntfs_ea")
	if err != nil {
		return it, err
	}
	if it.EAs, err = winfs.DecodeEAs(eas); err != nil {
		return it, err
	}
	if it.Kind == layer.File {
		var data []byte
		if st.Mode&syscall.S_IFMT == syscall.S_IFREG {
			if data, err = os.ReadFile(host); err != nil {
				return it, err
			}
		}
		it.Size = int64(len(data))
		it.Streams = append(it.Streams, layertest.Stream{Data: data})
	}
	list, err := listxattr(host)
	if err != nil {
		return it, err
	}
	for _, name := range list {
		if stream, ok := strings.CutPrefix(name, streamPrefix); ok {
			data, err := lxattr(host, name)
			if err != nil {
				return it, err
			}
			it.Streams = append(it.Streams, layertest.Stream{Name: stream, Data: data})
		}
	}
	return it, nil
}

// Random layers are spooled, mounted, and read back: nothing is lost that an extended
// attribute can hold. Linux has no attributes user.* of symbolic links.
func TestMountSpool(t *testing.T) {
	mount(t, FSTree(os.DirFS(t.TempDir()))) // skips with a reason if there is no FUSE
	layertest.Run(t, layertest.Format{
		Lacks:     spoolLacks | layertest.LinkStreams,
		Unordered: true, Publishes: true,
		Normalize: func(it *layertest.Item) {
			var fit []layertest.Stream
			for _, s := range it.Streams {
				if s.Name == "" || len(s.Data) <= maxXattr && len(streamPrefix)+len(s.Name) <= 255 {
					fit = append(fit, s)
				}
			}
			it.Streams = fit
		},
		New: func(tb testing.TB) (layer.Writer, func() (layer.Reader, error)) {
			k := newKept(tb)
			return k, func() (layer.Reader, error) {
				if _, err := k.Root(); err != nil {
					return nil, err
				}
				return mountItems(t, mountAt(t, tb, k.Spool)).Open()
			}
		},
	})
}

// mountAt mounts for the length of the innermost test.
func mountAt(t *testing.T, tb testing.TB, tree Tree) string {
	t.Helper()
	dir := tb.TempDir()
	s, err := Mount(dir, tree, &Options{SameProcess: true})
	if err != nil {
		t.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Unmount(); err != nil {
			tb.Error(err)
		}
		s.Wait()
	})
	return dir
}

// Links of Windows lead where they lead there, in any case, and never out.
func TestMountLinks(t *testing.T) {
	k := newKept(t)
	link := func(path, target string) layertest.Item {
		b, err := winfs.EncodeSymlink(target)
		if err != nil {
			t.Fatal(err)
		}
		return layertest.Item{Entry: layer.Entry{Path: path, Kind: layer.File, Reparse: b}}
	}
	mountPoint, err := winfs.EncodeMountPoint(`C:\Dir`)
	if err != nil {
		t.Fatal(err)
	}
	l := &layertest.Layer{Items: []layertest.Item{
		{Entry: layer.Entry{Path: `Files\Dir\Sub`, Kind: layer.Dir}},
		{Entry: layer.Entry{Path: `Files\Dir\Target.TXT`, Kind: layer.File, Size: 4}, Streams: []layertest.Stream{{Data: []byte("here")}}},
		link(`Files\absolute`, `C:\dir\target.txt`),
		link(`Files\rooted`, `\dir\target.txt`),
		link(`Files\Dir\Sub\relative`, `..\target.txt`),
		link(`Files\Dir\Sub\climbing`, `..\..\..\..\..\Dir\Target.txt`),
		link(`Files\elsewhere`, `D:\dir\target.txt`),
		{Entry: layer.Entry{Path: `Files\Junction`, Kind: layer.Dir, Reparse: mountPoint}},
	}}
	for i := range l.Items {
		if err := k.Add(&l.Items[i].Entry); err != nil {
			t.Fatal(err)
		}
		for _, s := range l.Items[i].Streams {
			if err := k.AddStream(&layer.Stream{Size: int64(len(s.Data))}); err != nil {
				t.Fatal(err)
			}
			if _, err := k.Write(s.Data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := k.Commit(); err != nil {
		t.Fatal(err)
	}
	dir := mount(t, k.Spool)
	for _, p := range []string{"Files/absolute", "FILES/Rooted", "files/dir/sub/RELATIVE", "Files/Dir/Sub/climbing", "Files/junction/target.txt"} {
		if b, err := os.ReadFile(filepath.Join(dir, p)); err != nil || string(b) != "here" {
			t.Errorf("%s: %q, %v", p, b, err)
		}
	}
	if text, err := os.Readlink(filepath.Join(dir, "Files/elsewhere")); err != nil || text != `D:\dir\target.txt` {
		t.Errorf("a link to another drive reads %q, %v", text, err)
	}
	// The spelling of the listing is the layer's, after a lookup in another case too.
	list, err := os.ReadDir(filepath.Join(dir, "FILES", "DIR"))
	if err != nil || len(list) != 2 || list[0].Name() != "Sub" || list[1].Name() != "Target.TXT" {
		t.Errorf("%v, %v", list, err)
	}
}
