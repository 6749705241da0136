package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/mullion/mullion/blob"
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
	// check reports what is wrong with it, and fails only if that cannot be told.
	check func(ctx context.Context, c *console, name string, o *layerOptions, report func(layer.Finding)) error
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
	cmd.Flags().StringArrayVar(&o.parents, "parent", nil, "layer below it, `REF`; repeated, immediate parent first, base last")
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
				return usagef("--%s says nothing about how a %s: is written", name, f.scheme)
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

// check reports what is wrong with the layer, by itself and, if that is nothing severe,
// with those below it.
func (r layerRef) check(ctx context.Context, c *console, o *layerOptions, report func(layer.Finding)) error {
	chain, err := r.chain(ctx, c, o)
	if err != nil {
		return err
	}
	severe := false
	err = r.checkAlone(ctx, c, o, func(f layer.Finding) {
		severe = severe || f.Severity == layer.SevereError
		report(f)
	})
	if err != nil || severe || len(chain) == 1 || !r.reopens() {
		return err
	}
	view, err := layer.Union(ctx, chain, layer.WithUnionLimits(o.limits))
	var where *layer.Error
	if errors.Is(err, layer.ErrLinkTarget) && errors.As(err, &where) {
		report(layer.Finding{Severity: layer.SevereError, Rule: layer.RuleLinkMissing, Layer: r.name, Path: where.Entry, Offset: -1, Message: fmt.Sprint(where.Err)})
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(r.checkRegistry(ctx, chain, report), view.Close())
}

// checkRegistry reports which hives of a layer cannot be merged with those below it.
func (r layerRef) checkRegistry(ctx context.Context, chain []layer.Source, report func(layer.Finding)) (err error) {
	found, err := image.FindHives(ctx, chain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
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
		if err != nil {
			report(layer.Finding{Severity: layer.SevereError, Rule: image.RuleHive, Layer: r.name, Path: n.Path(hives.Delta), Offset: -1, Message: err.Error()})
		}
	}
	return nil
}

func (r layerRef) checkAlone(ctx context.Context, c *console, o *layerOptions, report func(layer.Finding)) error {
	if r.format.check != nil {
		return r.format.check(ctx, c, r.name, o, report)
	}
	reader, err := r.open(ctx, c, o)
	if err != nil {
		return err
	}
	defer reader.Close()
	return auditReader(ctx, reader, r.name, o, report)
}

// ruleUnreadable is the finding where a reader gives up.
const ruleUnreadable = "unreadable"

// auditReader reads a layer to its end and reports what is wrong with its tree.
func auditReader(ctx context.Context, r layer.Reader, label string, o *layerOptions, report func(layer.Finding)) error {
	audit := layer.Audit{Base: o.base, HasParents: len(o.parents) > 0, Report: func(f layer.Finding) {
		f.Layer = label
		report(f)
	}}
	for index := int64(1); ; index++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		if err == nil {
			audit.Entry(e, index, -1)
			err = readStreams(r)
		}
		if err == io.EOF {
			audit.Finish()
			return nil
		}
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			f := layer.Finding{Severity: layer.SevereError, Rule: ruleUnreadable, Layer: label, Offset: -1, Message: err.Error()}
			var where *layer.Error
			if errors.As(err, &where) {
				f.Path, f.Offset, f.Message = where.Entry, where.Offset, fmt.Sprint(where.Err)
			}
			report(f)
			return nil
		}
	}
}

// readStreams reads all streams of an entry and throws them away.
func readStreams(r layer.Reader) error {
	for {
		if _, err := r.NextStream(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
			return err
		}
	}
}
