package wctransport

import (
	"context"
	"iter"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
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
	if r.delta == nil {
		c.Add(RuleNoDelta, layerdir.HivesName+`\`+deltaName, "the file does not exist, and Files and Hives take their times from it")
	}
	seen := false
	c.End(c.Entries(public, &layer.Audit{Report: c.Report, Limits: o.Limits, HasParents: true}, func(e *layer.Entry) {
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
	}))
}
