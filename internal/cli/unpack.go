package cli

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/wclayer"
	"github.com/spf13/cobra"
)

func newUnpackCommand(c *console) *cobra.Command {
	var flags imageFlags
	format, missing := "cim", "require"
	var boot bootFlags
	cmd := &cobra.Command{
		Use:   "unpack IMAGE DIR",
		Short: "Unpack every layer of an image into DIR",
		Long: `Unpack every layer of an image. Only verified content is published.

With --format cim, the default, DIR is a store that any number of images share:
  cim-layers/  the layers as CimFS images, named by chain ID; each contains the
               layer with all layers below it and the merged registry hives
  layers/      further files of each layer: hives, and the layout file of a base
  images/      one record per image: its layers and its configuration
Layers already in the store are not read again, except one that has lost a file:
it is made again, with a warning. Several processes may use a
store at once; if one dies, the next one cleans up. A base layer without the
five registry hives is rejected unless --hives is set: create adds minimal
hives, leave unpacks the layer without.

--cim-boot makes the utility VM of a base layer boot from its image, as hcsshim
did for containerd until 2024: the build is written to uvmbuildversion, and the
SYSTEM hive and boot configuration of the VM are changed. Builds up to 20348
and layers without a utility VM are not changed. Some devices of the boot
configuration have no public encoding. --bcd-template takes them from a store
prepared by bcdedit; without it, the remaining commands are printed on standard
error, to be run on Windows. The virtual disk is created there too.

With --format wclayer, every layer becomes a directory for the Windows layer
filter in DIR, named by its number and the start of its chain ID. layers.json
lists the layers with their parents, and config.json is the image
configuration. DIR is written completely or not at all. A hive that is damaged
is an error in both formats.

The paths of the layers are printed, base first; the last one is the whole
image. --json adds the chain IDs and diff IDs, and whether each layer is new.

` + imageHelp,
		Example: `  mullion unpack oci-archive:hello.tar store
  mullion unpack mcr.microsoft.com/windows/nanoserver:ltsc2022 store
  mullion unpack --platform 'windows(10.0.20348)/amd64' oci:layout store
  mullion cim ls "$(mullion unpack oci-archive:hello.tar store | tail -n 1)"
  mullion unpack --format wclayer oci:layout:latest out`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			thrifty()
			m, err := missingHives(missing)
			if err != nil {
				return err
			}
			switch {
			case format != "cim" && format != "wclayer":
				return usagef("--format %s: unknown format, want cim or wclayer", format)
			case format == "wclayer" && cmd.Flags().Changed("hives"):
				return usagef("--hives is for --format cim; a layer directory contains only the files of the layer")
			case format == "wclayer" && boot.enable:
				return usagef("--cim-boot is for --format cim")
			case boot.template != "" && !boot.enable:
				return usagef("--bcd-template is for --cim-boot")
			}
			bootOptions, err := boot.options(c)
			if err != nil {
				return err
			}
			img, err := flags.open(cmd.Context(), c, args[0], c.layerProgress())
			if err != nil {
				return err
			}
			defer img.Close()
			if format == "cim" {
				if err := c.unpackStore(cmd.Context(), img, args[1], append(bootOptions, cimlayer.WithMissingHives(m))...); err != nil {
					return err
				}
				return boot.check(args[1], img)
			}
			return c.unpackFolders(cmd.Context(), img, args[1])
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&format, "format", format, "`FORMAT` of the layers: cim or wclayer")
	cmd.Flags().StringVar(&missing, "hives", missing, "`ACTION` for a base layer without hives: require, create or leave")
	cmd.Flags().BoolVar(&boot.enable, "cim-boot", false, "make the utility VM of a base layer boot from its image")
	cmd.Flags().StringVar(&boot.template, "bcd-template", "", "take the devices for --cim-boot from the boot configuration `STORE`")
	return cmd
}

// bootFlags are --cim-boot and --bcd-template.
type bootFlags struct {
	enable   bool
	template string
}

func (f *bootFlags) options(c *console) ([]cimlayer.Option, error) {
	if !f.enable {
		return nil, nil
	}
	boot := cimlayer.CimBoot{Left: func(commands []string) {
		for _, line := range commands {
			c.warnf("run on Windows: bcdedit /store BCD /offline %s", line)
		}
	}}
	if f.template != "" {
		h, err := regf.Open(f.template, nil)
		if err != nil {
			return nil, about(f.template, err)
		}
		defer h.Close()
		var b bytes.Buffer
		if err := h.WriteImage(&b); err != nil {
			return nil, about(f.template, err)
		}
		boot.Template = b.Bytes()
	}
	return []cimlayer.Option{cimlayer.WithCimBoot(boot)}, nil
}

// check rejects a base layer that was unpacked to the store before without --cim-boot: a
// store contains each layer once.
func (f *bootFlags) check(dir string, img *image.Image) error {
	layers := img.Layers()
	if !f.enable || len(layers) == 0 {
		return nil
	}
	store, err := cimlayer.OpenStore(dir)
	if err != nil {
		return about(dir, err)
	}
	defer store.Close()
	loc, err := store.Location(string(layers[0].ChainID))
	if err != nil {
		return about(dir, err)
	}
	ready, err := loc.CimBootReady()
	if err == nil && !ready {
		return hintf(about(dir, errors.New("the base layer is in the store already, without --cim-boot")), "unpack to another directory")
	}
	return err
}

// missingHives parses the value of --hives.
func missingHives(word string) (cimlayer.MissingHives, error) {
	for i, w := range []string{"require", "create", "leave"} {
		if w == word {
			return cimlayer.MissingHives(i), nil
		}
	}
	return 0, usagef("--hives must be require, create or leave")
}

// unpackStore puts the layers into the store at dir.
func (c *console) unpackStore(ctx context.Context, img *image.Image, dir string, opts ...cimlayer.Option) error {
	var warnings hiveWarnings
	opts = append(opts, cimlayer.WithHiveWarnings(warnings.add), cimlayer.WithDamage(func(id string, cause error) {
		c.warnf("layer %s is not whole in the store and is unpacked again: %v", id, cause)
	}))
	done, err := unpackToStore(ctx, img, dir, opts...)
	if errors.Is(err, cimlayer.ErrNoHive) {
		err = hintf(err, "--hives create adds minimal hives, --hives leave continues without")
	}
	if err != nil {
		return err
	}
	c.stopProgress()
	warnings.print(c)
	type row struct {
		image.StoredLayer
		Made bool `json:"made"`
	}
	rows := []row{}
	for _, l := range done {
		rows = append(rows, row{l, l.Made})
		if !l.Made {
			c.notef("layer %s was there", l.ChainID)
		}
	}
	if c.json {
		return c.printJSON(rows)
	}
	made := 0
	for _, l := range done {
		if l.Made {
			made++
		}
		if err := c.printf("%s\n", filepath.Join(dir, filepath.FromSlash(l.Image))); err != nil {
			return err
		}
	}
	c.summary("%s: %s, %d of them new, %s read", dir, counted(len(done), "layer"), made, c.size(c.bytesRead.Load()))
	return nil
}

// unpackToStore puts the layers of an image into the store at dir, base first.
func unpackToStore(ctx context.Context, img *image.Image, dir string, opts ...cimlayer.Option) ([]image.StoredLayer, error) {
	if err := checkStore(dir); err != nil {
		return nil, about(dir, err)
	}
	store, err := cimlayer.OpenStore(dir)
	if err != nil {
		return nil, about(dir, err)
	}
	done, err := img.UnpackStore(ctx, store, opts...)
	return done, errors.Join(damagedHint(imageHint(err)), store.Close())
}

// checkStore rejects a directory that is neither empty nor a store.
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
	return hintf(&fs.PathError{Op: "unpack into", Path: dir, Err: fs.ErrExist}, "name a directory that does not exist, is empty, or was unpacked to before")
}

// unpackFolders writes every layer as a layer directory.
func (c *console) unpackFolders(ctx context.Context, img *image.Image, dir string) error {
	done, err := img.Unpack(ctx, dir, func(root *os.Root, name string, parents []string) (layer.Writer, error) {
		// A damaged hive is refused here as it is where hives are merged.
		check := wclayer.WithFinish(func(root *os.Root) error { return hives.CheckDirectory(ctx, root, len(parents) == 0) })
		return wclayer.CreateIn(root, name, parents, wclayer.WithLimits(c.limits), check)
	})
	if err != nil {
		return unpackHint(damagedHint(imageHint(destinationError(dir, err))), dir)
	}
	c.stopProgress()
	if c.json {
		return c.printJSON(done)
	}
	for _, l := range done {
		if err := c.printf("%s\n", filepath.Join(dir, l.Name)); err != nil {
			return err
		}
	}
	c.summary("%s: %s, %s read", dir, counted(len(done), "layer"), c.size(c.bytesRead.Load()))
	return nil
}

// unpackHint adds advice to the error for an existing target.
func unpackHint(err error, target string) error {
	if errors.Is(err, fs.ErrExist) {
		return hintf(about(target, err), "name a directory that does not exist or is empty")
	}
	return err
}
