package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/fusefs"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

func newMountCommand(c *console) *cobra.Command {
	var flags contentFlags
	var store string
	var allowOther bool
	cmd := &cobra.Command{
		Use:   "mount IMAGE|LAYER DIR",
		Short: "Mount an image or a layer as a read-only file system",
		Long: `Mount an image as a container sees it, or a single layer, read-only at the
directory DIR. The command runs until Ctrl-C or until DIR is unmounted. It
needs FUSE: Linux, or macOS with macFUSE.

An image is read once, which leaves an index in the cache ("mullion help
cache"); a second mount starts at once. Files are decompressed when they are
read, together with what lies near them, into temporary files without names,
and the registry hives are merged into Hives. Without a cache (--no-cache), or
with --store DIR, the image is unpacked to a store of CimFS images instead: a
temporary one, or a permanent one as "unpack" writes it. A cim: layer is served
in place. A tar: or wclayer: layer is copied to a temporary file. A layer that
is not a base shows the files it adds, without whiteouts; with --parent, which
names the layers below it, the merged tree is shown.

The file system maps Windows metadata as follows:
  names               case-insensitive, case-preserving
  links               symbolic links and junctions resolve as in the container
                      and never lead outside the mount
  system.ntfs_acl     security descriptor; further extended attributes have the
                      names that ntfs-3g uses: system.ntfs_attrib,
                      system.ntfs_times, system.ntfs_crtime,
                      system.ntfs_reparse_data, system.ntfs_ea
  user.NAME           alternate data stream, up to 64 KiB
  stat                size, last write, access and change time, link count; all
                      names of a file have the same inode number
  mode                the access that the security descriptor grants everyone;
                      registry hives are accessible by their owner only

Only the user who mounts can access the files. --allow-other lets other users
access them as the modes allow; unless that user is root, /etc/fuse.conf must
contain user_allow_other.

` + referenceHelp,
		Example: `  mullion mount oci-archive:hello.tar /mnt
  mullion mount --store layers docker://registry/app:1 /mnt
  mullion mount --parent tar:base.tar.gz tar:app.tar.gz /mnt
  getfattr -e hex -n system.ntfs_acl /mnt/Files/Windows`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(args[0]); err != nil {
				return err
			}
			if err := checkMountPoint(args[1]); err != nil {
				return err
			}
			tree, done, err := flags.openMountable(cmd.Context(), c, args[0], store)
			if err != nil {
				return err
			}
			return errors.Join(c.serveTree(cmd.Context(), tree, args[0], args[1], allowOther), done())
		},
	}
	flags.add(cmd)
	flags.options.addParents(cmd)
	cmd.Flags().BoolVar(&allowOther, "allow-other", false, "let other users access files as the modes allow")
	cmd.Flags().StringVar(&store, "store", "", "keep the unpacked layers of an image in the store `DIR`")
	return cmd
}

// checkMountPoint checks the mount point before an image is unpacked.
func checkMountPoint(dir string) error {
	if !fusefs.Supported {
		return hintf(fusefs.ErrUnsupported, "use unpack to write the files of an image, or ls and cat to read them")
	}
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return about(dir, hintf(plain(err), "the directory must exist"))
	case err != nil:
		return about(dir, plain(err))
	case !st.IsDir():
		return about(dir, hintf(errors.New("not a directory"), "name an empty directory"))
	}
	return nil
}

// serveTree mounts and waits until the tree has been unmounted.
func (c *console) serveTree(ctx context.Context, tree fusefs.Tree, name, dir string, allowOther bool) error {
	s, err := fusefs.Mount(dir, tree, &fusefs.Options{
		Name: name, AllowOther: allowOther, Log: slog.New(slog.NewTextHandler(c.err, nil)),
	})
	if err != nil {
		return about(dir, hintf(plain(err), "FUSE is needed: /dev/fuse, and fusermount3 unless root mounts"))
	}
	c.endProgress() // reading what is asked for shows none
	switch {
	case c.json:
		if err := c.printJSON(jsonWritten{Command: c.command, Source: wtf8(name), Output: wtf8(dir)}); err != nil {
			return errors.Join(err, s.Unmount())
		}
	case !c.quiet:
		fmt.Fprintf(c.err, "%s is mounted at %s; Ctrl-C unmounts it\n", visible(name), visible(dir))
	}
	served := make(chan struct{})
	go func() { s.Wait(); close(served) }()
	select {
	case <-served:
		return nil
	case <-ctx.Done():
	}
	// While programs use the file system, unmounting fails and is tried again. A second
	// Ctrl-C detaches it: further access to open files fails.
	first, again := time.Now(), make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	for warned := false; ; warned = true {
		err := s.Unmount()
		if err != nil && !warned {
			c.printWarning(fmt.Errorf("%s is in use: it is unmounted when nothing uses it any more, or at once after another Ctrl-C", dir))
		}
		select {
		case <-served:
			return nil
		case <-again:
			// A signal that is sent twice, as by timeout(1), is no second Ctrl-C.
			if time.Since(first) < sameSignal {
				continue
			}
			return about(dir, s.Detach())
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// sameSignal is the time within which another signal is the first one once more.
const sameSignal = 300 * time.Millisecond

// openMountable opens an image or a layer as a tree. The tree stays readable after ctx
// is done, until it is unmounted. The returned function releases it.
func (f *contentFlags) openMountable(ctx context.Context, c *console, text, store string) (fusefs.Tree, func() error, error) {
	ref, isLayer := parseLayerRef(text)
	single := isLayer || f.layer >= 0
	switch {
	case store != "" && single:
		return nil, nil, usagef("--store is for whole images, not for one layer")
	case isLayer && ref.format == cimFormat && c.limits != layer.Limits{}:
		return nil, nil, usagef("--limit has no effect on %s, which is served in place", text)
	case isLayer && ref.format == cimFormat:
		im, err := holdCIM(ref.text)
		if err != nil {
			return nil, nil, err
		}
		return fusefs.CimTree(im), im.Close, nil
	case single:
		return f.spoolLayer(ctx, c, text)
	}
	return f.storeImage(ctx, c, text, store)
}

// spoolLayer copies a layer, merged with the layers below it if --parent names them, to
// a temporary file.
func (f *contentFlags) spoolLayer(ctx context.Context, c *console, text string) (_ fusefs.Tree, _ func() error, err error) {
	source, done, err := f.openLayer(ctx, c, text)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if len(f.options.parents) > 0 {
		ref, _ := parseLayerRef(text)
		sources, err := ref.chain(ctx, c, &f.options)
		if err != nil {
			return nil, nil, err
		}
		view, err := layer.Union(ctx, sources, layer.WithUnionLimits(c.limits))
		if err != nil {
			return nil, nil, err
		}
		defer func() { err = errors.Join(err, view.Close()) }()
		source = view.Source()
	}
	r, err := source.Open()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	s, err := fusefs.NewSpool("")
	if err != nil {
		return nil, nil, err
	}
	// Metadata that cannot be parsed is skipped with a warning.
	defects := layer.WithDefects(func(e *layer.Entry) { c.warnf("%v", e.Defect) })
	if _, err = layer.Copy(ctx, s, r, layer.WithLimits(c.limits), defects); err == nil {
		err = s.Commit()
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	if n := s.Missing(); n > 0 {
		c.warnf("%d hard links lead to files of layers below and are missing; --parent names those layers", n)
	}
	return s, s.Close, nil
}

// storeImage opens an image as its index has it. Without a cache, or if dir is not empty, it
// unpacks the image to a store and opens the topmost layer, which contains the merged tree. A
// temporary store is removed before the function returns, while the tree
// keeps its files open, so that a killed process leaves no files behind.
func (f *contentFlags) storeImage(ctx context.Context, c *console, text, dir string) (_ fusefs.Tree, _ func() error, err error) {
	img, err := f.image.open(ctx, c, text, c.layerProgress())
	if err != nil {
		return nil, nil, err
	}
	served := false
	defer func() {
		if !served {
			err = errors.Join(err, img.Close())
		}
	}()
	if len(img.Layers()) == 0 {
		return nil, nil, errors.New("the image has no layers")
	}
	if dir == "" {
		files, err := img.Files(ctx)
		if err != nil {
			return nil, nil, damagedHint(imageHint(err))
		}
		if files != nil {
			served = true
			return files, func() error { return errors.Join(files.Close(), img.Close()) }, nil
		}
	}
	if dir != "" {
		layers, err := unpackToStore(ctx, img, dir)
		if errors.Is(err, cimlayer.ErrNoHive) {
			err = hintf(err, "fill the store with unpack --hives create, or leave --store away")
		}
		if err != nil {
			return nil, nil, err
		}
		im, err := holdCIM(topImage(dir, layers))
		if err != nil {
			return nil, nil, err
		}
		return fusefs.CimTree(im), im.Close, nil
	}
	if dir, err = os.MkdirTemp("", "mullion-mount-"); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	layers, err := unpackToStore(ctx, img, dir, cimlayer.WithMissingHives(cimlayer.LeaveMissing))
	if err != nil {
		return nil, nil, err
	}
	im, err := cimlayer.OpenDetached(filepath.Split(topImage(dir, layers)))
	if err != nil {
		return nil, nil, err
	}
	return fusefs.CimTree(im.Image), im.Close, nil
}

// holdCIM opens an image whose path the mount may hide, because DIR can be one of its
// parent directories. The directory is opened here, and files are opened through it
// later.
func holdCIM(path string) (*cimfs.Image, error) {
	dir, name := splitFile(path)
	im, err := cimfs.Open(dir, name)
	return im, cimError(path, err)
}

// topImage returns the image file of the topmost layer, which contains the merged tree.
func topImage(dir string, layers []image.StoredLayer) string {
	return filepath.Join(dir, filepath.FromSlash(layers[len(layers)-1].Image))
}
