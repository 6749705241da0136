package cli

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image/imagetest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
)

// story DIR TAR... makes a layout of an image with these layers and a history: "RUN step N"
// for layer N, and before each an entry without a layer.
func story(ts *testscript.TestScript, _ bool, args []string) {
	created := time.Date(2024, 9, 10, 18, 0, 0, 0, time.UTC)
	img := imagetest.Image{Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"}}}
	for i, name := range args[1:] {
		b, err := os.ReadFile(ts.MkAbs(name))
		ts.Check(err)
		img.Layers = append(img.Layers, imagetest.Layer{Tar: b, Format: blob.Gzip})
		img.Config.History = append(img.Config.History,
			ocispec.History{CreatedBy: "ENV between", EmptyLayer: true},
			ocispec.History{Created: &created, CreatedBy: fmt.Sprintf("RUN step %d", i)})
	}
	ts.Check(imagetest.WriteLayout(ts.MkAbs(args[0]), img))
}

func TestParseKeyArg(t *testing.T) {
	for arg, want := range map[string]struct {
		n   hives.Name
		key string
		ok  bool
		err bool
	}{
		`HKLM\SOFTWARE\Vendor\App`:          {hives.Software, `Vendor\App`, true, false},
		`hkey_local_machine\system\Select`:  {hives.System, `Select`, true, false},
		`SOFTWARE`:                          {hives.Software, "", true, false},
		`\sam\SAM\Domains`:                  {hives.SAM, `SAM\Domains`, true, false},
		`HKU\.DEFAULT\Environment`:          {hives.Default, `Environment`, true, false},
		`DEFAULT\Environment`:               {hives.Default, `Environment`, true, false},
		`HKEY_USERS\S-1-5-18`:               {hives.Default, "", true, false},
		`HKU\S-1-5-21-1-2-3-1001`:           {0, "", true, true},
		`HKLM\HARDWARE`:                     {0, "", true, true},
		`HKLM`:                              {0, "", true, true},
		`Files\Windows\System32\config\SAM`: {0, "", false, false},
		`Hives\Software_Delta`:              {0, "", false, false},
		`Software_Delta`:                    {0, "", false, false},
		`SOFTWARE_BASE`:                     {0, "", false, false},
		`Software/x`:                        {0, "", false, false},
	} {
		n, key, ok, err := parseKeyArg(arg)
		if n != want.n && err == nil || key != want.key && err == nil || ok != want.ok || (err != nil) != want.err {
			t.Errorf("%s: %v, %q, %v, %v", arg, n, key, ok, err)
		}
	}
}
