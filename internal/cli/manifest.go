package cli

import (
	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

func newManifestCommand(c *console) *cobra.Command {
	var flags imageFlags
	cmd := &cobra.Command{
		Use:   "manifest IMAGE",
		Short: "Print the manifest or index of an image as it is stored",
		Long: `Print the document that a reference names, byte for byte as it is stored: a
manifest, or an index. From an index, --platform chooses an image and prints its
manifest.

` + imageHelp,
		Example: `  mullion manifest mcr.microsoft.com/windows/nanoserver:ltsc2022 | jq .
  mullion manifest --platform windows/amd64 docker://registry/app:1
  mullion manifest oci:layout:v1 | sha256sum`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.platform != "" {
				return flags.printStored(cmd, c, args[0], func(img *image.Image) []byte { return img.Document().Raw })
			}
			opts, err := flags.options(c)
			if err != nil {
				return err
			}
			doc, err := image.Root(cmd.Context(), args[0], opts...)
			if err != nil {
				return imageHint(nameHint(c.command, args[0], err))
			}
			_, err = c.out.Write(doc.Raw)
			return err
		},
	}
	flags.addChoice(cmd)
	return cmd
}

// printStored prints a document of an image.
func (f *imageFlags) printStored(cmd *cobra.Command, c *console, ref string, document func(*image.Image) []byte) error {
	img, err := f.open(cmd.Context(), c, ref)
	if err != nil {
		return err
	}
	defer img.Close()
	_, err = c.out.Write(document(img))
	return err
}
