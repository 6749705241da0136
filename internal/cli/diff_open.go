package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/internal/plaindir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
)

// diffSide is one side of a comparison.
type diffSide struct {
	ref      string
	tree     *compare.Tree
	registry compare.Registry // nil for a hive
	config   []byte           // of an image
	hive     *regf.Hive       // if the side is one
	closers  []func() error   // called in reverse order
}

func (s *diffSide) close() error {
	if s == nil {
		return nil
	}
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// openSides reads both sides. What it returns must be closed even if there is an error.
func (f *diffFlags) openSides(ctx context.Context, c *console, scan *compare.Scanner, args []string) (a, b *diffSide, err error) {
	if len(args) == 1 {
		return f.openLayerSides(ctx, c, scan, args[0])
	}
	var sides [2]*diffSide
	for i, ref := range args {
		sides[i] = &diffSide{ref: ref}
		if err := f.openSide(ctx, c, scan, sides[i]); err != nil {
			return sides[0], sides[1], about(ref, err)
		}
	}
	if (sides[0].hive != nil) != (sides[1].hive != nil) {
		return sides[0], sides[1], usagef("a hive is compared with a hive")
	}
	return sides[0], sides[1], nil
}

// openSide finds out what a reference names, and reads it. A path without a scheme is a
// directory or a hive if there is one, otherwise the name of an image.
func (f *diffFlags) openSide(ctx context.Context, c *console, scan *compare.Scanner, s *diffSide) error {
	f.options.limits = c.limits
	if ref, ok := parseLayerRef(s.ref); ok {
		if ref.format == cimFormat {
			r, err := openCIMRegistry(ctx, c, ref.text)
			if err != nil {
				return err
			}
			s.registry, s.closers = r, append(s.closers, r.Close)
		}
		return f.readLayer(ctx, c, scan, s, ref.source(ctx, c, &f.options))
	}
	st, err := os.Stat(s.ref)
	switch {
	case err != nil:
	case st.IsDir():
		if _, err := os.Stat(filepath.Join(s.ref, "oci-layout")); err == nil {
			break // the error of the image has the hint
		}
		return f.readLayer(ctx, c, scan, s, layer.SourceFunc(func() (layer.Reader, error) {
			return plaindir.Open(s.ref, plaindir.Options{})
		}))
	case st.Mode().IsRegular() && isHiveFile(s.ref):
		h, err := (&hiveFlags{mode: "strict"}).open(ctx, c, s.ref)
		if err != nil {
			return err
		}
		s.hive, s.closers = h, append(s.closers, h.Close)
		return nil
	}
	return f.readImage(ctx, c, scan, s)
}

// isHiveFile reports whether a file begins as a hive does.
func isHiveFile(path string) bool {
	f, err := openfile.Regular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, len(hiveMagic))
	_, err = io.ReadFull(f, b)
	return err == nil && string(b) == hiveMagic
}

// readLayer reads a single layer.
func (f *diffFlags) readLayer(ctx context.Context, c *console, scan *compare.Scanner, s *diffSide, src layer.Source) error {
	t, err := scan.Layer(ctx, "", src)
	if err != nil {
		return err
	}
	if s.registry == nil {
		s.takeHives(c, t)
	}
	s.tree, err = compare.Single(scan, t)
	return err
}

// takeHives makes the registry of the side from the hives of layers.
func (s *diffSide) takeHives(c *console, tables ...*compare.Table) {
	w := &hiveWarnings{}
	s.registry = compare.NewLayerHives(w.add, tables...)
	s.closers = append(s.closers, func() error { w.print(c); return nil })
}

// readImage reads all layers of an image, or the one of --layer.
func (f *diffFlags) readImage(ctx context.Context, c *console, scan *compare.Scanner, s *diffSide) error {
	img, err := f.image.open(ctx, c, s.ref, c.layerProgress())
	if err != nil {
		return err
	}
	s.closers = append(s.closers, img.Close)
	s.config = img.RawConfig()
	if f.layer < 0 {
		tables, err := readLayers(ctx, scan, img.Layers())
		if err != nil {
			return err
		}
		s.takeHives(c, tables...)
		s.tree, err = compare.Merge(ctx, scan, tables...)
		return imageHint(err)
	}
	s.config = nil
	l, err := f.layerOf(img)
	if err != nil {
		return err
	}
	tables, err := readLayers(ctx, scan, []*image.Layer{l})
	if err != nil {
		return err
	}
	s.takeHives(c, tables...)
	s.tree, err = compare.Single(scan, tables[0])
	return err
}

// layerOf returns the layer of --layer.
func (f *diffFlags) layerOf(img *image.Image) (*image.Layer, error) {
	if f.layer >= len(img.Layers()) {
		return nil, usagef("--layer %d: the image has %d layers, from 0", f.layer, len(img.Layers()))
	}
	return img.Layers()[f.layer], nil
}

// readLayers reads the layers that were not read before.
func readLayers(ctx context.Context, scan *compare.Scanner, layers []*image.Layer) ([]*compare.Table, error) {
	var tables []*compare.Table
	for _, l := range layers {
		t, err := scan.Layer(ctx, string(l.DiffID), l.Source(ctx))
		if err != nil {
			return nil, imageHint(err)
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// openLayerSides reads an image up to the layer of --layer. The first side is what lies
// below that layer.
func (f *diffFlags) openLayerSides(ctx context.Context, c *console, scan *compare.Scanner, ref string) (a, b *diffSide, err error) {
	a, b = &diffSide{ref: fmt.Sprintf("%s below layer %d", ref, f.layer)}, &diffSide{ref: fmt.Sprintf("%s up to layer %d", ref, f.layer)}
	img, err := f.image.open(ctx, c, ref, c.layerProgress())
	if err != nil {
		return a, b, err
	}
	a.closers = append(a.closers, img.Close)
	if _, err := f.layerOf(img); err != nil {
		return a, b, err
	}
	tables, err := readLayers(ctx, scan, img.Layers()[:f.layer+1])
	if err != nil {
		return a, b, err
	}
	a.takeHives(c, tables[:f.layer]...)
	b.takeHives(c, tables...)
	if a.tree, err = compare.Merge(ctx, scan, tables[:f.layer]...); err == nil {
		b.tree, err = compare.Merge(ctx, scan, tables...)
	}
	return a, b, imageHint(err)
}
