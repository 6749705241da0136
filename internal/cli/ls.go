package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

// contentFlags select the content of an image or a layer.
type contentFlags struct {
	image   imageFlags
	options layerOptions
	layer   int

	digests []string       // of the layers of the image that was opened last
	below   []layer.Source // layers under the one that openLayer has opened in an image
}

// layerAt returns a layer of the image that was opened last, for JSON; nil if n is -1, as of
// a directory that no layer mentions.
func (f *contentFlags) layerAt(n int) *jsonLayer {
	if n < 0 {
		return nil
	}
	out := &jsonLayer{Index: n}
	if n < len(f.digests) {
		out.Digest = f.digests[n]
	}
	return out
}

// openImage opens an image and records the digests of its layers.
func (f *contentFlags) openImage(ctx context.Context, c *console, text string) (*image.Image, error) {
	img, err := f.image.open(ctx, c, text)
	if err != nil {
		return nil, err
	}
	f.digests = nil
	for _, l := range img.Layers() {
		f.digests = append(f.digests, string(l.Descriptor.Digest))
	}
	return img, nil
}

func (f *contentFlags) add(cmd *cobra.Command) {
	f.image.add(cmd)
	cmd.Flags().IntVar(&f.layer, "layer", -1, "use only layer `N` of an image, counted from 0 for the base; -1 uses all layers")
}

// check rejects flags that have no effect on any of the references.
func (f *contentFlags) check(refs ...string) error {
	layers := 0
	for _, ref := range refs {
		if _, ok := parseLayerRef(ref); ok {
			layers++
		}
	}
	switch flag := f.image.given(); {
	case f.layer < -1:
		return usagef("--layer %d: layers are counted from 0", f.layer)
	case f.layer >= 0 && layers == len(refs):
		return usagef("--layer is for images, %s is a layer", refs[0])
	case flag != "" && layers == len(refs):
		return usagef("--%s is for images, %s is a layer", flag, refs[0])
	case len(f.options.parents) > 0 && layers == 0:
		return usagef("--parent is for layers, %s is an image", refs[0])
	case f.options.base && layers == 0:
		return usagef("--base is for layers, %s is an image", refs[0])
	}
	return nil
}

// openLayer opens a single layer: a layer reference, or the layer of an image that
// --layer selects. Otherwise it returns a nil source, and the caller uses the merged
// view. The returned function releases the layer.
func (f *contentFlags) openLayer(ctx context.Context, c *console, text string) (layer.Source, func() error, error) {
	f.options.limits = c.limits
	if ref, ok := parseLayerRef(text); ok {
		return ref.source(ctx, c, &f.options), func() error { return nil }, nil
	}
	if f.layer < 0 {
		return nil, nil, nil
	}
	img, err := f.openImage(ctx, c, text)
	if err != nil {
		return nil, nil, err
	}
	if f.layer >= len(img.Layers()) {
		img.Close()
		return nil, nil, usagef("--layer %d: the image has %d layers, from 0", f.layer, len(img.Layers()))
	}
	sources := img.Sources(ctx)
	f.below = sources[:f.layer]
	return sources[f.layer], img.Close, nil
}

// openTree opens the merged tree of an image for questions about single names. The returned
// function closes both.
func (f *contentFlags) openTree(ctx context.Context, c *console, text string) (image.Tree, func() error, error) {
	img, err := f.openImage(ctx, c, text)
	if err != nil {
		return nil, nil, err
	}
	tree, err := img.Tree(ctx)
	if err != nil {
		img.Close()
		return nil, nil, imageHint(err)
	}
	return tree, func() error { return errors.Join(tree.Close(), img.Close()) }, nil
}

// lister prints a listing.
type lister struct {
	c               *console
	flags           *contentFlags
	path            string // directory or file to list, "" is the root
	long, recursive bool
	rows            rows
}

func newLsCommand(c *console) *cobra.Command {
	var flags contentFlags
	l := lister{c: c, flags: &flags}
	cmd := &cobra.Command{
		Use:   "ls IMAGE|LAYER [PATH]",
		Short: "List the files of an image or a layer",
		Long: `List a directory of an image as a container sees it, or of a single layer with
its whiteouts. -l adds attributes, kind, size, creation and write time, and
owner, and on a narrow terminal attributes, kind, size and write time; --json
prints all metadata, one object per line. The kinds are f (file), d
(directory), h (hard link), w (whiteout) and o (opaque whiteout).

` + referenceHelp,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(args[0]); err != nil {
				return err
			}
			if len(args) > 1 {
				l.path = insidePath(args[1])
			}
			source, done, err := flags.openLayer(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if source != nil {
				return errors.Join(l.layer(cmd.Context(), source), done())
			}
			tree, done, err := flags.openTree(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return errors.Join(l.tree(tree), done())
		},
	}
	cmd.Flags().BoolVarP(&l.long, "long", "l", false, "print attributes, kind, size, times and owner")
	cmd.Flags().BoolVarP(&l.recursive, "recursive", "R", false, "list subdirectories recursively")
	c.addBytes(cmd)
	flags.add(cmd)
	return cmd
}

// tree lists from the merged tree.
func (l *lister) tree(t image.Tree) error {
	it, err := t.Lookup(l.path)
	if err != nil {
		return notFound(l.path, err)
	}
	if it.Kind != layer.Dir {
		return l.item(it)
	}
	items := t.Children(l.path)
	if l.recursive {
		items = t.Walk(l.path)
	}
	for it, err := range items {
		if err != nil {
			return err
		}
		if err := l.item(it); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) item(it *layer.Item) error {
	r := l.rows.of(&it.Entry)
	r.Layer, r.Links = l.flags.layerAt(it.Layer), it.Links
	return l.c.printRow(r, l.long, l.name(it.Path))
}

// name returns the last element of a path, or the whole path with -R.
func (l *lister) name(path string) string {
	if l.recursive {
		return path
	}
	_, base := winfs.SplitPath(path)
	return base
}

// layer lists a single layer in the order in which it is stored.
func (l *lister) layer(ctx context.Context, source layer.Source) error {
	r, err := source.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	found := l.path == ""
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		at := winfs.EqualFold(e.Path, l.path)
		below := l.path == "" || winfs.Under(e.Path, l.path)
		found = found || at || below
		if parent, _ := winfs.SplitPath(e.Path); !l.recursive && below && !winfs.EqualFold(parent, l.path) {
			continue
		}
		if !below && (!at || e.Kind == layer.Dir || e.Kind == layer.Opaque) {
			continue
		}
		if err := l.entry(r, e); err != nil {
			return err
		}
	}
	if !found {
		return notFound(l.path, fs.ErrNotExist)
	}
	return nil
}

func (l *lister) entry(r layer.Reader, e *layer.Entry) error {
	row := l.rows.of(e)
	if l.flags.layer >= 0 {
		row.Layer = l.flags.layerAt(l.flags.layer)
	}
	if l.c.json {
		for {
			s, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			if s.Name != "" {
				row.Streams = append(row.Streams, jsonStream{Name: wtf8(s.Name), Size: s.Size})
			}
		}
	}
	return l.c.printRow(row, l.long, l.name(e.Path))
}

// notFound adds the path, and advice for the path of a container, to an fs.ErrNotExist
// error.
func notFound(path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var where *layer.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	return containerHint(path, fmt.Errorf("%s: %w", path, err))
}

// containerHint adds advice to an error about a path that begins with a drive letter or
// with no directory that a layer has at its root: a container's path, probably.
func containerHint(path string, err error) error {
	rest := path
	if drive, below, found := strings.Cut(path, ":"); found && len(drive) == 1 {
		rest = below
	} else if first, _, _ := strings.Cut(path, `\`); first == "" || slices.ContainsFunc(layerRoots, func(root string) bool {
		return winfs.EqualFold(root, first)
	}) {
		return err
	}
	return hintf(err, `a container's C:\ is the directory Files: %s`, strings.TrimSuffix(`Files\`+insidePath(rest), `\`))
}

// layerRoots are the names that a layer can have at its root.
var layerRoots = []string{"Files", "Hives", "UtilityVM"}
