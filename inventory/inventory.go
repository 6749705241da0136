package inventory

import (
	"context"
	"errors"
	"time"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/regf"
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
	return []Cataloger{windows{}, programs{}, msi{}, services{}, servicing{}, newExecutables(o.executables)}
}

// Of lists the components of an image, from its SOFTWARE hive with the deltas of all
// layers merged in, and keeps the list in the cache of the image. For an image without the
// hive the error is hives.ErrNoBase.
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
	var was kept
	if img.Answer(answerKind+o.key(), &was) {
		return &Inventory{Components: was.Components, Skipped: was.Skipped}, s, nil
	}
	found, err := image.FindHives(ctx, img.Sources(ctx), hives.Software)
	if err != nil {
		return nil, s, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	var warnings []finding.Finding
	found.Warn = func(f finding.Finding) { warnings = append(warnings, f) }
	h, err := found.View(ctx, hives.Software)
	if err != nil {
		return nil, s, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if inv, err = Run(ctx, NewSystem(nil, map[hives.Name]*regf.Hive{hives.Software: h}), catalogers...); err != nil {
		return nil, s, err
	}
	if inv.Warnings = warnings; len(warnings) == 0 {
		img.Keep(answerKind+o.key(), kept{inv.Components, inv.Skipped})
	}
	return inv, s, nil
}

// kept is an inventory in the cache of an image.
type kept struct {
	Components []Component
	Skipped    []Skipped
}

// answerKind names it. The number goes up with its form, or with what the catalogers find.
const answerKind = "inventory3"
