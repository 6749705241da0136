package finding

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mullion/mullion/internal/wtf8"
)

// Rule is one rule that a check verifies.
type Rule struct {
	// ID is the stable identifier, kebab-case: "link-target-outside-files". It is unique
	// among the rules of all packages.
	ID string `json:"rule"`
	// Where is the format that the rule belongs to: hive, cim, layer, tar. It is set by
	// [Catalogue.Add].
	Where string `json:"where"`
	// Severity is the severity of the rule's findings. Least, if set, is that of findings
	// of the rule that [Rule.Lesser] returns, about breaches of less consequence.
	Severity Severity `json:"severity"`
	Least    Severity `json:"least,omitempty"`
	// Meaning says how Windows, or a program that imports layers, treats the breach.
	Meaning string `json:"meaning"`
	// Mend says how the fault is mended.
	Mend string `json:"mend"`
	// Fix says what "check --fix" changes at a breach, and which breaches it leaves because
	// there is more than one correction. It is empty if it corrects none.
	Fix string `json:"fix,omitempty"`
}

// At makes a finding of the rule. Path may be empty, offset is -1 if unknown. The verb %q
// quotes a string as [Finding.String] quotes the path, not as a Go string.
func (r *Rule) At(path string, offset int64, format string, args ...any) Finding {
	for i, x := range args {
		if s, ok := x.(string); ok {
			args[i] = quotable(s)
		}
	}
	return Finding{Severity: r.Severity, Rule: r.ID, Path: path, Offset: offset, Message: fmt.Sprintf(format, args...)}
}

// quotable is a string whose verb %q is wtf8.Quote: a backslash, which is in most paths,
// stays single.
type quotable string

// Format implements fmt.Formatter.
func (q quotable) Format(s fmt.State, verb rune) {
	if verb != 'q' {
		fmt.Fprintf(s, fmt.FormatString(s, verb), string(q))
		return
	}
	text := string(q)
	if most, ok := s.Precision(); ok {
		if r := []rune(text); len(r) > most {
			text = string(r[:most])
		}
	}
	_, _ = io.WriteString(s, wtf8.Quote(text))
}

// Lesser returns the rule with the severity Least, if it has one.
func (r *Rule) Lesser() *Rule {
	if r.Least == 0 {
		return r
	}
	lesser := *r
	lesser.Severity = r.Least
	return &lesser
}

// String returns the ID.
func (r *Rule) String() string { return r.ID }

// Catalogue holds the rules of one package. Rules are added while the package's
// variables are initialized; after that a Catalogue may be read by several goroutines.
type Catalogue struct {
	where string
	rules []*Rule
}

// NewCatalogue returns an empty catalogue of rules about one format, named as in
// [Rule.Where].
func NewCatalogue(where string) *Catalogue { return &Catalogue{where: where} }

// Add declares a rule and returns it. It panics if the rule is not complete or its ID is
// taken, which is a mistake in the declaring package.
func (c *Catalogue) Add(r Rule) *Rule {
	r.Where = c.where
	switch {
	case r.ID == "" || r.Meaning == "" || r.Mend == "":
		panic(fmt.Sprintf("finding: rule %q of %s is not complete", r.ID, c.where))
	case r.Severity < Info || r.Severity > Error || r.Least >= r.Severity:
		panic(fmt.Sprintf("finding: rule %q of %s has severities %d and %d", r.ID, c.where, r.Severity, r.Least))
	case slices.ContainsFunc(c.rules, func(known *Rule) bool { return known.ID == r.ID }):
		panic(fmt.Sprintf("finding: rule %q of %s is declared twice", r.ID, c.where))
	}
	c.rules = append(c.rules, &r)
	return &r
}

// Fixed returns the IDs of the rules that have a Fix, ordered.
func (c *Catalogue) Fixed() []string {
	var ids []string
	for _, r := range c.All() {
		if r.Fix != "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// All returns the rules, ordered by ID.
func (c *Catalogue) All() []Rule {
	out := make([]Rule, len(c.rules))
	for i, r := range c.rules {
		out[i] = *r
	}
	slices.SortFunc(out, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return out
}
