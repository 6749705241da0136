package snapshotter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// changes makes a layer of the writes to a view. A layer does not contain the files that
// unpacking creates, so the layer differs from the view in four ways:
//
//   - A registry hive that was changed over a parent, Hives\SYSTEM_BASE for one,
//     becomes the delta hive that changes the parent's to it. Over a base layer the
//     file in the config directory is the same hive (docs/spec/layers.md, "Hives of a
//     layer").
//   - Without a parent the hives are those in the config directory, and their other names
//     in Hives are left out.
//   - The directories Files and Hives exist if the parent has them: Windows refuses a
//     layer without them.
//   - Hives has no descriptor if its descriptor has no DACL, since unpacking adds that one
//     to a directory without a descriptor. Delta hives never have one: Windows reads them
//     without (docs/spec/layers.md, "Security descriptors").
type changes struct {
	src    layer.Reader
	parent *cimfs.Image // nil without one
	temp   func() (*os.File, error)

	linked map[hives.Name]bool // the parent's config file is its base hive
	config map[hives.Name]bool // the view has a config file that was changed
	given  map[hives.Name]bool // the view has a delta hive of its own
	deltas []deltaHive
	seen   map[string]bool // Files and Hives, by their folded names

	next    *layer.Entry // read from src and not yielded yet
	ended   bool         // src has no more
	made    *deltaHive   // current entry, if it is not of src
	opened  bool         // its stream
	content *bytes.Reader
	silent  bool // current entry was made up and has no stream
	err     error
}

type deltaHive struct {
	entry layer.Entry
	name  hives.Name
	data  []byte
}

// layerChanges returns the writes over a tree as a layer. Closing the reader
// closes everything that it opened.
func (s *Service) layerChanges(parents []string, u upper) (layer.Reader, error) {
	im, err := s.openImage(parents)
	if err != nil {
		return nil, err
	}
	c := &changes{
		parent: im,
		temp:   s.tempFile,
		linked: map[hives.Name]bool{},
		config: map[hives.Name]bool{},
		given:  map[hives.Name]bool{},
		seen:   map[string]bool{},
	}
	if im != nil {
		for _, n := range hives.All() {
			a, errA := im.Lookup(n.Path(hives.Config))
			b, errB := im.Lookup(n.Path(hives.Base))
			c.linked[n] = errA == nil && errB == nil && a.ID() == b.ID()
		}
	}
	if c.src, err = u.Changes(); err != nil {
		return nil, errors.Join(err, closeImage(im))
	}
	return c, nil
}

// tempPrefix begins the names of files that exist while a hive is compared.
const tempPrefix = "hive-"

// tempFile makes a file that the caller closes and removes.
func (s *Service) tempFile() (*os.File, error) {
	if err := s.step("temp", ""); err != nil {
		return nil, err
	}
	return os.CreateTemp(s.root, tempPrefix)
}

// Next returns the next entry.
func (c *changes) Next() (*layer.Entry, error) {
	if c.err != nil {
		return nil, c.err
	}
	e, err := c.step()
	if err != nil {
		c.err = err
		return nil, err
	}
	return e, nil
}

func (c *changes) step() (*layer.Entry, error) {
	c.made, c.silent, c.opened = nil, false, false
	for {
		if c.next == nil && !c.ended {
			e, err := c.src.Next()
			switch {
			case err == io.EOF:
				c.ended = true
			case err != nil:
				return nil, err
			default:
				if left, err := c.leaveOut(e); err != nil {
					return nil, &layer.Error{Op: "make a layer", Entry: e.Path, Offset: -1, Err: err}
				} else if left {
					continue
				}
				undescribe(e)
				c.next = e
			}
		}
		if e, err := c.before(c.next); e != nil || err != nil {
			return e, err
		}
		if c.ended {
			return nil, io.EOF
		}
		e := c.next
		c.next = nil
		return e, nil
	}
}

// before returns the entry that has to come before e, or before the end if e is nil.
func (c *changes) before(e *layer.Entry) (*layer.Entry, error) {
	if c.parent == nil {
		return nil, nil
	}
	if e != nil && e.Kind == layer.Whiteout && rootOf(e.Path) == e.Path {
		c.seen[winfs.Fold(e.Path)] = true
		return nil, nil // whiteouts stand before the names of their directory
	}
	for _, root := range []string{layer.RootFiles, layer.RootHives} {
		key := winfs.Fold(root)
		if e != nil && winfs.CompareFold(rootOf(e.Path), root) < 0 {
			return nil, nil
		}
		if e != nil && winfs.EqualFold(e.Path, root) {
			c.seen[key] = true
		}
		if !c.seen[key] {
			c.seen[key] = true
			made, err := c.directory(root)
			if made != nil || err != nil {
				return made, err
			}
		}
	}
	if len(c.deltas) > 0 && (e == nil || winfs.CompareFold(rootOf(e.Path), layer.RootHives) > 0) {
		d := c.deltas[0]
		c.deltas = c.deltas[1:]
		if c.given[d.name] {
			return nil, &layer.Error{Op: "make a layer", Entry: d.entry.Path, Offset: -1,
				Err: fmt.Errorf("the hive and its delta were both changed: %w", layer.ErrDuplicate)}
		}
		c.made = &d
		return &d.entry, nil
	}
	return nil, nil
}

func rootOf(path string) string {
	for i := range len(path) {
		if path[i] == '\\' {
			return path[:i]
		}
	}
	return path
}

// directory is a root directory as the parent has it, nil if it has none.
func (c *changes) directory(name string) (*layer.Entry, error) {
	f, err := c.parent.Lookup(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !f.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e := &layer.Entry{Path: name, Kind: layer.Dir, Attributes: f.Attributes(), Times: f.Times()}
	if e.Security, err = f.Security(); err != nil {
		return nil, err
	}
	undescribe(e)
	eas, err := f.EAs()
	if err != nil {
		return nil, err
	}
	if len(eas) > 0 {
		if e.EAs, err = winfs.DecodeEAs(eas); err != nil {
			return nil, err
		}
	}
	c.silent = true
	return e, nil
}

// undescribe takes the descriptor that unpacking has given it from the directory Hives.
func undescribe(e *layer.Entry) {
	if winfs.EqualFold(e.Path, layer.RootHives) && bytes.Equal(e.Security, cimfs.NullDACL()) {
		e.Security = nil
	}
}

// leaveOut removes those of the view's changes that don't belong in a layer.
func (c *changes) leaveOut(e *layer.Entry) (bool, error) {
	if e.Path == "" { // a layer has no entry for the root
		return true, nil
	}
	n, form, ok := hives.Match(e.Path)
	if !ok {
		return false, nil
	}
	switch {
	case form == hives.Delta:
		c.given[n] = c.given[n] || e.Kind == layer.File
		return false, nil
	case form == hives.Config && !c.linked[n]:
		c.config[n] = c.config[n] || e.Kind == layer.File
		return false, nil
	case form == hives.Config && e.Kind == layer.Whiteout:
		return false, nil
	case c.parent == nil:
		if !c.config[n] {
			return false, fmt.Errorf("a base layer has this hive as %s: %w", n.Path(hives.Config), layer.ErrUnsupported)
		}
		return true, nil
	case e.Kind == layer.Link:
		// Another name of a file: of the config file, whose change was seen there, or of
		// anything else.
		if m, f, ok := hives.Match(e.Target); ok && m == n && f != hives.Delta && c.linked[n] {
			return true, nil
		}
		return false, fmt.Errorf("a registry hive cannot be a hard link: %w", layer.ErrLinkTarget)
	case e.Kind != layer.File:
		return false, fmt.Errorf("a layer cannot remove a registry hive: %w", layer.ErrUnsupported)
	}
	return true, c.delta(n, e)
}

// delta computes the delta hive of a file that is the current entry.
func (c *changes) delta(n hives.Name, e *layer.Entry) error {
	made := layer.Entry{Path: n.Path(hives.Delta), Kind: layer.File, Attributes: winfs.AttrArchive,
		Times: e.Times}
	f, err := c.temp()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var size int64
	if _, err := c.src.NextStream(); err == nil {
		if size, err = io.Copy(f, c.src); err != nil {
			return err
		}
	} else if err != io.EOF {
		return err
	}
	base, err := c.parent.Lookup(n.Path(hives.Base))
	if err != nil {
		return fmt.Errorf("the layers below have no %v hive: %w: %w", n, err, cimlayer.ErrHive)
	}
	was, err := base.Data()
	if err != nil {
		return err
	}
	if was.Size() == size {
		same, err := equalContent(was.Reader(), io.NewSectionReader(f, 0, size))
		if same || err != nil {
			return err // other metadata than those of unpacking mean nothing
		}
	}
	from, err := regf.OpenReaderAt(was, was.Size(), &regf.Options{AllowHarmless: true})
	if err != nil {
		return fmt.Errorf("the hive of the layers below: %w: %w", err, cimlayer.ErrHive)
	}
	defer from.Close()
	to, err := regf.OpenReaderAt(f, size, &regf.Options{AllowHarmless: true})
	if err != nil {
		return fmt.Errorf("%w: %w", err, cimlayer.ErrHive)
	}
	defer to.Close()
	// The order of values has no meaning on Windows, and a new order would put all of them
	// into the delta.
	diff, err := regf.Diff(from, to, &regf.DiffOptions{IgnoreValueOrder: true})
	if err != nil {
		return fmt.Errorf("%w: %w", err, cimlayer.ErrHive)
	}
	defer diff.Close()
	b, err := diff.Compact(nil)
	if err != nil {
		return fmt.Errorf("%w: %w", err, cimlayer.ErrHive)
	}
	made.Size = int64(len(b))
	for _, d := range c.deltas {
		if d.name == n {
			return fmt.Errorf("the hive was changed under both of its names: %w", layer.ErrDuplicate)
		}
	}
	c.deltas = append(c.deltas, deltaHive{made, n, b})
	return nil
}

func equalContent(a, b io.Reader) (bool, error) {
	x, y := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, err := io.ReadFull(a, x)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		m, err := io.ReadFull(b, y)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if n < len(x) {
			return true, nil
		}
	}
}

// NextStream begins the next stream of the current entry.
func (c *changes) NextStream() (*layer.Stream, error) {
	switch {
	case c.err != nil:
		return nil, c.err
	case c.made == nil && !c.silent:
		return c.src.NextStream()
	case c.made == nil || c.opened:
		c.content = nil
		return nil, io.EOF
	}
	c.opened = true
	c.content = bytes.NewReader(c.made.data)
	return &layer.Stream{Size: int64(len(c.made.data))}, nil
}

// Read reads the current stream.
func (c *changes) Read(p []byte) (int, error) {
	switch {
	case c.err != nil:
		return 0, c.err
	case c.made == nil && !c.silent:
		return c.src.Read(p)
	case c.content == nil:
		return 0, io.EOF
	}
	return c.content.Read(p)
}

// Close releases the source and the parent.
func (c *changes) Close() error {
	if c.err == nil {
		c.err = layer.ErrClosed
	}
	err := errors.Join(c.src.Close(), closeImage(c.parent))
	c.parent = nil
	return err
}
