package cimlayer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// processBase adds the files that only a base layer has: Hives with the five hives under
// their base names, hard links to those in the config directory, and layout.
func (w *Writer) processBase() error {
	if w.opt.missing == TreeMissing && !slices.ContainsFunc(hives.All(), func(n hives.Name) bool { return w.isQueued(n.Path(hives.Config)) }) {
		return nil
	}
	if err := w.root.Mkdir(hives.HivesDir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if !w.ImageWriter.w.Stat(hives.HivesDir).Exists {
		if err := w.ImageWriter.Add(&layer.Entry{Path: hives.HivesDir, Kind: layer.Dir, Attributes: winfs.AttrDirectory}); err != nil {
			return err
		}
	}
	for _, n := range hives.All() {
		if !w.isQueued(n.Path(hives.Config)) {
			switch w.opt.missing {
			case LeaveMissing, TreeMissing:
				continue
			case RefuseMissing:
				return fmt.Errorf("base layer without %s: %w: %w", n.Path(hives.Config), ErrHive, ErrNoHive)
			}
			if err := w.createHive(n); err != nil {
				return err
			}
		} else if err := w.checkHive(n); err != nil {
			return err
		}
		if err := w.root.Link(hostHive(n, hives.Config), hostHive(n, hives.Base)); err != nil {
			return err
		}
		if err := w.ImageWriter.Add(&layer.Entry{Path: n.Path(hives.Base), Kind: layer.Link, Target: n.Path(hives.Config)}); err != nil {
			return err
		}
	}
	if err := publish.WritePart(w.root, layoutName, 0o644, func(f io.Writer) error { _, err := io.WriteString(f, layoutText); return err }); err != nil {
		return err
	}
	return w.addMade(layoutName, layoutName)
}

// checkHive refuses a base layer whose hive no later layer could be merged with.
func (w *Writer) checkHive(n hives.Name) error {
	if w.opt.missing == LeaveMissing || w.opt.missing == TreeMissing {
		return nil
	}
	f, err := w.root.Open(hostHive(n, hives.Config))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := hives.Valid(f); err != nil {
		return fmt.Errorf("%s: %w: %w", n.Path(hives.Config), ErrHive, err)
	}
	return nil
}

// createHive adds a minimal hive to the config directory.
func (w *Writer) createHive(n hives.Name) error {
	b, err := hives.Minimal(n, hives.OSVersion{})
	if err != nil {
		return err
	}
	host := hostHive(n, hives.Config)
	if err := w.root.MkdirAll(filepath.Dir(host), 0o755); err != nil {
		return err
	}
	if err := publish.WritePart(w.root, host, hiveMode, func(f io.Writer) error { _, err := f.Write(b); return err }); err != nil {
		return err
	}
	return w.addMade(n.Path(hives.Config), host)
}

// mergeOrder is the order in which hcsshim merges hives, and in which the merged ones
// join an image (docs/spec/layers.md, "CIM layers").
var mergeOrder = []hives.Name{hives.System, hives.Software, hives.SAM, hives.Security, hives.Default}

// processFork merges each delta hive with the nearest base hive below.
func (w *Writer) processFork() error {
	for _, n := range mergeOrder {
		if !w.isQueued(n.Path(hives.Delta)) {
			continue
		}
		same, err := w.merge(n)
		if err != nil {
			return fmt.Errorf("merge %s: %w: %w", n.Path(hives.Delta), ErrHive, err)
		}
		if same && w.ImageWriter.inherits(n.Path(hives.Base)) {
			continue
		}
		if err := w.addMade(n.Path(hives.Base), hostHive(n, hives.Base)); err != nil {
			return err
		}
	}
	return nil
}

// merge puts the merged hive beside the image, and reports whether it is the base hive
// as it was. Then it is another name of that file, if the host allows it: a layer costs
// what it changes.
func (w *Writer) merge(n hives.Name) (same bool, err error) {
	below, base, err := nearestBase(w.parents, n)
	if err != nil {
		return false, err
	}
	defer base.Close()
	delta, err := w.root.Open(hostHive(n, hives.Delta))
	if err != nil {
		return false, err
	}
	defer delta.Close()
	again, err := w.appliedBelow(below, n, delta)
	if err != nil {
		return false, err
	}
	if again {
		if err := hives.Valid(base); err != nil {
			return false, fmt.Errorf("%s: %w", filepath.Base(base.Name()), err)
		}
		return true, w.keepHive(below, n, base)
	}
	merged, err := tempfile.Create("", "mullion-hive-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, merged.Close()) }()
	size, err := w.mergeHives(merged, base, delta)
	if err != nil {
		return false, err
	}
	st, err := base.Stat()
	if err != nil {
		return false, err
	}
	content := func() io.Reader { return io.NewSectionReader(merged, 0, size) }
	c := comparer{with: base, size: st.Size()}
	if _, err := copyTo(&c, content()); err != nil && !errors.Is(err, errDifferent) {
		return false, err
	}
	if c.same() {
		return true, w.keepHive(below, n, base)
	}
	return false, publish.WritePart(w.root, hostHive(n, hives.Base), hiveMode, func(to io.Writer) error {
		_, err := copyTo(to, content())
		return err
	})
}

// mergeHives merges two hives into a file and returns its size.
func (w *Writer) mergeHives(to regf.ReadWriterAt, base, delta *os.File) (size int64, err error) {
	var open []*regf.Hive
	defer func() {
		for _, h := range open {
			err = errors.Join(err, h.Close())
		}
	}()
	for _, f := range []*os.File{base, delta} {
		h, err := w.openHive(f)
		if err != nil {
			return 0, err
		}
		open = append(open, h)
	}
	return hives.MergeHivesTo(context.Background(), to, open...) // layer.Writer.Commit has no context
}

// openHive opens a file beside an image as a hive.
func (w *Writer) openHive(f *os.File) (*regf.Hive, error) {
	name := filepath.Base(f.Name())
	opt := &regf.Options{AllowHarmless: true}
	if warn := w.opt.hiveWarn; warn != nil {
		opt.Warn = func(f finding.Finding) { warn(f.In(hives.HivesDir + `\` + name)) }
	}
	h, err := regf.OpenFile(f, opt) // which gives back pages that were read
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return h, nil
}

// appliedBelow reports whether the layer that has the nearest base hive was made with the
// same delta, so that merging with it again changes nothing. Symbolic links are an
// exception: values that one merge gives them are lost in the next.
func (w *Writer) appliedBelow(below Location, n hives.Name, delta *os.File) (bool, error) {
	f, err := below.openHive(n, hives.Delta)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	c := comparer{with: f, size: st.Size()}
	if _, err := copyTo(&c, delta); err != nil && !errors.Is(err, errDifferent) {
		return false, err
	}
	if !c.same() {
		return false, nil
	}
	h, err := w.openHive(delta)
	if err != nil {
		return false, err
	}
	defer h.Close()
	for k, err := range h.Root().Walk() {
		if err != nil || k.Symlink() {
			return false, err
		}
	}
	return true, nil
}

// keepHive makes the base hive of a layer below that of this layer.
func (w *Writer) keepHive(below Location, n hives.Name, base *os.File) error {
	host := hostHive(n, hives.Base)
	if linked, err := w.linkHive(below, host, base); linked || err != nil {
		return err
	}
	st, err := base.Stat()
	if err != nil {
		return err
	}
	return publish.WritePart(w.root, host, hiveMode, func(f io.Writer) error {
		_, err := copyTo(f, io.NewSectionReader(base, 0, st.Size()))
		return err
	})
}

// linkHive adds a name to the open hive of a layer below. It returns false where that is
// not possible: in another directory, or on a host without hard links.
func (w *Writer) linkHive(below Location, host string, base *os.File) (bool, error) {
	root, done, err := below.openLayers()
	if err != nil {
		return false, err
	}
	defer done()
	if root != w.layers {
		x, err := root.Stat(".")
		if err != nil {
			return false, err
		}
		y, err := w.layers.Stat(".")
		if err != nil {
			return false, err
		}
		if !os.SameFile(x, y) {
			return false, nil
		}
	}
	from := filepath.Join(below.base(), hives.HivesDir, filepath.Base(base.Name()))
	if err := w.dir.Link(from, host); err != nil {
		return false, nil //nolint:nilerr // a copy does as well
	}
	// The name could have become that of another file meanwhile.
	mine, err := w.root.Lstat(host)
	if err != nil {
		return false, err
	}
	st, err := base.Stat()
	if err != nil || os.SameFile(mine, st) {
		return err == nil, err
	}
	return false, publish.Remove(w.root, host)
}

// errDifferent ends a comparison.
var errDifferent = errors.New("the contents differ")

// comparer is a Writer that compares with a file of a size.
type comparer struct {
	with      io.ReaderAt
	at, size  int64
	buf       []byte
	different bool
}

// same reports whether exactly the content of the file was written.
func (c *comparer) same() bool { return !c.different && c.at == c.size }

func (c *comparer) Write(p []byte) (int, error) {
	if c.buf == nil {
		c.buf = make([]byte, 64<<10)
	}
	n := 0
	for n < len(p) {
		b := c.buf[:min(len(c.buf), len(p)-n)]
		if c.different = c.different || int64(len(b)) > c.size-c.at; c.different {
			return n, errDifferent
		}
		if k, err := c.with.ReadAt(b, c.at); k < len(b) {
			return n, err
		}
		if c.different = !bytes.Equal(b, p[n:n+len(b)]); c.different {
			return n, errDifferent
		}
		n += len(b)
		c.at += int64(len(b))
	}
	return n, nil
}

// nearestBase finds the base hive of the nearest layer that has one. A layer without a
// delta hive has none, and the hive of the layer below it applies; one with a delta hive
// has lost it.
func nearestBase(parents []Location, n hives.Name) (Location, *os.File, error) {
	for _, p := range parents {
		f, err := p.openHive(n, hives.Base)
		if err == nil {
			return p, f, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return Location{}, nil, err
		}
		if f, derr := p.openHive(n, hives.Delta); derr == nil {
			f.Close()
			return Location{}, nil, fmt.Errorf("%v has lost its merged hive; unpack it again: %w", p, err)
		}
	}
	return Location{}, nil, fmt.Errorf("no layer below has %s: %w", n.Path(hives.Base), fs.ErrNotExist)
}
