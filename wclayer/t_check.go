package wclayer

import (
	"iter"

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

// CheckTransport looks at a transport directory and yields what is wrong with it, as Check
// does.
func CheckTransport(path string, opts ...Option) iter.Seq[layer.Finding] {
	return func(yield func(layer.Finding) bool) {
		c := &checker{path: path, yield: yield, rules: []ruleError{
			{ErrTombstones, RuleTombstones}, {errNoMetaFile, RuleMetaFile}, {errOrphan, RuleOrphan},
		}}
		checkTransport(c, newOptions(opts))
	}
}

func checkTransport(c *checker, o options) {
	o.tolerate = c.tolerate
	public, err := openTransportLayer(c.path, o)
	if err != nil {
		c.failed(err)
		return
	}
	defer public.Close()
	r := &public.r
	c.entry = func() string { return r.entry.Path }
	if r.delta == nil {
		c.tell(layer.Warning, RuleNoDelta, hivesName+`\`+deltaName, "Files and Hives take their times from it, and it is not there")
	}
	seen := false
	c.entries(public, &layer.Audit{Report: c.report, HasParents: true}, func(e *layer.Entry) {
		if r.tombs == nil {
			return
		}
		if inUtility(e.Path) && !seen {
			seen = true
			c.tell(layer.Warning, RuleUtilityVM, e.Path, "the utility VM is not carried by transport directories")
		}
		if e.Kind == layer.Whiteout && len(r.frames) == 0 {
			c.tell(layer.Warning, RuleNoParentDir, e.Path, "its directory is not in the layer; upstream readers lose the deletion")
		}
	})
}
