package inventory_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/archive"
	"github.com/mullion/mullion/inventory"
)

func Example() {
	ctx := context.Background()
	img, err := image.Open(ctx, "oci-archive:../examples/hello/hello.tar")
	if err != nil {
		log.Fatal(err)
	}
	defer img.Close()
	inv, _, err := inventory.Of(ctx, img)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range inv.Components {
		fmt.Println(c.Kind, c.Name, c.Version)
	}
	// Output:
	// os Windows Server 2022 Datacenter 10.0.20348.2700
	// update Cumulative update 20348.2700
}
