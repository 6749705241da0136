package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// converter yields an ordinary source as a layer for Windows above a tree. It keeps what it
// needs of each directory that it has met, and nothing of files.
type converter struct {
	ctx  context.Context
	src  layer.Reader // paths begin below Files
	plan *plan
	tree image.Tree // of the layers below, or nil
	opt  conversion

	dirs  map[string]*directory // by the folded path below Files
	heirs map[string]heirs      // by the descriptor of the parent
	queue []layer.Entry         // to be yielded, from next on
	next  int
	then  bool // the last of the queue is the entry that src is at
	entry layer.Entry
	n     int32
	begun bool
	err   error
	ready bool // the streams of src belong to the current entry
}

// conversion says how a source is converted.
type conversion struct {
	label     string
	latest    winfs.Filetime // of all times; 0 for no bound
	contained bool           // a link must not leave the source
	base      bool           // there are no layers below
}

// heirs are the descriptors that a directory gives.
type heirs struct{ file, dir []byte }

// directory is one that the layer has yielded.
type directory struct {
	path   string // with Files, as the layers below spell it
	exists bool   // in the layers below
	heirs  heirs
}

// Next implements layer.Reader.
func (c *converter) Next() (*layer.Entry, error) {
	if c.err != nil {
		return nil, c.err
	}
	c.ready = false
	for {
		if c.next < len(c.queue) {
			c.entry = c.queue[c.next]
			if c.next++; c.next == len(c.queue) {
				c.queue, c.next = c.queue[:0], 0
				c.ready, c.then = c.then, false
			}
			return &c.entry, nil
		}
		if err := c.step(); err != nil {
			c.err = err
			return nil, err
		}
	}
}

// step converts the next entry of the source.
func (c *converter) step() error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if !c.begun {
		c.begun = true
		return c.root()
	}
	e, err := c.src.Next()
	if err != nil {
		return err
	}
	n := c.n
	c.n++
	if err := c.convert(e, n); err != nil {
		return &layer.Error{Op: "convert", Layer: c.opt.label, Entry: e.Path, Index: int64(n) + 1, Offset: -1, Err: err}
	}
	return nil
}

// root queues the roots of the layer.
func (c *converter) root() error {
	if _, err := c.directory("", winfs.Times{}); err != nil {
		return err
	}
	if c.opt.base {
		return nil
	}
	it, err := c.lookup(layer.RootHives)
	if err != nil {
		return err
	}
	if it == nil {
		it = &layer.Item{Entry: layer.Entry{Kind: layer.Dir, Attributes: winfs.AttrDirectory}}
	}
	e := it.Entry
	e.Path = layer.RootHives
	c.queue = append(c.queue, e)
	return nil
}

// lookup returns what the layers below have at a path, nil if they have nothing.
func (c *converter) lookup(path string) (*layer.Item, error) {
	if c.tree == nil {
		return nil, nil
	}
	it, err := c.tree.Lookup(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return it, err
}

// directory returns a directory of the layer and queues it, and those that it is in, if the
// layer does not have them yet. A new one has these times.
func (c *converter) directory(path string, times winfs.Times) (*directory, error) {
	key := winfs.Fold(path)
	if d := c.dirs[key]; d != nil {
		return d, nil
	}
	above := &directory{exists: true}
	full := layer.RootFiles
	if path != "" {
		dir, name := winfs.SplitPath(path)
		var err error
		if above, err = c.directory(dir, times); err != nil {
			return nil, err
		}
		full = winfs.JoinPath(above.path, name)
	} else {
		above.heirs = defaults()
	}
	d := &directory{path: full}
	e := layer.Entry{Path: full, Kind: layer.Dir, Attributes: winfs.AttrDirectory, Times: c.clamp(times), Security: above.heirs.dir}
	if above.exists {
		it, err := c.lookup(full)
		switch {
		case err != nil:
			return nil, err
		case it == nil || it.Kind != layer.Dir && it.Reparse == nil:
		case it.Reparse != nil:
			return nil, fmt.Errorf("%w: %q", ErrThroughLink, it.Path)
		default:
			d.path, d.exists = it.Path, true
			e = it.Entry
		}
	}
	var err error
	if d.heirs, err = c.inherit(e.Security, above.heirs); err != nil {
		return nil, fmt.Errorf("the descriptor of %q: %w", d.path, err)
	}
	c.dirs[key] = d
	c.queue = append(c.queue, e)
	return d, nil
}

// inherit returns what a directory gives to what is made in it. One without a descriptor gives
// what its own directory does.
func (c *converter) inherit(parent []byte, above heirs) (h heirs, err error) {
	if parent == nil {
		if above.dir == nil {
			return defaults(), nil
		}
		return above, nil
	}
	if h, ok := c.heirs[string(parent)]; ok {
		return h, nil
	}
	if h.file, err = inheritFile(parent, false); err != nil {
		return h, err
	}
	if h.dir, err = inheritFile(parent, true); err != nil {
		return h, err
	}
	c.heirs[string(parent)] = h
	return h, nil
}

func (c *converter) clamp(t winfs.Times) winfs.Times {
	if c.opt.latest != 0 {
		for _, x := range []*winfs.Filetime{&t.Creation, &t.LastAccess, &t.LastWrite, &t.Change} {
			*x = min(*x, c.opt.latest)
		}
	}
	return t
}

// convert queues an entry of the source with what must precede it.
func (c *converter) convert(e *layer.Entry, n int32) error {
	switch e.Kind {
	case layer.Whiteout:
		return c.whiteout(e.Path)
	case layer.Opaque:
		return c.hideChildren(e.Path)
	}
	is, ok := c.plan.find(e.Path)
	if !ok || is.kind == layer.Dir && e.Kind != layer.Dir {
		return fmt.Errorf("%w: the source has changed while it was read", layer.ErrCorrupt)
	}
	if e.Kind == layer.Dir && e.Reparse == nil {
		_, err := c.directory(e.Path, e.Times)
		return err
	}
	if is.entry != n {
		return nil // a later entry replaces it
	}
	dir, name := winfs.SplitPath(e.Path)
	d, err := c.directory(dir, e.Times)
	if err != nil {
		return err
	}
	out := layer.Entry{Path: winfs.JoinPath(d.path, name), Kind: e.Kind, Attributes: e.Attributes, Times: c.clamp(e.Times),
		Security: d.heirs.file, EAs: e.EAs, Reparse: e.Reparse, Size: e.Size}
	if d.exists {
		it, err := c.lookup(out.Path)
		if err != nil {
			return err
		}
		if it != nil {
			out.Path = it.Path
			if it.Kind == layer.File && it.Reparse == nil && it.Security != nil {
				out.Security = it.Security // as of a file that is written over
			}
		}
	}
	switch {
	case e.Kind == layer.Link:
		out.Security, out.Reparse = nil, nil
		out.Target, err = c.target(e.Target, n)
	case e.Reparse != nil:
		err = c.symlink(&out, e.Path, d)
	}
	if err != nil {
		return err
	}
	c.queue, c.then = append(c.queue, out), true
	return nil
}

// target returns the path of the file that a hard link names again.
func (c *converter) target(path string, n int32) (string, error) {
	if is, ok := c.plan.find(path); ok {
		if is.kind == layer.Dir {
			return "", fmt.Errorf("%w: %q is a directory", layer.ErrLinkTarget, path)
		}
		if is.entry >= n {
			return "", fmt.Errorf("%w: %q comes after the link", layer.ErrLinkTarget, path)
		}
	}
	return c.spelled(path)
}

// spelled returns the path of a file with Files, as the layer or those below spell it.
func (c *converter) spelled(path string) (string, error) {
	dir, name := winfs.SplitPath(path)
	full := winfs.JoinPath(layer.RootFiles, path)
	d := c.dirs[winfs.Fold(dir)]
	if d != nil {
		full = winfs.JoinPath(d.path, name)
	}
	if d == nil || d.exists {
		it, err := c.lookup(full)
		if err != nil {
			return "", err
		}
		if it != nil {
			return it.Path, nil
		}
	}
	if _, ok := c.plan.find(path); !ok {
		return "", fmt.Errorf("%w: there is no %q in the source or the image", layer.ErrLinkTarget, path)
	}
	return full, nil
}

// symlink completes a symbolic link, which is one to a directory or to a file in Windows.
func (c *converter) symlink(e *layer.Entry, path string, in *directory) error {
	p, err := winfs.ParseReparse(e.Reparse)
	if err != nil {
		return err
	}
	to, inside, err := c.resolve(path, p.Target())
	if err != nil {
		return err
	}
	isDir := false
	if inside {
		if is, ok := c.plan.find(to); ok {
			isDir = is.kind == layer.Dir
		} else if it, err := c.lookup(winfs.JoinPath(layer.RootFiles, to)); err != nil {
			return err
		} else if it != nil {
			isDir = it.Kind == layer.Dir
		} else {
			isDir = to == ""
		}
	}
	e.Kind, e.Size = layer.File, 0
	e.Attributes = winfs.AttrArchive | winfs.AttrReparsePoint
	if isDir {
		e.Kind, e.Security = layer.Dir, in.heirs.dir
		e.Attributes = winfs.AttrDirectory | winfs.AttrReparsePoint
	}
	return nil
}

// resolve returns the path below Files that a link leads to; inside is false for another drive
// or machine.
func (c *converter) resolve(path, target string) (to string, inside bool, err error) {
	target = strings.ReplaceAll(target, "/", `\`)
	at, _ := winfs.SplitPath(path)
	switch {
	case len(target) >= 3 && target[1] == ':' && target[2] == '\\':
		if !strings.EqualFold(target[:1], "c") {
			return "", false, nil
		}
		at, target = "", target[3:]
	case strings.HasPrefix(target, `\\`):
		return "", false, nil
	case strings.HasPrefix(target, `\`):
		if c.opt.contained {
			return "", false, fmt.Errorf("%w: a symbolic link to %.200q", ErrOutside, target)
		}
		at, target = "", target[1:]
	}
	for part := range strings.SplitSeq(target, `\`) {
		switch part {
		case "", ".":
		case "..":
			if at == "" {
				return "", false, fmt.Errorf("%w: a symbolic link to %.200q", ErrOutside, target)
			}
			at, _ = winfs.SplitPath(at)
		default:
			at = winfs.JoinPath(at, part)
		}
	}
	return at, true, nil
}

// NextStream implements layer.Reader.
func (c *converter) NextStream() (*layer.Stream, error) {
	if c.err != nil && c.err != io.EOF {
		return nil, c.err
	}
	if !c.ready {
		return nil, io.EOF
	}
	return c.src.NextStream()
}

// Read implements layer.Reader.
func (c *converter) Read(p []byte) (int, error) {
	if !c.ready {
		return 0, io.EOF
	}
	return c.src.Read(p)
}

// Close implements layer.Reader.
func (c *converter) Close() error {
	if c.err == nil || c.err == io.EOF {
		c.err = layer.ErrClosed
	}
	return c.src.Close()
}
