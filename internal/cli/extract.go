package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mullion/mullion/internal/plaindir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

// extraction is the document of "extract --json".
type extraction struct {
	jsonWritten
	Paths []wtf8         `json:"paths"` // everything that was written, as in the image
	Lost  map[string]int `json:"lost"`  // what DIR cannot hold, by kind
}

func newExtractCommand(c *console) *cobra.Command {
	var flags contentFlags
	cmd := &cobra.Command{
		Use:   "extract IMAGE|LAYER PATH... DIR",
		Short: "Write files and directories of an image or a layer to disk",
		Long: `Write files and directories of an image as a container sees it, or of a single
layer, to the new directory DIR, each under its path in the image:
Files\hello becomes DIR/Files/hello. A directory is written with all that is
below it; PATH '\' is everything. DIR is written completely or not at all. Of a
single layer, whiteouts are left out, and with --layer a hard link to a file of
the layers below is written as that file.

Kept are content, names, write and access times, hard links between selected
files, and holes. Symbolic links and junctions become symbolic links that never
lead out of DIR: C:\ is the directory Files. A link that would lead out becomes
an empty file or directory. Registry hives are readable by their owner only.

On Linux and macOS, other metadata goes to extended attributes, if the file
system has them. The names are those of "mount" with user instead of system:
  user.ntfs_acl           security descriptor
  user.ntfs_attrib        attributes
  user.ntfs_times         creation, write, access and change time
  user.ntfs_ea            extended attributes of NTFS
  user.ntfs_reparse_data  of a reparse point that is not a symbolic link in DIR
  user.ntfs_object_id     object identifier
  user.NAME               the alternate data stream NAME, up to 64 KiB; ext4
                          without the feature ea_inode takes about 4 KB a file
What has no place is counted on standard error.

Names are compared as Windows compares them, and two that differ only in case
are an error. So is a name that the host cannot have.

` + referenceHelp,
		Example: `  mullion extract oci:layout:v1 Files/hello out
  mullion extract --layer 1 oci:layout:v1 '\' layer1
  mullion extract tar:base.tar.gz Files/Windows/System32/drivers out
  getfattr -d -m ntfs -e hex out/Files/hello/hello.txt`,
		Args: cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(args[0]); err != nil {
				return err
			}
			var paths []string
			for _, arg := range args[1 : len(args)-1] {
				path := insidePath(arg)
				if file, _, alternate := winfs.CutStream(path); alternate && len(file) > 1 {
					return hintf(usagef("%s: extract writes whole files", arg), "mullion cat prints a stream")
				}
				paths = append(paths, path)
			}
			return flags.extract(cmd.Context(), c, args[0], paths, args[len(args)-1])
		},
	}
	flags.add(cmd)
	c.addBytes(cmd)
	return cmd
}

func (f *contentFlags) extract(ctx context.Context, c *console, ref string, paths []string, dir string) (err error) {
	view, done, err := f.openSelectable(ctx, c, ref, paths, filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for _, path := range paths {
		if _, err := view.Lookup(path); err != nil {
			return notFound(path, err)
		}
	}
	src, err := view.Select(paths...)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := plaindir.CreateWith(dir, plaindir.CreateOptions{Attributes: true, Rooted: true})
	if err != nil {
		return about(dir, newFolderHint(err))
	}
	defer dst.Close()
	out := extraction{Paths: []wtf8{}, Lost: map[string]int{}}
	stats, err := c.copyLayer(ctx, dst, src, "extract",
		layer.WithDefects(func(e *layer.Entry) { c.warnf("%v", e.Defect) }),
		layer.WithFilter(func(e *layer.Entry) bool {
			if c.json {
				out.Paths = append(out.Paths, wtf8(e.Path))
			}
			return true
		}))
	if err == nil {
		err = dst.Commit()
	}
	if err != nil {
		return about(dir, err)
	}
	c.wroteLayer(dir, stats)
	lost := dst.Lost()
	if !c.json {
		if text := lost.String(); text != "" {
			c.warnf("%s cannot hold: %s", dir, text)
		}
		return nil
	}
	out.jsonWritten = *c.written
	for _, l := range []struct {
		name string
		n    int
	}{
		{"security", lost.Security}, {"attributes", lost.Attributes}, {"eas", lost.EAs}, {"streams", lost.Streams},
		{"reparse", lost.Reparse}, {"objectIDs", lost.ObjectIDs}, {"tooLarge", lost.NoRoom},
	} {
		if l.n > 0 {
			out.Lost[l.name] = l.n
		}
	}
	return c.printJSON(out)
}

// openSelectable opens the merged view of an image, or a view of the part of a single layer
// that the paths select. In that, whiteouts hide nothing and are left out, and a hard link
// to a file of the layers below is that file if they are at hand. What is selected of an image without an index is kept
// in a temporary file in dir until done is called.
func (f *contentFlags) openSelectable(ctx context.Context, c *console, ref string, paths []string, dir string) (*layer.View, func() error, error) {
	source, done, err := f.openLayer(ctx, c, ref)
	if err != nil {
		return nil, nil, err
	}
	if source == nil {
		img, err := f.openImage(ctx, c, ref)
		if err != nil {
			return nil, nil, err
		}
		view, done, err := img.UnionKeeping(ctx, dir, func(path string) bool { return selects(paths, path) })
		if err != nil {
			return nil, nil, errors.Join(imageHint(err), img.Close())
		}
		return view, func() error { return errors.Join(view.Close(), done(), img.Close()) }, nil
	}
	if l, ok := parseLayerRef(ref); ok && !l.reopens() {
		return nil, nil, errors.Join(usagef("%s: a layer is read twice, standard input only once", ref), done())
	}
	whiteouts := 0
	part := layer.SourceFunc(func() (layer.Reader, error) {
		r, err := source.Open()
		if err != nil {
			return nil, err
		}
		whiteouts = 0
		return &partReader{Reader: r, paths: paths, whiteouts: &whiteouts}, nil
	})
	sources := []layer.Source{part}
	view, err := layer.Union(ctx, sources, layer.WithUnionLimits(c.limits))
	if errors.Is(err, layer.ErrLinkTarget) && len(f.below) > 0 {
		var linked *layer.View
		if sources, linked, err = withLinked(ctx, part, f.below, c.limits); err == nil {
			release := done
			done = func() error { return errors.Join(linked.Close(), release()) }
			view, err = layer.Union(ctx, sources, layer.WithUnionLimits(c.limits))
		}
	}
	if err != nil {
		var where *layer.Error
		if errors.Is(err, layer.ErrLinkTarget) && errors.As(err, &where) {
			err = hintf(fmt.Errorf("%s: %w", where.Entry, where.Err), "name the image instead of the layer")
		}
		return nil, nil, errors.Join(err, done())
	}
	if whiteouts > 0 {
		c.warnf("whiteouts of the layer that are left out: %d", whiteouts)
	}
	return view, func() error { return errors.Join(view.Close(), done()) }, nil
}

// partReader leaves out whiteouts, and links that are not selected: their targets may be in
// other layers.
type partReader struct {
	layer.Reader
	paths     []string
	whiteouts *int
}

func (r *partReader) Next() (*layer.Entry, error) {
	for {
		e, err := r.Reader.Next()
		if err != nil {
			return nil, err
		}
		switch e.Kind {
		case layer.Whiteout, layer.Opaque:
			if r.selects(e.Path) {
				*r.whiteouts++
			}
			continue
		case layer.Link:
			if !r.selects(e.Path) {
				continue
			}
		}
		return e, nil
	}
}

func (r *partReader) selects(path string) bool { return selects(r.paths, path) }

// selects reports whether a path is one of those or below one.
func selects(paths []string, path string) bool {
	for _, p := range paths {
		if p == "" || winfs.EqualFold(path, p) || winfs.Under(path, p) {
			return true
		}
	}
	return false
}
