package plaindir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Lost counts the properties that a plain directory can't store.
type Lost struct {
	Security   int // entries with a security descriptor
	Attributes int // files with attributes other than ARCHIVE or NORMAL
	EAs        int // entries with extended attributes
	Streams    int // alternate streams
	Reparse    int // reparse points other than symbolic links that stay inside
	ObjectIDs  int
	// NoRoom counts extended attributes of the host that the file system refused for their
	// size; the other fields count what has no place in any.
	NoRoom int
}

// String lists the omitted properties; it is empty if there are none.
func (l Lost) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{l.Security, "security descriptors"}, {l.Attributes, "attribute words"}, {l.EAs, "lists of extended attributes"},
		{l.Streams, "alternate streams"}, {l.Reparse, "reparse points"}, {l.ObjectIDs, "object identifiers"},
		{l.NoRoom, "attributes that are too large"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// Writer makes a directory from a layer.
type Writer struct {
	dir  *publish.Dir
	root *os.Root // of dir, which closes it
	name string
	opts CreateOptions
	lost Lost

	path   string // current entry, host form
	entry  string // current entry
	kind   layer.Kind
	times  winfs.Times
	link   bool // the entry is a reparse point
	file   *os.File
	left   int64
	skip   bool // the current stream is not kept
	dirs   []dirTime
	made   map[string]bool   // directories known to exist, host form
	names  map[string]string // host form of every path, by its folded form
	err    error
	stream string // name of the alternate stream that is collected in data, "" if none is
	data   []byte
}

// CreateOptions say what a directory keeps besides names, content, modification times,
// hard links and symbolic links that stay inside.
type CreateOptions struct {
	// Attributes keeps the other metadata in extended attributes of the host, as package
	// documentation says, where host and file system have them.
	Attributes bool
	// Rooted maps links to an absolute path on drive C, or to one without a drive, to
	// relative ones: the drive is the directory Files that the link is in.
	Rooted bool
}

type dirTime struct {
	path  string
	times winfs.Times
}

var (
	_ layer.Writer       = (*Writer)(nil)
	_ layer.ExtentWriter = (*Writer)(nil)
)

// Create starts the directory dir, which must not exist (layer.ErrExists)
// while its parent must. Nothing is there before Commit. Whiteouts are refused: there is nothing to hide.
func Create(dir string) (*Writer, error) { return CreateWith(dir, CreateOptions{}) }

// CreateWith is Create with options.
func CreateWith(dir string, opts CreateOptions) (*Writer, error) {
	name := filepath.Base(filepath.Clean(dir))
	if _, err := os.Lstat(dir); err == nil {
		return nil, fmt.Errorf("%s: %w", name, layer.ErrExists)
	}
	d, err := publish.CreateDir(dir, publish.Options{Shared: true})
	if err != nil {
		return nil, exists(err, layer.ErrExists)
	}
	return &Writer{dir: d, root: d.Root(), name: name, opts: opts, made: map[string]bool{".": true},
		names: map[string]string{"": "."}}, nil
}

// DirectoriesMade implements layer.DirectoryMaker.
func (w *Writer) DirectoriesMade() int64 { return max(0, int64(len(w.made)-1-len(w.dirs))) }

// Lost returns the properties omitted so far.
func (w *Writer) Lost() Lost { return w.lost }

// Add starts an entry.
func (w *Writer) Add(e *layer.Entry) error {
	if err := w.finish(); err != nil {
		return err
	}
	w.entry, w.kind, w.times, w.link = e.Path, e.Kind, e.Times, e.IsReparsePoint()
	if err := w.add(e); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *Writer) add(e *layer.Entry) error {
	host, err := w.spell(e.Path)
	if err != nil {
		return err
	}
	w.path = host
	if e.Kind == layer.File || e.Kind == layer.Link {
		key := winfs.Fold(e.Path)
		if _, ok := w.names[key]; ok {
			return layer.ErrDuplicate
		}
		w.names[key] = host
	}
	switch e.Kind {
	case layer.Whiteout, layer.Opaque:
		return layer.ErrWhiteout
	case layer.Link:
		target, err := w.spell(e.Target)
		if err != nil {
			return err
		}
		if info, err := w.root.Lstat(target); err != nil || info.IsDir() {
			return fmt.Errorf("%w: %q", layer.ErrLinkTarget, e.Target)
		}
		if err := w.parents(e.Path); err != nil {
			return err
		}
		return exists(w.root.Link(target, host), layer.ErrDuplicate)
	case layer.Dir, layer.File:
		if err := w.parents(e.Path); err != nil {
			return err
		}
		if w.link {
			done, err := w.symlink(e)
			if done || err != nil {
				w.count(e)
				return err
			}
		}
		if e.Kind == layer.Dir {
			if err := w.mkdir(host); err != nil {
				return err
			}
			w.names[winfs.Fold(e.Path)] = host
			w.dirs = append(w.dirs, dirTime{host, w.times})
			return w.keepOfDir(e)
		}
		mode := fs.FileMode(0o666)
		if hives.Private(e.Path) {
			mode = 0o600
		}
		if w.file, err = w.root.OpenFile(host, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode); err != nil {
			return exists(err, layer.ErrDuplicate)
		}
		return w.keep(w.file, e)
	}
	return fmt.Errorf("%w: %v", layer.ErrUnsupported, e.Kind)
}

// exists turns a collision into an error of the layer.
func exists(err, as error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", as, err)
	}
	return err
}

func (w *Writer) count(e *layer.Entry) {
	if len(e.Security) > 0 {
		w.lost.Security++
	}
	if e.Kind == layer.File && e.Attributes&^(winfs.AttrArchive|winfs.AttrNormal|winfs.AttrSparse|winfs.AttrReparsePoint) != 0 {
		w.lost.Attributes++
	}
	if len(e.EAs) > 0 {
		w.lost.EAs++
	}
	if len(e.ObjectID) > 0 {
		w.lost.ObjectIDs++
	}
}

// hostPath converts a path of the layer. Names that the host would read in another
// way are refused.
func hostPath(p string) (string, error) {
	if err := winfs.ValidatePath(p); err != nil {
		return "", err
	}
	if p == "" {
		return ".", nil
	}
	if runtime.GOOS == "windows" {
		if err := winfs.CheckPath(p); err != nil {
			return "", err
		}
	}
	return filepath.FromSlash(winfs.ToSlash(p)), nil
}

// spell returns the host form of a path, its directories in the spelling in which they
// were made: Windows compares names without regard to case, and many hosts do not.
func (w *Writer) spell(p string) (string, error) {
	host, err := hostPath(p)
	if err != nil {
		return "", err
	}
	if known, ok := w.names[winfs.Fold(p)]; ok {
		return known, nil
	}
	dir, base := winfs.SplitPath(p)
	if dir == "" {
		return host, nil
	}
	up, err := w.spell(dir)
	if err != nil {
		return "", err
	}
	return filepath.Join(up, base), nil
}

// parents makes the directories above the current entry.
func (w *Writer) parents(p string) error {
	if err := w.mkdirs(filepath.Dir(w.path)); err != nil {
		return err
	}
	dir, _ := winfs.SplitPath(p)
	for host := filepath.Dir(w.path); dir != ""; host = filepath.Dir(host) {
		key := winfs.Fold(dir)
		if _, ok := w.names[key]; ok {
			break
		}
		w.names[key] = host
		dir, _ = winfs.SplitPath(dir)
	}
	return nil
}

func (w *Writer) mkdirs(dir string) error {
	if w.made[dir] {
		return nil
	}
	if err := w.mkdirs(filepath.Dir(dir)); err != nil {
		return err
	}
	return w.mkdir(dir)
}

// mkdir makes a directory, or sees that one is there: not a symbolic link to one.
func (w *Writer) mkdir(dir string) error {
	if w.made[dir] {
		return nil
	}
	err := w.root.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrExist) {
		info, statErr := w.root.Lstat(dir)
		if statErr == nil && !info.IsDir() {
			return layer.ErrNotDirectory
		}
		err = statErr
	}
	if err == nil {
		w.made[dir] = true
	}
	return err
}

// symlink makes a symbolic link that is relative and stays inside; false if the
// reparse point is none.
func (w *Writer) symlink(e *layer.Entry) (bool, error) {
	p, err := winfs.ParseReparse(e.Reparse)
	if err != nil {
		return false, err
	}
	target := ""
	switch {
	case p.Tag == winfs.ReparseTagSymlink && p.Relative && !strings.HasPrefix(p.Substitute, `\`):
		target = filepath.FromSlash(winfs.ToSlash(p.Substitute))
	case w.opts.Rooted && (p.Tag == winfs.ReparseTagSymlink || p.Tag == winfs.ReparseTagMountPoint):
		target = w.rooted(e.Path, p.Substitute)
	}
	if target != "" && staysInside(filepath.Dir(w.path), target) {
		return true, exists(w.root.Symlink(target, w.path), layer.ErrDuplicate)
	}
	if !w.opts.Attributes {
		w.lost.Reparse++
	}
	return false, nil
}

// staysInside reports whether a link in dir with that target cannot lead out of the
// new directory. Going up is allowed at the start only: after a component that
// may be a link itself, .. would be relative to where that leads.
func staysInside(dir, target string) bool {
	if filepath.IsAbs(target) || filepath.VolumeName(target) != "" || !filepath.IsLocal(filepath.Join(dir, target)) {
		return false
	}
	down := false
	for _, c := range strings.Split(target, string(filepath.Separator)) {
		if c == ".." && down {
			return false
		}
		down = down || c != ".." && c != "." && c != ""
	}
	return true
}

// AddStream starts a stream.
func (w *Writer) AddStream(s *layer.Stream) error {
	if err := w.finishStream(); err != nil {
		return err
	}
	w.skip = s.Name != "" || w.file == nil
	w.left = s.Size
	if s.Name != "" && !w.collect(s) {
		w.lost.Streams++
	}
	return nil
}

// Write appends to the current stream.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if int64(len(p)) > w.left {
		return 0, w.fail(layer.ErrStreamSize)
	}
	w.left -= int64(len(p))
	if w.stream != "" {
		w.data = append(w.data, p...)
	}
	if w.skip {
		return len(p), nil
	}
	n, err := w.file.Write(p)
	if err != nil {
		err = w.fail(err)
	}
	return n, err
}

// WriteHole appends zeros that take no space where the host knows holes.
func (w *Writer) WriteHole(n int64) error {
	if w.err != nil {
		return w.err
	}
	if n < 0 || n > w.left {
		return w.fail(layer.ErrStreamSize)
	}
	w.left -= n
	if w.stream != "" { // which is at most maxAttribute long
		w.data = append(w.data, make([]byte, n)...)
	}
	if w.skip {
		return nil
	}
	at, err := w.file.Seek(n, io.SeekCurrent)
	if err == nil && w.left == 0 {
		err = w.file.Truncate(at) // a hole at the end
	}
	if err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *Writer) finishStream() error {
	if w.err != nil {
		return w.err
	}
	if w.left != 0 {
		return w.fail(layer.ErrStreamSize)
	}
	if w.stream != "" {
		name := w.stream
		w.stream = ""
		if err := w.keepStream(name); err != nil {
			return w.fail(err)
		}
	}
	return nil
}

// finish ends the current entry.
func (w *Writer) finish() error {
	if err := w.finishStream(); err != nil {
		return err
	}
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	var err error
	if syncEachFile {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return w.fail(err)
	}
	if err := w.setTimes(w.path, w.times); err != nil {
		return w.fail(err)
	}
	return nil
}

// setTimes sets the modification time, and with Attributes the access time.
func (w *Writer) setTimes(path string, t winfs.Times) error {
	var access, write time.Time // the zero time changes nothing
	if t.LastWrite != 0 {
		write = t.LastWrite.Time()
	}
	if w.opts.Attributes && t.LastAccess != 0 {
		access = t.LastAccess.Time()
	}
	if access.IsZero() && write.IsZero() {
		return nil
	}
	return w.root.Chtimes(path, access, write)
}

// Commit sets the times of directories, makes everything durable and publishes it.
func (w *Writer) Commit() error {
	if err := w.finish(); err != nil {
		return err
	}
	w.entry = ""
	for i := len(w.dirs) - 1; i >= 0; i-- {
		if err := w.setTimes(w.dirs[i].path, w.dirs[i].times); err != nil {
			return w.fail(err)
		}
	}
	if err := w.syncTree(); err != nil {
		return w.fail(err)
	}
	if err := w.dir.Commit(); err != nil {
		return w.fail(exists(err, layer.ErrExists))
	}
	w.err = layer.ErrClosed
	return nil
}

// Close releases everything; without a successful Commit it removes the files written so
// far.
func (w *Writer) Close() error {
	if w.dir == nil {
		return nil
	}
	var errs []error
	if w.file != nil {
		errs = append(errs, w.file.Close())
	}
	errs = append(errs, w.dir.Close())
	w.dir, w.root, w.file = nil, nil, nil
	if w.err == nil {
		w.err = layer.ErrClosed
	}
	return errors.Join(errs...)
}

func (w *Writer) fail(err error) error {
	w.err = &layer.Error{Op: "write directory", Layer: w.name, Entry: w.entry, Offset: -1, Err: err}
	return w.err
}
