package offline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

func cmdMkdir(s *session, c call) (int, error) {
	operands, _, err := c.switches()
	if err != nil {
		return 0, err
	}
	if len(operands) == 0 {
		return s.fail(1, "The syntax of the command is incorrect.")
	}
	status := 0
	for _, o := range operands {
		if hasPattern(o.s) {
			return 0, notOffline(o, "")
		}
		p, err := s.path(o)
		if err != nil {
			return 0, err
		}
		if p.null {
			return 0, notOffline(o, "")
		}
		made, err := s.makeDir(p.layer)
		var code codeError
		switch {
		case errors.As(err, &code) && code != 183:
			status, err = s.failed(err)
		case err == nil && !made, errors.As(err, &code):
			status, err = s.fail(1, "A subdirectory or file %s already exists.", o.s)
		}
		if err != nil {
			return 0, placed(o, err)
		}
	}
	return status, nil
}

func cmdRmdir(s *session, c call) (int, error) {
	operands, set, err := c.switches("/s", "/q")
	if err != nil {
		return 0, err
	}
	if len(operands) == 0 {
		return s.fail(1, "The syntax of the command is incorrect.")
	}
	if set["/s"] && !set["/q"] {
		return 0, asks(c.name, "whether you are sure", "add /q")
	}
	status := 0
	for _, o := range operands {
		if hasPattern(o.s) {
			return 0, notOffline(o, "")
		}
		p, err := s.locate(o, false)
		if err == nil && p.null {
			return 0, notOffline(o, "")
		}
		var it *item
		if err == nil {
			it, err = s.find(p.layer)
		}
		var code codeError
		switch {
		case missing(err):
			n := 2
			if dir, _ := winfs.SplitPath(p.layer); dir != "" {
				if _, err := s.directory(dir); missing(err) {
					n = 3
				} else if err != nil {
					return 0, placed(o, err)
				}
			}
			status, err = s.failCode(n)
		case err != nil:
		case !it.dir():
			status, err = s.failCode(267)
		default:
			if err = s.remove(it, set["/s"]); errors.As(err, &code) {
				status, err = s.failCode(int(code))
			}
		}
		if err != nil {
			return 0, placed(o, err)
		}
	}
	return status, nil
}

// attributeFilter is the value of /a of del: letters that a file must have or, after a
// minus sign, must not have.
func attributeFilter(w text) (want, not winfs.Attributes, err error) {
	list := strings.TrimPrefix(w.s[len("/a"):], ":")
	minus := false
	for i := range len(list) {
		a, ok := attributeLetters[list[i]&^0x20]
		switch {
		case list[i] == '-' && !minus:
			minus = true
			continue
		case !ok || list[i]&^0x20 == 'I':
			return 0, 0, notOffline(w, "")
		case minus:
			not |= a
		default:
			want |= a
		}
		minus = false
	}
	if minus {
		return 0, 0, syntax(w, "a minus sign without an attribute")
	}
	return want, not, nil
}

var attributeLetters = map[byte]winfs.Attributes{
	'R': winfs.AttrReadOnly, 'A': winfs.AttrArchive, 'S': winfs.AttrSystem, 'H': winfs.AttrHidden,
	'I': winfs.AttrNotContentIndexed,
}

func cmdDel(s *session, c call) (int, error) {
	var operands []text
	var force, below, quiet bool
	// Without /a, hidden and system files are not seen.
	want, not := winfs.Attributes(0), winfs.AttrHidden|winfs.AttrSystem
	for _, w := range cmdWords(c.rest) {
		if !w.sw {
			operands = append(operands, w.text)
			continue
		}
		switch name := strings.ToLower(w.s); {
		case name == "/f":
			force = true
		case name == "/s":
			below = true
		case name == "/q":
			quiet = true
		case strings.HasPrefix(name, "/a"):
			var err error
			if want, not, err = attributeFilter(w.text); err != nil {
				return 0, err
			}
		default:
			return 0, notOffline(w.text, "")
		}
	}
	if len(operands) == 0 {
		return s.fail(1, "The syntax of the command is incorrect.")
	}
	status := 0
	for _, o := range operands {
		p, err := s.pattern(o)
		if missing(err) {
			if status, err = s.failCode(1 + 2); err == nil {
				status = 1
				continue
			}
		}
		if err != nil {
			return 0, err
		}
		if p.null {
			return 0, notOffline(o, "")
		}
		if !p.wild {
			full := root
			if p.name != "" {
				full = winfs.JoinPath(p.dir, p.name)
			}
			it, err := s.find(full)
			if err != nil && !missing(err) {
				return 0, placed(o, err)
			}
			if err == nil && it.dir() {
				if it.reparse() {
					return 0, notOffline(o, "it is a link to a directory; use rmdir to delete the link")
				}
				p = pattern{dir: it.Path, name: "*", wild: true}
			}
		}
		if (p.name == "*" || p.name == "*.*") && !quiet {
			return 0, asks(o, "whether you are sure", "add /q")
		}
		found, err := s.delete(p, below, force, want, not, 0)
		if err == nil && found == 0 {
			_, err = s.fail(0, "Could Not Find %s", o.s)
		}
		if err != nil {
			return 0, placed(o, err)
		}
	}
	return status, nil
}

// delete removes the files that a pattern names, with below in all directories below.
func (s *session) delete(p pattern, below, force bool, want, not winfs.Attributes, level int) (int, error) {
	if level > maxTree {
		return 0, fmt.Errorf("%w of %d directories in a path", ErrLimit, maxTree)
	}
	list, err := s.matches(p)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, it := range list {
		if it.dir() || it.Attributes&want != want || it.Attributes&not != 0 {
			continue
		}
		n++
		if it.has(winfs.AttrReadOnly) && !force {
			return n, fmt.Errorf("%w: del leaves %s, which is read-only", ErrNotOffline, winPath(it.Path))
		}
		if err := s.remove(it, false); err != nil {
			return n, err
		}
	}
	if !below {
		return n, nil
	}
	dirs, err := s.children(p.dir)
	if err != nil {
		return n, err
	}
	for _, d := range dirs {
		if !d.dir() {
			continue
		}
		if d.reparse() {
			return n, fmt.Errorf("%w: %s is a link to a directory in the tree of /s", ErrNotOffline, winPath(d.Path))
		}
		q := p
		q.dir = d.Path
		m, err := s.delete(q, below, force, want, not, level+1)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// target is where copy, xcopy and move put files: into a directory, or under a name.
type target struct {
	dir  string // path of a directory that exists, links resolved
	name string // the new name, which may be a pattern; "" keeps the old one
}

// path returns the path of the target of a file.
func (t target) path(name string) (string, error) {
	if t.name != "" {
		to, ok := renamed(t.name, name)
		if !ok {
			return "", fmt.Errorf("%w: the new name of %s by the pattern %s", ErrNotOffline, name, t.name)
		}
		name = to
	}
	if err := winfs.ValidateComponent(name); err != nil {
		return "", fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return winfs.JoinPath(t.dir, name), nil
}

// target reads the last operand of copy and move. null is set for NUL. If the directory
// does not exist, the error is fs.ErrNotExist.
func (s *session) target(t text) (target, bool, error) {
	p, err := s.pattern(t)
	if err != nil || p.null {
		return target{}, p.null, err
	}
	if p.name == "" {
		return target{dir: root}, false, nil
	}
	if p.wild {
		return target{dir: p.dir, name: p.name}, false, nil
	}
	full, err := s.real(winfs.JoinPath(p.dir, p.name), true)
	if err != nil {
		return target{}, false, placedUnlessMissing(t, err)
	}
	it, err := s.find(full)
	switch {
	case err == nil && it.dir():
		return target{dir: full}, false, nil
	case err != nil && !missing(err):
		return target{}, false, placed(t, err)
	case p.slash:
		return target{}, false, codeError(3)
	}
	dir, name := winfs.SplitPath(full)
	if winfs.EqualFold(name, p.name) {
		name = p.name // a name in another case is a new one
	}
	return target{dir: dir, name: name}, false, nil
}

func cmdCopy(s *session, c call) (int, error) {
	operands, _, err := c.switches("/y", "/v", "/b")
	if err != nil {
		return 0, err
	}
	for _, o := range operands {
		if strings.Contains(o.s, "+") {
			return 0, notOffline(o, "copy does not join files here")
		}
	}
	switch len(operands) {
	case 0:
		return s.fail(1, "The syntax of the command is incorrect.")
	case 1, 2:
	default:
		return s.fail(1, "The syntax of the command is incorrect.")
	}
	src, err := s.pattern(operands[0])
	if missing(err) {
		code, err := s.failCode(3)
		return min(code, 1), err
	}
	if err != nil {
		return 0, err
	}
	to := target{dir: s.cwd}
	if len(operands) == 2 {
		var null bool
		if to, null, err = s.target(operands[1]); err != nil {
			if missing(err) {
				err = codeError(3)
			}
			return s.failed(err)
		}
		if null {
			return 0, notOffline(operands[1], "")
		}
	}
	if src.null {
		// Copying NUL makes an empty file in no version of Windows.
		return 0, notOffline(operands[0], "use type nul >")
	}
	if src, err = s.directoryAsPattern(src); err != nil {
		return 0, placed(operands[0], err)
	}
	list, err := s.matches(src)
	if err != nil {
		return 0, placed(operands[0], err)
	}
	if src.wild && to.name != "" && !hasPattern(to.name) {
		return 0, notOffline(operands[1], "copy joins the files of a pattern in one file; make the directory first")
	}
	done, status := 0, 0
	for _, it := range list {
		if it.dir() || it.has(winfs.AttrHidden|winfs.AttrSystem) {
			continue
		}
		p, err := to.path(it.name())
		if err == nil {
			err = s.copyFile(it, p, it.Attributes|winfs.AttrArchive)
		}
		switch {
		case errors.Is(err, errSame):
			status, err = s.fail(1, "The file cannot be copied onto itself.")
		case err == nil:
			done++
		default:
			status, err = s.failed(err)
		}
		if err != nil {
			return 0, placed(operands[0], err)
		}
		if status != 0 {
			return status, nil
		}
	}
	if done == 0 {
		code, err := s.failCode(2)
		return min(code, 1), err
	}
	return 0, s.printf("%9d file(s) copied.", done)
}

// directoryAsPattern makes the pattern * of a directory.
func (s *session) directoryAsPattern(p pattern) (pattern, error) {
	if p.wild || p.null {
		return p, nil
	}
	full := root
	if p.name != "" {
		full = winfs.JoinPath(p.dir, p.name)
	}
	full, err := s.real(full, true)
	if err != nil {
		if missing(err) {
			return p, nil
		}
		return p, err
	}
	it, err := s.find(full)
	if missing(err) {
		return p, nil
	}
	if err == nil && it.dir() {
		p = pattern{dir: full, name: "*", wild: true}
	}
	return p, err
}

func cmdMove(s *session, c call) (int, error) {
	operands, _, err := c.switches("/y")
	if err != nil {
		return 0, err
	}
	if len(operands) == 0 || len(operands) > 2 {
		return s.fail(1, "The syntax of the command is incorrect.")
	}
	src, err := s.pattern(operands[0])
	if missing(err) {
		code, err := s.failCode(3)
		return min(code, 1), err
	}
	if err != nil {
		return 0, err
	}
	if src.null {
		return 0, notOffline(operands[0], "")
	}
	list, err := s.matches(src)
	if err != nil {
		return 0, placed(operands[0], err)
	}
	if src.wild {
		// A pattern of move means files.
		files := list[:0]
		for _, it := range list {
			if !it.dir() && !it.has(winfs.AttrHidden|winfs.AttrSystem) {
				files = append(files, it)
			}
		}
		list = files
	}
	if len(list) == 0 {
		code, err := s.failCode(2)
		return min(code, 1), err
	}
	to := target{dir: s.cwd}
	if len(operands) == 2 {
		var null bool
		if to, null, err = s.target(operands[1]); err != nil {
			if missing(err) {
				err = codeError(3)
			}
			return s.failed(err)
		}
		if null || hasPattern(to.name) {
			return 0, notOffline(operands[1], "")
		}
	}
	if len(list) > 1 && to.name != "" {
		return s.fail(1, "Cannot move multiple files to a single file.")
	}
	for _, it := range list {
		p, err := to.path(it.name())
		if err == nil {
			err = s.moveItem(it, p, true)
		}
		if err != nil {
			code, err := s.failed(err)
			return code, placed(operands[0], err)
		}
	}
	return 0, nil
}

func cmdRen(s *session, c call) (int, error) {
	operands, _, err := c.switches()
	if err != nil {
		return 0, err
	}
	if len(operands) != 2 || strings.ContainsAny(operands[1].s, `\:`) {
		return s.fail(1, "The syntax of the command is incorrect.")
	}
	src, err := s.pattern(operands[0])
	if missing(err) {
		code, err := s.failCode(3)
		return min(code, 1), err
	}
	if err != nil {
		return 0, err
	}
	if src.null {
		return 0, notOffline(operands[0], "")
	}
	list, err := s.matches(src)
	if err != nil {
		return 0, placed(operands[0], err)
	}
	files := list
	if src.wild {
		files = nil
		for _, it := range list {
			if !it.dir() && !it.has(winfs.AttrHidden|winfs.AttrSystem) {
				files = append(files, it)
			}
		}
	}
	if len(files) == 0 {
		code, err := s.failCode(2)
		return min(code, 1), err
	}
	for _, it := range files {
		p, err := target{dir: src.dir, name: operands[1].s}.path(it.name())
		if err == nil {
			err = s.moveItem(it, p, false)
		}
		var code codeError
		if errors.As(err, &code) && (code == 183 || code == 5) {
			return s.fail(1, "A duplicate file name exists, or the file cannot be found.")
		}
		if err != nil {
			n, err := s.failed(err)
			return n, placed(operands[0], err)
		}
	}
	return 0, nil
}

func cmdMklink(s *session, c call) (int, error) {
	operands, set, err := c.switches("/d", "/j", "/h")
	if err != nil {
		return 0, err
	}
	if len(operands) != 2 || len(set) > 1 {
		return s.fail(1, "The syntax of the command is incorrect.")
	}
	kind := linkFile
	for k := range set {
		kind = map[string]linkKind{"/d": linkDir, "/j": linkJunction, "/h": linkHard}[k]
	}
	err = s.link(kind, operands[0], operands[1])
	if missing(err) {
		err = codeError(3)
	}
	return s.failed(err)
}

// linkKind is the kind of a link.
type linkKind int

const (
	linkFile linkKind = iota
	linkDir
	linkJunction
	linkHard
)

// link makes a link at a path whose parent exists. Errors of Windows are codeErrors.
func (s *session) link(kind linkKind, at, to text) error {
	for _, t := range []text{at, to} {
		if hasPattern(t.s) {
			return notOffline(t, "")
		}
	}
	p, err := s.locate(at, false)
	if err != nil {
		return err
	}
	if p.null {
		return notOffline(at, "")
	}
	if err := guard(p.layer); err != nil {
		return placed(at, err)
	}
	if _, err := s.find(p.layer); err == nil {
		return codeError(183)
	} else if !missing(err) {
		return placed(at, err)
	}
	dir, _ := winfs.SplitPath(p.layer)
	if _, err := s.directory(dir); err != nil {
		if missing(err) {
			return codeError(3)
		}
		return placed(at, err)
	}
	switch kind {
	case linkHard:
		t, err := s.locate(to, false)
		if err != nil {
			return err
		}
		if t.null {
			return notOffline(to, "")
		}
		it, err := s.find(t.layer)
		if missing(err) {
			return codeError(2)
		}
		if err != nil {
			return placed(to, err)
		}
		if it.dir() {
			return codeError(5)
		}
		if err := guard(it.Path); err != nil {
			return placed(to, err)
		}
		return s.c.Files.Link(p.layer, it.Path)
	case linkJunction:
		t, err := s.path(to)
		if err != nil {
			return err
		}
		if t.null {
			return notOffline(to, "")
		}
		b, err := winfs.EncodeMountPoint(winPath(t.layer))
		if err != nil {
			return placed(to, err)
		}
		return s.c.Files.Reparse(p.layer, true, b, Meta{})
	}
	b, err := winfs.EncodeSymlink(to.s)
	if err != nil {
		return placed(to, err)
	}
	return s.c.Files.Reparse(p.layer, kind == linkDir, b, Meta{})
}
