package cimlayer

import (
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
		if err := w.merge(n); err != nil {
			return fmt.Errorf("merge %s: %w: %w", n.Path(hives.Delta), ErrHive, err)
		}
		if err := w.addMade(n.Path(hives.Base), hostHive(n, hives.Base)); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) merge(n hives.Name) error {
	base, err := nearestBase(w.parents, n)
	if err != nil {
		return err
	}
	defer base.Close()
	delta, err := w.root.Open(hostHive(n, hives.Delta))
	if err != nil {
		return err
	}
	defer delta.Close()
	var open []*regf.Hive
	defer func() {
		for _, h := range open {
			h.Close()
		}
	}()
	for _, f := range []*os.File{base, delta} {
		st, err := f.Stat()
		if err != nil {
			return err
		}
		name := filepath.Base(f.Name())
		opt := &regf.Options{AllowHarmless: true}
		if warn := w.opt.hiveWarn; warn != nil {
			opt.Warn = func(f finding.Finding) { warn(f.In(hives.HivesDir + `\` + name)) }
		}
		h, err := regf.OpenReaderAt(f, st.Size(), opt)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		open = append(open, h)
	}
	merged, err := hives.MergeHives(context.Background(), open[0], open[1]) // layer.Writer.Commit has no context
	if err != nil {
		return err
	}
	defer merged.Close()
	return publish.WritePart(w.root, hostHive(n, hives.Base), hiveMode, merged.WriteImage)
}

// nearestBase finds the base hive of the nearest layer that has one. A layer without a
// delta hive has none, and the hive of the layer below it applies.
func nearestBase(parents []Location, n hives.Name) (*os.File, error) {
	for _, p := range parents {
		f, err := p.openHive(n, hives.Base)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no layer below has %s: %w", n.Path(hives.Base), fs.ErrNotExist)
}
