package cimlayer

import (
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/winfs"
)

// LayoutName is the file that unpacking adds to the root of a base layer, and LayoutText what
// is in it.
const LayoutName, LayoutText = layoutName, layoutText

// layoutName is the file that describes an unpacked base layer to start-up code,
// layoutText its content if the hives are part of the file system.
const (
	layoutName = "layout"
	layoutText = "vhd-with-hives\n"
)

// utilityVMFiles are the files of a utility VM that are also stored next to the image,
// because they are read before it can be mounted.
var utilityVMFiles = []string{
	`UtilityVM\Files\Windows\System32\config\SYSTEM`,
	`UtilityVM\Files\Windows\System32\config\SOFTWARE`,
	`UtilityVM\Files\EFI\Microsoft\Boot\BCD`,
	`UtilityVM\Files\EFI\Microsoft\Boot\bootmgfw.efi`,
}

// standard reports whether a path is that of a standard file, which is stored next to the
// image as well as in it (docs/spec/layers.md, "CIM layers"), and returns its usual
// spelling. Case does not matter.
func standard(path string) (name string, ok bool) {
	if n, form, ok := hives.Match(path); ok && form != hives.Base {
		return n.Path(form), true
	}
	for _, p := range utilityVMFiles {
		if winfs.EqualFold(p, path) {
			return p, true
		}
	}
	return "", false
}

// madeUp reports whether a path is that of a file that the writer generates and no layer
// contains.
func madeUp(path string) bool {
	if _, form, ok := hives.Match(path); ok && form == hives.Base {
		return true
	}
	return winfs.EqualFold(path, layoutName)
}
