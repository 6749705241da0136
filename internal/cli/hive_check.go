package cli

import (
	"context"
	"fmt"

	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

// hiveFinding is a finding in JSON.
type hiveFinding struct {
	Severity string `json:"severity"`
	Rule     string `json:"rule"`
	Path     wtf8   `json:"path"`
	Offset   int64  `json:"offset"` // cell, -1 for the base block and the hive as a whole
	Message  string `json:"message"`
}

func newHiveFinding(x regf.Finding) hiveFinding {
	return hiveFinding{x.Severity.String(), x.Rule, wtf8(x.Path), x.Offset, x.Message}
}

// findingText tells where and what, without severity and rule.
func findingText(x regf.Finding) string {
	where := ""
	if x.Path != "" {
		where = fmt.Sprintf("%s: ", hiveHeading(x.Path))
	}
	if x.Offset >= 0 {
		where += fmt.Sprintf("cell %#x: ", x.Offset)
	}
	return where + escapeControl(x.Message)
}

func newHiveCheckCommand(c *console, f *hiveFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "check HIVE",
		Short: "Verify every rule of the format",
		Long: `Verifies every cell of a hive against every rule of the format and prints what is
wrong, one finding a line: severity, rule, key, cell offset, explanation. Status 1 if
anything is wrong; findings of severity info do not count. "hive repair" mends what it
finds.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tolerant := *f
			if f.mode == regf.Strict.String() {
				// Strict opening would end at the first fault, and all are wanted.
				tolerant.mode = regf.Report.String()
			}
			return tolerant.checkHive(cmd.Context(), c, args[0])
		},
	}
}

func (f *hiveFlags) checkHive(ctx context.Context, c *console, file string) error {
	h, err := f.open(ctx, c, file)
	if err != nil {
		return err
	}
	defer h.Close()
	bad := false
	for _, x := range h.Check() {
		bad = bad || x.Severity != regf.Info
		if c.json {
			err = c.printJSONLine(newHiveFinding(x))
		} else {
			err = c.printf("%s %s: %s\n", x.Severity, x.Rule, findingText(x))
		}
		if err != nil {
			return err
		}
	}
	if bad {
		return errFound
	}
	return nil
}
