package image

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// errStopped ends a check whose caller has broken out of its loop.
var errStopped = errors.New("the caller stopped the check")

// Check reads the whole image and yields its faults: those of its documents, its blobs,
// the layers in them, and the registry that they make, as UnpackStore would refuse it.
// The error is the reason why the check could not go on.
func (i *Image) Check(ctx context.Context, opts ...CheckOption) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		c := imageCheck{ctx: ctx, yield: yield}
		for _, o := range opts {
			o(&c)
		}
		if err := c.image(i); err != nil && !c.stopped {
			yield(finding.Finding{}, err)
		}
	}
}

// CheckOption changes how [Image.Check] works.
type CheckOption func(*imageCheck)

// CheckLimits bounds each layer of the image.
func CheckLimits(l layer.Limits) CheckOption { return func(c *imageCheck) { c.limits = l } }

// CheckHost makes Check report an image that a host of a platform cannot run with process
// isolation, see [Platform.Runs].
func CheckHost(host Platform) CheckOption { return func(c *imageCheck) { c.host = &host } }

// CheckQuick makes Check look at the entries of the layers without their content: registry
// hives are not opened, nor programs, and neither is the format of the tar checked beyond
// what a reader of it refuses. A layer with an index is not read, see WithCache; one without
// is read to its end, which verifies its blob and leaves an index. The findings are the same
// either way.
func CheckQuick() CheckOption { return func(c *imageCheck) { c.quick = true } }

type imageCheck struct {
	ctx     context.Context
	yield   func(finding.Finding, error) bool
	limits  layer.Limits
	host    *Platform
	arch    string // of the configuration
	below   layer.Below
	quick   bool
	stopped bool
}

func (c *imageCheck) report(f finding.Finding) {
	c.stopped = c.stopped || !c.yield(f, nil)
}

func (c *imageCheck) addFinding(rule *finding.Rule, where, format string, a ...any) {
	c.report(rule.At("", -1, format, a...).In(where))
}

func (c *imageCheck) image(i *Image) (err error) {
	if p := i.Platform(); p.OS == "windows" && p.OSVersion == "" {
		c.addFinding(RuleOSVersion, "", "the configuration has no os.version, by which hosts choose")
	}
	if len(i.layers) == 0 {
		c.addFinding(RuleNoLayers, "", "the image has no layer")
	}
	c.arch = i.Platform().Architecture
	registry := NewHiveChecker(c.report)
	registry.Expect(i.Platform().OSVersion)
	defer func() { err = errors.Join(err, registry.Close()) }()
	placed := &hivePlaces{report: c.report}
	whole := true
	for _, l := range i.layers {
		if l.Foreign() && len(l.Descriptor.URLs) == 0 {
			c.addFinding(RuleForeign, l.String(), "the layer may not be distributed and names no URL to get it from")
		}
		var ok bool
		if c.quick {
			ok, err = c.quickLayer(l, placed)
		} else {
			ok, err = c.layer(l, registry)
		}
		if err != nil {
			return err
		}
		if c.stopped {
			return errStopped
		}
		whole = whole && ok
	}
	switch {
	case c.quick:
		placed.finish()
	case whole:
		registry.Finish(c.ctx)
		if err := c.ctx.Err(); err != nil {
			return err
		}
	}
	c.runsOn(i.Platform(), registry.found)
	return nil
}

// runsOn compares the platform of the image with that of the host. Without an os.version
// the build in the registry counts.
func (c *imageCheck) runsOn(p Platform, found hives.OSVersion) {
	if c.host == nil || p.OSVersion == "" && found.Build == 0 && c.quick {
		return
	}
	if p.OSVersion == "" && found.Build != 0 {
		p.OSVersion = found.String()
	}
	if !c.host.Runs(p) {
		c.addFinding(RuleHost, "", "the host is %v, and the image is for %v", *c.host, p)
	}
}

// compression compares the media type of a layer with the format of its blob.
func (c *imageCheck) compression(l *Layer, f blob.Format) {
	if said := l.Descriptor.MediaType; !strings.HasSuffix(said, f.String()) && (f != blob.Plain || !strings.HasSuffix(said, "tar")) {
		c.report(RuleMediaType.Lesser().At("", -1, "the media type is %s, the content is %v", said, compressionName(f)).In(l.String()))
	}
}

// layer checks one layer and reports whether its blob could be read to the end.
func (c *imageCheck) layer(l *Layer, registry *HiveChecker) (whole bool, err error) {
	registry.Layer(l.String(), l.Index == 0)
	r, err := l.tarCheck(c.ctx, l.img.opts.cache != nil)
	if err == nil {
		defer r.Close()
		c.compression(l, r.Format())
		place := wintar.HasParents()
		if l.Index == 0 {
			place = wintar.Base()
		}
		each := func(e *layer.Entry, data io.Reader, report func(finding.Finding)) {
			CheckMachine(e, data, c.arch, report)
			registry.EntryTo(e, data, report)
		}
		opts := append(r.options(), place, wintar.Each(each), wintar.Label(l.String()), wintar.WithLimits(c.limits), wintar.Below(&c.below))
		for f, cerr := range wintar.Check(c.ctx, r, opts...) {
			if cerr != nil {
				// The blob failed in the middle; Finish has the reason.
				err = cerr
				break
			}
			if c.report(f); c.stopped {
				return false, errStopped
			}
		}
		if ferr := r.Finish(); ferr != nil {
			err = ferr
		}
	}
	if err == nil {
		return true, nil
	}
	f, ok := BlobFinding(err)
	if !ok {
		return false, err
	}
	c.report(f.In(l.String()))
	return false, nil
}

// BlobFinding makes a finding of an error of reading a layer's blob. ok is false if the
// error is not the blob's fault.
func BlobFinding(err error) (f finding.Finding, ok bool) {
	var mismatch *blob.MismatchError
	switch {
	case errors.As(err, &mismatch):
		return RuleBlob.At("", -1, "%v", mismatch), true
	case errors.Is(err, ErrMissingBlob):
		return RuleBlobMissing.At("", -1, "%v", err), true
	case errors.Is(err, ErrMediaType):
		return RuleMediaType.At("", -1, "%v", err), true
	case errors.Is(err, blob.ErrCorrupt), errors.Is(err, blob.ErrCompression), errors.Is(err, layer.ErrLimit), errors.Is(err, io.ErrUnexpectedEOF):
		return RuleBlobUnreadable.At("", -1, "%v", err), true
	}
	return f, false
}

func compressionName(f blob.Format) string {
	if f == blob.Plain {
		return "not compressed"
	}
	return f.String()
}
