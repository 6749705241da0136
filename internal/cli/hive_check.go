package cli

import (
	"errors"
	"iter"
	"os"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/finding/report"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

func newHiveCheckCommand(c *console, f *hiveFlags) *cobra.Command {
	var check checkFlags
	cmd := &cobra.Command{
		Use:   "check HIVE",
		Short: "Verify a hive against every rule of the format",
		Long: `Verify every cell of a hive. Each fault is printed on one line: severity, rule,
key, cell offset, explanation. "hive repair" mends them. --limit accepts only
file-size, which bounds the size of the hive.

` + severityHelp + `

` + reportHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, _, err := check.options(c); err != nil {
				return err
			}
			if (c.limits != layer.Limits{FileSize: c.limits.FileSize}) {
				return usagef("--limit: only file-size applies to a hive")
			}
			tolerant := *f
			if f.mode == regf.Strict.String() {
				// In strict mode, opening would end at the first fault, and Report needs a root
				// key.
				tolerant.mode = regf.Salvage.String()
			}
			subject := report.Subject{Name: args[0], URI: fileURI(args[0])}
			large, err := exceeds(args[0], c.limits)
			if err != nil {
				return err
			}
			if large != nil {
				return check.run(c, subject, func(yield func(finding.Finding, error) bool) {
					yield(layer.RuleLimitExceeded.At("", -1, "%v", large), nil)
				})
			}
			h, err := tolerant.open(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, h.Close()) }()
			return check.run(c, subject, hiveErrors(args[0], h.Check(cmd.Context())))
		},
	}
	check.add(cmd)
	return cmd
}

// exceeds returns the limit that the size of a file exceeds, or nil.
func exceeds(path string, limits layer.Limits) (*layer.LimitError, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, hiveError(path, err)
	}
	if most := limits.WithDefaults().FileSize; info.Size() > most {
		return &layer.LimitError{Limit: "FileSize", Max: most}, nil
	}
	return nil, nil
}

// hiveErrors adds the path of the hive to the error that ends a check.
func hiveErrors(path string, check iter.Seq2[finding.Finding, error]) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		for f, err := range check {
			if !yield(f, hiveError(path, err)) {
				return
			}
		}
	}
}
