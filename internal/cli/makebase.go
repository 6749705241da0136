package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/spf13/cobra"
)

func newMakeBaseCommand(c *console) *cobra.Command {
	version := "10.0.20348"
	cmd := &cobra.Command{
		Use:   "makebase DIR",
		Short: "Complete the tree of a Windows system to a base layer",
		Long: `Complete DIR to a base layer directory, in place, as ConvertToBaseLayer of
hcsshim does. DIR/Files must contain the tree of a Windows system. The config
directory and minimal registry hives are created where they are missing, the
five hives are added to Hives as NAME_BASE, and the layout file is written.
Existing hives are kept and must be intact. A utility VM must have its boot
configuration. No virtual disk is created: the machine that runs the layer does
that.

Every file is written completely or not at all. Running the command again
completes an interrupted conversion.`,
		Example: `  mullion makebase --os-version 10.0.20348.2700 rootfs`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := hives.ParseOSVersion(version)
			if err != nil {
				return usagef("--os-version: %v", err)
			}
			if _, err := os.Stat(filepath.Join(args[0], "Files")); err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					err = hintf(err, "the tree of the system belongs in the directory Files of DIR")
				}
				return about(args[0], err)
			}
			if err := cimlayer.ConvertToBaseLayer(args[0], v); err != nil {
				return err
			}
			c.wroteFile(args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&version, "os-version", version, "Windows `VERSION` recorded in hives that are created")
	return cmd
}
