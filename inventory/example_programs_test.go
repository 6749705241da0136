package inventory_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/inventory"
	"github.com/mullion/mullion/regf"
)

// The programs that a SOFTWARE hive lists.
func ExampleRun_programs() {
	registry := map[hives.Name]*regf.Hive{hives.Software: hiveWithGit()}
	windows := inventory.NewSystem(nil, registry)
	inv, err := inventory.Run(context.Background(), windows, inventory.Catalogers()...)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range inv.Components {
		if c.Kind == inventory.Program {
			fmt.Println(c.Name, c.Version, c.Publisher)
		}
	}
	// Output: Git 2.43.0 The Git Development Community
}

// hiveWithGit makes the hive of the example; others are opened with regf.Open.
func hiveWithGit() *regf.Hive {
	b, err := hives.Minimal(hives.Software, hives.ServerCore(20348, 2700))
	if err != nil {
		log.Fatal(err)
	}
	h, err := regf.OpenBytes(b, nil)
	if err != nil {
		log.Fatal(err)
	}
	k, err := h.CreatePath(`Microsoft\Windows\CurrentVersion\Uninstall\Git_is1`)
	if err != nil {
		log.Fatal(err)
	}
	for name, s := range map[string]string{"DisplayName": "Git", "DisplayVersion": "2.43.0", "Publisher": "The Git Development Community"} {
		if err := k.SetValue(name, regf.RegSZ, regf.StringData(s)); err != nil {
			log.Fatal(err)
		}
	}
	return h
}
