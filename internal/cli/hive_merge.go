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
		Long: `Merge delta hives over a base in the given order, the last one on top, as
ORMergeHives of Windows does for the layers of a container. The result is a
base hive. A delta may be an ordinary hive; the base must not be a delta.

A merged key has the time of its topmost layer, and the security descriptor of
the lowest layer whose values are visible in it, which usually is the base.
--newest-time and --top-security follow the registry of a running container
instead. Windows sets the time of the root to the current time. Here the root
has the time of the topmost root, so that equal hives produce equal bytes, or
the time set by --time.

Several deltas are merged in one pass. --stepwise merges them one after the
other, as unpacking an image does; results differ below keys that a delta
supersedes locally. With --fold there is no base: the deltas are combined into
one delta that has the same effect.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			switch {
			case out.path == "":
				return usagef("-o OUT is missing")
			case len(args) < 2 && !opt.Fold:
				return usagef("a base and at least one delta are needed")
			case opt.Minor != 0 && (opt.Minor < 3 || opt.Minor > 6):
				return usagef("--minor must be 3, 4, 5 or 6")
			case opt.Fold && opt.Minor != 0 && opt.Minor != 6:
				return usagef("--fold writes a delta hive, which has version 1.6")
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
					err = hintf(err, "name the hive that the delta changes first; --fold combines several deltas into one")
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
	cmd.Flags().BoolVar(&opt.Fold, "fold", false, "combine deltas into one delta, without a base")
	cmd.Flags().IntVar(&opt.Minor, "minor", 0, "minor `VERSION` of the result: 3, 4, 5 or 6 (default 5, or 6 with --fold)")
	cmd.Flags().BoolVar(&opt.Stepwise, "stepwise", false, "merge several deltas one after the other, as unpacking does")
	cmd.Flags().BoolVar(&newest, "newest-time", false, "give keys the newest time of their layers instead of the topmost layer's")
	cmd.Flags().BoolVar(&topSecurity, "top-security", false, "give keys the descriptor of their topmost layer instead of the lowest")
	cmd.Flags().StringVar(&when, "time", "", "RFC 3339 `TIME` of the root key and the hive header (default: that of the topmost root)")
	out.add(cmd, "the merged hive")
	return cmd
}
