package cli

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/finding/report"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/mend"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

// fixFlags are the flags of "check" that correct an image or a layer.
type fixFlags struct {
	on    bool
	out   string
	force bool
	host  string
}

const fixHelp = `--fix -o OUT writes the image or layer to OUT with those faults corrected for
which that is no guess; --rules says for each rule what is changed and what
stays: missing and late directories, hard links before their target or to
another link, what is there twice, whiteouts that change nothing, roots in the
wrong case, unset times and attributes, headers of a tar. OUT is a layer
if the subject is one, otherwise an image; layers without such faults keep
their digest. Each corrected fault is printed as "fixed" after those that
remain, and the exit status is that of a check of OUT.

--host VERSION reports an image that a host of this build, such as 10.0.20348,
cannot run with process isolation.`

func (f *fixFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.on, "fix", false, "write a corrected copy, to the reference that -o names")
	flags.StringVarP(&f.out, "output", "o", "", "write the corrected copy to `OUT`")
	flags.BoolVar(&f.force, "force", false, "replace a file OUT that exists")
	flags.StringVar(&f.host, "host", "", "report an image that a host of `VERSION` cannot run with process isolation")
}

// check verifies the flags for a subject.
func (f *fixFlags) check(check *checkFlags, subject string) error {
	_, isLayer := parseLayerRef(subject)
	switch {
	case f.on && f.out == "":
		return usagef("--fix writes to OUT: -o is missing")
	case !f.on && f.out != "":
		return usagef("-o is for --fix")
	case !f.on && f.force:
		return usagef("--force is for --fix")
	case f.on && (check.format == "sarif" || check.format == "junit"):
		return usagef("--fix prints text or JSON; check OUT with --format %s afterwards", check.format)
	case f.host != "" && isLayer:
		return usagef("--host is for images")
	}
	_, err := f.checkOptions()
	return err
}

// checkOptions converts --host.
func (f *fixFlags) checkOptions() ([]image.CheckOption, error) {
	if f.host == "" {
		return nil, nil
	}
	text := f.host
	if !strings.Contains(text, "(") {
		text = "windows(" + text + ")"
	}
	p, err := image.ParsePlatform(text)
	if err != nil {
		return nil, usagef("--host %s: want a version such as 10.0.20348, or a platform such as windows(10.0.20348)/amd64", f.host)
	}
	return []image.CheckOption{image.CheckHost(p)}, nil
}

// layer writes a corrected layer and reports what remains and what was corrected.
func (f *fixFlags) layer(ctx context.Context, c *console, check *checkFlags, ref layerRef, o *layerOptions) error {
	out, err := mustLayerRef(f.out)
	if err != nil {
		return err
	}
	if !ref.reopens() || !out.reopens() {
		return usagef("--fix reads the layer twice, before and after: name files, not standard input and output")
	}
	for _, in := range append([]string{ref.text}, o.parents...) {
		if in, ok := parseLayerRef(in); ok && sameFile(in.name, out.name) {
			// The layer is read again after OUT is written, to tell what was corrected.
			return usagef("--fix reads %s once more when OUT is written: name another file with -o", in.text)
		}
	}
	plan, err := f.plan(ctx, c, ref, o)
	if err != nil {
		return about(ref.text, err)
	}
	write := *o
	write.force, write.compress = f.force, "none"
	if ref.format == tarFormat {
		b, err := openTarBlob(ctx, c, ref.name, o)
		if err != nil {
			return err
		}
		if b.Format() != blob.Plain {
			write.compress = b.Format().String()
		}
		if err := b.Close(); err != nil {
			return err
		}
	}
	if err := f.copy(ctx, c, plan, ref, out, &write); err != nil {
		return err
	}
	return f.report(c, check, report.Subject{Name: out.text, URI: referenceURI(out.text)}, ref.check(ctx, c, o), out.check(ctx, c, o))
}

// sameFile reports whether two names are those of one file or directory.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func (f *fixFlags) copy(ctx context.Context, c *console, plan *mend.Plan, ref, out layerRef, o *layerOptions) (err error) {
	in, err := ref.open(ctx, c, o)
	if err != nil {
		return err
	}
	r := plan.Reader(in)
	defer func() { err = errors.Join(err, r.Close()) }()
	w, err := out.create(ctx, c, o)
	if err != nil {
		return about(out.text, err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := c.copyLayer(ctx, w, r, "write"); err != nil {
		return o.parentHint(err)
	}
	return about(out.text, w.Commit())
}

// plan learns the layer and those below it.
func (f *fixFlags) plan(ctx context.Context, c *console, ref layerRef, o *layerOptions) (p *mend.Plan, err error) {
	chain, err := ref.chain(ctx, c, o)
	if err != nil {
		return nil, err
	}
	opts := mend.Options{Base: o.base, HasParents: len(o.parents) > 0, Limits: o.limits}
	if ref.format == tarFormat {
		opts.FileAttributes = winfs.AttrArchive
	}
	below := chain[:len(chain)-1]
	if len(below) > 0 {
		opts.Below = &layer.Below{}
	}
	known := *o
	known.below = opts.Below
	for i, src := range below {
		parent := o.parents[len(o.parents)-1-i]
		fault, err := learn(ctx, src, parent, i == 0, &known)
		if err == nil && fault != nil {
			err = errors.New(fault.Message)
		}
		if err != nil {
			return nil, about(parent, err)
		}
	}
	r, err := ref.open(ctx, c, o)
	if err != nil {
		return nil, err
	}
	p, err = mend.Learn(ctx, r, opts)
	if err = errors.Join(err, r.Close()); err != nil || len(p.Missing()) == 0 {
		return p, err
	}
	for _, src := range below {
		if err := provide(ctx, p, src, opts.Below); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// provide gives the directories that a layer lacks the metadata that they have in a layer
// below.
func provide(ctx context.Context, p *mend.Plan, src layer.Source, below *layer.Below) (err error) {
	wanted := map[string]bool{}
	for _, dir := range p.Missing() {
		wanted[winfs.Fold(dir)] = true
	}
	r, err := src.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		e, err := r.Next()
		if err == nil {
			err = ctx.Err()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Kind == layer.Dir && e.Defect == nil && wanted[winfs.Fold(e.Path)] && below.Find(e.Path) == layer.Dir {
			p.Provide(e.Path, e)
		}
	}
}

// image writes a corrected image and reports what remains and what was corrected.
func (f *fixFlags) image(ctx context.Context, c *console, check *checkFlags, flags *imageFlags, img *image.Image) error {
	opts, err := flags.options(c)
	if err != nil {
		return err
	}
	if f.force {
		opts = append(opts, image.WithForce())
	}
	done, err := img.Mend(ctx, f.out, opts...)
	if err != nil {
		return existsHint(imageHint(nameHint("check", f.out, err)))
	}
	for _, d := range done.Omitted {
		c.warnf("foreign layer %s was left at its URLs", d.Digest)
	}
	fixed, err := image.Open(ctx, f.out, opts...)
	if errors.Is(err, image.ErrAmbiguous) && done.Digest != "" {
		// There were images in OUT, and it names none of them by a tag.
		fixed, err = image.Open(ctx, f.out+"@"+string(done.Digest), opts...)
	}
	if err != nil {
		return err
	}
	defer fixed.Close()
	more, err := f.checkOptions()
	if err != nil {
		return err
	}
	more = append(more, image.CheckLimits(c.limits))
	check.subjectOf(f.out, img) // the findings before name its layers
	return f.report(c, check, check.subjectOf(f.out, fixed), img.Check(ctx, more...), fixed.Check(ctx, more...))
}

// report prints the faults that remain, and then those that were there before.
func (f *fixFlags) report(c *console, check *checkFlags, subject report.Subject, before, after iter.Seq2[finding.Finding, error]) error {
	o, format, err := check.options(c)
	if err != nil {
		return err
	}
	seed := maphash.MakeSeed()
	remains := map[uint64]bool{}
	// The name of the layer changes, its number does not.
	place := func(f finding.Finding) uint64 {
		number, _, _ := strings.Cut(f.Layer, " (")
		if !strings.HasPrefix(number, "layer ") {
			number = ""
		}
		return maphash.String(seed, f.Rule+"\x00"+number+"\x00"+winfs.Fold(f.Path)+"\x00"+f.Value)
	}
	rest := check.run(c, subject, func(yield func(finding.Finding, error) bool) {
		for f, err := range after {
			if err == nil {
				remains[place(f)] = true
			}
			if !yield(f, err) {
				return
			}
		}
	})
	if rest != nil && !errors.Is(rest, errFound) {
		return rest
	}
	counts := map[string]int64{}
	fixed := 0
	for f, err := range before {
		if err != nil {
			return err
		}
		if f.Severity < o.Severity || remains[place(f)] {
			continue
		}
		fixed++
		if counts[f.Rule]++; o.PerRule > 0 && counts[f.Rule] > o.PerRule {
			continue
		}
		if format == "json" {
			line := check.layers.finding(f)
			line.Fixed = true
			err = c.printJSONLine(line)
		} else {
			err = c.printf("fixed %v\n", f)
		}
		if err != nil {
			return err
		}
	}
	if !c.quiet && format != "json" {
		fmt.Fprintf(c.err, "%s: corrected: %d\n", visible(f.out), fixed)
	}
	return rest
}
