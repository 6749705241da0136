package cli

import (
	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

func newSquashCommand(c *console) *cobra.Command {
	var flags assembleFlags
	var from int
	cmd := &cobra.Command{
		Use:   "squash IMAGE [--from N] -o IMAGE",
		Short: "Make one layer out of several",
		Long: `Make one layer of the layers from number N to the topmost; 0 is the base. The
image shows the same files and the same registry as before. Files that these
layers have replaced or removed among themselves are gone, and their registry
deltas become one for each hive. With --from 0 the result is a base layer, with
whole hives.

` + assembleHelp + "\n\n" + imageHelp,
		Example: `  mullion squash oci:app:v1 -o oci:app:small
  mullion squash --from 0 --compress zstd oci:base:ltsc2022 -o oci:base:one`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := flags.format()
			if err != nil {
				return err
			}
			when, err := epoch()
			if err != nil {
				return err
			}
			return flags.make(cmd.Context(), c, args[0], func(a *image.Assembly) error {
				_, err := build.Squash(cmd.Context(), a, from, build.SquashOptions{Format: format, Created: when, Limits: c.limits})
				return err
			})
		},
	}
	flags.add(cmd, true)
	cmd.Flags().IntVar(&from, "from", 1, "number of the lowest layer that becomes part of the new one")
	return cmd
}
