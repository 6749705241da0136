package draft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// maxLinks is the number of reparse points that Windows follows on one path (MS Learn,
// "Reparse Points").
const maxLinks = 63

// find validates a path and follows the links of its directories.
func (d *Draft) find(path string) (place, error) {
	dir, name, err := d.parent(path)
	if err != nil || name == "" {
		return dir, err
	}
	return dir.step(name), nil
}

// parent is find for the directory of a path, which must exist. name is empty for the root.
func (d *Draft) parent(path string) (dir place, name string, err error) {
	if err := winfs.ValidatePath(path); err != nil {
		return place{}, "", err
	}
	if err := d.limits.CheckDepth(path); err != nil {
		return place{}, "", err
	}
	if path == "" {
		return place{n: d.root, low: true}, "", nil
	}
	up, name := winfs.SplitPath(path)
	dir, err = d.dir(up)
	return dir, name, err
}

// dir finds a directory, following links, the last one too.
func (d *Draft) dir(path string) (place, error) {
	if real, ok := d.resolved[path]; ok {
		return d.at(real), nil
	}
	p, err := d.follow(path)
	if err != nil {
		return p, err
	}
	// The table saves the links and spellings of the directories that a large copy fills.
	if len(d.resolved) >= 4096 {
		clear(d.resolved)
	}
	d.resolved[strings.Clone(path)] = p.path
	return p, nil
}

func (d *Draft) follow(path string) (place, error) {
	root := place{n: d.root, low: true}
	p, rest := root, path
	if up, name := winfs.SplitPath(path); up != "" {
		if real, ok := d.resolved[up]; ok {
			p, rest = d.at(real), name
		}
	}
	for followed := 0; rest != ""; {
		var name string
		name, rest = cut(rest)
		q := p.step(name)
		it, err := d.item(q)
		if err != nil {
			return q, err
		}
		q.path = it.Path
		if target, ok, err := linkTarget(it); err != nil {
			return q, err
		} else if ok {
			if followed++; followed > maxLinks {
				return q, fmt.Errorf("%w: %d", ErrLinkLoop, maxLinks)
			}
			rest = winfs.JoinPath(target, rest)
			p = root
			continue
		}
		if it.Kind != layer.Dir {
			return q, fmt.Errorf("%w: %s", layer.ErrNotDirectory, it.Path)
		}
		p = q
	}
	return p, nil
}

// IsLink reports whether an entry stands for another file or directory, as symbolic links and
// junctions do.
func IsLink(e *layer.Entry) bool {
	return len(e.Reparse) >= 4 && winfs.IsNameSurrogate(binary.LittleEndian.Uint32(e.Reparse))
}

// linkTarget returns the path in the tree that a link leads to. ok is false for what is no
// link.
func linkTarget(it *layer.Item) (target string, ok bool, err error) {
	if !IsLink(&it.Entry) {
		return "", false, nil
	}
	outside := func() (string, bool, error) { return "", true, fmt.Errorf("%w: %s", ErrLinkOutside, it.Path) }
	r, err := winfs.ParseReparse(it.Reparse)
	if err != nil {
		return "", true, fmt.Errorf("%s: %w", it.Path, err)
	}
	if r.Tag != winfs.ReparseTagSymlink && r.Tag != winfs.ReparseTagMountPoint {
		return outside()
	}
	drive := ""
	for _, root := range []string{layer.RootFiles, layer.RootUtilityVM + `\Files`} {
		if winfs.Under(it.Path, root) {
			drive = it.Path[:len(root)]
		}
	}
	if drive == "" {
		return outside()
	}
	text := r.Substitute
	from := drive
	switch {
	case r.Relative && !strings.HasPrefix(text, `\`):
		from, _ = winfs.SplitPath(it.Path)
	case r.Relative:
		text = text[1:]
	default:
		text = strings.TrimPrefix(text, `\??\`)
		if len(text) < 2 || !strings.EqualFold(text[:2], "C:") || len(text) > 2 && text[2] != '\\' {
			return outside()
		}
		text = text[2:]
	}
	target = from
	for part := range strings.SplitSeq(text, `\`) {
		switch part {
		case "", ".":
		case "..":
			if len(target) <= len(drive) {
				return outside()
			}
			target, _ = winfs.SplitPath(target)
		default:
			target = winfs.JoinPath(target, part)
		}
	}
	if err := winfs.ValidatePath(target); err != nil {
		return "", true, fmt.Errorf("target of the link %s: %w", it.Path, err)
	}
	return target, true, nil
}

// Resolve returns the real path of a path whose last component is followed too, as programs
// open files. That nothing is there is fs.ErrNotExist, with the path where it would be.
func (d *Draft) Resolve(path string) (string, error) {
	for range maxLinks {
		p, err := d.find(path)
		if err != nil {
			return p.path, fail("resolve", path, err)
		}
		it, err := d.item(p)
		if err != nil {
			return p.path, fail("resolve", path, err)
		}
		target, ok, err := linkTarget(it)
		if err != nil {
			return it.Path, fail("resolve", path, err)
		}
		if !ok {
			return it.Path, nil
		}
		path = target
	}
	return path, fail("resolve", path, fmt.Errorf("%w: %d", ErrLinkLoop, maxLinks))
}

// notFound makes the error of a directory that is missing.
func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoParent, err)
	}
	return err
}
