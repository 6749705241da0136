package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

// assembleFlags are the flags of the commands that make an image of another one.
type assembleFlags struct {
	imageFlags
	out      string
	force    bool
	compress string // "" if the command makes no layers
}

const assembleHelp = `The new image is written to every place that "mullion copy" writes to. Layers
that stay are not written again where they are. Nothing is written before all
of it is made. The digest of the new manifest is printed. SOURCE_DATE_EPOCH is
the time of the image and of the new entries in its history; without it they
have none.`

func (f *assembleFlags) add(cmd *cobra.Command, layers bool) {
	f.imageFlags.add(cmd)
	cmd.Flags().StringVarP(&f.out, "output", "o", "", "write the image to `IMAGE`, a reference as those of mullion copy")
	cmd.Flags().BoolVar(&f.force, "force", false, "replace an existing archive")
	if layers {
		cmd.Flags().StringVar(&f.compress, "compress", "gzip", "compress the layer that is made with `METHOD`: gzip, zstd or none")
	}
}

// format returns the compression of a new layer.
func (f *assembleFlags) format() (blob.Format, error) {
	format, err := blob.ParseFormat(f.compress)
	if err != nil {
		return 0, usagef("--compress must be gzip, zstd or none")
	}
	return format, nil
}

// check returns a usage error if the flags make no sense.
func (f *assembleFlags) check() error {
	if f.out == "" {
		return usagef("-o IMAGE says where the new image is written")
	}
	return nil
}

// epoch returns the time in SOURCE_DATE_EPOCH, nil if it is not set.
func epoch() (*time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return nil, nil
	}
	sec, err := strconv.ParseInt(text, 10, 64)
	if err != nil || sec < 0 || sec > 1<<37 {
		return nil, usagef("SOURCE_DATE_EPOCH=%.100s: not a number of seconds", text)
	}
	t := time.Unix(sec, 0).UTC()
	return &t, nil
}

// make opens an image, has fn change it, and writes the result.
func (f *assembleFlags) make(ctx context.Context, c *console, ref string, fn func(*image.Assembly) error) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	created, err := epoch()
	if err != nil {
		return err
	}
	img, err := f.open(ctx, c, ref, c.layerProgress())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	opts, err := f.options(c)
	if err != nil {
		return err
	}
	if f.force {
		opts = append(opts, image.WithForce())
	}
	a, err := image.NewAssembly(img, append(opts, c.layerProgress())...)
	if err != nil {
		return about(ref, err)
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.CanWrite(ctx, f.out); err != nil {
		return f.failed(c, err)
	}
	if err := fn(a); err != nil {
		return imageHint(err)
	}
	if created != nil {
		if err := a.SetConfig("created", created); err != nil {
			return err
		}
	}
	done, err := a.Write(ctx, f.out)
	if err != nil {
		return f.failed(c, err)
	}
	return f.report(c, done)
}

// failed says what is wrong with the place of the new image.
func (f *assembleFlags) failed(c *console, err error) error {
	err = destinationError(f.out, err)
	if errors.Is(err, os.ErrExist) {
		return hintf(about(f.out, err), "--force replaces an archive; a directory must be an OCI layout or empty")
	}
	return imageHint(nameHint(c.command, f.out, err))
}

func (f *assembleFlags) report(c *console, done *image.Copied) error {
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
	c.summary("%s: %s, %s", f.out, counted(done.Blobs, "blob"), c.size(done.Bytes))
	return nil
}

// open opens another image that a command needs.
func (f *assembleFlags) other(ctx context.Context, c *console, flag, ref string) (*image.Image, error) {
	img, err := f.open(ctx, c, ref, c.layerProgress())
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return img, nil
}
