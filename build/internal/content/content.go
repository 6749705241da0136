package content

import (
	"context"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"io"
	"io/fs"
	"iter"
	"time"
)

// Source yields entries; see Context, Tree and Archive. Walk is used by one goroutine.
type Source interface {
	// Walk yields the entries at and below a path, a directory before its content. name has
	// forward slashes and is relative to the root of the source, "." is the root itself.
	Walk(ctx context.Context, name string) iter.Seq2[*Entry, error]
	// Match returns the names that a pattern of COPY matches, sorted; a name without
	// wildcards matches itself or nothing.
	Match(ctx context.Context, pattern string) ([]string, error)
}

// Entry is one file or directory of a source.
type Entry struct {
	Path    string // relative to what was walked, forward slashes; "." for that itself
	Kind    Kind
	Content draft.Content // File
	Mode    fs.FileMode   // of the host or archive; 0 if there is none
	ModTime time.Time     // zero if unknown
	Target  string        // Symlink: as stored; Link: a path like Path
	From    draft.Lower   // a tree with Windows metadata, or nil
	Name    string        // in From
}

type Kind uint8

const (
	File Kind = iota + 1
	Dir
	Symlink
	Link
)

// OpenContext opens a directory of the host as a build context. ignore is the content of its
// .dockerignore, or nil; a file of that name in the directory is not read by itself.
func OpenContext(dir string, ignore io.Reader) (*Context, error) { panic("not written yet") }
func (c *Context) Close() error                                  { panic("not written yet") }

// ReadFile reads a file of the context of at most max bytes, also an ignored one.
func (c *Context) ReadFile(name string, max int64) ([]byte, error) { panic("not written yet") }

// FromTree is the tree of another image or stage. root is a path such as "Files".
func FromTree(t draft.Lower, root string) *Tree { panic("not written yet") }

// OpenArchive recognises an archive by its content; ok is false if it is none. r is read once.
func OpenArchive(name string, r io.Reader, limits layer.Limits) (a *Archive, ok bool, err error) {
	panic("not written yet")
}

// Options of CopyInto.
type Options struct {
	Meta    draft.Meta // owner and security for everything
	Epoch   time.Time  // latest ModTime, zero for none
	Extract bool       // ADD: archives are unpacked
	Parents bool       // COPY --parents
	Exclude []string   // COPY --exclude
	Limits  layer.Limits
}

// CopyInto copies the sources to dst. toDir says that dst was written with a slash at the end.
func CopyInto(ctx context.Context, d *draft.Draft, src Source, names []string, dst string, toDir bool, opt Options) error {
	panic("not written yet")
}

type Context struct{}
type Tree struct{}
type Archive struct{}
