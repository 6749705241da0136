package cimlayer_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// Convert a layer: a compressed tar becomes a CimFS image.
func Example() {
	dir, err := os.MkdirTemp("", "convert")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	src, err := wintar.Open(context.Background(), "../examples/hello/base.tar.gz")
	if err != nil {
		log.Fatal(err)
	}
	dst, err := cimlayer.Create(cimlayer.Location{Images: dir, Name: "base.cim", Files: filepath.Join(dir, "base")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	stats, err := layer.Convert(context.Background(), dst, src)
	fmt.Println(stats.Files, "files", err)
	// Output: 11 files <nil>
}

// Write a layer as a CimFS image alone, without the files that a store has beside it.
func ExampleNewImageWriter() {
	dir, err := os.MkdirTemp("", "cim")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	src, err := wintar.Open(context.Background(), "../examples/hello/base.tar.gz")
	if err != nil {
		log.Fatal(err)
	}
	w, err := cimfs.Create(dir, "base.cim", nil)
	if err != nil {
		log.Fatal(err)
	}
	stats, err := layer.Convert(context.Background(), cimlayer.NewImageWriter(w, nil, cimlayer.ImageOptions{Name: "base.cim"}), src)
	fmt.Println(stats.Files, "files", err)
	// Output: 11 files <nil>
}
