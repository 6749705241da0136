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

// sbomFormat is a format of a bill of materials.
type sbomFormat struct {
	name  string
	write func(io.Writer, *inventory.Inventory, inventory.Subject) error
}

// sbomFormats lists the formats, the default first.
var sbomFormats = []sbomFormat{
	{"cyclonedx", inventory.WriteCycloneDX},
	{"spdx", inventory.WriteSPDX},
	{"syft", inventory.WriteSyft},
}

func newSBOMCommand(c *console) *cobra.Command {
	var flags imageFlags
	out := outputFlags{text: true} // all formats are JSON
	format := sbomFormats[0].name
	cmd := &cobra.Command{
		Use:   "sbom IMAGE",
		Short: "Write a bill of materials of an image",
		Long: `Write a bill of materials of the software that the registry of an image lists,
with the delta hives of all layers merged in: Windows itself, programs
registered by their installers, and servicing packages, including updates.
Programs that were only copied into the image are not in the registry and are
not listed.

The formats are cyclonedx (CycloneDX 1.6), spdx (SPDX 2.3) and syft (Syft's own
format), all in JSON. Equal images with the same name produce equal bytes: the
time in a document is the image's.

` + imageHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			at := slices.IndexFunc(sbomFormats, func(f sbomFormat) bool { return f.name == format })
			if at < 0 {
				return usagef("-f %s: unknown format, want one of %s", format, strings.Join(sbomNames(), ", "))
			}
			img, err := flags.open(cmd.Context(), c, args[0], c.layerProgress())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, img.Close()) }()
			inv, subject, err := inventory.Of(cmd.Context(), img)
			if errors.Is(err, hives.ErrNoBase) {
				return hintf(err, "installed software is recorded in the SOFTWARE hive, which is missing; ls -R lists the files")
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
	cmd.Flags().StringVarP(&format, "format", "f", format, "`FORMAT` of the document: "+strings.Join(sbomNames(), ", "))
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
