package offline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// xcopyProgram is xcopy.exe.
func xcopyProgram(s *session, name text, args []text) (int, error) {
	var operands []text
	x := &xcopy{s: s}
	dirGiven := false
	for _, w := range xcopyWords(args) {
		if !strings.HasPrefix(w.s, "/") {
			operands = append(operands, w)
			continue
		}
		switch strings.ToLower(w.s) {
		case "/s":
			x.below = true
		case "/e":
			x.below, x.empty = true, true
		case "/i":
			dirGiven = true
		case "/y":
			x.overwrite = true
		case "/h":
			x.hidden = true
		case "/k":
			x.keep = true
		case "/r":
			x.readOnly = true
		case "/q", "/f", "/v", "/c", "/j":
			// What they change is output, checks and the treatment of errors that do not
			// occur here.
		default:
			return 0, notOffline(w, "")
		}
	}
	if len(operands) == 0 || len(operands) > 2 {
		return s.fail(4, "Invalid number of parameters")
	}
	src, err := s.pattern(operands[0])
	if missing(err) {
		return s.fail(4, "File not found - %s", operands[0].s)
	}
	if err != nil {
		return 0, err
	}
	if src.null {
		return 0, notOffline(operands[0], "")
	}
	wasName := !src.wild
	if src, err = s.directoryAsPattern(src); err != nil {
		return 0, placed(operands[0], err)
	}
	if wasName && !src.wild {
		if list, err := s.matches(src); err != nil || len(list) == 0 {
			if err != nil {
				return 0, placed(operands[0], err)
			}
			return s.fail(4, "File not found - %s", operands[0].s)
		}
	}
	to := target{dir: s.cwd}
	if len(operands) == 2 {
		if to, err = x.target(operands[1], src, dirGiven); err != nil {
			var code codeError
			if errors.As(err, &code) {
				return s.fail(4, "Invalid path")
			}
			return 0, err
		}
	}
	if x.below && (winfs.EqualFold(to.dir, src.dir) || winfs.Under(to.dir, src.dir)) {
		return s.fail(4, "Cannot perform a cyclic copy")
	}
	if err := x.copy(src, to, 0); err != nil {
		if errors.Is(err, errSame) {
			return s.fail(4, "File cannot be copied onto itself")
		}
		var code codeError
		if errors.As(err, &code) {
			return s.fail(4, "%s", code)
		}
		return 0, placed(operands[0], err)
	}
	if x.done == 0 {
		return s.fail(1, "0 File(s) copied")
	}
	return 0, s.printf("%d File(s) copied", x.done)
}

// xcopyWords cuts switches that are written without blanks, as in /s/e.
func xcopyWords(args []text) []text {
	var out []text
	for _, a := range args {
		for i := 1; strings.HasPrefix(a.s, "/") && i < a.len(); i++ {
			if a.s[i] == '/' {
				out = append(out, a.sub(0, i))
				a, i = a.sub(i, a.len()), 0
			}
		}
		out = append(out, a)
	}
	return out
}

type xcopy struct {
	s                                               *session
	below, empty, overwrite, hidden, keep, readOnly bool
	done                                            int
}

// target reads the destination, which xcopy takes for a directory if it ends with a
// backslash, exists as one, or with /i and more than one file to copy.
func (x *xcopy) target(t text, src pattern, dirGiven bool) (target, error) {
	s := x.s
	p, err := s.pattern(t)
	if err != nil && !missing(err) {
		return target{}, err
	}
	if p.null || p.wild {
		return target{}, notOffline(t, "")
	}
	full, err := s.locate(t, true)
	if missing(err) {
		return target{}, codeError(3)
	}
	if err != nil {
		return target{}, err
	}
	it, err := s.find(full.layer)
	switch {
	case err == nil && it.dir():
		return target{dir: full.layer}, nil
	case err != nil && !missing(err):
		return target{}, placed(t, err)
	case err == nil:
		if src.wild {
			return target{}, notOffline(t, "xcopy joins files in one file")
		}
		dir, name := winfs.SplitPath(full.layer)
		return target{dir: dir, name: name}, nil
	case full.slash, dirGiven && src.wild:
		return target{dir: full.layer}, nil
	}
	advice := "end the name of a directory with a backslash"
	if src.wild {
		advice += ", or add /i"
	}
	return target{}, asks(t, "whether it is a file or a directory", advice)
}

func (x *xcopy) skips(it *item) bool {
	return !x.hidden && it.has(winfs.AttrHidden|winfs.AttrSystem)
}

func (x *xcopy) copy(src pattern, to target, level int) error {
	if level > maxTree {
		return fmt.Errorf("%w of %d directories in a path", ErrLimit, maxTree)
	}
	s := x.s
	list, err := s.matches(src)
	if err != nil {
		return err
	}
	if x.empty {
		if _, err := s.makeDir(to.dir); err != nil {
			return err
		}
	}
	for _, it := range list {
		if it.dir() || x.skips(it) {
			continue
		}
		if _, err := s.makeDir(to.dir); err != nil {
			return err
		}
		p, err := to.path(it.name())
		if err != nil {
			return err
		}
		old, err := s.find(p)
		if err != nil && !missing(err) {
			return err
		}
		if err == nil {
			if !x.overwrite {
				return asks(text{s: winPath(p)}, "whether to overwrite a file", "add /y")
			}
			if x.readOnly && old.has(winfs.AttrReadOnly) {
				if err := s.setAttributes(old, 0, winfs.AttrReadOnly); err != nil {
					return err
				}
			}
			if x.hidden && old.has(winfs.AttrHidden|winfs.AttrSystem) {
				if err := s.setAttributes(old, 0, winfs.AttrHidden|winfs.AttrSystem); err != nil {
					return err
				}
			}
		}
		a := it.Attributes | winfs.AttrArchive
		if !x.keep {
			a &^= winfs.AttrReadOnly
		}
		if err := s.copyFile(it, p, a); err != nil {
			return err
		}
		x.done++
	}
	if !x.below {
		return nil
	}
	dirs, err := s.children(src.dir)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if !d.dir() || x.skips(d) {
			continue
		}
		if d.reparse() {
			return fmt.Errorf("%w: %s is a link to a directory in the tree that is copied", ErrNotOffline, winPath(d.Path))
		}
		next := src
		next.dir = d.Path
		sub := to
		sub.dir = winfs.JoinPath(to.dir, d.name())
		if err := x.copy(next, sub, level+1); err != nil {
			return err
		}
	}
	return nil
}
