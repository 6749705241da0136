package cli

import (
	"fmt"
	"iter"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

// checkFlags are the flags that all checks share.
type checkFlags struct {
	severity string
}

func (f *checkFlags) add(cmd *cobra.Command) {
	f.severity = finding.Warning.String()
	cmd.Flags().StringVar(&f.severity, "severity", f.severity, "lowest `SEVERITY` to report: info, warning or error")
}

const severityHelp = `An error causes Windows or another reader to reject the input, or loses data. A
warning is known to cause trouble. An info is a peculiarity, reported only with
--severity info. The exit status is 1 if anything was reported.`

// run prints the findings of a check from the severity of the flag on, and fails with
// errFound if there are any.
func (f *checkFlags) run(c *console, check iter.Seq2[finding.Finding, error]) error {
	least, err := parseSeverity(f.severity)
	if err != nil {
		return err
	}
	found := false
	for x, err := range check {
		if err != nil {
			return err
		}
		if x.Severity < least {
			continue
		}
		found = true
		if err := c.printFinding(x); err != nil {
			return err
		}
	}
	if found {
		return errFound
	}
	return nil
}

// printFinding prints one finding on one line.
func (c *console) printFinding(f finding.Finding) error {
	if c.json {
		return c.printJSONLine(f)
	}
	return c.printf("%v\n", f)
}

func parseSeverity(s string) (finding.Severity, error) {
	for _, v := range finding.Severities() {
		if v.String() == s {
			return v, nil
		}
	}
	return 0, usagef("--severity %s: %s", s, fmt.Sprintf("want %v, %v or %v", finding.Info, finding.Warning, finding.Error))
}

func newCheckCommand(c *console) *cobra.Command {
	flags := contentFlags{layer: -1}
	var check checkFlags
	var rules bool
	cmd := &cobra.Command{
		Use:   "check IMAGE|LAYER",
		Short: "Report the faults of an image or a layer",
		Long: `Read all of an image or a layer and verify the rules for its format, tree,
metadata and registry. Each fault is printed on one line: severity, rule,
layer, path, offset, explanation.

` + severityHelp + `

--rules prints the rules instead: format, severity, the effect of a violation
on Windows, and how to repair it.

--parent names the layers below a layer, so that hard links into them are
resolved. A layer image from a store written by "unpack" is recognised: it
includes the layers below it and a merged registry.

` + referenceHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if rules {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if rules {
				return c.printRules()
			}
			if _, err := parseSeverity(check.severity); err != nil {
				return err
			}
			if err := flags.check(args[0]); err != nil {
				return err
			}
			flags.options.limits = c.limits
			if ref, ok := parseLayerRef(args[0]); ok {
				return check.run(c, ref.check(cmd.Context(), c, &flags.options))
			}
			img, err := flags.image.open(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			defer img.Close()
			return check.run(c, img.Check(cmd.Context(), image.CheckLimits(c.limits)))
		},
	}
	flags.image.add(cmd)
	flags.options.addParents(cmd)
	cmd.Flags().BoolVar(&flags.options.base, "base", false, "check the layer as a base layer, one without parents")
	cmd.Flags().BoolVar(&rules, "rules", false, "print the rules of all checks and exit")
	check.add(cmd)
	return cmd
}
