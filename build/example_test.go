package build_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
)

// A directory becomes a layer on top of an image, and the command of the image runs a program
// in it. Nothing is written before Write.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	app := filepath.Join(dir, "app")
	if err := os.MkdirAll(filepath.Join(app, "PROGRAM"), 0o755); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(app, "PROGRAM", "app.cmd"), []byte("@echo hello\r\n"), 0o644); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	base, err := image.Open(ctx, "oci-archive:../examples/hello/hello.tar")
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	a, err := image.NewAssembly(base)
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	if _, err := build.Append(ctx, a, build.AppendOptions{}, app); err != nil {
		log.Fatal(err)
	}
	if err := build.Configure(a, build.Changes{Cmd: &[]string{`C:\PROGRAM\app.cmd`}, SetEnv: []string{"APP=1"}}); err != nil {
		log.Fatal(err)
	}
	done, err := a.Write(ctx, "oci-archive:"+filepath.Join(dir, "app.tar"))
	if err != nil {
		log.Fatal(err)
	}
	img, err := a.Image()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(done.Blobs, "blobs,", len(img.Layers()), "layers, runs", img.Config().Config.Cmd[0])
	// Output: 3 blobs, 3 layers, runs C:\PROGRAM\app.cmd
}
