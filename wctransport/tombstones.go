package wctransport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

const (
	// tombstoneHeader is the first line of tombstones.txt, with its byte order mark.
	tombstoneHeader = "\xEF\xBB\xBFVersion 1.0"
	// maxTombstone is the longest line that upstream readers take, in bytes.
	maxTombstone = 64<<10 - 1
)

// tombstones are the paths that a transport directory hides, in file order and by their
// directories, ignoring case.
type tombstones struct {
	paths []string
	next  []int32             // the next of the same directory, -1 at the end
	first map[string][2]int32 // by upper-cased directory: first and last
	done  []bool
}

// parseTombstones reads tombstones.txt: the header line, then paths relative to
// Files with a backslash before them, LF or CRLF at the end of each line. Empty
// lines mean nothing.
func parseTombstones(r io.Reader, limits layer.Limits) (*tombstones, error) {
	t := &tombstones{first: make(map[string][2]int32)}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), maxTombstone+2)
	line := 0
	seen := make(map[string]bool)
	for s.Scan() {
		line++
		b := bytes.TrimSuffix(s.Bytes(), []byte("\r"))
		if line == 1 {
			if string(b) != tombstoneHeader {
				return nil, fmt.Errorf("%w: the first line is %.80q", ErrTombstones, b)
			}
			continue
		}
		if len(b) == 0 {
			continue
		}
		if len(b) > maxTombstone {
			return nil, fmt.Errorf("%w: line %d is longer than 64 KiB", ErrTombstones, line)
		}
		p := strings.TrimPrefix(string(b), `\`)
		if p == "" {
			return nil, fmt.Errorf("%w: line %d: %w", ErrTombstones, line, winfs.ErrNameEmpty)
		}
		p = layerdir.FilesName + `\` + p
		if err := winfs.ValidatePath(p); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrTombstones, line, err)
		}
		key := winfs.Fold(p)
		if seen[key] {
			return nil, fmt.Errorf("%w: line %d: %w: %q", ErrTombstones, line, layer.ErrDuplicate, p)
		}
		seen[key] = true
		if int64(len(t.paths)) >= limits.Entries {
			return nil, &layer.LimitError{Limit: "Entries", Max: limits.Entries}
		}
		t.add(p, key)
	}
	switch err := s.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%w: line %d is longer than 64 KiB", ErrTombstones, line+1)
	case err != nil:
		return nil, err
	case line == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrTombstones)
	}
	return t, nil
}

func (t *tombstones) add(path, key string) {
	dir, _ := winfs.SplitPath(key)
	n := int32(len(t.paths))
	t.paths = append(t.paths, path)
	t.next = append(t.next, -1)
	t.done = append(t.done, false)
	f, ok := t.first[dir]
	if ok {
		t.next[f[1]] = n
		t.first[dir] = [2]int32{f[0], n}
	} else {
		t.first[dir] = [2]int32{n, n}
	}
}

// in returns the tombstones in a directory, once.
func (t *tombstones) in(dir string) []string {
	if t == nil || len(t.paths) == 0 {
		return nil
	}
	f, ok := t.first[winfs.Fold(dir)]
	if !ok {
		return nil
	}
	var list []string
	for i := f[0]; i >= 0; i = t.next[i] {
		if !t.done[i] {
			list = append(list, t.paths[i])
			t.done[i] = true
		}
	}
	return list
}

// rest returns those that no directory of the layer has brought, in file order.
// Upstream never returns them and so loses deletions.
func (t *tombstones) rest() []string {
	if t == nil {
		return nil
	}
	var list []string
	for i, p := range t.paths {
		if !t.done[i] {
			list = append(list, p)
			t.done[i] = true
		}
	}
	return list
}

// loadTombstones reads the file of a transport directory; a directory made for
// import has none.
func loadTombstones(root hostfs.Directory, limits layer.Limits) (*tombstones, error) {
	f, err := root.Open(layerdir.TombstoneName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t, err := parseTombstones(f, limits)
	return t, hostfs.FirstError(err, f.Close())
}
