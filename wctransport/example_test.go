package wctransport_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wctransport"
)

// A layer with an empty directory that deletes a file of its parent.
func Example() {
	dir, err := os.MkdirTemp("", "transport")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "layer")

	w, err := wctransport.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	for _, e := range []layer.Entry{
		{Path: `Files`, Kind: layer.Dir},
		{Path: `Files\empty`, Kind: layer.Dir},
		{Path: `Files\old.txt`, Kind: layer.Whiteout},
	} {
		if err := w.Add(&e); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		log.Fatal(err)
	}

	list, err := filepath.Glob(filepath.Join(path, "Files", "*"))
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range list {
		fmt.Println(filepath.Base(name))
	}
	r, err := wctransport.Open(path)
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
		fmt.Printf("%v: %s\n", e.Kind, e.Path)
	}
	// Output:
	// empty
	// empty.$wcidirs$
	// directory: Files
	// whiteout: Files\old.txt
	// directory: Files\empty
}
