package cimlayer

import (
	"context"
	"errors"
	"io/fs"
	"iter"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
)

var rules = finding.NewCatalogue("cim layer")

// Rules returns the rules of layers in CIM images. [Check] reports those of packages
// cimfs and layer too.
func Rules() []finding.Rule { return rules.All() }

// RuleMergedHive is the rule that the hives of a merged image can be loaded.
var RuleMergedHive = rules.Add(finding.Rule{ID: "merged-hive", Severity: finding.Error,
	Meaning: "Windows does not start a container on a layer whose merged registry hive it cannot load.",
	Mend:    "Unpack the layer again; mullion hive repair rebuilds a hive that can be read."})

// CheckOptions say how an image is checked.
type CheckOptions struct {
	// Label is the name of the image in findings about the layer. Findings about the
	// format name the file of the image.
	Label string
	// Base and HasParents are those of layer.CheckOptions, for an image that is not that
	// of a layer in a store.
	Base, HasParents bool
	// Below is that of layer.CheckOptions, for such an image too.
	Below *layer.Below
	// Format bounds the check of the format, Limits the image and Layer the layer in it.
	Format cimfs.CheckOptions
	Limits cimfs.Limits
	Layer  layer.Limits
}

// Check yields the faults of the image called name: first those of its format, as
// cimfs.CheckFiles does, and, if none of them is an error, those of the layer in it, as
// layer.Check does, and of its registry.
//
// An image with the file layout or a merged hive in its directory Hives is that of a
// layer in a [Store] or of one that Windows has unpacked: it shows the layer with all
// layers below it, and holds what unpacking has made. That is no fault of it.
func Check(ctx context.Context, o cimfs.Opener, name string, opts CheckOptions) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		severe := false
		for f, err := range cimfs.CheckFiles(ctx, o, name, opts.Limits, opts.Format) {
			if !yield(f, err) || err != nil {
				return
			}
			severe = severe || f.Severity == finding.Error
		}
		if severe {
			return
		}
		im, err := cimfs.OpenFiles(o, name, opts.Limits)
		if err != nil {
			yield(finding.Finding{}, err)
			return
		}
		defer im.Close()
		merged, err := IsMerged(im)
		if err != nil {
			yield(finding.Finding{}, err)
			return
		}
		least := max(opts.Format.Severity, finding.Info)
		report := func(f finding.Finding, err error) bool { return err == nil && f.Severity < least || yield(f, err) }
		damage := func(err error) bool { return layer.IsDamage(err) || errors.Is(err, cimfs.ErrCorrupt) }
		if merged {
			opts.Below = nil
		}
		for f, err := range layer.Check(ctx, NewImageReader(im), layer.CheckOptions{Label: opts.Label, Base: opts.Base || merged, HasParents: opts.HasParents && !merged, Merged: merged, Limits: opts.Layer, Below: opts.Below, Damage: damage}) {
			if !report(f, err) || err != nil {
				return
			}
		}
		if merged {
			checkHives(im, opts.Label, report)
		}
	}
}

// IsMerged reports whether an image is that of a layer in a [Store] or of one that Windows
// has unpacked: it has the file layout or a merged hive.
func IsMerged(im *cimfs.Image) (bool, error) {
	paths := []string{layer.RootLayout}
	for _, n := range hives.All() {
		paths = append(paths, n.Path(hives.Base))
	}
	for _, p := range paths {
		f, err := im.Lookup(p)
		if err == nil && !f.IsDir() {
			return true, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, cimfs.ErrNotDirectory) {
			return false, err
		}
	}
	return false, nil
}

// checkHives reports the merged hives that cannot be loaded.
func checkHives(im *cimfs.Image, label string, report func(finding.Finding, error) bool) {
	for _, n := range hives.All() {
		h, err := ImageHives{Image: im}.OpenHive(n, hives.Base)
		if errors.Is(err, fs.ErrNotExist) {
			continue // unpack --hives leave
		}
		if err == nil {
			err = h.Close()
		}
		var fault *regf.Error
		switch {
		case err == nil:
		case errors.As(err, &fault) && !isHostError(fault.Err):
			if !report(RuleMergedHive.At(n.Path(hives.Base), -1, "%v", fault.Err).In(label), nil) {
				return
			}
		default:
			report(finding.Finding{}, err)
			return
		}
	}
}

// isHostError reports whether an error is that of a file or an image that cannot be read,
// and not that of the hive in it.
func isHostError(err error) bool {
	var path *fs.PathError
	var image *cimfs.Error
	return errors.As(err, &path) || errors.As(err, &image)
}
