package fusefs

import (
	"strings"

	"github.com/mullion/mullion/winfs"
)

// DriveRoot is the directory of a layer that is the root of drive C: in a
// container.
const DriveRoot = "Files"

// linkText translates the target of a link at path (backslashes, from the root of the tree)
// to the text of a POSIX symbolic link that leads to the same place inside the tree. The
// text never leads above the tree's root.
func linkText(path string, p *winfs.ReparsePoint, driveRoot string) string {
	target := p.Target()
	dir, _ := winfs.SplitPath(path)
	var from []string // components of the directory to which the target is relative
	relative := false
	rest := strings.ReplaceAll(target, "/", `\`)
	switch {
	case strings.HasPrefix(rest, `\\?\`), strings.HasPrefix(rest, `\??\`):
		rest = rest[4:]
		if !isDriveC(rest) {
			return target
		}
		rest, from = rest[2:], split(driveRoot)
	case strings.HasPrefix(rest, `\\`):
		return target
	case isDriveC(rest):
		rest, from = rest[2:], split(driveRoot)
	case len(rest) >= 2 && rest[1] == ':':
		return target
	case strings.HasPrefix(rest, `\`):
		from = split(driveRoot)
	default:
		from, relative = split(dir), true
	}
	floor := 0 // the depth above which .. cannot lead: the drive's root, for paths on it
	if root := split(driveRoot); len(from) >= len(root) && equalFold(from[:len(root)], root) {
		floor = len(root)
	}
	to := append([]string(nil), from...)
	clamped := false
	for _, c := range split(rest) {
		switch c {
		case ".":
		case "..":
			if len(to) > floor {
				to = to[:len(to)-1]
			} else {
				clamped = true
			}
		default:
			to = append(to, c)
		}
	}
	if relative && !clamped {
		return strings.Join(split(rest), "/") // unchanged
	}
	// Relative to the directory of the link.
	at := split(dir)
	common := 0
	for common < len(at) && common < len(to) && winfs.EqualFold(at[common], to[common]) {
		common++
	}
	var out []string
	for range at[common:] {
		out = append(out, "..")
	}
	out = append(out, to[common:]...)
	if len(out) == 0 {
		return "."
	}
	return strings.Join(out, "/")
}

func isDriveC(s string) bool {
	return len(s) >= 2 && (s[0] == 'C' || s[0] == 'c') && s[1] == ':' && (len(s) == 2 || s[2] == '\\')
}

func split(p string) []string {
	return strings.FieldsFunc(p, func(r rune) bool { return r == '\\' })
}

func equalFold(a, b []string) bool {
	for i := range a {
		if !winfs.EqualFold(a[i], b[i]) {
			return false
		}
	}
	return true
}
