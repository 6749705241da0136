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
		Short: "Complete a folder with a system's tree to a base layer directory",
		Long: `Complete a folder that has the tree of a system in DIR/Files to a base layer, in place, as
ConvertToBaseLayer of hcsshim does: the config directory and minimal registry hives
are made where they are missing, Hives gets the five hives as NAME_BASE, and the file
layout is written. Hives that are there are kept, and must be sound. A utility VM needs
its boot configuration. No disk is made: the machine that runs the layer does that.

What is written appears complete or not at all; running the command again completes a
conversion that was broken off.`,
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
			return cimlayer.ConvertToBaseLayer(args[0], v)
		},
	}
	cmd.Flags().StringVar(&version, "os-version", version, "Windows `VERSION` that hives which are made name")
	return cmd
}
