package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Context is a directory of the host as a source. Nothing outside of the directory is ever
// read: every file is opened through an os.Root, and links that lead out are [ErrOutside].
// Memory grows with the largest directory, not with their number.
type Context struct {
	root   *os.Root
	ignore *patternmatcher.PatternMatcher
}

// OpenContext opens a directory as a context. ignore is the text of its .dockerignore, nil if
// it has none. The caller closes the context when no draft is used any more that has files of
// it.
func OpenContext(dir string, ignore io.Reader) (*Context, error) {
	var patterns []string
	if ignore != nil {
		var err error
		if patterns, err = ignorefile.ReadAll(ignore); err != nil {
			return nil, wrap("read", ".dockerignore", err)
		}
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, wrap("read", ".dockerignore", err)
	}
	root, err := openfile.Root(dir)
	if err != nil {
		return nil, err
	}
	return &Context{root, m}, nil
}

// Close closes the directory.
func (c *Context) Close() error { return c.root.Close() }

// ReadFile returns a file of at most most bytes, also one that is ignored, such as the
// Dockerfile. The error for a larger one is layer.ErrLimit.
func (c *Context) ReadFile(name string, most int64) ([]byte, error) {
	real, _, err := c.resolve(clean(name))
	if err != nil {
		return nil, err
	}
	f, err := openfile.RegularIn(c.root, real)
	if err != nil {
		return nil, wrap("read context", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%w: the file has more than %d bytes", layer.ErrLimit, most)
	}
	return b, wrap("read context", name, err)
}

// maxHostLinks is the number of links that one name may lead through.
const maxHostLinks = 40

// resolve follows all links of a name inside the context.
func (c *Context) resolve(name string) (real string, info fs.FileInfo, err error) {
	real, rest := ".", name
	for links := 0; ; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		next := path.Join(real, part)
		info, err = c.root.Lstat(next)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = c.missing(real, part)
			}
			return real, nil, wrap("read context", name, err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			real = next
			if rest == "" {
				return real, info, nil
			}
			if !info.IsDir() {
				return real, nil, wrap("read context", name, fs.ErrNotExist)
			}
			continue
		}
		if links++; links > maxHostLinks {
			return real, nil, wrap("read context", name, fmt.Errorf("%w: %d", draft.ErrLinkLoop, maxHostLinks))
		}
		target, err := c.root.Readlink(next)
		if err != nil {
			return real, nil, wrap("read context", name, err)
		}
		target = strings.ReplaceAll(target, string(os.PathSeparator), "/")
		up := path.Join(real, target)
		if path.IsAbs(target) || strings.Contains(target, ":") && os.PathSeparator == '\\' || up == ".." || strings.HasPrefix(up, "../") {
			return real, nil, wrap("read context", name, fmt.Errorf("%w: %s -> %s", ErrOutside, next, target))
		}
		rest = path.Join(up, rest)
		real = "."
		if rest == "." {
			info, err := c.root.Lstat(".")
			return ".", info, wrap("read context", name, err)
		}
	}
}

// missing is the error of a name that does not exist, with one that differs in case.
func (c *Context) missing(dir, name string) error {
	list, err := c.read(dir)
	if err != nil {
		return fs.ErrNotExist
	}
	for _, e := range list {
		if winfs.EqualFold(e.Name(), name) {
			return fmt.Errorf("%w, but %s, and names of the context regard case", fs.ErrNotExist, path.Join(dir, e.Name()))
		}
	}
	return fs.ErrNotExist
}

// read lists a directory.
func (c *Context) read(dir string) ([]fs.DirEntry, error) {
	f, err := c.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// match says whether a name is ignored, from what is known of its directory.
func (c *Context) match(name string, up patternmatcher.MatchInfo) (bool, patternmatcher.MatchInfo, error) {
	return c.ignore.MatchesUsingParentResults(name, up)
}

// matchAll is match for a name of which nothing is known.
func (c *Context) matchAll(name string) (ignored bool, info patternmatcher.MatchInfo, err error) {
	for i := 0; name != "." && i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		if ignored, info, err = c.match(name[:i], info); err != nil {
			return false, info, wrap("read", ".dockerignore", err)
		}
	}
	return ignored, info, nil
}

// visible is one name in a directory that is not ignored.
type visible struct {
	name string
	real string
	info patternmatcher.MatchInfo
}

// list returns the names in a directory that are not ignored, in the order of NTFS, which is
// also how names are found that differ only in case. An ignored directory with something in
// it that is not is listed.
func (c *Context) list(ctx context.Context, dir string, up patternmatcher.MatchInfo) ([]visible, error) {
	list, err := c.read(dir)
	if err != nil {
		return nil, wrap("read context", dir, err)
	}
	var out []visible
	for i, e := range list {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		real := path.Join(dir, e.Name())
		ignored, info, err := c.match(real, up)
		if err != nil {
			return nil, wrap("read", ".dockerignore", err)
		}
		if ignored {
			if !e.IsDir() || !c.ignore.Exclusions() {
				continue
			}
			inside, err := c.list(ctx, real, info)
			if err != nil {
				return nil, err
			}
			if len(inside) == 0 {
				continue
			}
		}
		out = append(out, visible{e.Name(), real, info})
	}
	slices.SortFunc(out, func(a, b visible) int { return winfs.CompareFold(a.name, b.name) })
	for i, v := range out {
		if err := checkName(v.name); err != nil {
			return nil, wrap("read context", v.real, err)
		}
		if i > 0 && winfs.EqualFold(out[i-1].name, v.name) {
			return nil, wrap("read context", v.real, fmt.Errorf("%w: %s", layer.ErrCaseConflict, out[i-1].real))
		}
	}
	return out, nil
}

// Match matches names with regard to case; those that are ignored are not there.
func (c *Context) Match(ctx context.Context, pattern string) ([]string, error) {
	if !hasWildcards(pattern) {
		return []string{pattern}, nil
	}
	return glob(pattern, false, func(dir string) ([]string, error) {
		real, info, err := c.resolve(dir)
		if err != nil || !info.IsDir() {
			return nil, err
		}
		_, up, err := c.matchAll(real)
		if err != nil {
			return nil, err
		}
		list, err := c.list(ctx, real, up)
		var names []string
		for _, v := range list {
			names = append(names, v.name)
		}
		return names, err
	})
}

// Walk yields what is not ignored, files of one inode as hard links of the first.
func (c *Context) Walk(ctx context.Context, name string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		w := contextWalk{c: c, ctx: ctx, yield: yield, links: map[inode]string{}}
		err := w.start(clean(name))
		if err != nil && err != errStop {
			yield(nil, wrap("read context", name, err))
		}
	}
}

type contextWalk struct {
	c     *Context
	ctx   context.Context
	yield func(*Entry, error) bool
	links map[inode]string
}

type inode struct{ device, number uint64 }

func (w *contextWalk) start(name string) error {
	real, info, err := w.c.resolve(name)
	if err != nil {
		return err
	}
	for _, n := range []string{name, real} {
		ignored, _, err := w.c.matchAll(n)
		if err != nil {
			return err
		}
		if ignored && !(info.IsDir() && w.c.ignore.Exclusions()) {
			return fmt.Errorf("%w, .dockerignore excludes it", fs.ErrNotExist)
		}
	}
	_, match, err := w.c.matchAll(real)
	if err != nil {
		return err
	}
	return w.walk(visible{real: real, info: match}, ".", info)
}

func (w *contextWalk) walk(v visible, rel string, info fs.FileInfo) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	e := &Entry{Path: rel, Kind: File, ModTime: info.ModTime()}
	switch mode := info.Mode(); {
	case mode.IsDir():
		e.Kind = Dir
	case mode&fs.ModeSymlink != 0:
		e.Kind = Symlink
		var err error
		if e.Target, err = w.c.root.Readlink(v.real); err != nil {
			return wrap("read context", v.real, err)
		}
		to, err := w.c.root.Stat(v.real)
		e.ToDir = err == nil && to.IsDir()
	case !mode.IsRegular():
		return wrap("read context", v.real, fmt.Errorf("%w (%v)", ErrSpecial, mode.Type()))
	default:
		e.Content = &hostFile{w.c.root, v.real, info.Size()}
		if device, number, names := hostfs.FileIdentity(info); names > 1 {
			id := inode{device, number}
			if first, ok := w.links[id]; ok {
				e.Kind, e.Target = Link, first
			} else {
				w.links[id] = rel
			}
		}
	}
	if !w.yield(e, nil) {
		return errStop
	}
	if e.Kind != Dir {
		return nil
	}
	list, err := w.c.list(w.ctx, v.real, v.info)
	if err != nil {
		return err
	}
	for _, v := range list {
		info, err := w.c.root.Lstat(v.real)
		if err != nil {
			return wrap("read context", v.real, err)
		}
		if err := w.walk(v, path.Join(rel, v.name), info); err != nil {
			return err
		}
	}
	return nil
}

// hostFile is the content of a file of the context.
type hostFile struct {
	root *os.Root
	name string
	size int64
}

func (f *hostFile) Size() int64 { return f.size }

func (f *hostFile) Open() (io.ReadCloser, error) {
	file, err := openfile.RegularIn(f.root, f.name)
	if err != nil {
		return nil, wrap("read context", f.name, err)
	}
	return file, nil
}
