package cli

import (
	"errors"

	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

func newRebaseCommand(c *console) *cobra.Command {
	var flags assembleFlags
	var oldRef, newRef string
	cmd := &cobra.Command{
		Use:   "rebase IMAGE --old BASE --new BASE -o IMAGE",
		Short: "Put the layers of an image on another version of its base",
		Long: `Replace the base of an image. The layers of the image must begin with those of
the old base; their places are taken by those of the new one, and the rest
stays byte for byte. The OS version becomes that of the new base, and so does
what the configuration has from the old one: variables, labels and ports each
on their own. What the image has set itself stays.

The layers above are not looked at. A hard link to a file that the new base
lacks, or a registry delta that supposes a key of the old one, is kept as it
is; "mullion check" of the result finds the links.

` + assembleHelp + "\n\n" + imageHelp,
		Example: `  mullion rebase oci:app:v1 --old oci:base:09 --new oci:base:10 -o oci:app:v2`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if oldRef == "" || newRef == "" {
				return usagef("--old and --new say what is replaced by what")
			}
			ctx := cmd.Context()
			if err := flags.check(); err != nil {
				return err
			}
			before, err := flags.other(ctx, c, "old", oldRef)
			if err != nil {
				return err
			}
			defer before.Close()
			after, err := flags.other(ctx, c, "new", newRef)
			if err != nil {
				return err
			}
			defer after.Close()
			return flags.make(ctx, c, args[0], func(a *image.Assembly) error {
				err := build.Rebase(a, before, after)
				if errors.Is(err, build.ErrNotBase) {
					return hintf(err, "mullion inspect --layers %s and %s show the diff IDs", args[0], oldRef)
				}
				return err
			})
		},
	}
	flags.add(cmd, false)
	cmd.Flags().StringVar(&oldRef, "old", "", "the `BASE` that the image was made on")
	cmd.Flags().StringVar(&newRef, "new", "", "the `BASE` that takes its place")
	return cmd
}
