//go:build linux || darwin

package fusefs

import (
	"strings"

	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// encodeLink converts the text of a POSIX link in the directory dir to a Windows link, and
// reports whether it must be a directory link: Windows has two kinds, and the present
// target of the text decides. An absolute text counts from the drive's root. A text that
// contains names impossible on Windows is an error.
func (v *writable) encodeLink(dir uint64, text string) (reparse []byte, toDir bool, err error) {
	var parts []string
	for _, c := range strings.Split(text, "/") {
		if c == "" {
			continue
		}
		if c != "." && c != ".." {
			if err := winfs.ValidateComponent(c); err != nil {
				return nil, false, overlay.ErrInvalid
			}
		}
		parts = append(parts, c)
	}
	target := strings.Join(parts, `\`)
	switch {
	case strings.HasPrefix(text, "/"):
		target = `C:\` + target
	case target == "":
		return nil, false, overlay.ErrInvalid
	}
	if reparse, err = winfs.EncodeSymlink(target); err != nil {
		return nil, false, err
	}
	p, err := winfs.ParseReparse(reparse)
	if err != nil {
		return nil, false, err
	}
	return reparse, v.leadsToDir(v.t.Path(dir), p, 0), nil
}

// maxFollow is the number of links that Linux follows.
const maxFollow = 40

// leadsToDir reports whether a link in the directory with the path at leads to a directory.
func (v *writable) leadsToDir(at string, p *winfs.ReparsePoint, depth int) bool {
	if depth > maxFollow {
		return false
	}
	stack := split(at)
	for _, c := range strings.Split(linkText(winfs.JoinPath(at, "x"), p, v.opt.DriveRoot), "/") {
		switch c {
		case ".":
		case "..":
			stack = stack[:max(len(stack)-1, 0)]
		default:
			stack = append(stack, c)
		}
	}
	id := v.t.Root()
	for n, c := range stack {
		i, err := v.t.Lookup(id, c)
		if err != nil {
			return false
		}
		defer v.t.Forget(i.ID, 1)
		switch {
		case i.Kind == overlay.Directory:
		case i.Kind == overlay.Symlink && n == len(stack)-1:
			return i.Attributes&winfs.AttrDirectory != 0
		case i.Kind == overlay.Symlink:
			// A link on the way: resolve its target, and then the rest.
			rest := &winfs.ReparsePoint{Print: winfs.JoinPath(strings.Join(stack[:n], `\`), "x")}
			up, _ := winfs.SplitPath(rest.Print)
			to := linkText(rest.Print, i.Target, v.opt.DriveRoot)
			whole := strings.ReplaceAll(to, "/", `\`) + `\` + strings.Join(stack[n+1:], `\`)
			return v.leadsToDir(up, &winfs.ReparsePoint{Print: whole}, depth+1)
		default:
			return false
		}
		id = i.ID
	}
	return true
}
