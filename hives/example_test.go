package hives_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// Merge the delta hive of a layer into the hive of its base.
func ExampleMerge() {
	dir, err := os.MkdirTemp("", "hives")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "SOFTWARE")
	if err := hives.Merge(context.Background(), out, []string{"../examples/hello/SOFTWARE", "../examples/hello/Software_Delta"}); err != nil {
		log.Fatal(err)
	}
	h, err := regf.Open(out, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	fmt.Println(hives.OSVersionOf(h))
	// Output: 10.0.20348.2700 <nil>
}
