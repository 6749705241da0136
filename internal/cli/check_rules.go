package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

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

// printRules prints the rules, all of them or only those from --severity upwards.
func (f *checkFlags) printRules(c *console, bySeverity bool) error {
	least, err := parseSeverity(f.severity)
	if err != nil {
		return err
	}
	if f.format != "text" && f.format != "json" {
		return usagef("--rules prints text or JSON, not %s", f.format)
	}
	for _, r := range allRules() {
		if bySeverity && r.Severity < least {
			continue
		}
		if c.json || f.format == "json" {
			err = c.printJSONLine(r)
		} else {
			err = c.printText(ruleText(r))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ruleText formats a rule as a paragraph of at most 80 columns.
func ruleText(r finding.Rule) string {
	severity := r.Severity.String()
	if r.Least != 0 {
		severity = r.Least.String() + ", " + severity
	}
	text := fmt.Sprintf("%s %s: %s\n%s%s", r.Where, r.ID, severity, indented(r.Meaning), indented("Mend: "+r.Mend))
	if r.Fix != "" {
		text += indented("--fix: " + r.Fix)
	}
	return text
}

// indented breaks a text into lines of at most 80 columns that begin with four spaces.
func indented(text string) string {
	const width, indent = 80, "   "
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if column > 0 && column+1+n > width {
			b.WriteByte('\n')
			column = 0
		}
		if column == 0 {
			b.WriteString(indent)
			column = len(indent)
		}
		b.WriteString(" " + word)
		column += 1 + n
	}
	b.WriteByte('\n')
	return b.String()
}
