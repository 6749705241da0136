package wintar_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"

	"github.com/mullion/mullion/wintar"
)

// An archive as a Linux tool might make it, read entry by entry.
func Example() {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	tw.WriteHeader(&tar.Header{Name: "Files/", Typeflag: tar.TypeDir})
	tw.WriteHeader(&tar.Header{Name: "Files/hello.txt", Typeflag: tar.TypeReg, Size: 5})
	io.WriteString(tw, "hello")
	tw.WriteHeader(&tar.Header{Name: "Files/hello.txt:Zone.Identifier", Typeflag: tar.TypeReg, Size: 3})
	io.WriteString(tw, "[Z]")
	tw.WriteHeader(&tar.Header{Name: "Files/.wh.gone.txt", Typeflag: tar.TypeReg})
	tw.Close()

	r := wintar.NewReader(&b)
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Kind, e.Path)
		for {
			s, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				fmt.Println(err)
				return
			}
			data, _ := io.ReadAll(r)
			fmt.Printf("  %q: %s\n", s.Name, data)
		}
	}
	// Output:
	// directory Files
	// file Files\hello.txt
	//   "": hello
	//   "Zone.Identifier": [Z]
	// whiteout Files\gone.txt
}

// Check finds common mistakes of builders.
func ExampleCheck() {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	tw.WriteHeader(&tar.Header{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: map[string]string{"MSWINDOWS.fileattr": "16"}})
	tw.WriteHeader(&tar.Header{Name: "Hives", Typeflag: tar.TypeDir, PAXRecords: map[string]string{"MSWINDOWS.fileattr": "16"}})
	tw.WriteHeader(&tar.Header{Name: "Files/link", Typeflag: tar.TypeLink, Linkname: "target"})
	tw.Close()
	for f, err := range wintar.Check(context.Background(), &b) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.Severity, f.Rule, f.Path)
	}
	// Output:
	// error link-target-outside-files Files\link
}
