package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/cli"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
)

func init() {
	areas["layers"] = area{run: benchLayers, exec: map[string]func([]string) error{
		"mullion": runMullion,
		"verify":  verifyBlob,
	}}
}

// runMullion is the command line in this process. Where MULLION_BENCH_PROFILE names a
// directory, profiles of the processor time and of all allocations are left there: cpu.pprof
// and allocs.pprof.
func runMullion(args []string) error {
	if dir := os.Getenv("MULLION_BENCH_PROFILE"); dir != "" {
		cpu, err := os.Create(filepath.Join(dir, "cpu.pprof"))
		if err != nil {
			return err
		}
		defer cpu.Close()
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			if allocs, err := os.Create(filepath.Join(dir, "allocs.pprof")); err == nil {
				pprof.Lookup("allocs").WriteTo(allocs, 0)
				allocs.Close()
			}
		}()
	}
	if status := cli.Main(args, os.Stdin, os.Stdout, os.Stderr); status != 0 {
		return fmt.Errorf("status %d", status)
	}
	return nil
}

// verifyBlob reads a gzip layer as mullion does: FILE, digest, size, diff ID.
func verifyBlob(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	var size int64
	if _, err := fmt.Sscan(args[2], &size); err != nil {
		return err
	}
	r, err := blob.NewReader(context.Background(), f, blob.WithDigest(args[1], size), blob.WithDiffID(args[3]))
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Finish()
}

// inflateBlob decompresses a gzip file and does nothing else.
func inflateBlob(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, z)
	return err
}

// benchLayers measures a layer of real size and one of many small files, on tmpfs.
func benchLayers(cache string) error {
	wine, err := libwine()
	if err != nil {
		return err
	}
	small := filepath.Join(cache, "small-1.tar")
	if err := once(small, makeSmallFiles); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(memoryDir(), "mullion-layers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, in := range []struct{ name, file string }{{"libwine", wine}, {"100,000 small files", small}} {
		if err := benchTar(dir, in.name, in.file); err != nil {
			return err
		}
	}
	return benchGzip(cache, wine)
}

// benchTar copies a tar to a tar and to a layer directory.
func benchTar(dir, name, file string) error {
	source := filepath.Join(dir, "in.tar") // read from memory, as is the output written
	if err := copyToMemory(file, source); err != nil {
		return err
	}
	defer os.Remove(source)
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	entries, err := countEntries(source)
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "out")
	clean := func() error { return os.RemoveAll(out) }
	emptyDir := func() error { return errors.Join(clean(), os.Mkdir(out, 0o755)) }
	bsdtar := table.Case{Name: "bsdtar -x", Role: table.Peer, Before: emptyDir, After: clean, Command: table.Command("bsdtar", "-xf", source, "-C", out)}
	if _, err := exec.LookPath("bsdtar"); err != nil {
		bsdtar.Skip = "not installed"
	}
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("%s (%d entries, %.0f MB) on tmpfs", name, entries, float64(info.Size())/1e6), Items: entries, Bytes: info.Size(),
		Cases: []table.Case{
			{Name: "mullion tar to tar", Role: table.Ours, Before: clean, After: clean, Command: table.Self("mullion", "convert", "tar:"+source, "tar:"+out)},
			bsdtar,
			{Name: "cp", Role: table.Floor, Before: clean, After: clean, Command: table.Command("cp", source, out)},
		},
	})
	if err != nil {
		return err
	}
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("%s (%d entries, %.0f MB) to a layer directory on tmpfs; memory is to stay below %.1f MiB",
			name, entries, float64(info.Size())/1e6, 64+400*float64(entries)/(1<<20)),
		Items: entries, Bytes: info.Size(),
		Cases: []table.Case{
			{Name: "mullion tar to wclayer", Role: table.Ours, Before: clean, After: clean, Command: table.Self("mullion", "convert", "tar:"+source, "wclayer:"+out)},
			bsdtar,
		},
	})
	return err
}

// benchGzip reads a compressed layer with all verification beside bare inflation.
func benchGzip(cache, file string) error {
	packed, err := packLibwine(cache, file)
	if err != nil {
		return err
	}
	f, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := blob.NewReader(context.Background(), f, blob.WithSums())
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Finish(); err != nil {
		return err
	}
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("gzip layer, libwine, %.0f MB to %.0f MB", float64(r.StoredSize())/1e6, float64(r.Size())/1e6), Bytes: r.Size(),
		Cases: []table.Case{
			{Name: "mullion, digest and diff ID verified", Role: table.Ours,
				Command: table.Self("verify", packed, r.Digest(), fmt.Sprint(r.StoredSize()), r.DiffID())},
			{Name: "bare inflation, same decompressor", Role: table.Floor, Command: table.Self("inflate-ours", packed)},
		},
	})
	return err
}

// libwine runs the script that makes the layer.
func libwine() (string, error) {
	out, err := exec.Command(filepath.Join("..", "scripts", "make-libwine-layer")).Output()
	if err != nil {
		return "", &missing{"scripts/make-libwine-layer: " + why(err)}
	}
	return filepath.Join("..", strings.TrimSpace(string(out))), nil
}

// once makes a file unless it is there.
func once(name string, fill func(io.Writer) error) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	f, err := os.Create(name + ".part")
	if err != nil {
		return err
	}
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".part", name)
}

// makeSmallFiles writes a layer of 100,000 files of 0 to 4 KiB in 1,000 folders.
func makeSmallFiles(out io.Writer) error {
	w := wintar.NewWriter(out)
	defer w.Close()
	rng := rand.New(rand.NewPCG(7, 11))
	random := rand.NewChaCha8([32]byte{})
	times := winfs.Times{Creation: 133444736000000000, LastAccess: 133444736000000000, LastWrite: 133444736000000000, Change: 133444736000000000}
	dir := func(path string) error {
		return w.Add(&layer.Entry{Kind: layer.Dir, Path: path, Attributes: winfs.AttrDirectory, Times: times, Security: winsec.BuilderDirectory()})
	}
	if err := dir("Files"); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for d := range 1000 {
		folder := fmt.Sprintf(`Files\folder%03d`, d)
		if err := dir(folder); err != nil {
			return err
		}
		for f := range 100 {
			size := rng.IntN(len(buf) + 1)
			random.Read(buf[:size])
			e := &layer.Entry{Kind: layer.File, Path: fmt.Sprintf(`%s\file%02d.dat`, folder, f), Attributes: winfs.AttrArchive,
				Times: times, Security: winsec.BuilderFile(), Size: int64(size)}
			if err := w.Add(e); err != nil {
				return err
			}
			if err := w.AddStream(&layer.Stream{Size: int64(size)}); err != nil {
				return err
			}
			if _, err := w.Write(buf[:size]); err != nil {
				return err
			}
		}
	}
	return w.Commit()
}

func countEntries(file string) (int64, error) {
	r, err := wintar.Open(context.Background(), file)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for n := int64(0); ; n++ {
		if _, err := r.Next(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// copyToMemory puts the input where the output goes, so that no disk is measured.
func copyToMemory(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
