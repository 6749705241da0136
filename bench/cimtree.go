package main

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// windowsTree is the input of the CIM benchmarks: as many bytes and files as a
// small Windows base layer, in two forms that hold the same, a directory and a
// layer tar. The executables are genuine, of Debian's libwine; the rest is made
// from a fixed seed.
type windowsTree struct {
	Dir, Tar       string
	Files, Dirs    int
	Bytes, TarSize int64
}

const (
	treeFiles = 26_394
	treeBytes = 985_000_000   // of content; the tar is 1.05 GB
	treeStamp = "tree-1.json" // new name, new tree
)

// makeTree builds the tree below cache once and returns it.
func makeTree(cache string) (*windowsTree, error) {
	root := filepath.Join(cache, "cimtree")
	t := &windowsTree{Dir: filepath.Join(root, "tree"), Tar: filepath.Join(root, "tree.tar")}
	if b, err := os.ReadFile(filepath.Join(root, treeStamp)); err == nil {
		return t, json.Unmarshal(b, t)
	}
	if err := os.RemoveAll(root); err != nil {
		return nil, err
	}
	wine, err := unpackWine(root)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "bench: making the tree of the CIM benchmarks, once")
	if err := t.fill(wine); err != nil {
		return nil, err
	}
	if err := t.archive(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	return t, os.WriteFile(filepath.Join(root, treeStamp), b, 0o644)
}

// unpackWine fetches libwine from the Debian mirror that this machine uses and
// returns the folder it was unpacked to.
func unpackWine(root string) (string, error) {
	dir := filepath.Join(root, "wine")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	get := exec.Command("apt-get", "download", "libwine")
	get.Dir = dir
	if out, err := get.CombinedOutput(); err != nil {
		return "", &missing{fmt.Sprintf("apt-get download libwine: %v: %.200s", err, out)}
	}
	debs, err := filepath.Glob(filepath.Join(dir, "libwine_*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("%d packages in %s: %w", len(debs), dir, errors.ErrUnsupported)
	}
	if out, err := exec.Command("dpkg-deb", "-x", debs[0], dir).CombinedOutput(); err != nil {
		return "", &missing{fmt.Sprintf("dpkg-deb: %v: %.200s", err, out)}
	}
	return dir, nil
}

// fill moves wine's files to System32 and makes the others.
func (t *windowsTree) fill(wine string) error {
	system := filepath.Join(t.Dir, "Files", "Windows", "System32")
	if err := os.MkdirAll(system, 0o755); err != nil {
		return err
	}
	seen := map[string]bool{}
	err := filepath.WalkDir(wine, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(p, ".deb") {
			return err
		}
		key := strings.ToLower(d.Name())
		if seen[key] {
			return nil
		}
		seen[key] = true
		i, err := d.Info()
		if err != nil {
			return err
		}
		t.Files, t.Bytes = t.Files+1, t.Bytes+i.Size()
		return os.Rename(p, filepath.Join(system, d.Name()))
	})
	if err != nil {
		return err
	}
	return t.generate()
}

// generate makes small files in component folders until the tree has its size:
// half of them noise, half text, and one in ten the copy of an earlier one, as in
// the component store of Windows.
func (t *windowsTree) generate() error {
	r := rand.New(rand.NewPCG(20348, 2700))
	count := treeFiles - t.Files
	weight := make([]float64, count)
	var sum float64
	for i := range weight {
		weight[i] = r.ExpFloat64() * r.ExpFloat64()
		sum += weight[i]
	}
	scale := float64(treeBytes-t.Bytes) / sum
	exts := []string{"dll.mui", "manifest", "mum", "cat", "inf", "png", "nls", "psd1", "xml", "dat"}
	var dir string
	var old [][]byte
	for i := range count {
		if i%12 == 0 {
			name := fmt.Sprintf("amd64_microsoft-windows-component%04d_31bf3856ad364e35_10.0.20348.%d_none_%016x", i/12, 1+r.IntN(2700), r.Uint64())
			dir = filepath.Join(t.Dir, "Files", "Windows", "WinSxS", name)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		size := int(weight[i] * scale)
		var b []byte
		if n := len(old); i%10 == 9 && n > 0 {
			b = old[r.IntN(n)]
			if debt := size - len(b); i+1 < count { // the next makes up for it
				weight[i+1] = max(0, weight[i+1]+float64(debt)/scale)
			}
		} else if b = noise(r, size); i%2 == 0 {
			for j := range b {
				b[j] = "etaoin shrdlu<>/=\"\r\n"[b[j]%20]
			}
		}
		if len(old) < 64 {
			old = append(old, b)
		} else {
			old[r.IntN(64)] = b
		}
		name := filepath.Join(dir, fmt.Sprintf("component%02d.%s", i%12, exts[r.IntN(len(exts))]))
		if err := os.WriteFile(name, b, 0o644); err != nil {
			return err
		}
		t.Files, t.Bytes = t.Files+1, t.Bytes+int64(len(b))
	}
	return nil
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b[:n]
}

// archive writes the layer tar of the tree, with the records that Windows layers
// carry.
func (t *windowsTree) archive() error {
	f, err := os.Create(t.Tar)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	when := time.Unix(1_600_000_000, 123_456_700).UTC()
	err = filepath.WalkDir(t.Dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == t.Dir {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(t.Dir, p)
		if err != nil {
			return err
		}
		h := &tar.Header{
			Name: filepath.ToSlash(rel), Typeflag: tar.TypeReg, Size: i.Size(), Mode: 0o644, Format: tar.FormatPAX,
			ModTime: when, AccessTime: when, ChangeTime: when,
			PAXRecords: map[string]string{
				"MSWINDOWS.fileattr": "32", "LIBARCHIVE.creationtime": "1600000000.1234567",
				"MSWINDOWS.rawsd": base64.StdEncoding.EncodeToString(descriptor(d.IsDir())),
			},
		}
		if d.IsDir() {
			h.Typeflag, h.Size, h.Mode = tar.TypeDir, 0, 0o755
			h.PAXRecords["MSWINDOWS.fileattr"] = "16"
			t.Dirs++
		}
		if err := w.WriteHeader(h); err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	})
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	i, err := f.Stat()
	if err != nil {
		return err
	}
	t.TarSize = i.Size()
	return nil
}

// descriptor returns a self-relative security descriptor: owner and group SYSTEM,
// full access for SYSTEM, administrators and everyone, inherited below a
// directory.
func descriptor(dir bool) []byte {
	flags := byte(0)
	if dir {
		flags = 3
	}
	system := []byte{1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}
	admins := []byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0}
	world := []byte{1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}
	var aces bytes.Buffer
	for _, sid := range [][]byte{system, admins, world} {
		aces.Write([]byte{0, flags, byte(8 + len(sid)), 0, 0xff, 1, 0x1f, 0})
		aces.Write(sid)
	}
	acl := slices.Concat([]byte{2, 0, byte(8 + aces.Len()), 0, 3, 0, 0, 0}, aces.Bytes())
	at := byte(20)
	head := []byte{1, 0, 4, 0x80, at + byte(len(acl)), 0, 0, 0, at + byte(len(acl)+len(system)), 0, 0, 0, 0, 0, 0, 0, at, 0, 0, 0}
	return slices.Concat(head, acl, system, system)
}
