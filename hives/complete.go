package hives

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// ErrNotBase reports that a layer changes the layers below it and so is no base layer.
var ErrNotBase = errors.New("not a base layer")

// Complete returns a writer that adds the missing parts to a base layer: the config
// directory with the directories above it, and a minimal hive of version v for each
// missing one of the five (docs/spec/layers.md, "Base layers"). Commit adds them before
// calling that of w. A layer with a delta hive or a whiteout has parents and is
// ErrNotBase.
//
// Close closes w. Hives of the layer are passed on unchanged.
func Complete(w layer.Writer, v OSVersion) layer.Writer {
	c := &completer{Writer: w, version: v, have: map[string]bool{}}
	if x, ok := w.(layer.ExtentWriter); ok {
		return &extentCompleter{c, x}
	}
	return c
}

type completer struct {
	layer.Writer
	version OSVersion
	have    map[string]bool // of the paths to be added, folded
}

// extentCompleter is a completer over a writer that keeps holes.
type extentCompleter struct {
	*completer
	layer.ExtentWriter
}

// FillsHole reports what the writer below does with a hole, which bounds what a small layer
// can make it write.
func (c *extentCompleter) FillsHole(n int64) bool {
	f, ok := c.Writer.(layer.HoleFiller)
	return ok && f.FillsHole(n)
}

// DirectoriesMade returns the number that the writer below has created by itself.
func (c *completer) DirectoriesMade() int64 {
	if m, ok := c.Writer.(layer.DirectoryMaker); ok {
		return m.DirectoriesMade()
	}
	return 0
}

// configPath returns the directories of the config directory, the uppermost first.
func configPath() []string {
	var dirs []string
	for d := ConfigDir; d != ""; d, _ = winfs.SplitPath(d) {
		dirs = append([]string{d}, dirs...)
	}
	return dirs
}

func (c *completer) Add(e *layer.Entry) error {
	if _, form, ok := Match(e.Path); ok && form == Delta || e.Kind == layer.Whiteout || e.Kind == layer.Opaque {
		return &layer.Error{Op: "complete base layer", Entry: e.Path, Offset: -1, Err: fmt.Errorf("%v: %w", e.Kind, ErrNotBase)}
	}
	if winfs.EqualFold(e.Path, ConfigDir) || winfs.Under(ConfigDir, e.Path) || winfs.Under(e.Path, ConfigDir) {
		c.have[winfs.Fold(e.Path)] = true
	}
	return c.Writer.Add(e)
}

func (c *completer) Commit() error {
	for _, d := range configPath() {
		if c.have[winfs.Fold(d)] {
			continue
		}
		if err := c.Writer.Add(&layer.Entry{Path: d, Kind: layer.Dir, Attributes: winfs.AttrDirectory}); err != nil {
			return err
		}
	}
	for _, n := range All() {
		if c.have[winfs.Fold(n.Path(Config))] {
			continue
		}
		b, err := Minimal(n, c.version)
		if err != nil {
			return err
		}
		size := int64(len(b))
		if err := c.Writer.Add(&layer.Entry{Path: n.Path(Config), Kind: layer.File, Attributes: winfs.AttrArchive, Size: size}); err != nil {
			return err
		}
		if err := c.Writer.AddStream(&layer.Stream{Size: size}); err != nil {
			return err
		}
		if _, err := c.Writer.Write(b); err != nil {
			return err
		}
	}
	return c.Writer.Commit()
}

// ParseOSVersion reads a version as image configurations write it: three or four numbers,
// as in 10.0.20348 or 10.0.20348.2700.
func ParseOSVersion(s string) (OSVersion, error) {
	var v OSVersion
	n, _ := fmt.Sscanf(s, "%d.%d.%d.%d", &v.Major, &v.Minor, &v.Build, &v.UBR)
	v.HasUBR = n == 4
	if n < 3 || v.String() != s {
		return OSVersion{}, fmt.Errorf("%w: %.40q, want 10.0.20348.2700", ErrNoVersion, s)
	}
	full := ServerCore(v.Build, v.UBR)
	full.Major, full.Minor, full.HasUBR = v.Major, v.Minor, v.HasUBR
	return full, nil
}
