package regf_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// A hive is made, saved, opened and read.
func Example() {
	clock := func() winfs.Filetime { return 133_000_000_000_000_000 }
	h := regf.New(&regf.Options{Clock: clock})
	k, err := h.CreatePath(`Microsoft\Windows NT\CurrentVersion`)
	if err != nil {
		log.Fatal(err)
	}
	if err := k.SetValue("CurrentBuild", regf.RegSZ, regf.StringData("20348")); err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "hive")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "SOFTWARE")
	if err := h.WriteCompactFile(name, nil); err != nil {
		log.Fatal(err)
	}

	o, err := regf.Open(name, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer o.Close()
	for k, err := range o.Root().Walk() {
		if err != nil {
			log.Fatal(err)
		}
		for v, err := range k.Values() {
			if err != nil {
				log.Fatal(err)
			}
			s, err := v.AsString()
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(k.Path(), v.Name(), v.Type(), s)
		}
	}
	for f, err := range o.Check(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f)
	}
	// Output:
	// Microsoft\Windows NT\CurrentVersion CurrentBuild REG_SZ 20348
}
