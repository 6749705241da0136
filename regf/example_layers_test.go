package regf_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mullion/mullion/regf"
)

// A container layer stores its changes in a delta hive; merging the delta over the base
// produces the hive that a process in the container sees.
func ExampleMerge() {
	base := regf.New(nil)
	if _, err := base.CreatePath(`Software\Old`); err != nil {
		log.Fatal(err)
	}
	delta := regf.New(nil)
	if err := delta.SetLayered(true); err != nil {
		log.Fatal(err)
	}
	gone, err := delta.CreatePath(`Software\Old`)
	if err != nil {
		log.Fatal(err)
	}
	if err := gone.SetLayer(regf.LayerTombstone, false); err != nil {
		log.Fatal(err)
	}
	if _, err := delta.CreatePath(`Software\New`); err != nil {
		log.Fatal(err)
	}

	merged, err := regf.Merge(context.Background(), []*regf.Hive{base, delta}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for k, err := range merged.Root().Walk() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%q\n", k.Path())
	}
	// Output:
	// ""
	// "Software"
	// "Software\\New"
}
