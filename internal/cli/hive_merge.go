package cli

import (
	"errors"
	"slices"
	"time"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

func newHiveMergeCommand(c *console, f *hiveFlags) *cobra.Command {
	var opt regf.MergeOptions
	var newest, topSecurity bool
	var when string
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "merge BASE DELTA... -o OUT",
		Short: "Merge the delta hives of layers over a base",
		Long: `Merges delta hives over a base in the order given, the last on top, as ORMergeHives of
Windows does it for the layers of a container. The result is a base hive. A delta may be an
ordinary hive; the base may not be a delta.

A merged key has the time of its topmost layer, and the descriptor of the lowest layer
whose values show in it, which is mostly that of the base. --newest-time and
--top-security do as the registry of a running container does. Windows gives the root
the time of day; here it has that of the topmost root, so that equal hives give
equal bytes, or the one that --time gives.

Several deltas are merged at once. --stepwise merges them one after the other, as
unpacking an image does, which makes a difference below keys that a delta supersedes
locally. With --fold there is no base: the deltas become one delta that does what they do
one after the other.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			switch {
			case out.path == "":
				return usagef("-o OUT is missing")
			case len(args) < 2 && !opt.Fold:
				return usagef("a base and at least one delta are needed")
			case opt.Minor != 0 && (opt.Minor < 3 || opt.Minor > 6):
				return usagef("--minor is 3, 4, 5 or 6")
			case opt.Fold && opt.Minor != 0 && opt.Minor != 6:
				return usagef("--fold makes a delta hive, of version 1.6")
			}
			if newest {
				opt.Time = regf.TimeNewest
			}
			if topSecurity {
				opt.Security = regf.SecurityTop
			}
			if when != "" {
				t, err := time.Parse(time.RFC3339Nano, when)
				if err == nil {
					opt.Now, err = winfs.FiletimeFromTime(t)
				}
				if err != nil || opt.Now == 0 {
					return usagef("--time %s: not a time such as 2024-05-01T12:00:00Z", when)
				}
			}
			var layers []*regf.Hive
			defer func() {
				for _, h := range layers {
					err = errors.Join(err, h.Close())
				}
			}()
			for _, name := range args {
				h, err := f.open(cmd.Context(), c, name)
				if err != nil {
					return err
				}
				layers = append(layers, h)
			}
			h, err := regf.Merge(cmd.Context(), slices.Clone(layers), &opt)
			if err != nil {
				if errors.Is(err, regf.ErrInvalid) && layers[0].Header().Flags&regf.HeaderLayered != 0 && !opt.Fold {
					err = hintf(err, "give the hive that the delta changes first; --fold makes one delta of several")
				}
				return hiveError(args[0], err)
			}
			if err := writeHive(c, h, &out); err != nil {
				return err
			}
			for i, h := range layers {
				err = errors.Join(err, c.findings(args[i], h))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&opt.Fold, "fold", false, "fold deltas into one delta, without a base")
	cmd.Flags().IntVar(&opt.Minor, "minor", 0, "minor `VERSION` of the result: 3, 4, 5 or 6 (default 5, or 6 with --fold)")
	cmd.Flags().BoolVar(&opt.Stepwise, "stepwise", false, "merge several deltas one after the other, as unpacking does")
	cmd.Flags().BoolVar(&newest, "newest-time", false, "keys get the newest time of their layers, not that of the topmost")
	cmd.Flags().BoolVar(&topSecurity, "top-security", false, "keys get the descriptor of their topmost layer, not of the lowest")
	cmd.Flags().StringVar(&when, "time", "", "`TIME` of the root and of the file, in the form of RFC 3339 (default: the topmost root's)")
	out.add(cmd, "the merged hive")
	return cmd
}
