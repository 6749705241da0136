package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wclayer"
	"github.com/spf13/cobra"
)

func newUnpackCommand(c *console) *cobra.Command {
	var flags imageFlags
	format, missing := "cim", "require"
	cmd := &cobra.Command{
		Use:   "unpack IMAGE DIR",
		Short: "Unpack every layer of an image into DIR",
		Long: `Unpack every layer of an image. Nothing is published that was not verified.

With --format cim, the default, DIR is a store that any number of images share:
  cim-layers/   the layers as CimFS images, named by chain ID; each shows the layer
                with everything below it, and holds the registry hives merged
  layers/       what stands beside each: hives, and the layout file of a base layer
  images/       one record an image: its layers, and its configuration
A layer that is there is not read again. Several processes may work in a store at
once; after one that died, the next makes good. A base layer without the five
registry hives is refused unless --hives says what to do: create makes minimal ones,
leave unpacks it without.

With --format wclayer every layer becomes a directory of the Windows layer filter in
DIR, named by its number and the begin of its chain ID. layers.json lists them with
their parents, config.json is the configuration. DIR is complete or absent.

` + referenceHelp,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := missingHives(missing)
			if err != nil {
				return err
			}
			switch {
			case format != "cim" && format != "wclayer":
				return usagef("--format %s: know cim and wclayer", format)
			case format == "wclayer" && cmd.Flags().Changed("hives"):
				return usagef("--hives is for --format cim; a layer directory holds what the layer holds")
			}
			img, err := flags.open(cmd.Context(), c, args[0], c.layerProgress())
			if err != nil {
				return err
			}
			defer img.Close()
			if format == "cim" {
				return c.unpackStore(cmd.Context(), img, args[1], cimlayer.WithMissingHives(m))
			}
			return c.unpackFolders(cmd.Context(), img, args[1])
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&format, "format", format, "`FORM` of the layers, cim or wclayer")
	cmd.Flags().StringVar(&missing, "hives", missing, "what becomes of a base layer without hives: require, create or leave")
	return cmd
}

// missingHives reads --hives.
func missingHives(word string) (cimlayer.MissingHives, error) {
	for i, w := range []string{"require", "create", "leave"} {
		if w == word {
			return cimlayer.MissingHives(i), nil
		}
	}
	return 0, usagef("--hives is require, create or leave")
}

// unpackStore puts the layers into the store at dir.
func (c *console) unpackStore(ctx context.Context, img *image.Image, dir string, opts ...cimlayer.Option) error {
	if err := checkStore(dir); err != nil {
		return about(dir, err)
	}
	store, err := cimlayer.OpenStore(dir)
	if err != nil {
		return about(dir, err)
	}
	done, err := img.UnpackStore(ctx, store, opts...)
	switch {
	case errors.Is(err, cimlayer.ErrNoHive):
		return hintf(err, "--hives create adds minimal hives, --hives leave does without")
	case err != nil:
		return imageHint(err)
	}
	c.stopProgress()
	type row struct {
		image.StoredLayer
		Made bool `json:"made"`
	}
	rows := []row{}
	for _, l := range done {
		rows = append(rows, row{l, l.Made})
		what := "was there"
		if l.Made {
			what = "made"
		}
		c.notef("%s %s", filepath.Join(dir, filepath.FromSlash(l.Image)), what)
	}
	if c.json {
		return c.printJSON(rows)
	}
	return nil
}

// checkStore refuses a folder that holds something else.
func checkStore(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() == "cim-layers" {
			return nil
		}
	}
	return hintf(&fs.PathError{Op: "unpack into", Path: dir, Err: fs.ErrExist}, "name a folder that does not exist, is empty, or was unpacked to before")
}

// unpackFolders makes a layer directory of every layer.
func (c *console) unpackFolders(ctx context.Context, img *image.Image, dir string) error {
	done, err := img.Unpack(ctx, dir, func(path string, parents []string) (layer.Writer, error) {
		return wclayer.Create(path, parents, wclayer.WithLimits(c.limits))
	})
	if err != nil {
		return unpackHint(imageHint(err), dir)
	}
	c.stopProgress()
	if c.json {
		return c.printJSON(done)
	}
	for _, l := range done {
		c.notef("%s %s", l.Name, l.DiffID)
	}
	return nil
}

// unpackHint says what to do about a target that exists.
func unpackHint(err error, target string) error {
	if errors.Is(err, fs.ErrExist) {
		return hintf(about(target, err), "name a folder that does not exist or is empty")
	}
	return err
}
