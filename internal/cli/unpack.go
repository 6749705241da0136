package cli

import (
	"errors"
	"io/fs"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wclayer"
	"github.com/spf13/cobra"
)

func newUnpackCommand(c *console) *cobra.Command {
	var flags imageFlags
	format := "wclayer"
	cmd := &cobra.Command{
		Use:   "unpack IMAGE DIR",
		Short: "Unpack every layer of an image into DIR",
		Long: `Unpack every layer into a folder of its own in DIR, base first, named by its number
and the begin of its chain ID. layers.json lists them with their parents, config.json
is the configuration. DIR is complete or absent, and holds nothing that was not
verified.

The format is wclayer, the directories of the Windows layer filter.

` + referenceHelp,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "wclayer" {
				return usagef("--format %s: know wclayer", format)
			}
			img, err := flags.open(cmd.Context(), c, args[0], c.layerProgress())
			if err != nil {
				return err
			}
			defer img.Close()
			done, err := img.Unpack(cmd.Context(), args[1], func(path string, parents []string) (layer.Writer, error) {
				return wclayer.Create(path, parents, wclayer.WithLimits(c.limits))
			})
			if err != nil {
				return unpackHint(imageHint(err), args[1])
			}
			c.stopProgress()
			if c.json {
				return c.printJSON(done)
			}
			for _, l := range done {
				c.notef("%s %s", l.Name, l.DiffID)
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&format, "format", format, "form of the layers, `wclayer`")
	return cmd
}

// unpackHint says what to do about a target that exists.
func unpackHint(err error, target string) error {
	if errors.Is(err, fs.ErrExist) {
		return hintf(about(target, err), "name a folder that does not exist or is empty")
	}
	return err
}
