package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/wintar"
)

func init() {
	areas["check"] = area{run: benchCheck, exec: map[string]func([]string) error{"mullion": runMullion, "walk": walkLayer}}
}

// walkLayer reads a layer as a copy does: every entry with its metadata, and all content.
func walkLayer(args []string) error {
	r, err := wintar.Open(context.Background(), args[0])
	if err != nil {
		return err
	}
	defer r.Close()
	buf := make([]byte, 1<<20)
	for {
		if _, err := r.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		for {
			_, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err == nil {
				_, err = io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, buf)
			}
			if err != nil {
				return err
			}
		}
	}
}

// benchCheck measures the check of a layer of many small files beside reading it.
func benchCheck(cache string) error {
	small, packed := filepath.Join(cache, "small-1.tar"), filepath.Join(cache, "small-1.tar.gz")
	err := once(small, makeSmallFiles)
	if err == nil {
		err = once(packed, func(w io.Writer) error {
			f, err := os.Open(small)
			if err != nil {
				return err
			}
			defer f.Close()
			z := gzip.NewWriter(w)
			_, err = io.Copy(z, f)
			return errors.Join(err, z.Close())
		})
	}
	if err != nil {
		return err
	}
	entries, err := countEntries(small)
	if err != nil {
		return err
	}
	for _, file := range []string{small, packed} {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		_, err = table.Run(os.Stdout, table.Group{
			Title: fmt.Sprintf("check of %s (%d entries, %.0f MB); at least 90 %% of the speed of reading", filepath.Base(file), entries, float64(info.Size())/1e6),
			Items: entries, Bytes: info.Size(),
			Cases: []table.Case{
				{Name: "mullion check", Role: table.Ours, Command: table.Self("mullion", "check", "--quiet", "--fail-on", "never", "--severity", "error", "tar:"+file)},
				{Name: "reading the layer, no check", Role: table.Floor, Command: table.Self("walk", file)},
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
