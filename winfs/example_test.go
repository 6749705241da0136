package winfs_test

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/winfs"
)

// The name of a tar entry becomes a trusted path, or an error that says why not.
func Example() {
	for _, name := range []string{"./Files/Windows/", "Files/../etc", `\\server\share\x`, "Files/NUL.txt", "Files/a.txt:notes"} {
		file, stream, _ := winfs.CutStream(name)
		p, err := winfs.FromSlash(file)
		if err == nil {
			err = winfs.CheckPath(p)
		}
		switch {
		case errors.Is(err, winfs.ErrNameReserved):
			fmt.Printf("%s: a device to Win32, a file to NTFS\n", p)
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Printf("%s %q\n", p, stream)
		}
	}
	fmt.Println(winfs.EqualFold("Straße", "STRASSE"), winfs.EqualFold("ÄRGER.TXT", "ärger.txt"))
	// Output:
	// Files\Windows ""
	// invalid name "Files/../etc" at byte 6: component is made of dots
	// invalid name "\\\\server\\share\\x" at byte 0: path is not relative
	// Files\NUL.txt: a device to Win32, a file to NTFS
	// Files\a.txt "notes"
	// false true
}

// A symbolic link as Windows stores it.
func ExampleEncodeSymlink() {
	b, err := winfs.EncodeSymlink(`C:\Program Files`)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := winfs.ParseReparse(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(winfs.ReparseTagName(p.Tag), p.Substitute, p.Target(), p.Relative, len(b))
	// Output: SYMLINK \??\C:\Program Files C:\Program Files false 96
}
