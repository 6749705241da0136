package fusefs

import (
	"testing"

	"github.com/mullion/mullion/winfs"
)

func TestLinkText(t *testing.T) {
	for _, c := range []struct{ at, target, want string }{
		{`Files\a\l`, `b`, "b"},
		{`Files\a\l`, `..\b\c`, "../b/c"},
		{`Files\a\l`, `.`, "."},
		{`Files\a\l`, `..\..\..\x`, "../x"}, // clamped at C:\
		{`Files\a\l`, `C:\x`, "../x"},
		{`Files\a\l`, `c:\A\y`, "y"},
		{`Files\l`, `C:\`, "."},
		{`Files\a\b\l`, `\x\y`, "../../x/y"},
		{`Files\a\l`, `\\?\C:\x`, "../x"},
		{`Files\a\l`, `D:\x`, `D:\x`},
		{`Files\a\l`, `C:x`, `C:x`}, // relative to the drive's current directory
		{`Files\a\l`, `\\server\share`, `\\server\share`},
		{`Files\a\l`, `\\?\Volume{11111111-1111-1111-1111-111111111111}\`, `\\?\Volume{11111111-1111-1111-1111-111111111111}\`},
		{`UtilityVM\l`, `..\..\Files`, "../Files"},
		{`Files\a\l`, `b/c`, "b/c"},
	} {
		p := &winfs.ReparsePoint{Tag: winfs.ReparseTagSymlink, Substitute: c.target, Print: c.target, Relative: true}
		if got := linkText(c.at, p, DriveRoot); got != c.want {
			t.Errorf("link at %s to %s is %q, want %q", c.at, c.target, got, c.want)
		}
	}
}
