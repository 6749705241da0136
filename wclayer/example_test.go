package wclayer_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wclayer"
)

// A base layer, and over it a layer that deletes a file and gives another one a
// second name.
func Example() {
	dir, err := os.MkdirTemp("", "layers")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	base := filepath.Join(dir, "base")
	write(base, nil,
		layer.Entry{Path: `Files`, Kind: layer.Dir},
		layer.Entry{Path: `Files\license.txt`, Kind: layer.File},
		layer.Entry{Path: `Files\old.txt`, Kind: layer.File})
	top := filepath.Join(dir, "top")
	write(top, []string{base},
		layer.Entry{Path: `Files`, Kind: layer.Dir},
		layer.Entry{Path: `Files\old.txt`, Kind: layer.Whiteout},
		layer.Entry{Path: `Files\copying.txt`, Kind: layer.Link, Target: `Files\license.txt`})

	r, err := wclayer.Open(top)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v: %s", e.Kind, e.Path)
		if e.Kind == layer.Link {
			fmt.Printf(" is %s", e.Target)
		}
		fmt.Println()
	}
	// Output:
	// directory: Files
	// whiteout: Files\old.txt
	// hard link: Files\copying.txt is Files\license.txt
}

func write(path string, parents []string, entries ...layer.Entry) {
	w, err := wclayer.Create(path, parents)
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	for i := range entries {
		if err := w.Add(&entries[i]); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		log.Fatal(err)
	}
}
