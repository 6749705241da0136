package cimlayer

import (
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/winfs"
)

// layoutName is the file that tells start-up code what an unpacked base layer
// holds, layoutText its content where hives are part of the file system.
const (
	layoutName = "layout"
	layoutText = "vhd-with-hives\n"
)

// utilityVMFiles are the files of a utility VM that stand beside the image too,
// because they are read before it can be mounted.
var utilityVMFiles = []string{
	`UtilityVM\Files\Windows\System32\config\SYSTEM`,
	`UtilityVM\Files\Windows\System32\config\SOFTWARE`,
	`UtilityVM\Files\EFI\Microsoft\Boot\BCD`,
	`UtilityVM\Files\EFI\Microsoft\Boot\bootmgfw.efi`,
}

// standard tells whether a path is that of a standard file, one that stands beside the
// image as well as in it (docs/spec/layers.md, "CIM layers"), and spells it as it is
// spelled there. Case does not matter.
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

// madeUp tells whether a path is that of a file that the writer makes and no layer
// brings.
func madeUp(path string) bool {
	if _, form, ok := hives.Match(path); ok && form == hives.Base {
		return true
	}
	return winfs.EqualFold(path, layoutName)
}
