package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

// cimFlags are the flags shared by the commands that write images.
type cimFlags struct {
	version int
	guid    string
	proven  bool
	noPE    bool
}

func (f *cimFlags) add(cmd *cobra.Command) {
	f.addNames(cmd, "3", "derived from the content")
	cmd.Flags().BoolVar(&f.proven, "proven-only", false, "reject features whose encoding is not confirmed by genuine images")
	cmd.Flags().BoolVar(&f.noPE, "no-pe", false, "store executables unchanged, without aligning their sections to pages")
}

// addNames adds the flags that "cim rewrite" has too. version and guid describe the
// defaults.
func (f *cimFlags) addNames(cmd *cobra.Command, version, guid string) {
	cmd.Flags().IntVar(&f.version, "cim-version", 0, "`FORMAT` to write: 3, or 1 for Windows 10 (default "+version+")")
	cmd.Flags().StringVar(&f.guid, "guid", "", "`GUID` of the region files (default "+guid+")")
}

// options converts the flags to options. Invalid values are usage errors.
func (f *cimFlags) options() (*cimfs.Options, error) {
	o := &cimfs.Options{ProvenOnly: f.proven, PlainExecutables: f.noPE}
	switch f.version {
	case 0, 1, 3:
		o.Version = cimfs.Version(f.version)
	case 2:
		return nil, usagef("--cim-version 2: no image of format 2 has ever been seen, and drivers read its records wrongly; write 1 or 3")
	default:
		return nil, usagef("--cim-version %d: write 1 or 3", f.version)
	}
	if f.guid != "" {
		g, err := winfs.ParseGUID(f.guid)
		if err != nil {
			return nil, usagef("--guid: %v", err)
		}
		o.GUID = g
	}
	return o, nil
}

func newCIMCreateCommand(c *console) *cobra.Command {
	var flags cimFlags
	cmd := &cobra.Command{
		Use:   "create SRC OUT.cim",
		Short: "Create an image from a layer or a plain directory",
		Long: `Create a CimFS image from SRC, which is a layer (tar:FILE, wclayer:DIR,
cim:FILE.cim) or a plain directory. Files of a plain directory get default
security descriptors and keep their modification times.

A file that an image cannot represent is an error. Metadata of minor importance
is dropped with a warning on standard error.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			thrifty()
			opts, err := flags.options()
			if err != nil {
				return err
			}
			src, err := c.openTree(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer src.Close()
			err = c.writeCIM(cmd.Context(), src, args[1], "", opts)
			if errors.Is(err, layer.ErrWhiteout) {
				err = hintf(err, "a layer with whiteouts needs a parent image: mullion cim fork PARENT.cim %s OUT.cim", args[0])
			}
			return about(args[1], err)
		},
	}
	flags.add(cmd)
	return cmd
}

func newCIMForkCommand(c *console) *cobra.Command {
	var flags cimFlags
	cmd := &cobra.Command{
		Use:   "fork PARENT.cim LAYER OUT.cim",
		Short: "Create an image that adds a layer to a parent image",
		Long: `Create an image that shows the tree of the parent with the changes of LAYER:
files that the layer contains are added or replaced, files that it hides are
removed. Only the changes take space. The parent's files must stay in place.

The encoding of forks is inferred: no genuine fork is public.`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := flags.options()
			if err != nil {
				return err
			}
			dir, name := splitFile(args[0])
			if out, _ := splitFile(args[2]); !sameDir(dir, out) {
				return usagef("%s: a fork lies in the directory of its parent, %s", args[2], dir)
			}
			src, err := c.openTree(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			defer src.Close()
			return about(args[2], c.writeCIM(cmd.Context(), src, args[2], name, opts))
		},
	}
	flags.add(cmd)
	return cmd
}

func sameDir(a, b string) bool {
	x, err := filepath.Abs(a)
	y, err2 := filepath.Abs(b)
	return err == nil && err2 == nil && x == y
}

// writeCIM copies a layer into a new image, which is a fork if parent is not empty.
func (c *console) writeCIM(ctx context.Context, src layer.Reader, out, parent string, opts *cimfs.Options) error {
	dst, err := c.createCIM(out, parent, opts)
	if err != nil {
		return err
	}
	defer dst.Close()
	if im, ok := src.(interface {
		Root() (*layer.Entry, error)
	}); ok && parent == "" {
		root, err := im.Root()
		if err != nil {
			return err
		}
		if root.Times != (winfs.Times{}) || root.Security != nil || root.EAs != nil || root.Reparse != nil {
			if err := dst.SetRoot(root); err != nil {
				return err
			}
		}
	}
	stats, err := c.copyLayer(ctx, dst, src, filepath.Base(out))
	if err == nil {
		err = dst.Commit()
	}
	if err == nil {
		c.wroteLayer(out, stats)
	}
	return err
}

// cimWriter is an image writer that also releases the parent image.
type cimWriter struct {
	*cimlayer.ImageWriter
	parent *cimfs.Image
}

func (w *cimWriter) Close() error {
	err := w.ImageWriter.Close()
	if w.parent != nil {
		err = errors.Join(err, w.parent.Close())
	}
	return err
}

// createCIM creates the image at path out, as a fork if parent is not empty.
func (c *console) createCIM(out, parent string, opts *cimfs.Options) (*cimWriter, error) {
	dir, name := splitFile(out)
	var up *cimfs.Image
	if parent != "" {
		var err error
		if up, err = cimfs.Open(dir, parent); err != nil {
			return nil, cimError(parent, err)
		}
	}
	opts.Parent = parent
	if opts.DefaultSecurity == nil && !opts.ProvenOnly {
		opts.DefaultSecurity = cimfs.NullDACL()
	}
	w, err := cimfs.Create(dir, name, opts)
	if err != nil {
		if up != nil {
			up.Close()
		}
		if errors.Is(err, fs.ErrExist) {
			err = hintf(err, "an image is never replaced; choose another name")
		}
		return nil, err
	}
	return &cimWriter{cimlayer.NewImageWriter(w, up, cimlayer.ImageOptions{Name: name,
		Lossy: func(path, what string) { c.warnf("%s: the %s is left out", path, what) }}), up}, nil
}

func newCIMRewriteCommand(c *console) *cobra.Command {
	var flags cimFlags
	cmd := &cobra.Command{
		Use:   "rewrite IN.cim OUT.cim",
		Short: "Decode an image and encode it again",
		Long: `Decode an image and encode it again. Data that no file uses is dropped, and a
fork becomes an image without a parent. File IDs, the version and the GUID are
kept unless flags change them, so a genuine image produces the same region
files.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := flags.options()
			if err != nil {
				return err
			}
			bar := c.progress("read", 0)
			defer bar.done()
			im, err := openCIM(cmd.Context(), args[0], bar)
			if err != nil {
				return err
			}
			defer im.Close()
			dir, name := splitFile(args[1])
			err = cimfs.Rewrite(cmd.Context(), dir, name, im, opts)
			if errors.Is(err, fs.ErrExist) {
				err = hintf(err, "an image is never replaced; its files are named by GUID: use --guid or another directory")
			}
			if err != nil {
				return about(args[1], err)
			}
			size, err := sizeOfCIM(dir, name)
			if err != nil {
				return about(args[1], err)
			}
			c.wroteFile(args[1])
			c.summary("%s: %s, %s", args[1], counted(int(im.NumFiles()), "record"), c.size(size))
			return nil
		},
	}
	flags.addNames(cmd, "that of IN.cim", "that of IN.cim, so that OUT.cim needs another directory")
	return cmd
}

// sizeOfCIM returns the size of an image with its region files.
func sizeOfCIM(dir, name string) (size int64, err error) {
	im, err := cimfs.Open(dir, name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, im.Close()) }()
	regions, err := im.OwnRegions()
	for _, r := range regions {
		size += r.Size
	}
	return size, err
}

func newCIMExtractCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "extract IMAGE.cim DST",
		Short: "Write the tree of an image as a layer or a plain directory",
		Long: `Write the tree of an image to DST, which is a layer (tar:FILE, wclayer:DIR,
cim:FILE.cim) or a new plain directory. A plain directory keeps names, content,
modification times, hard links, and symbolic links that stay inside it;
anything else is counted on standard error. A layer of an image that "unpack"
has made is one base layer, as "convert" writes it.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			im, err := openCIM(cmd.Context(), args[0], nil)
			if err != nil {
				return err
			}
			defer im.Close()
			dst, err := c.createTree(cmd.Context(), args[1])
			if err != nil {
				return newTargetHint(err)
			}
			defer dst.Close()
			src := layer.Reader(cimlayer.NewImageReader(im))
			if _, ok := parseLayerRef(args[1]); ok {
				if src, err = asLayer(&cimReader{cimlayer.NewImageReader(im), im}); err != nil {
					return about(args[0], err)
				}
			}
			stats, err := c.copyLayer(cmd.Context(), dst, src, filepath.Base(args[0]))
			if err != nil {
				return err
			}
			if err := dst.Commit(); err != nil {
				return about(args[1], newTargetHint(err))
			}
			c.warnLost(dst)
			c.wroteLayer(args[1], stats)
			return nil
		},
	}
}
