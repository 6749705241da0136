package inventory

import (
	"context"
	"time"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
)

// Subject is the image that an inventory is about.
type Subject struct {
	Name         string    // reference, for people
	Digest       string    // of the manifest, "sha256:…"
	Architecture string    // of the configuration, "amd64"
	Created      time.Time // zero if the configuration does not say
	Layers       []Layer   // base first; a component's layer is an index of it
}

// Layer is a layer of a subject.
type Layer struct {
	Digest    string // of the blob, "sha256:…"
	DiffID    string // digest of the uncompressed layer
	MediaType string
	Size      int64 // of the blob, in bytes
}

// Catalogers returns new catalogers of all that the package knows. Those of languages are
// in [Languages] instead, with [WithLanguages] too.
func Catalogers(opts ...Option) []Cataloger {
	o := newOptions(opts)
	// What few images have many of comes first, so that others cannot take up its room.
	return []Cataloger{windows{}, servicing{}, dotnet{}, runtimes{}, services{}, programs{}, msi{}, newExecutables(o.executables)}
}

// Of lists the components of an image, and keeps the list in the cache of the image. The
// layers are read once, the topmost first, and only the files are looked at that a container
// sees. For an image without the SOFTWARE hive the error is hives.ErrNoBase.
func Of(ctx context.Context, img *image.Image, opts ...Option) (inv *Inventory, s Subject, err error) {
	o := newOptions(opts)
	catalogers, err := o.catalogers()
	if err != nil {
		return nil, s, err
	}
	s = Subject{Name: img.Reference().String(), Digest: string(img.Digest()), Architecture: img.Platform().Architecture}
	if c := img.Config(); c.Created != nil {
		s.Created = c.Created.UTC()
	}
	for _, l := range img.Layers() {
		s.Layers = append(s.Layers, Layer{string(l.Descriptor.Digest), string(l.DiffID), l.Descriptor.MediaType, l.Descriptor.Size})
	}
	if inv := keptInventory(img, o.key()); inv != nil {
		return inv, s, nil
	}
	inv, err = runLayers(ctx, chainOf(ctx, img), o, catalogers)
	if err != nil {
		return nil, s, err
	}
	if len(inv.Warnings) == 0 {
		keepInventory(img, o.key(), inv)
	}
	return inv, s, nil
}

// chainOf returns the layers of an image.
func chainOf(ctx context.Context, img *image.Image) chain {
	return chain{
		sources: img.Sources(ctx),
		scan: func(fn func(layer.Scanned, layer.Reader) error) (*image.Hives, error) {
			return img.Scan(ctx, fn)
		},
		union: func() (*layer.View, error) { return img.Union(ctx) },
	}
}
