// Package cache keeps small files that can be made again in a private directory of the
// user, bounded in size.
//
// A file is complete or absent, whatever happens to its writer (package publish). The
// directory and the files in it belong to the user of the process and nobody else can open
// them; a directory for which this does not hold is not used, such a file is removed. When
// the files together are larger than the limit, those that were not used for the longest
// time are removed; the use of a file is recorded in its modification time. Several
// processes may use one directory.
//
// A name is 64 hexadecimal digits, a hyphen, lower-case letters and digits, and .index or
// .answer. Files of other names are neither listed, counted nor removed: the directory is
// named by the user, perhaps by mistake, and may have other things in it.
package cache

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/internal/publish"
)

// ErrForeign reports a directory or file that other users can change or read.
var ErrForeign = errors.New("it does not belong to this user alone")

// DefaultLimit is the usual limit of a directory in bytes.
const DefaultLimit = 2 << 30

// DefaultDir returns the directory that is used unless another is named: mullion in the
// cache directory of the user.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "mullion"), nil
}

// Dir is a directory of kept files. It is safe for concurrent use.
type Dir struct {
	path  string
	limit int64
	root  *os.Root

	mu sync.Mutex
	// room is what Put may still write before it counts the files again. It is 0 before the
	// first count, and never more than a sixteenth of the limit, because other processes write
	// too.
	room int64
}

// Open opens the directory at path, which is made if it does not exist. limit is the
// number of bytes that its files may have together. The caller closes it.
func Open(path string, limit int64) (*Dir, error) {
	root, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("cache %s: %w", path, err)
	}
	return &Dir{path: path, limit: limit, root: root}, nil
}

func open(path string) (*os.Root, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	root, err := openfile.Root(path)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil && !private(info) {
		err = ErrForeign
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// Path returns the path of the directory.
func (d *Dir) Path() string { return d.path }

// Limit returns the limit in bytes.
func (d *Dir) Limit() int64 { return d.limit }

// Get opens a file and records its use. The error is fs.ErrNotExist if there is none, or
// one that could be from another user, which is removed. The caller closes the file.
func (d *Dir) Get(name string) (*os.File, error) {
	f, err := publish.OpenPlain(d.root, name, false)
	for try := 0; errors.Is(err, publish.ErrForeign) && try < 8; try++ {
		// A file that was replaced while it was opened looks foreign too.
		f, err = publish.OpenPlain(d.root, name, false)
	}
	if errors.Is(err, publish.ErrForeign) {
		return nil, d.refuse(name)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !private(info) {
		err = d.refuse(name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if now := time.Now(); now.Sub(info.ModTime()) > time.Minute {
		// A failure, as on a disk that may not be written, only makes the file look older.
		_ = d.root.Chtimes(name, now, now)
	}
	return f, nil
}

// refuse removes a file that is not trusted.
func (d *Dir) refuse(name string) error {
	if err := publish.RemoveAll(d.root, name); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s: %w", fs.ErrNotExist, name, ErrForeign)
}

// Put makes or replaces a file with what fill writes. If the directory may then be beyond its
// limit, it removes others until they are within fifteen sixteenths of it, so that the files
// are not counted at each call. Each other process that puts files at the same time can lead
// beyond the limit by a sixteenth. A file that alone is beyond the limit is not kept.
func (d *Dir) Put(name string, fill func(io.Writer) error) error {
	if !isName(name) {
		return fmt.Errorf("%w: the name %.100q of a file in a cache", fs.ErrInvalid, name)
	}
	f, err := publish.CreateIn(d.root, name, publish.Options{Replace: true, Private: true, Shared: true})
	if err != nil {
		return err
	}
	defer f.Close()
	if err := fill(f); err != nil {
		return err
	}
	n, err := f.Seek(0, io.SeekCurrent)
	if err != nil || n > d.limit {
		return err
	}
	if err := f.MakePrivate(); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.room -= n; d.room >= 0 {
		return nil
	}
	return d.evict(name)
}

// isName reports whether a file of this name can be one of a cache.
func isName(name string) bool {
	const digits = 64
	rest, ok := strings.CutSuffix(name, ".index")
	if !ok {
		rest, ok = strings.CutSuffix(name, ".answer")
	}
	if !ok || len(rest) <= digits || rest[digits] != '-' || strings.Trim(rest[:digits], "0123456789abcdef") != "" {
		return false
	}
	return strings.Trim(rest[digits+1:], "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

// Remove removes a file. One that does not exist is no error.
func (d *Dir) Remove(name string) error { return publish.RemoveAll(d.root, name) }

// File is a kept file.
type File struct {
	Name string
	Size int64
	Used time.Time // last
}

// Files returns the kept files in the order of their names.
func (d *Dir) Files() ([]File, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var list []File
	for _, e := range entries {
		if !isName(e.Name()) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has removed it
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			list = append(list, File{e.Name(), info.Size(), info.ModTime()})
		}
	}
	return list, nil
}

// evict counts the files. If they are beyond the limit, it removes those that were not used for
// the longest time, but not the one of a name, until there is room for more.
func (d *Dir) evict(keep string) error {
	d.room = 0
	list, err := d.Files()
	if err != nil {
		return err
	}
	var total int64
	for _, f := range list {
		total += f.Size
	}
	share := d.limit / 16
	if total > d.limit {
		slices.SortFunc(list, func(a, b File) int {
			return cmp.Or(a.Used.Compare(b.Used), strings.Compare(a.Name, b.Name))
		})
		for _, f := range list {
			if total <= d.limit-share {
				break
			}
			if f.Name == keep {
				continue
			}
			if err := d.Remove(f.Name); err != nil {
				return err
			}
			total -= f.Size
		}
	}
	d.room = min(max(d.limit-total, 0), share)
	return nil
}

// Foreign returns the names of what is in the directory and is no kept file: others have put
// it there. It does not return what killed processes have left.
func (d *Dir) Foreign() ([]string, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if n := e.Name(); !publish.IsTemp(n, "") && !(isName(n) && e.Type().IsRegular()) {
			names = append(names, n)
		}
	}
	return names, nil
}

// Clear removes all kept files, also what killed processes have left, and returns how many
// there were and their size. What Foreign returns stays.
func (d *Dir) Clear() (files int, size int64, err error) {
	list, err := d.Files()
	if err != nil {
		return 0, 0, err
	}
	for _, f := range list {
		if err := d.Remove(f.Name); err != nil {
			return files, size, err
		}
		files, size = files+1, size+f.Size
	}
	return files, size, publish.Sweep(d.root, publish.Options{})
}

// Close closes the directory.
func (d *Dir) Close() error { return d.root.Close() }
