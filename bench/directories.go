package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wclayer"
	"github.com/mullion/mullion/wctransport"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
)

func init() {
	areas["directories"] = area{run: benchDirectories, exec: map[string]func([]string) error{
		"unpack-xattr": func(a []string) error { return unpackLayer(a[0], a[1], wclayer.MetadataXattr) },
		"unpack-index": func(a []string) error { return unpackLayer(a[0], a[1], wclayer.MetadataIndex) },
		"transport":    func(a []string) error { return unpackTransport(a[0], a[1]) },
		"read-layer":   func(a []string) error { return readLayer(a[0]) },
	}}
}

// benchDirectories unpacks two tars as bsdtar does: a hundred thousand small
// files, and seven hundred large ones. Neither side waits for the disk (bsdtar
// never does), and everything is in memory: ext4 is slow to reuse the inodes of
// deleted files, so the result would depend on the run before.
func benchDirectories(cache string) error {
	work, err := os.MkdirTemp(memoryDir(), "mullion-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var errs []error
	for _, in := range []struct {
		title       string
		files, size int
		runs        int
	}{
		{"100,000 files of 1,000 bytes", 100_000, 1000, 3},
		{"700 files, 650 MB", 700, 650_000_000 / 700, 3},
	} {
		tar := filepath.Join(work, "layer.tar")
		if err := makeTar(tar, in.files, in.size); err != nil {
			return err
		}
		out, kept := filepath.Join(work, "out"), filepath.Join(work, "kept")
		clean := func() error { return os.RemoveAll(out) }
		fresh := func() error { return os.Mkdir(out, 0o755) }
		bytes := int64(in.files) * int64(in.size)
		_, err := table.Run(os.Stdout, table.Group{
			Title: "tar to directory, " + in.title, Items: int64(in.files), Bytes: bytes, Runs: in.runs,
			Cases: []table.Case{
				{Name: "bsdtar -x", Role: table.Floor, Command: table.Command("bsdtar", "-x", "-f", tar, "-C", out), Before: fresh, After: clean},
				{Name: "final, records in attributes", Role: table.Ours, Command: table.Self("unpack-xattr", tar, out), After: clean},
				{Name: "final, records in index", Role: table.Ours, Command: table.Self("unpack-index", tar, out), After: clean},
				{Name: "transport", Role: table.Ours, Command: table.Self("transport", tar, out), After: clean},
			},
		})
		errs = append(errs, err)
		if err := unpackLayer(tar, kept, wclayer.MetadataXattr); err != nil {
			return err
		}
		_, err = table.Run(os.Stdout, table.Group{
			Title: "read directory, " + in.title, Items: int64(in.files), Bytes: bytes, Runs: in.runs,
			Cases: []table.Case{
				{Name: "bsdtar -c", Role: table.Peer, Command: table.Command("bsdtar", "-c", "-f", "/dev/null", "-C", kept, "Files")},
				{Name: "final, all streams", Role: table.Ours, Command: table.Self("read-layer", kept)},
			},
		})
		errs = append(errs, err, os.RemoveAll(kept))
	}
	return errors.Join(errs...)
}

// makeTar writes a layer with a hundred files in each directory, all with
// descriptor, attributes and four times.
func makeTar(path string, files, size int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := wintar.NewWriter(f)
	defer w.Close()
	times := winfs.Times{Creation: 132356160001234567, LastAccess: 132356160001234567, LastWrite: 132356160001234567, Change: 132356160001234567}
	dir := layer.Entry{Kind: layer.Dir, Attributes: winfs.AttrDirectory, Times: times, Security: winsec.BuilderDirectory()}
	file := layer.Entry{Kind: layer.File, Attributes: winfs.AttrArchive, Times: times, Security: winsec.BuilderFile(), Size: int64(size)}
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * i >> 8)
	}
	dir.Path = "Files"
	if err := w.Add(&dir); err != nil {
		return err
	}
	for i := range files {
		if i%100 == 0 {
			dir.Path = fmt.Sprintf(`Files\d%04d`, i/100)
			if err := w.Add(&dir); err != nil {
				return err
			}
		}
		file.Path = fmt.Sprintf(`%s\file-%06d.dat`, dir.Path, i)
		if err := errors.Join(w.Add(&file), w.AddStream(&layer.Stream{Size: int64(size)})); err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(w.Commit(), f.Close())
}

func unpackLayer(tar, out string, mode wclayer.MetadataMode) error {
	w, err := wclayer.Create(out, nil, wclayer.WithMetadata(mode), wclayer.WithSync(wclayer.SyncNone))
	if err != nil {
		return err
	}
	return copyTar(w, tar)
}

func unpackTransport(tar, out string) error {
	w, err := wctransport.Create(out, wctransport.WithSync(wctransport.SyncNone))
	if err != nil {
		return err
	}
	return copyTar(w, tar)
}

func copyTar(w layer.Writer, tar string) error {
	defer w.Close()
	f, err := os.Open(tar)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := layer.Copy(context.Background(), w, wintar.NewReader(f)); err != nil {
		return err
	}
	return w.Commit()
}

func readLayer(dir string) error {
	r, err := wclayer.Open(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	buf := make([]byte, 256<<10)
	for {
		if _, err := r.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		for {
			if _, err := r.NextStream(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, buf); err != nil {
				return err
			}
		}
	}
}
