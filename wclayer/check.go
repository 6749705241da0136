package wclayer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wctransport"
	"github.com/mullion/mullion/winfs"
)

const (
	hiveSignature = "regf"
	completes     = "mullion makebase completes the layer"
)

// Check yields the faults of the layer in a directory of either kind: those of the
// directory and those of the layer's tree and metadata (layer.Audit), with the limits that
// WithLimits sets. For a transport directory it is [wctransport.Check]. A fault of one entry
// does not end the check. Check writes nothing and reads all streams.
//
// The error is that of ctx, or of a directory that cannot be opened. Files that the host
// does not allow to be read are findings of the rule layer.RuleUnreadable.
func Check(ctx context.Context, path string, opts ...Option) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		if s, err := layerdir.ShapeAt(path); err == nil && s == layerdir.Transport {
			wctransport.Check(ctx, path, opts...)(yield)
			return
		}
		c := &layerdir.Checker{Ctx: ctx, Path: path, Yield: yield}
		check(c, layerdir.NewOptions(opts))
	}
}

// AsBase makes [Check] treat the layer as one without parents.
func AsBase() Option { return wctransport.AsBase() }

// HasParents makes [Check] treat the layer as one with parents.
func HasParents() Option { return wctransport.HasParents() }

// Below lets [Check] know the layers below, and adds the layer to them at its end.
func Below(b *layer.Below) Option { return wctransport.Below(b) }

func check(c *layerdir.Checker, o layerdir.Options) {
	o.Tolerate = c.Tolerate
	public, err := open(c.Path, o)
	if err != nil {
		c.Unopened(err)
		return
	}
	defer public.Close()
	r := &public.r
	audit := layer.Audit{Report: c.Report, Limits: o.Limits, Base: o.AsBase, HasParents: o.HasParents, Below: o.Below}
	if r.Index != nil {
		base := r.Index.Flags&layerdir.IndexBase != 0
		audit.Base, audit.HasParents = base, !base
	}
	c.Entry = func() string { return r.Entry.Path }
	// Without an index the hives decide whether the layer is a base layer.
	sam, delta := false, false
	err = c.Entries(public, &audit, func(e *layer.Entry) {
		sam = sam || winfs.EqualFold(e.Path, hiveDirectory+`\SAM`)
		delta = delta || winfs.Under(e.Path, layerdir.HivesName) && strings.HasSuffix(winfs.Fold(e.Path), winfs.Fold("_Delta"))
	})
	if err == nil && !c.Done && (audit.Base || !audit.HasParents && sam && !delta) {
		checkBase(c)
	}
	c.End(err)
}

// checkBase checks the results of base layer processing.
func checkBase(c *layerdir.Checker) {
	root, err := hostfs.OpenDirectory(c.Path)
	if err != nil {
		c.Failed(err)
		return
	}
	defer root.Close()
	if _, err := root.Stat(layerdir.LayoutName); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.Failed(err)
		} else {
			c.Report(RuleLayout.At(layerdir.LayoutName, -1, "a base layer must have a file of this name").WithHint(completes))
		}
	}
	p := &parent{path: c.Path}
	o := layerdir.NewOptions(nil)
	defer p.close()
	for _, h := range baseHives {
		source := hiveDirectory + `\` + h.source
		found, err := p.find(source, &o)
		if err != nil || found.Dir == nil {
			c.Add(layer.RuleHiveMissing, source, "a base layer must have this registry hive")
			continue
		}
		if err := signature(found.Dir, found.Name); err != nil {
			c.Add(RuleHiveSignature, source, "%v", err)
		}
		if made, err := p.find(layerdir.HivesName+`\`+h.base, &o); err != nil || made.Dir == nil {
			c.Report(RuleHiveLink.At(layerdir.HivesName+`\`+h.base, -1, "base layer processing makes it of %s", source).WithHint(completes))
		}
	}
}

func signature(d hostfs.Directory, name string) error {
	f, err := d.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [4]byte
	if _, err := io.ReadFull(f, b[:]); err != nil || string(b[:]) != hiveSignature {
		return fmt.Errorf("it starts with %q and not with %q", strings.TrimRight(string(b[:]), "\x00"), hiveSignature)
	}
	return nil
}
