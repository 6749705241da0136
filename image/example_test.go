package image_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
)

// Read a file of an image as a container sees it.
func ExampleImage_Union() {
	img, err := image.Open(context.Background(), "oci-archive:../examples/hello/hello.tar")
	if err != nil {
		log.Fatal(err)
	}
	defer img.Close()
	view, err := img.Union(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer view.Close()
	text, err := view.FS().ReadFile("Files/hello/hello.txt")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output: Hello from a Windows layer.
}

// Read a value of an image's registry, with the changes of all layers.
func ExampleImage_Hive() {
	img, err := image.Open(context.Background(), "oci-archive:../examples/hello/hello.tar")
	if err != nil {
		log.Fatal(err)
	}
	defer img.Close()
	software, err := img.Hive(context.Background(), hives.Software)
	if err != nil {
		log.Fatal(err)
	}
	defer software.Close()
	product, err := software.Value(`Microsoft\Windows NT\CurrentVersion`, "ProductName")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(product.AsString())
	// Output: Windows Server 2022 Datacenter <nil>
}
