package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// A layerFormat describes one scheme of layer references. Commands access layers only
// through its functions, so a new format is a new entry in layerFormats. A nil function
// marks an operation that the format does not support.
type layerFormat struct {
	scheme string // before the colon
	// flags lists the flags of "convert" that apply to this format only.
	flags []string
	// open reads the layer called name; the caller closes the reader.
	open func(ctx context.Context, c *console, name string, o *layerOptions) (layer.Reader, error)
	// create returns a writer for the layer. Nothing is visible before Commit.
	create func(ctx context.Context, c *console, name string, o *layerOptions) (layer.Writer, error)
	// check yields the faults of the layer, with what layerOptions.below knows.
	check func(ctx context.Context, c *console, name string, o *layerOptions) iter.Seq2[finding.Finding, error]
}

// layerFormats lists the supported formats.
var layerFormats []*layerFormat

func init() { // in init to break a cycle: formats parse references to their parents
	layerFormats = []*layerFormat{tarFormat, wclayerFormat, cimFormat}
}

// layerOptions are the flags for reading and writing a layer.
type layerOptions struct {
	parents   []string       // references, immediate parent first
	below     *layer.Below   // what they show, in a check
	platform  image.Platform // that the content is checked for
	base      bool           // the layer has no parents
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

// format returns the compression that --compress asks for, or without it the name of the
// file.
func (o *layerOptions) format(name string) (blob.Format, error) {
	if o.compress == "" {
		switch strings.ToLower(filepath.Ext(name)) {
		case ".gz", ".tgz":
			return blob.Gzip, nil
		case ".zst", ".tzst":
			return blob.Zstd, nil
		}
		return blob.Plain, nil
	}
	f, err := blob.ParseFormat(o.compress)
	if err != nil {
		return f, usagef("--compress: %v", err)
	}
	return f, nil
}

// usesFlags rejects flags of cmd that apply to other formats only.
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

// parseLayerRef parses a layer reference. If s is not one, ok is false and s may be an
// image reference.
func parseLayerRef(s string) (ref layerRef, ok bool) {
	for _, f := range layerFormats {
		if name, found := strings.CutPrefix(s, f.scheme+":"); found && name != "" {
			return layerRef{s, f, name}, true
		}
	}
	return layerRef{}, false
}

// mustLayerRef parses a layer reference and returns a usage error if s is not one.
func mustLayerRef(s string) (layerRef, error) {
	if ref, ok := parseLayerRef(s); ok {
		return ref, nil
	}
	var schemes []string
	for _, f := range layerFormats {
		schemes = append(schemes, f.scheme+":")
	}
	err := usagef("%q is not a layer reference, which starts with %s", s, strings.Join(schemes, " or "))
	for _, scheme := range imageSchemes {
		if strings.HasPrefix(s, scheme+":") {
			return layerRef{}, hintf(err, "%s is an image; mullion copy converts images, mullion unpack writes their layers", s)
		}
	}
	return layerRef{}, hintf(err, "a layer tar is tar:%[1]s, a layer directory wclayer:%[1]s, a CimFS image cim:%[1]s", s)
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

// source returns a source that opens the layer on each call. Standard input can be
// opened once only, see reopens.
func (r layerRef) source(ctx context.Context, c *console, o *layerOptions) layer.Source {
	return layer.SourceFunc(func() (layer.Reader, error) {
		in, err := r.open(ctx, c, o)
		if err != nil {
			return nil, err
		}
		return layer.LimitReader(in, o.limits), nil
	})
}

// reopens reports whether the layer can be read twice.
func (r layerRef) reopens() bool { return r.name != "-" }

// chain returns the layer and its parents named by --parent, base first.
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

// check yields the faults of the layer: first those of its format, its tree and its
// metadata, with regard to the entries of its parents, and, if none of them is an error,
// those found by merging its hives with those of its parents.
func (r layerRef) check(ctx context.Context, c *console, o *layerOptions) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		chain, err := r.chain(ctx, c, o)
		if err != nil {
			yield(finding.Finding{}, err)
			return
		}
		severe := false
		if below := chain[:len(chain)-1]; len(below) > 0 {
			known := *o
			known.below = &layer.Below{}
			for i, src := range below {
				parent := o.parents[len(o.parents)-1-i]
				fault, err := learn(ctx, src, parent, i == 0, &known)
				if err == nil && fault != nil && !yield(*fault, nil) {
					return
				}
				if err != nil {
					yield(finding.Finding{}, about(parent, err))
					return
				}
				if fault != nil { // nothing is known of the layers from here on
					severe = true
					known.below = nil
					break
				}
			}
			o = &known
		}
		for f, err := range r.format.check(ctx, c, r.name, o) {
			if err == nil && ctx.Err() != nil {
				err = ctx.Err() // an interrupted read can look like a fault
			}
			if !yield(f, err) || err != nil {
				return
			}
			severe = severe || f.Severity == finding.Error
		}
		if r.format != tarFormat && (len(chain) == 1 || o.platform.Architecture != "") { // the check of a tar has seen the content
			if !r.checkContent(ctx, c, o, severe, yield) {
				return
			}
		}
		if len(chain) == 1 {
			return
		}
		if severe || !r.reopens() {
			return
		}
		r.checkRegistry(ctx, chain, o.platform.OSVersion, yield)
	}
}

// learn adds the names of one more parent to those that are known below the layer. Faults of
// a parent are not those of the layer: only the one is returned because of which the parent
// cannot be read to its end.
func learn(ctx context.Context, src layer.Source, name string, base bool, o *layerOptions) (fault *finding.Finding, err error) {
	r, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	opts := layer.CheckOptions{Label: name, Base: base, HasParents: !base, Limits: o.limits, Below: o.below, Quick: true}
	for f, err := range layer.Check(ctx, r, opts) {
		if err != nil {
			return nil, err
		}
		if f.Rule == layer.RuleUnreadable.ID || f.Rule == layer.RuleLimitExceeded.ID {
			fault = &f
		}
	}
	return fault, nil
}

// checkContent reports the hives of a layer that cannot be loaded, without those below it, and
// programs for another machine. damaged is set if the layer has errors, because of which
// reading it again may fail. It returns false if the check has ended.
func (r layerRef) checkContent(ctx context.Context, c *console, o *layerOptions, damaged bool, yield func(finding.Finding, error) bool) bool {
	stopped := false
	registry := image.NewHiveChecker(func(f finding.Finding) { stopped = stopped || !yield(f, nil) })
	registry.Layer(r.name, o.base)
	registry.Expect(o.platform.OSVersion)
	err := r.eachFile(ctx, c, o, func(e *layer.Entry, data io.Reader) bool {
		image.CheckMachine(e, data, o.platform.Architecture, func(f finding.Finding) { stopped = stopped || !yield(f.In(r.name), nil) })
		if len(o.parents) > 0 {
			return !stopped // checkRegistry has the hives
		}
		// The merged hives of an unpacked layer are not entries of the layer; package
		// cimlayer checks those in an image.
		if _, form, ok := hives.Match(e.Path); ok && form != hives.Base {
			registry.Entry(e, data)
		}
		return !stopped
	})
	if err == nil && !stopped {
		registry.Finish(ctx)
	}
	if damaged && ctx.Err() == nil {
		err = nil
	}
	if err = errors.Join(err, registry.Close()); err != nil && !stopped {
		yield(finding.Finding{}, err)
		return false
	}
	return !stopped
}

// eachFile calls f with each file of a layer and its main stream until f returns false.
func (r layerRef) eachFile(ctx context.Context, c *console, o *layerOptions, f func(*layer.Entry, io.Reader) bool) (err error) {
	in, err := r.open(ctx, c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Kind != layer.File {
			continue
		}
		s, err := in.NextStream()
		if err == io.EOF || err == nil && s.Name != "" {
			continue // an empty file
		}
		if err != nil {
			return err
		}
		if !f(e, in) {
			return nil
		}
	}
}

// checkRegistry reports the hives of a layer that cannot be merged with those below it, and
// another build in the result than that of an os.version.
func (r layerRef) checkRegistry(ctx context.Context, chain []layer.Source, osVersion string, yield func(finding.Finding, error) bool) {
	found, err := image.FindHives(ctx, chain)
	if err != nil {
		yield(finding.Finding{}, err)
		return
	}
	defer found.Close()
	for _, n := range hives.All() {
		h, err := found.OpenHive(n, hives.Delta)
		if errors.Is(err, fs.ErrNotExist) && (n != hives.Software || osVersion == "") {
			continue
		}
		if err == nil {
			err = h.Close()
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			if h, err = found.Open(ctx, n); err == nil {
				if _, f, differs := image.CompareOSVersion(h, osVersion); n == hives.Software && differs && !yield(f.In(r.name), nil) {
					h.Close()
					return
				}
				err = h.Close()
			}
		}
		if err != nil && !yield(image.HiveFault(n.Path(hives.Delta), err).In(r.name), nil) {
			return
		}
	}
}
