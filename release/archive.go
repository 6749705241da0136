package main

import (
	"archive/tar"
	"archive/zip"
	"compress/flate"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A file is one entry of an archive: its name, with slashes, and the source of its content.
type file struct {
	name, path string
	mode       fs.FileMode
}

// documents are the files of the source that every archive has.
var documents = []string{"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"}

// files lists the archive for p in the order of the archive.
func (r *release) files(p platform) ([]file, error) {
	program := r.program(p)
	list := []file{{filepath.Base(program), program, 0o755}}
	for _, name := range documents {
		list = append(list, file{name, filepath.Join(r.root, name), 0o644})
	}
	list = append(list, file{"NOTICES", r.notices(p), 0o644})
	for _, dir := range []string{"completions", "man"} {
		entries, err := os.ReadDir(filepath.Join(r.stage, dir))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			list = append(list, file{dir + "/" + e.Name(), filepath.Join(r.stage, dir, e.Name()), 0o644})
		}
	}
	if p.os == "linux" {
		list = append(list, file{"mullion.service", filepath.Join(r.root, "contrib/systemd/mullion.service"), 0o644})
	}
	return list, nil
}

// writeArchive writes the archive for p: a zip file for Windows, a compressed tar file
// elsewhere, with everything in a folder named as the archive.
func (r *release) writeArchive(p platform) (err error) {
	list, err := r.files(p)
	if err != nil {
		return err
	}
	pack, suffix := writeTarGzip, ".tar.gz"
	if p.os == "windows" {
		pack, suffix = writeZip, ".zip"
	}
	for i := range list {
		list[i].name = r.stem(p) + "/" + list[i].name
	}
	out, err := os.Create(filepath.Join(r.dist, r.stem(p)+suffix))
	if err != nil {
		return err
	}
	if err := pack(out, list, r.time); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

func writeTarGzip(w io.Writer, list []file, when time.Time) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := writeTar(z, list, when); err != nil {
		return err
	}
	return z.Close()
}

// writeTar writes a tar file of regular files and the directories above them, all owned
// by root and of one time.
func writeTar(w io.Writer, list []file, when time.Time) error {
	t := tar.NewWriter(w)
	made := map[string]bool{}
	for _, f := range list {
		for i, c := range f.name {
			if dir := f.name[:i] + "/"; c == '/' && !made[dir] {
				made[dir] = true
				if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: when, Format: tar.FormatUSTAR}); err != nil {
					return err
				}
			}
		}
		if err := copyFile(f, func(size int64) (io.Writer, error) {
			return t, t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: int64(f.mode.Perm()), Size: size, ModTime: when, Format: tar.FormatUSTAR})
		}); err != nil {
			return err
		}
	}
	return t.Close()
}

func writeZip(w io.Writer, list []file, when time.Time) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	for _, f := range list {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: when}
		h.SetMode(f.mode)
		if err := copyFile(f, func(int64) (io.Writer, error) { return z.CreateHeader(h) }); err != nil {
			return err
		}
	}
	return z.Close()
}

// copyFile copies the content of f to the writer that begin returns for its size.
func copyFile(f file, begin func(size int64) (io.Writer, error)) error {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	w, err := begin(info.Size())
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}

// isLicense reports whether a module's file holds terms that go with its code.
func isLicense(name string) bool {
	upper := strings.ToUpper(name)
	for _, prefix := range []string{"LICENSE", "LICENCE", "UNLICENSE", "COPYING", "NOTICE", "PATENTS"} {
		if strings.HasPrefix(upper, prefix) {
			return true
		}
	}
	return false
}
