package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// makeQuestionImage makes a layout with the tags base and update in the cache, unless it is
// there, and returns its directory: libwine as a base layer with hives or, where that cannot
// be had, files that are made up; and an update that replaces some files, deletes others and
// changes the registry.
func makeQuestionImage(cache string) (dir string, err error) {
	dir = filepath.Join(cache, "questions-1") // new name, new images
	source, err := libwine()
	var m *missing
	if errors.As(err, &m) {
		fmt.Printf("the base layer of the image is made up: %v\n", m)
		dir, source = dir+"-made-up", filepath.Join(cache, "made-up-1.tar")
		err = once(source, func(w io.Writer) error { return makeUp(w, 4000, 40_000) })
	}
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir + ".part"); err != nil {
		return "", err
	}
	if _, err := self("questions-image", source, dir+".part"); err != nil {
		return "", errors.New(why(err))
	}
	return dir, os.Rename(dir+".part", dir)
}

var madeTimes = winfs.Times{Creation: 133444736000000000, LastAccess: 133444736000000000, LastWrite: 133444736000000000, Change: 133444736000000000}

// makeUp writes a layer of files in System32 of mean bytes, one of them of a megabyte. Their
// content can be compressed to about a half.
func makeUp(out io.Writer, files, mean int) error {
	w := wintar.NewWriter(out)
	defer w.Close()
	if err := addDirs(w, `Files\Windows\System32`, map[string]bool{}); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(3, 5))
	for i := range files {
		size := 1 + rng.IntN(2*mean)
		if i == files-files/20-2 { // which the update leaves alone
			size = 1_000_000
		}
		data := make([]byte, size)
		for at := 0; at < size; {
			run := min(size-at, 16+rng.IntN(64))
			if at > run && rng.IntN(2) == 0 {
				copy(data[at:at+run], data[rng.IntN(at-run):])
			} else {
				for k := range run {
					data[at+k] = byte(rng.Uint32())
				}
			}
			at += run
		}
		if err := addFile(w, fmt.Sprintf(`Files\Windows\System32\file%05d.dll`, i), data); err != nil {
			return err
		}
	}
	return w.Commit()
}

// addDirs writes the directories of a path that are not in done.
func addDirs(w layer.Writer, path string, done map[string]bool) error {
	for i := range len(path) + 1 {
		if i < len(path) && path[i] != '\\' {
			continue
		}
		if dir := path[:i]; !done[dir] {
			done[dir] = true
			if err := w.Add(&layer.Entry{Kind: layer.Dir, Path: dir, Attributes: winfs.AttrDirectory, Times: madeTimes, Security: winsec.BuilderDirectory()}); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeQuestionImage makes the layout in dir with the tar source as its base layer.
func writeQuestionImage(source, dir string) error {
	base, err := baseTar(source)
	if err != nil {
		return err
	}
	update, err := updateTar(base)
	if err != nil {
		return err
	}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"}}
	layers := []imagetest.Layer{{Tar: base, Format: blob.Gzip}, {Tar: update, Format: blob.Gzip}}
	return imagetest.WriteLayout(dir, imagetest.Image{Config: config, Layers: layers[:1], Tag: "base"}, imagetest.Image{Config: config, Layers: layers, Tag: "update"})
}

// updateTar writes a layer over base: of twenty files it replaces one and deletes another.
func updateTar(base []byte) ([]byte, error) {
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	defer w.Close()
	r := wintar.NewReader(bytes.NewReader(base))
	defer r.Close()
	done := map[string]bool{}
	for n := 0; ; {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if e.Kind != layer.File || winfs.Under(e.Path, hives.ConfigDir) {
			continue
		}
		n++
		replaced, deleted := n%20 == 0, n%20 == 10
		if !replaced && !deleted {
			continue
		}
		if err := addDirs(w, e.Path[:strings.LastIndexByte(e.Path, '\\')], done); err != nil {
			return nil, err
		}
		if replaced {
			err = addFile(w, e.Path, bytes.Repeat([]byte(fmt.Sprintf("updated file %d\r\n", n)), 1+int(min(e.Size, 1<<16))/20))
		} else {
			err = w.Add(&layer.Entry{Kind: layer.Whiteout, Path: e.Path})
		}
		if err != nil {
			return nil, err
		}
	}
	if err := addDirs(w, hives.HivesDir, done); err != nil {
		return nil, err
	}
	for _, n := range hives.All() {
		delta, err := oneKeyDelta(n)
		if err != nil {
			return nil, err
		}
		if err := addFile(w, n.Path(hives.Delta), delta); err != nil {
			return nil, err
		}
	}
	err := w.Commit()
	return b.Bytes(), err
}

// oneKeyDelta returns a delta hive that adds a key with a value to the hive of a base layer.
func oneKeyDelta(n hives.Name) ([]byte, error) {
	data, err := hives.Minimal(n, hives.ServerCore(20348, 2700))
	if err != nil {
		return nil, err
	}
	clock := &regf.Options{Clock: func() winfs.Filetime { return 133444737000000000 }}
	before, err := regf.OpenBytes(data, clock)
	if err != nil {
		return nil, err
	}
	defer before.Close()
	after, err := regf.OpenBytes(bytes.Clone(data), clock)
	if err != nil {
		return nil, err
	}
	defer after.Close()
	k, err := after.CreatePath(`Vendor\Update`)
	if err == nil {
		err = k.SetValue("Level", regf.RegDword, regf.Uint32Data(2))
	}
	if err != nil {
		return nil, err
	}
	delta, err := regf.Diff(before, after, nil)
	if err != nil {
		return nil, err
	}
	defer delta.Close()
	return delta.Compact(nil)
}
