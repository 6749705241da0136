package content

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"
	"time"

	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Source is where files come from. Names have forward slashes and are relative to the root of
// the source, which is ".".
type Source interface {
	// Walk yields what is at a name and below it, a directory before its content. A link at
	// the name itself is followed. The error for a name that does not exist is
	// fs.ErrNotExist.
	Walk(ctx context.Context, name string) iter.Seq2[*Entry, error]
	// Match returns the names that a pattern matches, in the order of names, none if there are
	// none. A pattern without wildcards is its own match, whether it exists or not.
	Match(ctx context.Context, pattern string) ([]string, error)
}

// Kind is the kind of an entry.
type Kind uint8

// The kinds.
const (
	File Kind = iota + 1
	Dir
	Symlink
	Link // a hard link
)

// Entry is one file or directory of a source.
type Entry struct {
	// Path is relative to what is walked, "." for that itself.
	Path string
	Kind Kind
	// Content is the content of a File or Link, nil if it comes From a tree.
	Content draft.Content
	// ModTime is the time of the last write, zero if it is not known.
	ModTime time.Time
	// Target is the target of a Symlink as it is stored, and of a Link the Path of an entry
	// that came before.
	Target string
	// ToDir says of a Symlink that its target is a directory of the source.
	ToDir bool
	// From is the tree of a File, Link or Symlink that has Windows metadata, at its path At.
	From draft.Lower
	At   string
}

// Errors of sources, in an [Error]. Others are fs.ErrNotExist, layer.ErrCaseConflict,
// layer.ErrLimit, a winfs.NameError, and the errors of drafts.
var (
	// ErrOutside reports a link that leads out of the source.
	ErrOutside = errors.New("the link leads out of the source")
	// ErrSpecial reports a device, pipe or socket.
	ErrSpecial = errors.New("neither file, directory nor symbolic link")
	// ErrNeedDir reports several sources for one file.
	ErrNeedDir = errors.New("several sources need a directory: end the destination with a slash")
	// ErrNotDir reports a directory that is copied to a file.
	ErrNotDir = errors.New("a directory cannot be copied to a file")
	// ErrArchive reports an archive that is damaged or that holds what no file system can.
	ErrArchive = errors.New("invalid archive")
	// ErrXZ reports an archive that is compressed with xz, which is not supported.
	ErrXZ = errors.New("archives compressed with xz are not supported: compress it with gzip or zstd, or COPY it as it is")
)

// Error is an error with the name in its source.
type Error struct {
	Op   string // "copy", "read context", "read archive"
	Name string // in the source
	Err  error
}

// Error formats as `read context "a/b": cause`.
func (e *Error) Error() string {
	name := e.Name
	if len(name) > 600 {
		name = name[:600] + "..."
	}
	return fmt.Sprintf("%s %q: %v", e.Op, name, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// wrap adds a name to an error that has none.
func wrap(op, name string, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return err
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err // its path would be that of the host
	}
	return &Error{op, name, err}
}

// clean returns the name that a path in an instruction means: an absolute path begins at the
// root of the source, and what leads above the root ends there.
func clean(name string) string {
	name = path.Clean("/" + name)[1:]
	if name == "" {
		return "."
	}
	return name
}

func hasWildcards(name string) bool { return strings.ContainsAny(name, "*?[") }

// glob matches a pattern against the names that list returns for a directory, case by case
// as the source compares them.
func glob(pattern string, fold bool, list func(dir string) ([]string, error)) ([]string, error) {
	pattern = clean(pattern)
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, &Error{"match", pattern, err}
	}
	found := []string{"."}
	parts := strings.Split(pattern, "/")
	for i, part := range parts {
		var next []string
		for _, dir := range found {
			if !hasWildcards(part) && (i == 0 || !hasWildcards(strings.Join(parts[:i], "/"))) {
				next = append(next, path.Join(dir, part)) // before the first wildcard
				continue
			}
			names, err := list(dir)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				a, b := part, name
				if fold {
					a, b = winfs.Fold(a), winfs.Fold(b)
				}
				if ok, _ := path.Match(a, b); ok { // the pattern was tried before
					next = append(next, path.Join(dir, name))
				}
			}
		}
		found = next
	}
	return found, nil
}

// checkName refuses a name that no file in a layer can have.
func checkName(name string) error {
	if err := winfs.ValidateComponent(name); err != nil {
		return err
	}
	return winfs.CheckName(name)
}

// Inline is a source with one file, such as the text of a heredoc.
func Inline(name string, data []byte) Source { return inline{name, data} }

type inline struct {
	name string
	data []byte
}

func (s inline) Size() int64                  { return int64(len(s.data)) }
func (s inline) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(s.data)), nil }

func (s inline) Match(_ context.Context, pattern string) ([]string, error) {
	return []string{pattern}, nil
}

func (s inline) Walk(_ context.Context, name string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		if name != s.name {
			yield(nil, &Error{"read", name, fs.ErrNotExist})
			return
		}
		yield(&Entry{Path: ".", Kind: File, Content: s}, nil)
	}
}

// Tree is the tree of another image or stage as a source.
type Tree struct {
	tree *draft.Draft
	root string
}

// FromTree returns a source of the files below a path of a tree, usually layer.RootFiles. The
// tree must not change nor be closed while the drafts are used that files are copied to.
func FromTree(t draft.Lower, root string) *Tree {
	// A draft without changes follows the links of a tree.
	return &Tree{draft.New(t, draft.Options{}), root}
}

func (t *Tree) find(name string) (*layer.Item, error) {
	name = clean(name)
	p := t.root
	if name != "." {
		rest, err := winfs.FromSlash(name)
		if err != nil {
			return nil, err
		}
		p = winfs.JoinPath(p, rest)
	}
	real, err := t.tree.Resolve(p)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fs.ErrNotExist
		}
		return nil, err
	}
	return t.tree.Lookup(real)
}

// Match matches without regard to case.
func (t *Tree) Match(ctx context.Context, pattern string) ([]string, error) {
	if !hasWildcards(pattern) {
		return []string{pattern}, nil
	}
	return glob(pattern, true, func(dir string) ([]string, error) {
		it, err := t.find(dir)
		if err != nil {
			return nil, wrap("read image", dir, err)
		}
		var names []string
		for c, err := range t.tree.Children(it.Path) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, wrap("read image", dir, err)
			}
			_, name := winfs.SplitPath(c.Path)
			names = append(names, name)
		}
		return names, nil
	})
}

// Walk yields files with their hard links inside of what is walked.
func (t *Tree) Walk(ctx context.Context, name string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		it, err := t.find(name)
		if err != nil {
			yield(nil, wrap("read image", name, err))
			return
		}
		w := treeWalk{t: t, ctx: ctx, yield: yield, first: map[string]string{}}
		if err := w.walk(it, "."); err != nil && err != errStop {
			yield(nil, wrap("read image", winfs.ToSlash(it.Path), err))
		}
	}
}

// errStop ends a walk whose caller wants no more.
var errStop = errors.New("stopped")

type treeWalk struct {
	t     *Tree
	ctx   context.Context
	yield func(*Entry, error) bool
	first map[string]string // path of a file with several names, by one of those
}

func (w *treeWalk) walk(it *layer.Item, rel string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	e := &Entry{Path: rel, Kind: File, From: w.t.tree, At: it.Path}
	if it.Times.LastWrite != 0 {
		e.ModTime = it.Times.LastWrite.Time()
	}
	switch {
	case draft.IsLink(&it.Entry):
		e.Kind = Symlink
	case it.Kind == layer.Dir:
		e.Kind = Dir
	case it.Links > 1:
		names, err := w.t.tree.NamesOf(it.Path)
		if err != nil {
			return err
		}
		if first, ok := w.first[names[0]]; ok {
			e.Kind, e.Target = Link, first
		} else {
			w.first[names[0]] = rel
		}
	}
	if !w.yield(e, nil) {
		return errStop
	}
	if e.Kind != Dir {
		return nil
	}
	for c, err := range w.t.tree.Children(it.Path) {
		if err != nil {
			return err
		}
		_, name := winfs.SplitPath(c.Path)
		if err := w.walk(c, path.Join(rel, name)); err != nil {
			return err
		}
	}
	return nil
}
