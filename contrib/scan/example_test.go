package scan_test

import (
	"context"
	"fmt"
	"log"
	"os"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagejson"
	"github.com/mullion/mullion/contrib/scan"
	"github.com/mullion/mullion/inventory"
)

// One extractor of SCALIBR runs on a Windows file system, here a directory with Files\app.
func ExampleCataloger() {
	extractor, err := packagejson.New(&cpb.PluginConfig{})
	if err != nil {
		log.Fatal(err)
	}
	windows := inventory.NewSystem(os.DirFS("testdata/windows"), nil)
	inv, err := inventory.Run(context.Background(), windows, scan.Cataloger(extractor))
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range inv.Components {
		fmt.Println(c.PURL, c.Evidence[0].Path)
	}
	// Output: pkg:npm/left-pad@1.3.0 Files\app\package.json
}
