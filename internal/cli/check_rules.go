package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/wclayer"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
)

// allRules returns the rules of all packages, ordered by format and ID.
func allRules() []finding.Rule {
	all := slices.Concat(cimfs.Rules(), cimlayer.Rules(), image.Rules(), layer.Rules(), regf.Rules(), wclayer.Rules(), winsec.Rules(), wintar.Rules())
	slices.SortFunc(all, func(a, b finding.Rule) int {
		return cmp.Or(strings.Compare(a.Where, b.Where), strings.Compare(a.ID, b.ID))
	})
	return all
}

// printRules prints the table of rules.
func (c *console) printRules() error {
	if c.json {
		for _, r := range allRules() {
			if err := c.printJSONLine(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FORMAT\tRULE\tSEVERITY\tMEANING\tHOW TO MEND IT")
	for _, r := range allRules() {
		severity := r.Severity.String()
		if r.Least != 0 {
			severity = r.Least.String() + ", " + severity
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Where, r.ID, severity, r.Meaning, r.Mend)
	}
	return w.Flush()
}
