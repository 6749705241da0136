package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/moby/patternmatcher"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Options are options of a copy.
type Options struct {
	// Meta has the owner, and the descriptor if it is not inherited, of everything that is
	// made. Its times are those of directories that have none in the source: 0 is
	// draft.Options.Now.
	Meta draft.Meta
	// Epoch is the latest time of a file (SOURCE_DATE_EPOCH), zero for none.
	Epoch time.Time
	// Extract unpacks sources that are archives, as ADD does.
	Extract bool
	// Parents keeps the directories of a source below the destination, from its root or from
	// behind "/./", as COPY --parents does.
	Parents bool
	// Exclude are patterns as in .dockerignore of what is not copied, relative to each
	// source.
	Exclude []string
	// Limits bound archives.
	Limits layer.Limits
}

// CopyInto copies sources, which are names or patterns, to the path dst of a draft. toDir says
// that dst is a directory even if it does not exist, as a slash at its end does. Directories
// are made as needed; links that dst leads through, and is, are followed. A pattern without a
// match copies nothing. After an error the draft may have a part of the copy and is to be
// dropped.
//
// The draft reads the contents later: src must stay open until then.
func CopyInto(ctx context.Context, d *draft.Draft, src Source, names []string, dst string, toDir bool, opt Options) error {
	c := copier{ctx: ctx, d: d, opt: opt}
	var err error
	if c.exclude, err = patternmatcher.New(opt.Exclude); err != nil {
		return &Error{"copy --exclude", strings.Join(opt.Exclude, " "), err}
	}
	if len(names) > 1 && !toDir {
		return &Error{"copy", dst, ErrNeedDir}
	}
	for _, name := range names {
		pivot := ""
		if opt.Parents {
			if name, pivot = splitParents(name); strings.Contains("/"+name+"/", "/**/") {
				return &Error{"copy --parents", name, fmt.Errorf("%w: the wildcard **", errors.ErrUnsupported)}
			}
		}
		matches, err := src.Match(ctx, name)
		if err != nil {
			return wrap("copy", name, err)
		}
		for i, m := range matches {
			if err := c.source(src, m, pivot, dst, toDir, i > 0); err != nil {
				return wrap("copy", m, err)
			}
		}
	}
	return c.links()
}

// splitParents removes the pivot of COPY --parents from a pattern, and returns what is before
// it: the part of a name that is not kept.
func splitParents(name string) (whole, pivot string) {
	if before, after, ok := strings.Cut(name, "/./"); ok {
		return path.Join(before, after), clean(before)
	}
	return name, "."
}

type copier struct {
	ctx      context.Context
	d        *draft.Draft
	opt      Options
	exclude  *patternmatcher.PatternMatcher
	symlinks []symlink
}

// symlink is a symbolic link that was made and whose target may be a directory.
type symlink struct {
	path   string
	buffer []byte
	meta   draft.Meta
	toDir  bool
}

// source copies one source. several says that another one had the same destination.
func (c *copier) source(src Source, name, pivot, dst string, toDir, several bool) error {
	w := walk{c: c}
	for e, err := range src.Walk(c.ctx, name) {
		if err != nil {
			return err
		}
		if e.Path == "." {
			if unpacked, err := c.unpack(e, name, dst); unpacked || err != nil {
				return err
			}
			if w.to, err = c.destination(e, name, pivot, dst, toDir, several); err != nil {
				return err
			}
		}
		if err := w.entry(e); err != nil {
			return wrap("copy", path.Join(name, e.Path), err)
		}
	}
	return nil
}

// isDir reports whether the draft has a directory at a path, links followed, and its real
// path.
func (c *copier) isDir(p string) (string, bool, error) {
	real, err := c.d.Resolve(p)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	it, err := c.d.Lookup(real)
	if err != nil {
		return p, false, err
	}
	return real, it.Kind == layer.Dir, nil
}

// destination decides where a source goes, and makes the directory that it is in.
func (c *copier) destination(e *Entry, name, pivot, dst string, toDir, several bool) (string, error) {
	if c.opt.Parents {
		parts := strings.Split(clean(name), "/")
		if pivot != "." {
			parts = parts[min(len(parts), 1+strings.Count(pivot, "/")):] // which may have wildcards
		}
		rel := path.Join(parts...)
		if rel == "" || rel == "." {
			return dst, c.d.MkdirAll(dst, c.meta(time.Time{}))
		}
		p, err := winfs.FromSlash(rel)
		if err != nil {
			return "", err
		}
		p = winfs.JoinPath(dst, p)
		up, _ := winfs.SplitPath(p)
		return p, c.d.MkdirAll(up, c.meta(time.Time{}))
	}
	real, isDir, err := c.isDir(dst)
	if err != nil {
		return "", err
	}
	if e.Kind == Dir {
		if !isDir {
			if _, err := c.d.Lookup(real); err == nil {
				return "", fmt.Errorf("%w: %s", ErrNotDir, real)
			}
			return dst, c.d.MkdirAll(dst, c.meta(time.Time{}))
		}
		return real, nil
	}
	if !toDir && !isDir {
		if several {
			return "", ErrNeedDir
		}
		up, _ := winfs.SplitPath(dst)
		return dst, c.d.MkdirAll(up, c.meta(time.Time{}))
	}
	if !isDir {
		if err := c.d.MkdirAll(dst, c.meta(time.Time{})); err != nil {
			return "", err
		}
		real = dst
	}
	base := path.Base(clean(name))
	return winfs.JoinPath(real, base), checkName(base)
}

// unpack unpacks a source that is an archive.
func (c *copier) unpack(e *Entry, name, dst string) (bool, error) {
	if !c.opt.Extract || e.Kind != File {
		return false, nil
	}
	r, err := openEntry(e)
	if err != nil {
		return false, err
	}
	a, ok, err := OpenArchive(c.ctx, path.Base(name), r, c.opt.Limits)
	if err != nil || !ok {
		return false, errors.Join(err, r.Close())
	}
	c.d.Keep(a)
	c.d.Keep(r)
	if err := c.d.MkdirAll(dst, c.meta(time.Time{})); err != nil {
		return true, err
	}
	real, err := c.d.Resolve(dst)
	if err != nil {
		return true, err
	}
	w := walk{c: c, to: real}
	for e, err := range a.Walk(c.ctx, ".") {
		if err == nil {
			err = w.entry(e)
		}
		if err != nil {
			if e != nil {
				name = path.Join(name, e.Path)
			}
			return true, wrap("unpack", name, err)
		}
	}
	return true, nil
}

// openEntry opens the main stream of a file.
func openEntry(e *Entry) (io.ReadCloser, error) {
	if e.Content != nil {
		return e.Content.Open()
	}
	r, err := e.From.Open(e.At)
	if err != nil {
		return nil, err
	}
	if _, err = r.Next(); err == nil {
		_, err = r.NextStream()
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// meta returns the metadata of something with a time of its own.
func (c *copier) meta(t time.Time) draft.Meta {
	m := c.opt.Meta
	if t.IsZero() {
		return m
	}
	if !c.opt.Epoch.IsZero() && t.After(c.opt.Epoch) {
		t = c.opt.Epoch
	}
	if f, err := winfs.FiletimeFromTime(t); err == nil && f > 0 {
		m.Times = winfs.Times{LastWrite: f}
	}
	return m
}

// walk copies the entries of one source below to.
type walk struct {
	c   *copier
	to  string
	dir string // a directory that was just made or found
	// instead are the paths in the draft of files that stand for excluded ones with hard links.
	instead map[string]string
}

func (w *walk) entry(e *Entry) error {
	c := w.c
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if e.Path != "." && len(c.opt.Exclude) > 0 {
		// A directory that is excluded is made when something in it is not.
		if skip, err := c.exclude.MatchesOrParentMatches(e.Path); err != nil || skip {
			return err
		}
	}
	p := w.to
	if e.Path != "." {
		rest, err := winfs.FromSlash(e.Path)
		if err != nil {
			return err
		}
		p = winfs.JoinPath(p, rest)
	}
	up, _ := winfs.SplitPath(p)
	if e.Kind != Dir && up != w.dir {
		// Archives need not have entries for their directories.
		if err := c.d.MkdirAll(up, c.meta(time.Time{})); err != nil {
			return err
		}
		w.dir = up
	}
	m := c.meta(e.ModTime)
	switch e.Kind {
	case Dir:
		_, isDir, err := c.isDir(p)
		if err != nil || isDir {
			return err
		}
		if up != w.dir {
			if err := c.d.MkdirAll(up, c.meta(time.Time{})); err != nil {
				return err
			}
		}
		if err := c.d.Mkdir(p, c.dirMeta()); err != nil {
			return err
		}
		w.dir = p
		return nil
	case Link:
		if err := c.free(p); err != nil {
			return err
		}
		to, err := w.linkTarget(e)
		if err != nil {
			return err
		}
		if to != "" {
			return c.d.Link(p, to)
		}
		if w.instead == nil {
			w.instead = map[string]string{}
		}
		w.instead[e.Target] = p
	case Symlink:
		return c.symlink(p, e, m)
	}
	if err := c.free(p); err != nil {
		return err
	}
	if e.From != nil {
		return c.d.Import(e.From, e.At, p, m)
	}
	return c.d.Write(p, e.Content, m)
}

// linkTarget returns the path in the draft of the file of a hard link, "" if that is not
// copied, so that the link is the file.
func (w *walk) linkTarget(e *Entry) (string, error) {
	if len(w.c.opt.Exclude) > 0 {
		skip, err := w.c.exclude.MatchesOrParentMatches(e.Target)
		if err != nil {
			return "", err
		}
		if skip {
			return w.instead[e.Target], nil
		}
	}
	if e.Target == "." {
		return w.to, nil
	}
	to, err := winfs.FromSlash(e.Target)
	return winfs.JoinPath(w.to, to), err
}

// dirMeta is the metadata of a directory: the time of making it, since a reader of the source
// cannot tell when it was changed from when a file in it was.
func (c *copier) dirMeta() draft.Meta { return c.meta(time.Time{}) }

// free removes the file at a path, so that a new one has metadata of its own.
func (c *copier) free(p string) error {
	it, err := c.d.Lookup(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case it.Kind == layer.Dir && !draft.IsLink(&it.Entry):
		return fmt.Errorf("%w: %s", draft.ErrIsDir, it.Path)
	}
	return c.d.Remove(p)
}

// symlink makes a link. Whether that of a host or an archive leads to a directory, which
// Windows must know, is decided when everything is copied.
func (c *copier) symlink(p string, e *Entry, m draft.Meta) error {
	if err := c.free(p); err != nil {
		return err
	}
	if e.From != nil {
		return c.d.Import(e.From, e.At, p, m)
	}
	if err := winfs.CheckLinkTarget(winfs.ReparseTagSymlink, e.Target); err != nil {
		return err
	}
	b, err := winfs.EncodeSymlink(e.Target)
	if err != nil {
		return err
	}
	if err := c.d.Reparse(p, false, b, m); err != nil {
		return err
	}
	c.symlinks = append(c.symlinks, symlink{p, b, m, e.ToDir})
	return nil
}

// links makes links to directories of those that lead to one: in the image, or else in the
// source.
func (c *copier) links() error {
	for i, l := range c.symlinks {
		if i%256 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		toDir := l.toDir
		if _, isDir, err := c.isDir(l.path); err == nil {
			toDir = toDir || isDir
		}
		if !toDir {
			continue
		}
		it, err := c.d.Lookup(l.path)
		if err == nil && (it.Kind == layer.Dir || !draft.IsLink(&it.Entry)) {
			continue // replaced later in the copy
		}
		if err == nil {
			err = c.d.Remove(l.path)
		}
		if err == nil {
			err = c.d.Reparse(l.path, true, l.buffer, l.meta)
		}
		if err != nil {
			return wrap("copy", l.path, err)
		}
	}
	return nil
}
