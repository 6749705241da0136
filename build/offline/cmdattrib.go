package offline

import (
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// attribProgram is attrib.exe.
func attribProgram(s *session, name text, args []text) (int, error) {
	var set, clear winfs.Attributes
	var below, dirs bool
	var operand text
	for _, a := range args {
		switch lower := strings.ToLower(a.s); {
		case len(a.s) > 1 && (a.s[0] == '+' || a.s[0] == '-'):
			for i := 1; i < len(a.s); i++ {
				bit, ok := attributeLetters[a.s[i]&^0x20]
				if !ok || len(a.s) > 2 {
					return 0, notOffline(a, "")
				}
				if a.s[0] == '+' {
					set |= bit
				} else {
					clear |= bit
				}
			}
		case lower == "/s":
			below = true
		case lower == "/d":
			dirs = true
		case strings.HasPrefix(a.s, "/") || operand.s != "":
			return 0, notOffline(a, "")
		default:
			operand = a
		}
	}
	if set|clear == 0 || operand.s == "" {
		return 0, &wordError{at: name.from(), word: name.s, err: fmt.Errorf("%w: without an attribute and a path it only prints", ErrNotOffline)}
	}
	if set&clear != 0 {
		return 0, syntax(name, "an attribute is both set and cleared")
	}
	p, err := s.pattern(operand)
	if missing(err) {
		return s.fail(1, "Path not found - %s", operand.s)
	}
	if err != nil {
		return 0, err
	}
	if p.null {
		return 0, notOffline(operand, "")
	}
	n := 0
	change := func(it *item) error {
		n++
		if it.has(winfs.AttrHidden) && (set|clear)&winfs.AttrHidden == 0 || it.has(winfs.AttrSystem) && (set|clear)&winfs.AttrSystem == 0 {
			return fmt.Errorf("%w: attrib leaves %s, which is hidden or a system file, unless it changes that attribute, too", ErrNotOffline, winPath(it.Path))
		}
		return s.setAttributes(it, set, clear)
	}
	var visit func(q pattern, level int) error
	visit = func(q pattern, level int) error {
		if level > maxTree {
			return fmt.Errorf("%w of %d directories in a path", ErrLimit, maxTree)
		}
		list, err := s.matches(q)
		if err != nil {
			return err
		}
		for _, it := range list {
			// A pattern means files, and with /d directories too; a name means both.
			if it.dir() && q.wild && !dirs || it.dir() && below && !dirs {
				continue
			}
			if err := change(it); err != nil {
				return err
			}
		}
		if !below {
			return nil
		}
		subs, err := s.children(q.dir)
		if err != nil {
			return err
		}
		for _, d := range subs {
			if !d.dir() {
				continue
			}
			if d.reparse() {
				return fmt.Errorf("%w: %s is a link to a directory in the tree of /s", ErrNotOffline, winPath(d.Path))
			}
			next := q
			next.dir = d.Path
			if err := visit(next, level+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := visit(p, 0); err != nil {
		return 0, placed(operand, err)
	}
	if n == 0 {
		return s.fail(1, "File not found - %s", operand.s)
	}
	return 0, nil
}

// takeownProgram is takeown.exe.
func takeownProgram(s *session, name text, args []text) (int, error) {
	operands, set, err := options(args, "a r skipsl", "f d")
	if err != nil {
		return 0, err
	}
	file, ok := set["f"]
	if !ok || len(operands) > 0 {
		return 0, syntax(name, "/f and a path are needed")
	}
	if _, ok := set["skipsl"]; ok {
		return 0, notOffline(set["skipsl"], "")
	}
	_, recurse := set["r"]
	if d, ok := set["d"]; ok && (!recurse || !strings.EqualFold(d.s, "y")) {
		return 0, notOffline(d, "only /d y, with /r")
	}
	owner := winsec.ContainerAdministrator
	if _, ok := set["a"]; ok {
		owner = winsec.BuiltinAdministrators
	}
	p, err := s.pattern(file)
	if err != nil && !missing(err) {
		return 0, err
	}
	var list []*item
	if err == nil {
		if p.null {
			return 0, notOffline(file, "")
		}
		if list, err = s.matches(p); err != nil {
			return 0, placed(file, err)
		}
	}
	if len(list) == 0 {
		return s.fail(1, "ERROR: The system cannot find the file specified.")
	}
	own := func(it *item) error {
		if it.reparse() {
			return fmt.Errorf("%w: %s is a link", ErrNotOffline, winPath(it.Path))
		}
		return s.setOwner(it, owner)
	}
	for _, it := range list {
		if recurse {
			err = s.walk(it, own)
		} else {
			err = own(it)
		}
		if err != nil {
			return 0, placed(file, err)
		}
	}
	return 0, nil
}
