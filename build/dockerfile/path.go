package dockerfile

import (
	"fmt"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// place is a path on the system drive of a container: its components, none for the root.
type place []string

// parsePlace reads a path of an instruction: C:\x, c:/x, \x and /x are on the system drive,
// everything else, C:x too, is below the working directory. Dots are resolved, and ".." does
// not lead above the root. dir reports that the path can only be that of a directory, by its
// last character.
//
// Drives other than C:, UNC and device paths are ErrPath, as are names that Windows does not
// allow.
func parsePlace(text string, workdir place) (p place, dir bool, err error) {
	s := strings.ReplaceAll(text, "/", `\`)
	if strings.HasPrefix(s, `\\`) {
		return nil, false, fmt.Errorf("%w: %s is a UNC or device path", ErrPath, short(text, 200))
	}
	if len(s) >= 2 && s[1] == ':' {
		if s[0] != 'C' && s[0] != 'c' {
			return nil, false, fmt.Errorf("%w: %s: a container has the drive C: alone", ErrPath, short(text, 200))
		}
		s = s[2:]
		if s == "" {
			return nil, false, fmt.Errorf(`%w: %s names no directory; the root is C:\`, ErrPath, short(text, 200))
		}
	}
	if !strings.HasPrefix(s, `\`) {
		p = append(p, workdir...)
	}
	for name := range strings.SplitSeq(s, `\`) {
		switch name {
		case "", ".":
			dir = true
		case "..":
			p, dir = p[:max(0, len(p)-1)], true
		default:
			err := winfs.ValidateComponent(name)
			if err == nil {
				err = winfs.CheckName(name)
			}
			if err != nil {
				return nil, false, fmt.Errorf("%w: %s: %w", ErrPath, short(text, 200), err)
			}
			p, dir = append(p, name), false
		}
	}
	if err := winfs.ValidatePath(p.layer()); err != nil {
		return nil, false, fmt.Errorf("%w: %s: %w", ErrPath, short(text, 200), err)
	}
	return p, dir, nil
}

// isAbsolute reports whether a path that parsePlace has read is not below the working
// directory.
func isAbsolute(text string) bool {
	if len(text) >= 2 && text[1] == ':' {
		text = text[2:]
	}
	return strings.HasPrefix(text, "/") || strings.HasPrefix(text, `\`)
}

// String returns the path as Windows shows it, C:\x.
func (p place) String() string { return `C:\` + strings.Join(p, `\`) }

// layer returns the path in a layer, Files\x.
func (p place) layer() string {
	return strings.Join(append([]string{layer.RootFiles}, p...), `\`)
}
