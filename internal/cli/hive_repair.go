package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

func newHiveRepairCommand(c *console, f *hiveFlags) *cobra.Command {
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "repair HIVE -o OUT",
		Short: "Write a sound copy of a damaged hive",
		Long: `Write a sound copy of a damaged hive. Bins, free space, subkey lists with their
order and hashes, counts, segments of large data, security descriptors and
their reference counts are rebuilt. All reachable data is kept: a subkey
missing from every list is found by its parent pointer, and the second of two
keys or values with the same name gets a number appended.

Each change is printed on one line: "mended", or "lost" for data that could not
be read and is missing or incomplete in OUT. The exit status is 2 if anything
is lost; OUT is still written and passes "hive check". HIVE is not changed.

A dirty hive needs its logs (--log), or --allow-dirty to continue without its
last changes. A truncated file loses the data after the cut. Deleted keys are
not restored; "hive recover --deleted" lists them.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if out.path == "" {
				return usagef("-o OUT is missing")
			}
			tolerant := *f
			tolerant.editDirty = f.allowDirty
			tolerant.mode = regf.Salvage.String() // reads without a root too
			h, cut, err := tolerant.openCut(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, h.Close()) }()
			r, err := h.Repair(cmd.Context(), &regf.RepairOptions{AllowLoss: true})
			if err != nil {
				return hiveError(args[0], err)
			}
			defer func() { err = errors.Join(err, r.Hive.Close()) }()
			if err := out.write(c, func(w io.Writer) error { return hiveError(args[0], r.Hive.WriteImage(w)) }); err != nil {
				return err
			}
			r.Lost = append(cut, r.Lost...)
			report := c
			if out.path == "-" {
				report = c.toStderr()
			}
			return report.printRepair(r)
		},
	}
	out.add(cmd, "the repaired hive")
	return cmd
}

// outcome is a finding with the result of the repair, "mended" or "lost".
type outcome struct {
	outcome string
	finding finding.Finding
}

// MarshalJSON returns the object of the finding with the field outcome before the others.
func (o outcome) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(o.finding)
	if err != nil {
		return nil, err
	}
	return append(fmt.Appendf(nil, `{"outcome":%q,`, o.outcome), b[1:]...), nil
}

// openCut opens a hive that may be truncated, replays its logs, and returns a finding
// for each missing part.
func (f *hiveFlags) openCut(ctx context.Context, c *console, path string) (*regf.Hive, []finding.Finding, error) {
	h, err := f.open(ctx, c, path)
	var cut *cutError
	if !errors.As(err, &cut) {
		return h, nil, err
	}
	opt, err := f.options()
	if err != nil {
		return nil, nil, err
	}
	h, err = regf.OpenBytes(cut.image, opt)
	var lost []finding.Finding
	for _, m := range cut.missing {
		lost = append(lost, regf.RuleTruncated.At("", m.Offset, "the file ends before these %d bytes, and no log has them", m.Size))
	}
	return h, lost, hiveError(path, err)
}

func (c *console) printRepair(r *regf.Repair) error {
	for _, part := range []struct {
		outcome string
		list    []finding.Finding
	}{{"mended", r.Mended}, {"lost", r.Lost}} {
		for _, x := range part.list {
			var err error
			if c.json {
				err = c.printJSONLine(outcome{part.outcome, x})
			} else {
				err = c.printf("%s %s\n", part.outcome, x.Unrated())
			}
			if err != nil {
				return err
			}
		}
	}
	if len(r.Lost) > 0 {
		return errPartial
	}
	if len(r.Mended) == 0 && !c.json {
		return c.printf("nothing was wrong\n")
	}
	return nil
}

// toStderr returns a console that prints results on standard error, for reports about a
// file written to standard output.
func (c *console) toStderr() *console {
	return &console{out: c.err, err: c.err, quiet: c.quiet, json: c.json, verbose: c.verbose}
}
