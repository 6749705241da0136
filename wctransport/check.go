package wctransport

import (
	"context"
	"iter"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Check yields the faults of a transport directory: those of the directory and those of the
// layer's tree and metadata (layer.Audit), with the limits that WithLimits sets. A fault of
// one entry does not end the check. Check writes nothing and reads all streams.
//
// The error is that of ctx, or of a directory that cannot be opened. Files that the host
// does not allow to be read are findings of the rule layer.RuleUnreadable.
func Check(ctx context.Context, path string, opts ...Option) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		c := &layerdir.Checker{Ctx: ctx, Path: path, Yield: yield, Rules: []layerdir.RuleError{
			{Err: ErrTombstones, Rule: RuleTombstones}, {Err: errNoMetaFile, Rule: RuleMetaFile}, {Err: errOrphan, Rule: RuleOrphan},
		}}
		check(c, layerdir.NewOptions(opts))
	}
}

func check(c *layerdir.Checker, o layerdir.Options) {
	o.Tolerate = c.Tolerate
	public, err := open(c.Path, o)
	if err != nil {
		c.Unopened(err)
		return
	}
	defer public.Close()
	r := &public.r
	c.Entry = func() string { return r.Entry.Path }
	audit := &layer.Audit{Report: c.Report, Limits: o.Limits, Base: o.AsBase, HasParents: o.HasParents || !o.AsBase && r.delta != nil, Below: o.Below}
	base, seen := o.AsBase, false
	err = c.Entries(public, audit, func(e *layer.Entry) {
		base = base || !audit.HasParents && winfs.EqualFold(e.Path, samPath)
		if r.tombs == nil {
			return
		}
		if layerdir.InUtility(e.Path) && !seen {
			seen = true
			c.Add(RuleUtilityVM, e.Path, "the utility VM is not carried by transport directories")
		}
		if e.Kind == layer.Whiteout && len(r.Frames) == 0 {
			c.Add(RuleNoParentDir, e.Path, "its directory is not in the layer; upstream readers lose the deletion")
		}
	})
	if err == nil && !c.Done && r.delta == nil && !base {
		c.Add(RuleNoDelta, layerdir.HivesName+`\`+deltaName, "the file does not exist, and Files and Hives take their times from it")
	}
	c.End(err)
}

// samPath is the hive by which a base layer is recognised if the caller does not set AsBase.
const samPath = layerdir.FilesName + `\Windows\System32\config\SAM`

// AsBase makes [Check] treat the layer as one without parents.
func AsBase() Option { return func(o *layerdir.Options) { o.AsBase = true } }

// HasParents makes [Check] treat the layer as one with parents.
func HasParents() Option { return func(o *layerdir.Options) { o.HasParents = true } }

// Below lets [Check] know the layers below, and adds the layer to them at its end.
func Below(b *layer.Below) Option { return func(o *layerdir.Options) { o.Below = b } }
