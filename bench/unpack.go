package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/all"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func init() {
	areas["unpack"] = area{run: benchUnpack, exec: map[string]func([]string) error{
		"inflateall": func(files []string) error {
			for _, f := range files {
				if err := inflateBlob([]string{f}); err != nil {
					return err
				}
			}
			return nil
		},
		"verifyall":  verifyImage,
		"mergehives": func(a []string) error { return hives.Merge(context.Background(), a[0], a[1:]) },
	}}
}

// benchUnpack measures unpacking images of gzip layers to a store of CIM layers,
// including the merging of their registry.
func benchUnpack(cache string) error {
	layouts, err := makeImages(cache)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(memoryDir(), "mullion-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, l := range layouts {
		if err := benchImage(dir, l); err != nil {
			return err
		}
	}
	return benchHiveMerge(cache, dir)
}

// benchImage unpacks one image. The layers and the files written are in memory.
func benchImage(dir, layout string) error {
	name := filepath.Base(layout)
	source := filepath.Join(dir, name)
	if err := os.CopyFS(source, os.DirFS(layout)); err != nil {
		return err
	}
	defer os.RemoveAll(source)
	img, err := image.Open(context.Background(), "oci:"+source)
	if err != nil {
		return err
	}
	defer img.Close()
	var blobs []string
	var stored, plain int64
	for _, l := range img.Layers() {
		s, err := l.Summarize(context.Background())
		if err != nil {
			return err
		}
		blobs = append(blobs, filepath.Join(source, "blobs", "sha256", l.Descriptor.Digest.Encoded()))
		stored, plain = stored+s.Stored, plain+s.Plain
	}
	out := filepath.Join(dir, "store")
	clean := func() error { return os.RemoveAll(out) }
	keep := filepath.Join(dir, "keep")
	unpack := func(to string) table.Case {
		return table.Case{Role: table.Ours, Command: table.Self("mullion", "unpack", "--hives", "create", "oci:"+source, to)}
	}
	fresh, again := unpack(out), unpack(keep)
	fresh.Name, fresh.Before, fresh.After = "mullion unpack to CIM", clean, clean
	again.Name = "mullion unpack, all layers there"
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("image %s: %d gzip layers, %.0f MB to %.0f MB, on tmpfs", name, len(blobs), float64(stored)/1e6, float64(plain)/1e6), Bytes: plain,
		Cases: []table.Case{
			fresh,
			{Name: "read and verified alone", Role: table.Floor, Command: table.Self("verifyall", "oci:"+source)},
			{Name: "bare inflation, same decompressor", Role: table.Floor, Command: table.Self(slices.Concat([]string{"inflateall"}, blobs)...)},
			again,
		},
	})
	if err != nil {
		return err
	}
	fmt.Printf("osversion of %s: ", name)
	var read int64
	opened, err := image.Open(context.Background(), "oci:"+source, image.WithProgress(func(*image.Layer) (func(int64), func()) {
		return func(n int64) { read += n }, func() {}
	}))
	if err != nil {
		return err
	}
	defer opened.Close()
	base := opened.Layers()[0]
	found, err := image.FindHives(context.Background(), []layer.Source{base.Source(context.Background())}, hives.Software)
	if err != nil {
		return err
	}
	defer found.Close()
	v, err := found.OSVersion(context.Background())
	if errors.Is(err, hives.ErrNoBase) {
		fmt.Println("the base has no SOFTWARE hive")
		return os.RemoveAll(keep)
	}
	fmt.Printf("%v, with %d of %d bytes of the base layer read\n", v, read, base.Descriptor.Size)
	return errors.Join(err, os.RemoveAll(keep))
}

// verifyImage reads all layers one after the other, with every check and no output.
func verifyImage(args []string) error {
	img, err := image.Open(context.Background(), args[0])
	if err != nil {
		return err
	}
	defer img.Close()
	for _, l := range img.Layers() {
		r, err := l.Tar(context.Background())
		if err != nil {
			return err
		}
		if err := errors.Join(r.Finish(), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// makeImages makes layouts of three images: libwine as a base layer with hives and a
// small application over it; many small files; both.
func makeImages(cache string) ([]string, error) {
	root := filepath.Join(cache, "unpack-2") // new name, new images
	names := []string{"libwine", "small", "both"}
	var dirs []string
	for _, n := range names {
		dirs = append(dirs, filepath.Join(root, n))
	}
	if _, err := os.Stat(root); err == nil {
		return dirs, nil
	}
	wine, err := libwine()
	if err != nil {
		return nil, err
	}
	base, err := baseTar(wine)
	if err != nil {
		return nil, err
	}
	var small, app bytes.Buffer
	if err := makeSmallFiles(&small); err != nil {
		return nil, err
	}
	if err := appTar(&app); err != nil {
		return nil, err
	}
	part := root + ".part"
	if err := os.RemoveAll(part); err != nil {
		return nil, err
	}
	for n, tars := range map[string][][]byte{"libwine": {base, app.Bytes()}, "small": {small.Bytes()}, "both": {base, small.Bytes(), app.Bytes()}} {
		img := imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"}}}
		for _, t := range tars {
			img.Layers = append(img.Layers, imagetest.Layer{Tar: t, Format: blob.Gzip})
		}
		if err := imagetest.WriteLayout(filepath.Join(part, n), img); err != nil {
			return nil, err
		}
	}
	return dirs, os.Rename(part, root)
}

// baseTar writes a layer at name with the five hives in their places.
func baseTar(name string) ([]byte, error) {
	r, err := wintar.Open(context.Background(), name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	defer w.Close()
	in := &inserter{Writer: w}
	if _, err := layer.Copy(context.Background(), in, r); err != nil {
		return nil, err
	}
	err = w.Commit() // which adds to b
	return b.Bytes(), err
}

// inserter writes the config directory before the first file that sorts behind it.
type inserter struct {
	*wintar.Writer
	done bool
}

func (i *inserter) Add(e *layer.Entry) error {
	if winfs.EqualFold(e.Path, "Hives") {
		return nil // a base layer has none
	}
	if !i.done && winfs.Under(e.Path, `Files\Windows\System32`) && winfs.CompareFold(e.Path, hives.ConfigDir) > 0 {
		i.done = true
		if err := i.Writer.Add(&layer.Entry{Kind: layer.Dir, Path: hives.ConfigDir, Attributes: winfs.AttrDirectory, Security: winsec.BuilderDirectory()}); err != nil {
			return err
		}
		for _, n := range hives.All() {
			h, err := hives.Minimal(n, hives.ServerCore(20348, 2700))
			if err != nil {
				return err
			}
			if err := addFile(i.Writer, n.Path(hives.Config), h); err != nil {
				return err
			}
		}
	}
	return i.Writer.Add(e)
}

func addFile(w layer.Writer, path string, data []byte) error {
	err := w.Add(&layer.Entry{Kind: layer.File, Path: path, Attributes: winfs.AttrArchive, Security: winsec.BuilderFile(), Size: int64(len(data))})
	if err == nil {
		err = w.AddStream(&layer.Stream{Size: int64(len(data))})
	}
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

func appTar(out io.Writer) error {
	w := wintar.NewWriter(out)
	defer w.Close()
	err := w.Add(&layer.Entry{Kind: layer.Dir, Path: "Files", Attributes: winfs.AttrDirectory, Security: winsec.BuilderDirectory()})
	if err == nil {
		err = addFile(w, `Files\app.txt`, []byte(strings.Repeat("a small layer\r\n", 1000)))
	}
	return errors.Join(err, w.Commit())
}

// benchHiveMerge merges a SOFTWARE hive of 100 MB with three deltas.
func benchHiveMerge(cache, dir string) error {
	root := filepath.Join(cache, "software-2")
	if _, err := os.Stat(root); err != nil {
		if err := os.RemoveAll(root + ".part"); err != nil {
			return err
		}
		if err := os.MkdirAll(root+".part", 0o755); err != nil {
			return err
		}
		if err := makeSoftware(root + ".part"); err != nil {
			return err
		}
		if err := os.Rename(root+".part", root); err != nil {
			return err
		}
	}
	var files []string
	for _, n := range []string{"base", "delta1", "delta2", "delta3"} {
		to := filepath.Join(dir, n)
		if err := copyToMemory(filepath.Join(root, n), to); err != nil {
			return err
		}
		files = append(files, to)
	}
	st, err := os.Stat(files[0])
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "merged")
	clean := func() error {
		if err := os.Remove(out); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("SOFTWARE hive of %.0f MB merged with three deltas, on tmpfs; less than 500 ms is wanted", float64(st.Size())/1e6), Bytes: st.Size(),
		Cases: []table.Case{
			{Name: "mullion hives.Merge", Role: table.Ours, Before: clean, After: clean, Command: table.Self(slices.Concat([]string{"mergehives", out}, files)...)},
			{Name: "cp of the base", Role: table.Floor, Before: clean, After: clean, Command: table.Command("cp", files[0], out)},
		},
	})
	return err
}

// makeSoftware makes a hive with the proportions of a genuine SOFTWARE hive, some
// five subkeys and two values a key and a few hundred descriptors, and three deltas
// that each change a hundredth.
func makeSoftware(dir string) error {
	rng := rand.New(rand.NewPCG(1, 2))
	clock := &regf.Options{Clock: func() winfs.Filetime { return 133444736000000000 }}
	h := regf.New(clock)
	defer h.Close()
	text := regf.StringData
	var descriptors [][]byte
	for i := range 300 {
		d, err := winsec.ParseSDDL(fmt.Sprintf("O:BAG:SYD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;S-1-15-3-1024-%d)", 1000+i))
		if err != nil {
			return err
		}
		b, err := d.Bytes()
		if err != nil {
			return err
		}
		descriptors = append(descriptors, b)
	}
	var keys []string
	size := 0
	for size < 100_000_000 {
		vendor := fmt.Sprintf(`Classes\Vendor%04d`, len(keys)/26)
		for i := range 26 {
			path := fmt.Sprintf(`%s\{%08x-0000-4000-8000-%012x}`, vendor, rng.Uint32(), i)
			if i%5 != 0 {
				path = fmt.Sprintf(`%s\Sub%d`, keys[len(keys)-i%5], i)
			}
			k, err := h.CreatePath(path)
			if err != nil {
				return err
			}
			if n := len(keys); n%500 == 0 && n > 0 { // the last of them comes late
				if err := k.SetSecurity(descriptors[n/500%len(descriptors)]); err != nil {
					return err
				}
			}
			keys = append(keys, path)
			size += 200
			for _, v := range []string{"", "ThreadingModel"} {
				data := text(fmt.Sprintf(`C:\Windows\System32\component%06d%s.dll`, rng.IntN(1e6), strings.Repeat("x", rng.IntN(200))))
				if err := k.SetValue(v, regf.RegSZ, data); err != nil {
					return err
				}
				size += len(data) + 48
			}
		}
	}
	base, err := h.Compact(nil)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "base"), base, 0o644); err != nil {
		return err
	}
	for d := range 3 {
		if err := makeDelta(filepath.Join(dir, fmt.Sprintf("delta%d", d+1)), base, keys, rng); err != nil {
			return err
		}
	}
	return nil
}

func makeDelta(name string, base []byte, keys []string, rng *rand.Rand) error {
	clock := &regf.Options{Clock: func() winfs.Filetime { return 133444737000000000 }}
	before, err := regf.OpenBytes(base, clock)
	if err != nil {
		return err
	}
	defer before.Close()
	after, err := regf.OpenBytes(slices.Clone(base), clock)
	if err != nil {
		return err
	}
	defer after.Close()
	for range len(keys) / 100 {
		k, err := after.Key(keys[rng.IntN(len(keys))])
		if errors.Is(err, regf.ErrNotFound) {
			continue // deleted before
		}
		if err == nil {
			switch rng.IntN(10) {
			case 0:
				err = k.DeleteTree()
			case 1:
				if err = k.DeleteValue("ThreadingModel"); errors.Is(err, regf.ErrNotFound) {
					err = nil
				}
			default:
				err = k.SetValue("Changed", regf.RegDword, regf.Uint32Data(rng.Uint32()))
			}
		}
		if err != nil {
			return err
		}
	}
	d, err := regf.Diff(before, after, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.WriteCompactFile(name, nil)
}
