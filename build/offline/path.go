package offline

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// root is the path in the layer of C:\.
const root = "Files"

// winPath returns the path in Windows of a path in the layer.
func winPath(p string) string {
	if len(p) == len(root) {
		return `C:\`
	}
	return "C:" + p[len(root):]
}

// place is a path that a command names.
type place struct {
	layer string // path in the layer, links not resolved
	null  bool   // the device NUL
	slash bool   // a backslash was at the end
}

// path reads a path as Win32 does. Relative paths begin at the current directory.
func (s *session) path(t text) (place, error) {
	p, err := s.parsePath(t.s)
	return p, placed(t, err)
}

// clean is the part of a path without patterns: the last name may have them.
func (s *session) parsePath(name string) (place, error) {
	name = strings.ReplaceAll(name, "/", `\`)
	if name == "" {
		return place{}, fmt.Errorf("%w: the path is empty", ErrSyntax)
	}
	dir := s.cwd
	switch {
	case strings.HasPrefix(name, `\\?\`) || strings.HasPrefix(name, `\??\`):
		name = name[4:]
		if !hasDrive(name) {
			return place{}, fmt.Errorf("%w: the image has no such device", ErrNotOffline)
		}
	case strings.HasPrefix(name, `\\`):
		return place{}, fmt.Errorf("%w: the path is on a network or a device", ErrNotOffline)
	}
	if hasDrive(name) {
		if name[0]|0x20 != 'c' {
			return place{}, fmt.Errorf("%w: the image has no drive but C", ErrNotOffline)
		}
		name = name[2:]
	}
	if strings.HasPrefix(name, `\`) {
		dir = root
	}
	p := place{slash: strings.HasSuffix(name, `\`)}
	names := strings.Split(name, `\`)
	for i, n := range names {
		last := i == len(names)-1
		switch n {
		case "", ".":
			continue
		case "..":
			if dir != root {
				dir, _ = winfs.SplitPath(dir)
			}
			continue
		}
		if last {
			n = strings.TrimRight(n, ". ")
		}
		if strings.EqualFold(n, "nul") {
			if !last {
				return place{}, fmt.Errorf("%w: NUL is not a directory", ErrNotOffline)
			}
			return place{null: true}, nil
		}
		if err := winfs.CheckName(n); err != nil && !errors.Is(err, winfs.ErrInvalidName) {
			return place{}, err
		} else if errors.Is(err, winfs.ErrNameReserved) || errors.Is(err, winfs.ErrNameTrailing) {
			return place{}, fmt.Errorf("%w: %w", ErrNotOffline, err)
		}
		if err := winfs.ValidateComponent(n); err != nil {
			return place{}, fmt.Errorf("%w: %w", ErrNotOffline, err)
		}
		dir = winfs.JoinPath(dir, n)
	}
	if winfs.UTF16Len(dir) > 32000 {
		return place{}, fmt.Errorf("%w of a path", ErrLimit)
	}
	p.layer = dir
	return p, nil
}

func hasDrive(name string) bool {
	return len(name) >= 2 && name[1] == ':' && (name[0]|0x20 >= 'a' && name[0]|0x20 <= 'z')
}

// item is a file or directory of the tree.
type item struct{ *layer.Item }

func (i *item) dir() bool     { return i.Kind == layer.Dir }
func (i *item) reparse() bool { return i.Reparse != nil }
func (i *item) has(a winfs.Attributes) bool {
	return i.Attributes&a != 0
}
func (i *item) name() string { _, n := winfs.SplitPath(i.Path); return n }

// shortName is what the file system makes of a long name for old programs.
var shortName = regexp.MustCompile(`(?i)^[^.]{1,6}~[0-9]{1,2}(\.[^.]{0,3})?$`)

// find looks a path up whose parents are no links.
func (s *session) find(p string) (*item, error) {
	if err := s.step(); err != nil {
		return nil, err
	}
	it, err := s.c.Files.Lookup(p)
	if err != nil {
		if missing(err) {
			if p == root {
				return &item{&layer.Item{Entry: layer.Entry{Path: root, Kind: layer.Dir}}}, nil
			}
			if _, n := winfs.SplitPath(p); shortName.MatchString(n) {
				return nil, fmt.Errorf("%w: an image has no short names such as %s", ErrNotOffline, n)
			}
		}
		return nil, err
	}
	return &item{it}, nil
}

// maxLinks is the number of links that Windows follows in one path (MS Learn,
// "Symbolic Link Programming Considerations").
const maxLinks = 63

// real returns the path with the links in it resolved, with last that of the last name
// too. What does not exist is kept.
func (s *session) real(p string, last bool) (string, error) {
	links := 0
	done, rest := root, ""
	if len(p) > len(root) {
		rest = p[len(root)+1:]
	}
	for rest != "" {
		name, after, more := strings.Cut(rest, `\`)
		next := winfs.JoinPath(done, name)
		if !more && !last {
			return next, nil
		}
		it, err := s.find(next)
		if missing(err) {
			return winfs.JoinPath(done, rest), nil
		}
		if err != nil {
			return "", err
		}
		next = winfs.JoinPath(done, it.name())
		if !it.reparse() {
			if more && !it.dir() {
				return "", &fs.PathError{Op: "open", Path: winPath(next), Err: fs.ErrNotExist}
			}
			done, rest = next, after
			continue
		}
		to, err := s.linkTarget(done, it)
		if err != nil {
			return "", err
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%w: %s leads through more than %d links", ErrLimit, winPath(p), maxLinks)
		}
		done, rest = root, ""
		if len(to) > len(root) {
			rest = to[len(root)+1:]
		}
		if more {
			if rest != "" {
				rest += `\`
			}
			rest += after
		}
	}
	return done, nil
}

// linkTarget returns the path that a link in the directory dir leads to.
func (s *session) linkTarget(dir string, it *item) (string, error) {
	r, err := winfs.ParseReparse(it.Reparse)
	if err != nil {
		return "", fmt.Errorf("%s: %w", winPath(it.Path), err)
	}
	if r.Tag != winfs.ReparseTagSymlink && r.Tag != winfs.ReparseTagMountPoint {
		return "", fmt.Errorf("%w: %s is a reparse point of another kind than a link (%s)", ErrNotOffline, winPath(it.Path), winfs.ReparseTagName(r.Tag))
	}
	sub := *s
	sub.cwd = dir
	to, err := sub.parsePath(r.Substitute)
	if err == nil && to.null {
		err = fmt.Errorf("%w: a link to NUL", ErrNotOffline)
	}
	if err != nil {
		return "", fmt.Errorf("link %s to %s: %w", winPath(it.Path), r.Target(), err)
	}
	return to.layer, nil
}

// locate is path and real: the path in the layer that a command's word names.
func (s *session) locate(t text, last bool) (place, error) {
	p, err := s.path(t)
	if err != nil || p.null {
		return p, err
	}
	p.layer, err = s.real(p.layer, last)
	if err != nil && !missing(err) {
		err = placed(t, err)
	}
	return p, err
}

// guard refuses to touch the files of the registry, which a running Windows keeps open.
func guard(p string) error {
	if hives.Private(p) {
		return fmt.Errorf("%w: %s belongs to the registry, which keeps it open", ErrNotOffline, winPath(p))
	}
	return nil
}

// children lists a directory in the order of names, as NTFS does.
func (s *session) children(dir string) ([]*item, error) {
	var list []*item
	for it, err := range s.c.Files.Children(dir) {
		if err != nil {
			if missing(err) && dir == root {
				return nil, nil
			}
			return nil, err
		}
		if err := s.step(); err != nil {
			return nil, err
		}
		e := *it
		list = append(list, &item{&e})
	}
	return list, nil
}

// match is a pattern found in a directory.
func hasPattern(name string) bool { return strings.ContainsAny(name, "*?") }

// pattern is a word of a command that may have * and ? in its last name.
type pattern struct {
	dir   string // path in the layer, links resolved
	name  string // last name, "" for the root of the drive
	wild  bool
	null  bool
	slash bool
}

// pattern splits a word. The directory must exist unless the error is fs.ErrNotExist.
func (s *session) pattern(t text) (pattern, error) {
	w := strings.ReplaceAll(t.s, "/", `\`)
	i := strings.LastIndexAny(w, `\:`)
	last := w[i+1:]
	if !hasPattern(last) {
		p, err := s.path(t)
		if err != nil || p.null {
			return pattern{null: p.null}, err
		}
		if p.layer == root {
			return pattern{dir: root, slash: p.slash}, nil
		}
		dir, name := winfs.SplitPath(p.layer)
		out := pattern{name: name, slash: p.slash}
		out.dir, err = s.directory(dir)
		return out, placedUnlessMissing(t, err)
	}
	if strings.ContainsAny(last, `<>"|:`) || len(last) > 4*winfs.MaxComponent {
		return pattern{}, placed(t, fmt.Errorf("%w: not a file name", ErrSyntax))
	}
	before := w[:i+1]
	if before == "" {
		before = "."
	}
	if hasPattern(before) {
		return pattern{}, notOffline(t, "a pattern is allowed only in the last name of a path")
	}
	p, err := s.parsePath(before)
	if err != nil {
		return pattern{}, placed(t, err)
	}
	out := pattern{name: last, wild: true}
	out.dir, err = s.directory(p.layer)
	return out, placedUnlessMissing(t, err)
}

func placedUnlessMissing(t text, err error) error {
	if missing(err) {
		return err
	}
	return placed(t, err)
}

// directory resolves the links in the path of a directory, which must exist.
func (s *session) directory(p string) (string, error) {
	p, err := s.real(p, true)
	if err != nil {
		return p, err
	}
	it, err := s.find(p)
	if err == nil && !it.dir() {
		err = &fs.PathError{Op: "open", Path: winPath(p), Err: fs.ErrNotExist}
	}
	return p, err
}

// matches returns the items that a pattern names, in the order of their names. Links are
// not followed.
func (s *session) matches(p pattern) ([]*item, error) {
	if !p.wild {
		full := root
		if p.name != "" {
			full = winfs.JoinPath(p.dir, p.name)
		}
		it, err := s.find(full)
		if missing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return []*item{it}, nil
	}
	list, err := s.children(p.dir)
	if err != nil {
		return nil, err
	}
	out := list[:0]
	for _, it := range list {
		if matchPattern(p.name, it.name()) {
			out = append(out, it)
		}
	}
	return out, nil
}
