package cli

import (
	"errors"
	"io/fs"

	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

func newCopyCommand(c *console) *cobra.Command {
	var flags imageFlags
	var all, force bool
	cmd := &cobra.Command{
		Use:   "copy SRC DST",
		Short: "Copy an image between registries, layouts and archives",
		Long: `Copy an image. Manifests and blobs are copied unchanged, so all digests remain
valid; a docker archive stores only the configuration and uncompressed layers.
The digest of the manifest or index that was written is printed; a docker
archive has none.

Digests, sizes and diff IDs are verified while copying, including the digests of
blobs that the destination layout already has. A layer leaves an index in the
cache; one that has an index is not decompressed again to verify its diff ID.
From an index of images, one Windows image is copied, or all with --all.

Credentials stored by "docker login" are used for registries. HTTP is allowed
for registries at localhost, at private addresses and in .local; others need
--plain-http.

Foreign layers may not be redistributed, so they stay at their URLs. Without
--foreign they are neither downloaded nor pushed to registries. A redirect or
URL that leads to a private address is rejected without --private-network.

` + imageHelp,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all && flags.platform != "" {
				return usagef("--all copies every platform, --platform one")
			}
			opts, err := flags.options(c)
			if err != nil {
				return err
			}
			opts = append(opts, c.layerProgress())
			if all {
				opts = append(opts, image.WithAll())
			}
			if force {
				opts = append(opts, image.WithForce())
			}
			done, err := image.Copy(cmd.Context(), args[0], args[1], opts...)
			err = destinationError(args[1], err)
			if errors.Is(err, fs.ErrExist) {
				return hintf(about(args[1], err), "--force replaces an archive; a directory must be an OCI layout or empty")
			}
			if all && errors.Is(err, image.ErrMissingBlob) {
				return hintf(err, "the index names images that %s does not hold; without --all, one that it holds is copied", args[0])
			}
			if err != nil {
				return imageHint(nameHint(c.command, args[0], nameHint(c.command, args[1], err)))
			}
			c.stopProgress()
			for _, d := range done.Omitted {
				c.warnf("foreign layer %s was left at its URLs", d.Digest)
			}
			if c.json {
				return c.printJSON(copied{string(done.Digest), done.Images, done.Blobs, done.Bytes, len(done.Omitted)})
			}
			if done.Digest != "" {
				if err := c.printf("%s\n", done.Digest); err != nil {
					return err
				}
			}
			c.summary("%s: %s, %s", args[1], counted(done.Blobs, "blob"), c.size(done.Bytes))
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "copy all images of an index")
	cmd.Flags().BoolVar(&force, "force", false, "replace an existing archive")
	return cmd
}

// copied is the output of "mullion copy --json".
type copied struct {
	Digest  string `json:"digest,omitempty"`
	Images  int    `json:"images"`
	Blobs   int    `json:"blobs"`
	Bytes   int64  `json:"bytes"`
	Omitted int    `json:"omitted"`
}
