package cli

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/inventory"
	"github.com/spf13/cobra"
)

// sbomFormat is a form of a bill of materials.
type sbomFormat struct {
	name  string
	write func(io.Writer, *inventory.Inventory, inventory.Subject) error
}

// sbomFormats are the forms, the default first.
var sbomFormats = []sbomFormat{
	{"cyclonedx", inventory.WriteCycloneDX},
	{"spdx", inventory.WriteSPDX},
	{"syft", inventory.WriteSyft},
}

func newSBOMCommand(c *console) *cobra.Command {
	var flags imageFlags
	var out outputFlags
	format := sbomFormats[0].name
	cmd := &cobra.Command{
		Use:   "sbom IMAGE",
		Short: "Write what is installed in an image as a bill of materials",
		Long: `Write what the registry of an image says is installed, with the delta hives of all
layers merged: the Windows itself, the programs that installers have registered, and
the servicing packages, updates among them. Programs that were only copied into the
image are not known to the registry and not in the list.

The forms are cyclonedx (CycloneDX 1.6), spdx (SPDX 2.3) and syft (Syft's own JSON), all
in JSON. Equal images of one name give equal bytes: the time in a document is that of
the image.

` + referenceHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			at := slices.IndexFunc(sbomFormats, func(f sbomFormat) bool { return f.name == format })
			if at < 0 {
				return usagef("-f %s: know %s", format, strings.Join(sbomNames(), ", "))
			}
			img, err := flags.open(cmd.Context(), c, args[0], c.layerProgress())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, img.Close()) }()
			inv, subject, err := inventory.Of(cmd.Context(), img)
			if errors.Is(err, hives.ErrNoBase) {
				return hintf(err, "installed products are listed only in a SOFTWARE hive; ls -R lists the files")
			}
			if err != nil {
				return imageHint(registryHint(err))
			}
			c.stopProgress()
			var warnings hiveWarnings
			for _, f := range inv.Warnings {
				warnings.add(f)
			}
			warnings.print(c)
			return out.write(c, func(w io.Writer) error { return sbomFormats[at].write(&jsonText{w: w}, inv, subject) })
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVarP(&format, "format", "f", format, "`FORM`: "+strings.Join(sbomNames(), ", "))
	out.add(cmd, "the document")
	return cmd
}

func sbomNames() []string {
	var names []string
	for _, f := range sbomFormats {
		names = append(names, f.name)
	}
	return names
}
