package cli

import (
	"errors"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

func newConvertCommand(c *console) *cobra.Command {
	var o layerOptions
	var base bool
	version := "10.0.20348"
	cmd := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Convert one layer to another format",
		Long: `Convert one layer to another format. SRC and DST are layer references. DST is
written completely or not at all.

--parent names the layers below SRC. It is required to write a layer directory
that is not a base layer, or a CIM that is a fork. Reading a forked CIM
includes the content of its parents.

Only the layer itself is converted: no hives are merged into a CIM and no files
are added. "unpack" produces layers with both, as Windows stores them. From a
CIM that it has produced, one base layer is written with the whole tree: the
merged hives are in the config directory, and the files that "unpack" added are
left out.

--base turns a layer without parents into a base layer by adding the parts that
are missing: the config directory and a minimal version of each of the five
registry hives. "makebase" does the same for a directory.

` + referenceHelp,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			thrifty()
			o.limits = c.limits
			src, err := mustLayerRef(args[0])
			if err != nil {
				return err
			}
			dst, err := mustLayerRef(args[1])
			if err != nil {
				return err
			}
			if err := dst.format.usesFlags(cmd); err != nil {
				return err
			}
			if base && len(o.parents) > 0 {
				return usagef("a base layer has no --parent")
			}
			v, err := hives.ParseOSVersion(version)
			if err != nil {
				return usagef("--os-version: %v", err)
			}
			if cmd.Flags().Changed("os-version") && !base {
				return usagef("--os-version is for --base")
			}
			r, err := src.open(cmd.Context(), c, &o)
			if err != nil {
				return err
			}
			defer r.Close()
			from, err := asLayer(r)
			if err != nil {
				return about(args[0], err)
			}
			w, err := dst.create(cmd.Context(), c, &o)
			if err != nil {
				return about(args[1], err)
			}
			defer w.Close()
			if base {
				w = hives.Complete(w, v)
			}
			stats, err := c.copyLayer(cmd.Context(), w, from, "write")
			if err != nil {
				return o.parentHint(err)
			}
			if err := w.Commit(); err != nil {
				return about(args[1], o.parentHint(err))
			}
			c.notef("%d entries, %d bytes", stats.Entries, stats.Bytes)
			c.wroteLayer(args[1], stats)
			return nil
		},
	}
	o.addParents(cmd)
	cmd.Flags().StringVar(&o.compress, "compress", "", "compress the tar with `METHOD`: gzip, zstd or none; without it the name of the file decides: .gz, .tgz, .zst or .tzst")
	o.cim.addNames(cmd, "3", "derived from the content")
	cmd.Flags().BoolVar(&o.transport, "transport", false, "write a transport directory instead of a final layer directory")
	cmd.Flags().BoolVar(&base, "base", false, "add the parts that a base layer needs")
	cmd.Flags().StringVar(&version, "os-version", version, "Windows `VERSION` recorded in hives that --base adds")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace a destination file that exists")
	return cmd
}

// parentHint adds advice to errors about whiteouts and links that need the layers below.
func (o *layerOptions) parentHint(err error) error {
	switch {
	case !errors.Is(err, layer.ErrWhiteout) && !errors.Is(err, layer.ErrLinkTarget) || len(o.parents) > 0:
		return err
	case o.transport:
		return hintf(err, "a transport directory cannot hold a link into a layer below; a layer directory can, with --parent")
	}
	return hintf(err, "if the layer is not a base, --parent names the layers below it, in the form that is written")
}
