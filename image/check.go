package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// The rules of Check, besides those of wintar.Check and layer.Audit.
const (
	RuleOSVersion      = "os-version-missing"   // hosts cannot tell whether they can run the image
	RuleMediaType      = "media-type"           // a layer is not what its media type says
	RuleBlob           = "blob-mismatch"        // digest, size or diff ID do not hold
	RuleBlobMissing    = "blob-missing"         // the blob is not there
	RuleBlobUnreadable = "blob-unreadable"      // it cannot be decompressed
	RuleNoLayers       = "no-layers"            //
	RuleForeign        = "foreign-without-urls" // a foreign layer that cannot be fetched anywhere
)

// Check reads the whole image and reports what is wrong with it: with its documents,
// its blobs, the layers in them, and the registry that they make, as UnpackStore would
// refuse it. An error means that the check itself could not go on.
func (i *Image) Check(ctx context.Context, report func(layer.Finding)) (err error) {
	tell := func(severity layer.Severity, rule, where, format string, a ...any) {
		report(layer.Finding{Severity: severity, Rule: rule, Layer: where, Offset: -1, Message: fmt.Sprintf(format, a...)})
	}
	if p := i.Platform(); p.OS == "windows" && p.OSVersion == "" {
		tell(layer.Warning, RuleOSVersion, "", "the configuration has no os.version, by which hosts choose")
	}
	if len(i.layers) == 0 {
		tell(layer.SevereError, RuleNoLayers, "", "Windows cannot run an image without a base layer")
	}
	registry := NewHiveChecker(report)
	defer func() { err = errors.Join(err, registry.Close()) }()
	whole := true
	for _, l := range i.layers {
		if l.Foreign() && len(l.Descriptor.URLs) == 0 {
			tell(layer.Warning, RuleForeign, l.String(), "the layer may not be distributed and names no URL to get it from")
		}
		ok, err := l.check(ctx, report, tell, registry)
		if err != nil {
			return err
		}
		whole = whole && ok
	}
	if whole {
		registry.Finish(ctx)
	}
	return nil
}

// check checks one layer and reports whether its blob could be read to the end.
func (l *Layer) check(ctx context.Context, report func(layer.Finding), tell func(layer.Severity, string, string, string, ...any), registry *HiveChecker) (whole bool, err error) {
	registry.Layer(l.String(), l.Index == 0)
	r, err := l.Tar(ctx)
	if err == nil {
		defer r.Close()
		if said := l.Descriptor.MediaType; !strings.HasSuffix(said, r.Format().String()) && (r.Format() != blob.Plain || !strings.HasSuffix(said, "tar")) {
			tell(layer.Warning, RuleMediaType, l.String(), "the media type is %s, the content is %v", said, compressionName(r.Format()))
		}
		place := wintar.HasParents()
		if l.Index == 0 {
			place = wintar.Base()
		}
		// A blob that fails in the middle is told of below, with its reason.
		for f := range wintar.Check(r, place, wintar.Each(registry.Entry), wintar.Label(l.String())) {
			report(f)
		}
		err = r.Finish()
	}
	var mismatch *blob.MismatchError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &mismatch):
		tell(layer.SevereError, RuleBlob, l.String(), "%v", mismatch)
	case errors.Is(err, ErrMissingBlob):
		tell(layer.SevereError, RuleBlobMissing, l.String(), "%v", err)
	case errors.Is(err, ErrMediaType):
		tell(layer.SevereError, RuleMediaType, l.String(), "%v", err)
	case errors.Is(err, blob.ErrCorrupt), errors.Is(err, blob.ErrCompression), errors.Is(err, layer.ErrLimit), errors.Is(err, io.ErrUnexpectedEOF):
		tell(layer.SevereError, RuleBlobUnreadable, l.String(), "%v", err)
	default:
		return false, err
	}
	return false, nil
}

func compressionName(f blob.Format) string {
	if f == blob.Plain {
		return "not compressed"
	}
	return f.String()
}
