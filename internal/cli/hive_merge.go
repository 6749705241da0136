package cli

import (
	"errors"
	"slices"

	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

func newHiveMergeCommand(c *console, f *hiveFlags) *cobra.Command {
	var opt regf.MergeOptions
	var topTime bool
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "merge BASE DELTA... -o OUT",
		Short: "Merge the delta hives of layers over a base",
		Long: `Merges delta hives over a base in the order given, the last on top, as the layers of a
container are. The result is a base hive. With --fold there is no base: the deltas
become one delta that does what they do one after the other.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			switch {
			case out.path == "":
				return usagef("-o OUT is missing")
			case len(args) < 2 && !opt.Fold:
				return usagef("a base and at least one delta are needed")
			case opt.Minor != 0 && (opt.Minor < 3 || opt.Minor > 6):
				return usagef("--minor is 3, 4, 5 or 6")
			case opt.Fold && (opt.KeepLayerBits || opt.Minor != 0 && opt.Minor != 6):
				return usagef("--fold makes a delta hive: it keeps layer semantics and is of version 1.6")
			}
			if topTime {
				opt.Time = regf.TimeTop
			}
			var layers []*regf.Hive
			defer func() {
				for _, h := range layers {
					err = errors.Join(err, h.Close())
				}
			}()
			for _, name := range args {
				h, err := f.open(c, name)
				if err != nil {
					return err
				}
				layers = append(layers, h)
			}
			h, err := regf.Merge(slices.Clone(layers), &opt)
			if err != nil {
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
	cmd.Flags().BoolVar(&opt.KeepLayerBits, "keep-layer-bits", false, "keep the layer bits of the topmost nodes in the result")
	cmd.Flags().BoolVar(&topTime, "top-time", false, "keys get the time of their topmost node, not the newest")
	out.add(cmd, "the merged hive")
	return cmd
}
