package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
)

// Tree answers questions about single names of the merged tree, as a layer.View does. It is
// used by one goroutine at a time.
type Tree interface {
	Lookup(path string) (*layer.Item, error)
	Children(path string) iter.Seq2[*layer.Item, error]
	Walk(path string) iter.Seq2[*layer.Item, error]
	Open(path string) (layer.Reader, error)
	Close() error
}

var (
	_ Tree = (*layer.View)(nil)
	_ Tree = (*layerindex.Tree)(nil)
)

// Tree returns the tree of a container for questions about single names. With a cache the
// layers are merged once, as by Union, and the names kept; after that they are looked up, and
// of the indexes of the layers only the entries are decoded that are asked for. The caller
// closes the tree before the image.
func (i *Image) Tree(ctx context.Context) (Tree, error) {
	t, v, err := i.namesOrView(ctx, ctx, i.Sources(ctx))
	if err != nil {
		return nil, err
	}
	if t != nil {
		return t, nil
	}
	return v, nil
}

// namesOrView returns the names in the cache, which serve until the context serve is done, or
// else a view of the layers in reading that is made now and whose names are put into the cache.
func (i *Image) namesOrView(ctx, serve context.Context, reading []layer.Source) (*layerindex.Tree, *layer.View, error) {
	t, err := i.keptTree(serve)
	if err != nil {
		i.dropTree(err)
	}
	if t != nil {
		return t, nil, nil
	}
	v, err := layer.Union(ctx, reading, layer.WithUnionLimits(i.opts.limits))
	if err != nil {
		return nil, nil, err
	}
	i.keepTree(ctx, v)
	return nil, v, nil
}

// dropTree removes names that cannot be used from the cache.
func (i *Image) dropTree(err error) {
	i.opts.cache.note(fmt.Errorf("the names in the cache are not used: %w", err))
	if err := i.opts.cache.dir.Remove(i.treeName()); err != nil {
		i.opts.cache.note(err)
	}
}

// treeName is the name of the names of an image in a cache: that of its topmost layer together
// with those below.
func (i *Image) treeName() string {
	_, digits, _ := strings.Cut(i.treeChain(), ":")
	return fmt.Sprintf("%.64s-names1.answer", digits)
}

func (i *Image) treeChain() string { return string(i.layers[len(i.layers)-1].ChainID) }

// entrySources returns the layers as their indexes have them, nil if one has no index.
func (i *Image) entrySources(ctx context.Context) []layer.EntrySource {
	var sources []layer.EntrySource
	for _, l := range i.layers {
		s := (&layerSource{l, ctx}).Indexed()
		if s == nil {
			return nil
		}
		sources = append(sources, s)
	}
	return sources
}

// keptTree returns the tree in the cache, nil if there is none for the limits of the image.
func (i *Image) keptTree(ctx context.Context) (_ *layerindex.Tree, err error) {
	c := i.opts.cache
	if c == nil || len(i.layers) == 0 {
		return nil, nil
	}
	f, err := c.dir.Get(i.treeName())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	sources := i.entrySources(ctx)
	if sources == nil {
		return nil, nil
	}
	t, err := layerindex.OpenTree(f, info.Size(), i.treeChain(), sources)
	if err != nil || !t.Within(i.opts.limits) {
		return nil, err
	}
	return t, nil
}

// keepTree puts the names of a view into the cache, if all layers have an index: then the
// layers are known to be those that the chain ID names.
func (i *Image) keepTree(ctx context.Context, v *layer.View) {
	c := i.opts.cache
	if c == nil || len(i.layers) == 0 {
		return
	}
	sources := i.entrySources(ctx)
	if sources == nil {
		return
	}
	err := c.dir.Put(i.treeName(), func(w io.Writer) error { return layerindex.EncodeTree(w, v, i.treeChain(), sources) })
	if err != nil {
		c.note(fmt.Errorf("the names are not kept: %w", err))
	}
}
