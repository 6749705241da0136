package cimlayer_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

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
