package cimfs_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/winfs"
)

// An image is written, forked, and read.
func Example() {
	dir, err := os.MkdirTemp("", "cim")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	// A base image: one directory, one file.
	w, err := cimfs.Create(dir, "base.cim", &cimfs.Options{DefaultSecurity: cimfs.NullDACL()})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	must(w.AddDir("Files", nil))
	must(w.AddFile(`Files\hello.txt`, &cimfs.Meta{Attributes: winfs.AttrArchive}, 12))
	_, err = io.WriteString(w, "Hello world!")
	must(err)
	must(w.Commit())

	// A fork that adds a second name for that file: the file and the directories on the
	// way to it get new records, from 1025 on.
	w, err = cimfs.Create(dir, "fork.cim", &cimfs.Options{Parent: "base.cim"})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	must(w.Link(`Files\again.txt`, `Files\hello.txt`))
	must(w.Commit())

	im, err := cimfs.Open(dir, "fork.cim")
	if err != nil {
		log.Fatal(err)
	}
	defer im.Close()
	must(im.Walk(func(path string, f *cimfs.File) error {
		fmt.Printf("%d %v %q\n", f.ID(), f.Attributes(), path)
		return nil
	}))
	f, err := im.Lookup(`FILES\AGAIN.TXT`)
	must(err)
	s, err := f.Data()
	must(err)
	_, err = io.Copy(os.Stdout, s.Reader())
	must(err)
	// Output:
	// 1025 D----------- ""
	// 1026 D----------- "Files"
	// 1027 --A--------- "Files\\again.txt"
	// 1027 --A--------- "Files\\hello.txt"
	// Hello world!
}

// Write an image with one file.
func ExampleCreate() {
	dir, err := os.MkdirTemp("", "cim")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w, err := cimfs.Create(dir, "hello.cim", &cimfs.Options{DefaultSecurity: cimfs.NullDACL()})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	err = errors.Join(w.AddDir("Files", nil), w.AddFile(`Files\hello.txt`, nil, 12))
	_, werr := io.WriteString(w, "Hello world!")
	fmt.Println(errors.Join(err, werr, w.Commit()))
	// Output: <nil>
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
