package cimlayer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// processBase makes what only a base layer has: Hives with the five hives under
// their base names, hard links to those in the config directory, and layout.
func (w *Writer) processBase() error {
	if w.opt.missing == TreeMissing && !slices.ContainsFunc(hives.All(), func(n hives.Name) bool { return w.isQueued(n.Path(hives.Config)) }) {
		return nil
	}
	if err := w.step("create", hives.HivesDir); err != nil {
		return err
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
		if err := w.step("link", n.Path(hives.Base)); err != nil {
			return err
		}
		if err := w.root.Link(hostHive(n, hives.Config), hostHive(n, hives.Base)); err != nil {
			return err
		}
		if err := w.ImageWriter.Add(&layer.Entry{Path: n.Path(hives.Base), Kind: layer.Link, Target: n.Path(hives.Config)}); err != nil {
			return err
		}
	}
	if err := w.writeHost(layoutName, []byte(layoutText)); err != nil {
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
	if err := w.writeHost(host, b); err != nil {
		return err
	}
	return w.addMade(n.Path(hives.Config), host)
}

// mergeOrder is the order in which hcsshim merges hives, and in which the merged ones join
// an image (layers specification, 5.2).
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
	if err := w.step("merge", n.Path(hives.Base)); err != nil {
		return err
	}
	base, err := nearestBase(w.parents, n)
	if err != nil {
		return err
	}
	dir := w.dir.Path()
	var warn func(string, regf.Finding)
	if w.opt.hiveWarn != nil {
		warn = func(file string, f regf.Finding) { w.opt.hiveWarn(hives.HivesDir+`\`+filepath.Base(file), f) }
	}
	return hives.MergeWarn(warn, filepath.Join(dir, filepath.FromSlash(hostHive(n, hives.Base))), base,
		filepath.Join(dir, filepath.FromSlash(hostHive(n, hives.Delta))))
}

// nearestBase finds the base hive of the nearest layer that has one. A layer
// without a delta has none: what holds there is that of the layer below it.
func nearestBase(parents []Location, n hives.Name) (string, error) {
	for _, p := range parents {
		name, err := findFold(filepath.Join(p.Files, hives.HivesDir), n.File(hives.Base))
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("no layer below has %s: %w", n.Path(hives.Base), fs.ErrNotExist)
}

// findFold finds a file in a directory of the host without regard to case.
func findFold(dir, name string) (string, error) {
	p := filepath.Join(dir, name)
	if _, err := os.Lstat(p); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range list {
		if winfs.EqualFold(e.Name(), name) {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", &fs.PathError{Op: "find", Path: p, Err: fs.ErrNotExist}
}

// writeHost makes a file beside the image.
func (w *Writer) writeHost(name string, b []byte) error {
	if err := w.step("create", name); err != nil {
		return err
	}
	f, err := w.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = w.step("sync", name)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// syncTree makes the directories of the files durable; the files are already.
func syncTree(root *os.Root) error {
	var dirs []string
	err := fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range dirs {
		f, err := root.Open(strings.TrimPrefix(d, "./"))
		if err != nil {
			return err
		}
		err = syncDirectory(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
