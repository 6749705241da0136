package cli

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/fusefs"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

func newMountCommand(c *console) *cobra.Command {
	var flags contentFlags
	cmd := &cobra.Command{
		Use:   "mount IMAGE|LAYER DIR",
		Short: "Show an image or a layer as a read-only file system",
		Long: `Show an image as a container would see it, or a single layer, at the directory DIR,
until Ctrl-C or until somebody unmounts it. Needs FUSE: Linux, or macOS with macFUSE.

A CimFS image is served from where it is. Anything else is converted to one first, in
a temporary folder, which takes as much room as its files.

Names are found without regard to case. Descriptors, attributes, times and reparse
data are extended attributes under the names of ntfs-3g, system.ntfs_acl and so on;
alternate streams are user.NAME.

` + referenceHelp,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			im, done, err := flags.openImageTree(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return errors.Join(c.serveTree(cmd.Context(), im, args[0], args[1]), im.Close(), done())
		},
	}
	flags.add(cmd)
	flags.options.addParents(cmd)
	return cmd
}

// serveTree mounts and waits.
func (c *console) serveTree(ctx context.Context, im *cimfs.Image, name, dir string) error {
	s, err := fusefs.Mount(dir, fusefs.CimTree(im), &fusefs.Options{
		Name: name, Log: slog.New(slog.NewTextHandler(c.err, nil)),
	})
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = hintf(plain(err), "the directory must exist")
		}
		return about(dir, plain(err))
	}
	c.stopProgress()
	c.notef("mounted at %s", dir)
	stop := context.AfterFunc(ctx, func() {
		// Busy: the file system goes on until its users have gone.
		if err := s.Unmount(); err != nil {
			c.printWarning(err)
		}
	})
	defer stop()
	s.Wait()
	return nil
}

// openImageTree opens what a reference names as a CimFS image. The function removes
// the temporary one, if one was made.
func (f *contentFlags) openImageTree(ctx context.Context, c *console, text string) (*cimfs.Image, func() error, error) {
	if ref, ok := parseLayerRef(text); ok && ref.format == cimFormat {
		im, err := openCIM(ref.name)
		return im, func() error { return nil }, err
	}
	source, done, err := f.openLayer(ctx, c, text)
	if err == nil && source == nil {
		var view *layer.View
		if view, done, err = f.openView(ctx, c, text); err == nil {
			source = view.Source()
		}
	}
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "mullion-mount-")
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	im, err := convertToImage(ctx, source, dir)
	if err = errors.Join(err, done()); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return im, func() error { return os.RemoveAll(dir) }, nil
}

// convertToImage writes a layer as an image in a folder of its own. Whiteouts of a
// single layer have no place in it and are left out.
func convertToImage(ctx context.Context, source layer.Source, dir string) (*cimfs.Image, error) {
	const name = "view.cim"
	r, err := source.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	w, err := cimfs.Create(dir, name, &cimfs.Options{PlainExecutables: true})
	if err != nil {
		return nil, err
	}
	iw := cimlayer.NewImageWriter(w, nil, cimlayer.ImageOptions{Name: filepath.Join(dir, name), Lossy: func(string, string) {}})
	defer iw.Close()
	if _, err := layer.Copy(ctx, iw, withoutWhiteouts{r}); err != nil {
		return nil, err
	}
	if err := iw.Commit(); err != nil {
		return nil, err
	}
	return cimfs.Open(dir, name)
}

// withoutWhiteouts is a layer seen by itself.
type withoutWhiteouts struct{ layer.Reader }

func (r withoutWhiteouts) Next() (*layer.Entry, error) {
	for {
		e, err := r.Reader.Next()
		if err != nil || e.Kind != layer.Whiteout && e.Kind != layer.Opaque {
			return e, err
		}
	}
}
