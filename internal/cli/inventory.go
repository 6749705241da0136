package cli

import (
	"context"
	"errors"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/inventory"
	"github.com/mullion/mullion/layer"
)

// inventory lists what is installed in an image, or in a layer with its parents.
func (f *contentFlags) inventory(ctx context.Context, c *console, text string, opts ...inventory.Option) (inv *inventory.Inventory, s inventory.Subject, err error) {
	var warnings hiveWarnings
	defer func() {
		if err == nil {
			c.stopProgress()
			for _, w := range inv.Warnings {
				warnings.add(w)
			}
			warnings.print(c)
		}
	}()
	if ref, ok := parseLayerRef(text); ok {
		inv, err = f.layersInventory(ctx, c, ref, &warnings, opts)
		return inv, inventory.Subject{Name: text}, f.lowerHint(ref, err)
	}
	img, err := f.image.open(ctx, c, text, c.layerProgress())
	if err != nil {
		return nil, s, err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	inv, s, err = inventory.Of(ctx, img, opts...)
	return inv, s, inventoryHint(err)
}

// inventoryHint adds advice to an error.
func inventoryHint(err error) error {
	if errors.Is(err, hives.ErrNoBase) {
		return hintf(err, "what is installed is recorded in the SOFTWARE hive, which is missing; ls -R lists the files")
	}
	if err != nil {
		return imageHint(registryHint(err))
	}
	return nil
}

// lowerHint adds advice to an error about a layer, which may lack the layers below it.
func (f *contentFlags) lowerHint(ref layerRef, err error) error {
	lacks := errors.Is(err, hives.ErrNoBase) || errors.Is(err, layer.ErrLinkTarget) || errors.Is(err, layer.ErrWhiteout)
	if lacks && len(f.options.parents) == 0 && ref.format != cimFormat {
		return hintf(err, "if the layer is not a base, --parent names the layers below it")
	}
	return inventoryHint(err)
}

// layersInventory lists what is installed in a layer with its parents.
func (f *contentFlags) layersInventory(ctx context.Context, c *console, ref layerRef, w *hiveWarnings, opts []inventory.Option) (inv *inventory.Inventory, err error) {
	f.options.limits = c.limits
	if ref.format == cimFormat { // the image has the whole tree, and merged hives
		if (c.limits != layer.Limits{}) {
			return nil, usagef("--limit has no effect on %s", ref.text)
		}
		im, err := openCIM(ctx, ref.text, nil)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, im.Close()) }()
		l := inventory.Layers{
			Sources: []layer.Source{layer.SourceFunc(func() (layer.Reader, error) { return cimlayer.NewImageReader(im), nil })},
			Hives:   []hives.Layer{cimlayer.ImageHives{Image: im, Warn: w.add}},
		}
		return inventory.OfLayers(ctx, l, opts...)
	}
	sources, err := ref.chain(ctx, c, &f.options)
	if err != nil {
		return nil, err
	}
	l := inventory.Layers{Sources: sources, Limits: c.limits}
	dirs, err := f.unpackedHives(ref)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, d := range dirs {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, d := range dirs {
		d.Warn = w.add
		l.Hives = append(l.Hives, d)
	}
	return inventory.OfLayers(ctx, l, opts...)
}

// unpackedHives opens the hives of layer directories, base first. If one of the layers is no
// directory, the result is nil.
func (f *contentFlags) unpackedHives(ref layerRef) (dirs []*hives.Directory, err error) {
	refs := []layerRef{}
	for _, p := range f.options.parents {
		parent, err := mustLayerRef(p)
		if err != nil {
			return nil, err
		}
		refs = append([]layerRef{parent}, refs...)
	}
	refs = append(refs, ref)
	done := func() error {
		var errs []error
		for _, d := range dirs {
			errs = append(errs, d.Close())
		}
		dirs = nil
		return errors.Join(errs...)
	}
	for _, r := range refs {
		if r.format != wclayerFormat {
			return nil, done()
		}
		d, err := hives.OpenDirectory(r.name)
		if err != nil {
			return nil, errors.Join(err, done())
		}
		dirs = append(dirs, d)
	}
	return dirs, nil
}
