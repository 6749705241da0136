package main

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/klauspost/compress/gzip"
	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/inflate"
)

func init() {
	areas["inflate"] = area{run: benchInflate, exec: map[string]func([]string) error{
		"inflate-ours":      inflateOurs,
		"inflate-klauspost": inflateBlob,
		"inflate-std":       inflateStd,
		"read-mapped":       func(a []string) error { return readMapped(a[0], a[1], 0, -1) },
		"read-verified":     func(a []string) error { return readVerified(a[0], a[1], a[2] == "parallel") },
		"read-drawing":      func(a []string) error { return drawMap(a[0], "") },
		"read-part":         readPart,
	}}
}

// inflateOurs decompresses a file of one gzip member without optional fields and compares
// its checksum.
func inflateOurs(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(10, io.SeekStart); err != nil {
		return err
	}
	r := inflate.NewReader(f)
	sum := crc32.NewIEEE()
	if _, err := r.WriteTo(sum); err != nil {
		return err
	}
	trailer, err := r.Fill(8)
	if err != nil {
		return err
	}
	if want := sum.Sum(nil); !bytes.Equal(trailer[:4], []byte{want[3], want[2], want[1], want[0]}) {
		return errors.New("wrong checksum")
	}
	return nil
}

func inflateStd(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := stdgzip.NewReader(f)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, z)
	return err
}

// drawMap reads a blob with all sums and writes its map to a file, unless that is "".
func drawMap(file, to string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := blob.NewReader(context.Background(), f, blob.WithMap(0))
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Finish(); err != nil {
		return err
	}
	m, err := r.Map()
	if err != nil || to == "" {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(m.Encode(out), out.Close())
}

// readMapped reads n plain bytes of a blob, or all, with its map.
func readMapped(file, mapFile string, off, n int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	mf, err := os.Open(mapFile)
	if err != nil {
		return err
	}
	defer mf.Close()
	info, err := mf.Stat()
	if err != nil {
		return err
	}
	m, err := blob.OpenMap(mf, info.Size())
	if err != nil {
		return err
	}
	var r io.ReadCloser
	if n < 0 {
		r, err = m.NewParallelReader(context.Background(), blob.RangesOf(f), off, n)
	} else {
		r, err = m.NewReader(context.Background(), blob.RangesOf(f), off, n)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// readVerified reads a blob with its map and compares the plain bytes with their digest, as
// the layer of an image is read that has an index; in several parts at a time or in one.
func readVerified(file, mapFile string, parallel bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	mf, err := os.Open(mapFile)
	if err != nil {
		return err
	}
	defer mf.Close()
	info, err := mf.Stat()
	if err != nil {
		return err
	}
	m, err := blob.OpenMap(mf, info.Size())
	if err != nil {
		return err
	}
	ctx := context.Background()
	var parts io.ReadCloser
	if parallel {
		parts, err = m.NewParallelReader(ctx, blob.RangesOf(f), 0, -1)
	} else {
		parts, err = m.NewReader(ctx, blob.RangesOf(f), 0, -1)
	}
	if err != nil {
		return err
	}
	r, err := blob.NewReader(ctx, parts, blob.Stored(), blob.WithCloser(parts))
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Finish()
}

func readPart(a []string) error {
	off, err := strconv.ParseInt(a[2], 10, 64)
	if err != nil {
		return err
	}
	return readMapped(a[0], a[1], off, 1e6)
}

// zlibProgram decompresses the gzip file of its argument with the zlib of Python.
const zlibProgram = `import sys, zlib
d = zlib.decompressobj(31)
f = open(sys.argv[1], "rb")
while b := f.read(1 << 16): d.decompress(b)
assert d.eof`

// benchInflate compares inflaters on one core, and ways to read with a map.
func benchInflate(cache string) error {
	wine, err := libwine()
	if err != nil {
		return err
	}
	packed, err := packLibwine(cache, wine)
	if err != nil {
		return err
	}
	info, err := os.Stat(wine)
	if err != nil {
		return err
	}
	size := info.Size()
	oneCore := func(words ...string) func() (*exec.Cmd, error) {
		return func() (*exec.Cmd, error) {
			cmd, err := table.Self(words...)()
			if err == nil {
				cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
			}
			return cmd, err
		}
	}
	peer := func(name string, args ...string) table.Case {
		c := table.Case{Name: name, Role: table.Peer, Command: table.Command(args[0], args[1:]...)}
		if _, err := exec.LookPath(args[0]); err != nil {
			c.Skip = "not installed"
		}
		return c
	}
	_, err = table.Run(os.Stdout, table.Group{
		Title: "inflation of the libwine layer on one core, with the checksum", Bytes: size,
		Cases: []table.Case{
			{Name: "mullion", Role: table.Ours, Command: oneCore("inflate-ours", packed)},
			{Name: "klauspost/compress", Role: table.Peer, Command: oneCore("inflate-klauspost", packed)},
			{Name: "compress/gzip", Role: table.Peer, Command: oneCore("inflate-std", packed)},
			peer("zlib, from Python", "python3", "-c", zlibProgram, packed),
			peer("gzip -dc", "gzip", "-dc", packed),
			peer("pigz -dc, which hashes in a thread", "pigz", "-dc", packed),
		},
	})
	if err != nil {
		return err
	}
	m := filepath.Join(cache, "libwine-1.tar.gz.map")
	if err := drawMap(packed, m); err != nil {
		return err
	}
	defer os.Remove(m)
	_, err = table.Run(os.Stdout, table.Group{
		Title: "gzip layer, libwine, read whole by two cores or more", Bytes: size,
		Cases: []table.Case{
			{Name: "mullion, with a map", Role: table.Ours, Command: table.Self("read-mapped", packed, m)},
			{Name: "mullion, with a map, diff ID verified", Role: table.Ours, Command: table.Self("read-verified", packed, m, "parallel")},
			{Name: "the same, one part at a time", Role: table.Ours, Command: table.Self("read-verified", packed, m, "sequential")},
			{Name: "mullion, verified, drawing the map", Role: table.Floor, Command: table.Self("read-drawing", packed)},
			peer("pigz -dc", "pigz", "-dc", packed),
		},
	})
	if err != nil {
		return err
	}
	off := strconv.FormatInt(size/10*9, 10)
	_, err = table.Run(os.Stdout, table.Group{
		Title: "1 MB at nine tenths of the libwine layer, gzip", Bytes: 1e6,
		Cases: []table.Case{
			{Name: "mullion, with a map", Role: table.Ours, Command: table.Self("read-part", packed, m, off)},
			peer("gzip -dc | tail | head", "sh", "-c", `gzip -dc "$0" | tail -c +"$1" | head -c 1000000`, packed, off),
		},
	})
	if err != nil {
		return err
	}
	return benchZstd(wine, size)
}

// benchZstd compresses the layer.
func benchZstd(wine string, size int64) error {
	dir, err := os.MkdirTemp(memoryDir(), "mullion-zstd-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source, out := filepath.Join(dir, "in.tar"), filepath.Join(dir, "out.zst")
	if err := copyToMemory(wine, source); err != nil {
		return err
	}
	clean := func() error { return os.RemoveAll(out) }
	zstd := table.Case{Name: "zstd -3", Role: table.Peer, Before: clean, After: clean, Command: table.Command("zstd", "-3", "-q", source, "-o", out)}
	if _, err := exec.LookPath("zstd"); err != nil {
		zstd.Skip = "not installed"
	}
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("libwine layer (%.0f MB), tar to tar.zst on tmpfs", float64(size)/1e6), Bytes: size,
		Cases: []table.Case{
			{Name: "mullion", Role: table.Ours, Before: clean, After: clean,
				Command: table.Self("mullion", "convert", "tar:"+source, "tar:"+out, "--compress", "zstd")},
			zstd,
		},
	})
	return err
}

// packLibwine compresses the layer with gzip, once.
func packLibwine(cache, file string) (string, error) {
	packed := filepath.Join(cache, "libwine-1.tar.gz")
	return packed, once(packed, func(w io.Writer) error {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		z, err := gzip.NewWriterLevel(w, gzip.DefaultCompression)
		if err != nil {
			return err
		}
		if _, err := io.Copy(z, f); err != nil {
			return err
		}
		return z.Close()
	})
}
