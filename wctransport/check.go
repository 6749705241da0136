package wctransport

import (
	"iter"

	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
)

// The rules of CheckTransport, besides those of every layer directory.
const (
	RuleTombstones  = "bad-tombstones"           // tombstones.txt cannot be read
	RuleNoParentDir = "tombstone-without-parent" // upstream readers never return it
	RuleMetaFile    = "missing-metadata-file"    // a directory without its .$wcidirs$
	RuleOrphan      = "orphan-metadata-file"     // a .$wcidirs$ without its directory
	RuleNoDelta     = "system-delta-missing"     // the export has no times for Files and Hives
	RuleUtilityVM   = "utility-vm-in-transport"  // it belongs into the final directory
)

// Check yields the faults of a transport directory. A fault of one entry does not end the
// check. Check writes nothing.
func Check(path string, opts ...Option) iter.Seq[layer.Finding] {
	return func(yield func(layer.Finding) bool) {
		c := &layerdir.Checker{Path: path, Yield: yield, Rules: []layerdir.RuleError{
			{Err: ErrTombstones, Rule: RuleTombstones}, {Err: errNoMetaFile, Rule: RuleMetaFile}, {Err: errOrphan, Rule: RuleOrphan},
		}}
		check(c, layerdir.NewOptions(opts))
	}
}

func check(c *layerdir.Checker, o layerdir.Options) {
	o.Tolerate = c.Tolerate
	public, err := open(c.Path, o)
	if err != nil {
		c.Failed(err)
		return
	}
	defer public.Close()
	r := &public.r
	c.Entry = func() string { return r.Entry.Path }
	if r.delta == nil {
		c.Tell(layer.Warning, RuleNoDelta, layerdir.HivesName+`\`+deltaName, "Files and Hives take their times from it, and it is not there")
	}
	seen := false
	c.Entries(public, &layer.Audit{Report: c.Report, HasParents: true}, func(e *layer.Entry) {
		if r.tombs == nil {
			return
		}
		if layerdir.InUtility(e.Path) && !seen {
			seen = true
			c.Tell(layer.Warning, RuleUtilityVM, e.Path, "the utility VM is not carried by transport directories")
		}
		if e.Kind == layer.Whiteout && len(r.Frames) == 0 {
			c.Tell(layer.Warning, RuleNoParentDir, e.Path, "its directory is not in the layer; upstream readers lose the deletion")
		}
	})
}
