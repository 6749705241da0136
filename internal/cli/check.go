package cli

import (
	"fmt"

	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// found is a finding as --json prints it.
type found struct {
	Severity string `json:"severity"`
	Rule     string `json:"rule"`
	Layer    string `json:"layer,omitempty"`
	Path     wtf8   `json:"path,omitempty"`
	Offset   *int64 `json:"offset,omitempty"`
	Message  string `json:"message"`
}

// printLayerFinding prints one finding on one line.
func (c *console) printLayerFinding(f layer.Finding) error {
	if !c.json {
		return c.printf("%v\n", f)
	}
	out := found{Severity: f.Severity.String(), Rule: f.Rule, Layer: f.Layer, Path: wtf8(f.Path), Message: f.Message}
	if f.Offset >= 0 {
		out.Offset = &f.Offset
	}
	return c.printJSONLine(out)
}

func newCheckCommand(c *console) *cobra.Command {
	flags := contentFlags{layer: -1}
	severity := "info"
	cmd := &cobra.Command{
		Use:   "check IMAGE|LAYER",
		Short: "Report what is wrong with an image or a layer",
		Long: `Read all of an image or a layer and report what is wrong with it, one finding a line:
severity, rule, layer, path, offset, explanation. An error is what Windows or another
reader refuses, or what loses data; a warning is what is known to cause trouble; info is
worth knowing. The status is 1 if anything was found.

--parent tells the layers below a layer: hard links into them are then looked up.

` + referenceHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			least, err := parseSeverity(severity)
			if err != nil {
				return err
			}
			if err := flags.check(args[0]); err != nil {
				return err
			}
			flags.options.limits = c.limits
			findings, printErr := 0, error(nil)
			report := func(f layer.Finding) {
				// What cannot be read any more after an interruption is no finding.
				if f.Severity >= least && printErr == nil && cmd.Context().Err() == nil {
					findings++
					printErr = c.printLayerFinding(f)
				}
			}
			if ref, ok := parseLayerRef(args[0]); ok {
				err = ref.check(cmd.Context(), c, &flags.options, report)
			} else {
				img, oerr := flags.image.open(cmd.Context(), c, args[0])
				if oerr != nil {
					return oerr
				}
				defer img.Close()
				err = img.Check(cmd.Context(), report)
			}
			if err == nil {
				err = printErr
			}
			if err == nil && findings > 0 {
				err = errFound
			}
			return err
		},
	}
	flags.image.add(cmd)
	flags.options.addParents(cmd)
	cmd.Flags().BoolVar(&flags.options.base, "base", false, "the layer has none below it")
	cmd.Flags().StringVar(&severity, "severity", severity, "report from this `SEVERITY` on: info, warning or error")
	return cmd
}

func parseSeverity(s string) (layer.Severity, error) {
	for _, v := range []layer.Severity{layer.Info, layer.Warning, layer.SevereError} {
		if v.String() == s {
			return v, nil
		}
	}
	return 0, usagef("--severity %s: %s", s, fmt.Sprintf("know %v, %v and %v", layer.Info, layer.Warning, layer.SevereError))
}
