package report

import "fmt"

// Ignore excuses the findings of one rule, everywhere or at some paths.
type Ignore struct {
	Rule   string // ID of the rule
	Path   string // pattern for the paths, empty for all, and for findings without a path
	Reason string // why the findings are excused, may be empty
	Origin string // where the rule was written down, ".mullion.yaml:7"

	pattern glob
	used    int64
}

// NewIgnore makes an Ignore. path is a pattern for whole paths of entries or registry keys:
// * matches any characters of a name, ** any characters, separators included, ? one
// character of a name. Slash and backslash are the same, case does not matter. The empty
// pattern stands for every finding of the rule.
func NewIgnore(rule, path, reason, origin string) (*Ignore, error) {
	x := &Ignore{Rule: rule, Path: path, Reason: reason, Origin: origin}
	if path == "" {
		return x, nil
	}
	var err error
	if x.pattern, err = parseGlob(path); err != nil {
		return nil, fmt.Errorf("path %q: %w", path, err)
	}
	return x, nil
}

// Used returns how many findings were excused.
func (x *Ignore) Used() int64 { return x.used }

// String returns the rule and the pattern as they are given to --ignore.
func (x *Ignore) String() string {
	if x.Path == "" {
		return x.Rule
	}
	return x.Rule + ":" + x.Path
}
