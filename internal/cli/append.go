package cli

import (
	"os"

	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

func newAppendCommand(c *console) *cobra.Command {
	var flags assembleFlags
	cmd := &cobra.Command{
		Use:   "append IMAGE (DIR|TAR)... -o IMAGE",
		Short: "Put directories and tars on top of an image, one layer each",
		Long: `Put one layer for each directory or tar on top of an image. A tar is plain or
compressed with gzip or zstd; - is one from standard input.

A tar whose first entry is in Files, Hives or UtilityVM, or has Windows
metadata, is a layer for Windows: its bytes stay as they are, and it is refused
if Windows would refuse it.

What any other tar or a directory has becomes the content of drive C. Names are
found without regard to case and keep the spelling that they have in the image.
Directories that exist keep their metadata; what is new gets the security
descriptor that Windows would give it in its directory. A file .wh.NAME hides
NAME, as in the layers of other systems. Devices, names that Windows cannot
hold, names that differ in case alone and links out of a directory are errors.
With SOURCE_DATE_EPOCH no file is younger than that.

` + assembleHelp + "\n\n" + imageHelp,
		Example: `  mullion append oci:base:ltsc2022 ./app -o oci:app:v1
  mullion append oci:base:ltsc2022 app.tgz conf.tar -o docker://registry/app:1
  tar -c -C out . | mullion append oci:base:ltsc2022 - -o oci-archive:app.tar`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := flags.format()
			if err != nil {
				return err
			}
			when, err := epoch()
			if err != nil {
				return err
			}
			return flags.make(cmd.Context(), c, args[0], func(a *image.Assembly) error {
				for _, source := range args[1:] {
					var size int64
					if st, err := os.Stat(source); err == nil && st.Mode().IsRegular() {
						size = st.Size()
					}
					bar := c.progress(source, size)
					_, err := build.Append(cmd.Context(), a, build.AppendOptions{Format: format, Latest: when, Created: when, Limits: c.limits, Stdin: c.in, Read: func(n int64) {
						c.bytesRead.Add(n)
						bar.add(n)
					}}, source)
					bar.done()
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	flags.add(cmd, true)
	return cmd
}
