package cli

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// A layerFormat is one form in which a layer reference can name a layer. It is a
// row of a table: everything that commands do with layers goes through these
// functions, and a new format is a new row. A nil function is what the format
// cannot do.
type layerFormat struct {
	scheme string // before the colon
	// flags of "convert" that are for this format alone.
	flags []string
	// open reads the layer called name; the caller closes the reader.
	open func(ctx context.Context, c *console, name string, o *layerOptions) (layer.Reader, error)
	// create begins to write it. Nothing is visible before Commit.
	create func(ctx context.Context, c *console, name string, o *layerOptions) (layer.Writer, error)
	// check yields its faults, by itself.
	check func(ctx context.Context, c *console, name string, o *layerOptions) iter.Seq2[finding.Finding, error]
}

// layerFormats are the forms that layer references know.
var layerFormats []*layerFormat

func init() { // some formats open references to others, their parents
	layerFormats = []*layerFormat{tarFormat, wclayerFormat, cimFormat}
}

// layerOptions are the flags that say how to read or write a layer.
type layerOptions struct {
	parents   []string // references, immediate parent first
	base      bool     // the layer has no parents
	force     bool
	transport bool // write a transport directory
	compress  string
	cim       cimFlags
	limits    layer.Limits
}

// addParents defines --parent.
func (o *layerOptions) addParents(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.parents, "parent", nil, "parent layer `REF`; repeat for more, immediate parent first, base last")
}

// format returns the compression that --compress asks for.
func (o *layerOptions) format() (blob.Format, error) {
	f, err := blob.ParseFormat(o.compress)
	if err != nil {
		return f, usagef("--compress: %v", err)
	}
	return f, nil
}

// usesFlags refuses flags of cmd that are for other formats.
func (f *layerFormat) usesFlags(cmd *cobra.Command) error {
	for _, other := range layerFormats {
		for _, name := range other.flags {
			if cmd.Flags().Changed(name) && !slices.Contains(f.flags, name) {
				return usagef("--%s has no effect on writing a %s: layer", name, f.scheme)
			}
		}
	}
	return nil
}

// layerRef is a parsed layer reference.
type layerRef struct {
	text   string
	format *layerFormat
	name   string
}

// parseLayerRef reads a layer reference; ok is false if it is none, so that it may
// be an image reference.
func parseLayerRef(s string) (ref layerRef, ok bool) {
	for _, f := range layerFormats {
		if name, found := strings.CutPrefix(s, f.scheme+":"); found && name != "" {
			return layerRef{s, f, name}, true
		}
	}
	return layerRef{}, false
}

// mustLayerRef reads what can only be a layer reference.
func mustLayerRef(s string) (layerRef, error) {
	if ref, ok := parseLayerRef(s); ok {
		return ref, nil
	}
	var schemes []string
	for _, f := range layerFormats {
		schemes = append(schemes, f.scheme+":")
	}
	return layerRef{}, usagef("%q is not a layer reference, which begins with %s", s, strings.Join(schemes, " or "))
}

func (r layerRef) open(ctx context.Context, c *console, o *layerOptions) (layer.Reader, error) {
	return r.format.open(ctx, c, r.name, o)
}

func (r layerRef) create(ctx context.Context, c *console, o *layerOptions) (layer.Writer, error) {
	if r.format.create == nil {
		return nil, usagef("%s: layers are not written", r.text)
	}
	return r.format.create(ctx, c, r.name, o)
}

// source returns the layer as one that can be read again; standard input cannot.
func (r layerRef) source(ctx context.Context, c *console, o *layerOptions) layer.Source {
	return layer.SourceFunc(func() (layer.Reader, error) { return r.open(ctx, c, o) })
}

// reopens reports whether the layer can be read twice.
func (r layerRef) reopens() bool { return r.name != "-" }

// chain returns the layer and those below it that --parent names, base first.
func (r layerRef) chain(ctx context.Context, c *console, o *layerOptions) ([]layer.Source, error) {
	var sources []layer.Source
	for _, p := range slices.Backward(o.parents) {
		ref, err := mustLayerRef(p)
		if err != nil {
			return nil, err
		}
		sources = append(sources, ref.source(ctx, c, o))
	}
	return append(sources, r.source(ctx, c, o)), nil
}

// check yields the faults of the layer, those of its format first, and, if none of them
// is an error, those that only show together with the layers below it.
func (r layerRef) check(ctx context.Context, c *console, o *layerOptions) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		chain, err := r.chain(ctx, c, o)
		if err != nil {
			yield(finding.Finding{}, err)
			return
		}
		severe := false
		for f, err := range r.format.check(ctx, c, r.name, o) {
			if err == nil && ctx.Err() != nil {
				err = ctx.Err() // the fault may be that nothing can be read any more
			}
			if !yield(f, err) || err != nil {
				return
			}
			severe = severe || f.Severity == finding.Error
		}
		if severe || len(chain) == 1 || !r.reopens() {
			return
		}
		view, err := layer.Union(ctx, chain, layer.WithUnionLimits(o.limits))
		var where *layer.Error
		if errors.Is(err, layer.ErrLinkTarget) && errors.As(err, &where) {
			yield(layer.RuleLinkMissing.At(where.Entry, -1, "%v", where.Err).In(r.name), nil)
			return
		}
		if err != nil {
			yield(finding.Finding{}, err)
			return
		}
		defer view.Close()
		r.checkRegistry(ctx, chain, yield)
	}
}

// checkRegistry reports the hives of a layer that cannot be merged with those below it.
func (r layerRef) checkRegistry(ctx context.Context, chain []layer.Source, yield func(finding.Finding, error) bool) {
	found, err := image.FindHives(ctx, chain)
	if err != nil {
		yield(finding.Finding{}, err)
		return
	}
	defer found.Close()
	for _, n := range hives.All() {
		h, err := found.OpenHive(n, hives.Delta)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = h.Close()
		}
		if err == nil {
			if h, err = found.Open(ctx, n); err == nil {
				err = h.Close()
			}
		}
		if err != nil && !yield(image.RuleHive.At(n.Path(hives.Delta), -1, "%v", err).In(r.name), nil) {
			return
		}
	}
}
