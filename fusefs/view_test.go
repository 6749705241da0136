package fusefs

import (
	"io"
	"testing"

	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
	"github.com/mullion/mullion/winfs"
)

// The merged view of an image is a tree with Windows metadata.
func TestTreeOfView(t *testing.T) {
	img, err := image.Open(t.Context(), "oci-archive:../examples/hello/hello.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	view, err := img.Union(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	f, err := FSTree(view.FS()).Root()
	for _, name := range []string{"Files", "HELLO", "hello.txt"} {
		if err == nil {
			f, err = f.Child(name)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	item, err := view.Lookup(`Files\hello\hello.txt`)
	if err != nil {
		t.Fatal(err)
	}
	if f.Attributes() != item.Attributes || f.Times() != item.Times || f.Size() != item.Size {
		t.Errorf("%v, %v, %d bytes; the view has %v, %v, %d", f.Attributes(), f.Times(), f.Size(), item.Attributes, item.Times, item.Size)
	}
	s, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
	if err != nil || string(b) != "Hello from a Windows layer.\r\n" {
		t.Errorf("read %q, %v", b, err)
	}
	if c, ok := s.(io.Closer); ok {
		c.Close()
	}
	link, err := FSTree(view.FS()).Root()
	for _, name := range []string{"Files", "hello", "latest.txt"} {
		if err == nil {
			link, err = link.Child(name)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err := link.Reparse()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := winfs.ParseReparse(raw); err != nil || p.Target() != "hello.txt" {
		t.Errorf("link: %v, %v", p, err)
	}
}
