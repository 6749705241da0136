package image

import (
	"context"
	"errors"
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/wintar"
)

// Open returns a reader of the layer's entries. Next reports io.EOF only if digest, size
// and diff ID are verified, so a writer that commits at io.EOF has verified content. With a
// cache, reading to the end leaves an index. Several processors decompress a local blob that
// has one; what is stored is then compared with the hashes that were made of the blob when
// its digest was verified. The caller closes the reader.
func (l *Layer) Open(ctx context.Context) (layer.Reader, error) {
	return l.read(ctx, l.img.opts.cache != nil)
}

// read opens the layer's blob; with record, reading it to the end leaves an index.
func (l *Layer) read(ctx context.Context, record bool) (layer.Reader, error) {
	x := l.index()
	switch {
	case x != nil && l.local():
		return l.readIndexed(ctx, x)
	case !record || x != nil:
		r, err := l.Tar(ctx)
		if err != nil {
			return nil, err
		}
		return wintar.NewBlobReader(r, l.tarOptions()...), nil
	}
	r, err := l.tar(ctx, blob.WithMap(0))
	if err != nil {
		return nil, err
	}
	return layerindex.Record(wintar.NewBlobReader(r, l.tarOptions()...), l.keep), nil
}

// local reports whether the blob can be opened at several places at once at no cost.
func (l *Layer) local() bool {
	src, ok := l.img.src.Source.(LocalSource)
	return ok && src.Local(l.Descriptor)
}

// readIndexed reads a blob that has an index: several parts of it are decompressed at a
// time. What is stored is compared with the hashes in the index, and the tar with the diff
// ID.
func (l *Layer) readIndexed(ctx context.Context, x *layerindex.Index) (layer.Reader, error) {
	parts := &localRanges{l: l, add: func(int64) {}, done: func() {}}
	if begin := l.img.opts.progress; begin != nil {
		parts.add, parts.done = begin(l)
	}
	tar, err := x.Map().NewParallelReader(ctx, parts, 0, -1)
	if err != nil {
		parts.done()
		return nil, l.nameError(err)
	}
	// The diff ID is that of the image, whatever the index says.
	plain, err := l.name(blob.NewReader(ctx, tar, blob.Stored(), blob.WithCloser(tar), blob.WithDigest(l.DiffID, x.PlainSize())))
	if err != nil {
		parts.done()
		return nil, err
	}
	src := &indexedTar{plain, x, l}
	return &indexedReader{wintar.NewReader(src, l.tarOptions()...), src, parts.done}, nil
}

// localRanges are those of a local blob, whose progress is that of one reading.
type localRanges struct {
	l    *Layer
	add  func(int64)
	done func()
}

func (r *localRanges) OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	rc, err := r.l.img.src.Source.(RangeOpener).OpenRange(ctx, r.l.Descriptor, off, n)
	if err != nil {
		return nil, r.l.nameError(err)
	}
	return &tracked{rc, r.add, func() {}}, nil
}

// indexedTar is the tar of a layer that is read with the map in its index.
type indexedTar struct {
	io.ReadCloser
	x *layerindex.Index
	l *Layer
}

func (t *indexedTar) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if errors.Is(err, blob.ErrMap) {
		t.l.distrust(err) // the blob itself is as it was
	}
	return n, err
}

// StoredSize implements layer.Metered.
func (t *indexedTar) StoredSize() int64 { return t.x.StoredSize() }

// indexedReader closes the tar with its reader.
type indexedReader struct {
	*wintar.Reader
	tar  io.Closer
	done func() // ends the progress
}

func (r *indexedReader) Close() error {
	r.done()
	r.done = func() {}
	return errors.Join(r.Reader.Close(), r.tar.Close())
}

func (l *Layer) tarOptions() []wintar.Option {
	return []wintar.Option{wintar.Label(l.String()), wintar.WithLimits(l.img.opts.limits)}
}

// tarCheck is the tar of a layer for wintar.Check. If the layer has no index, the check
// leaves one.
type tarCheck struct {
	*blob.Reader
	l   *Layer
	obs *layerindex.Observer // or nil
}

// tarCheck opens the tar; with record, an index is made that lives as long as the image, or
// in its cache.
func (l *Layer) tarCheck(ctx context.Context, record bool) (*tarCheck, error) {
	var opts []blob.ReaderOption
	c := &tarCheck{l: l}
	if record && l.index() == nil {
		opts, c.obs = append(opts, blob.WithMap(0)), layerindex.Observe()
	}
	var err error
	c.Reader, err = l.tar(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// options returns those that the check needs to leave an index.
func (c *tarCheck) options() []wintar.Option {
	if c.obs == nil {
		return nil
	}
	return []wintar.Option{wintar.Observe(c.obs)}
}

// Finish verifies the blob as that of a blob.Reader does, and keeps the index.
func (c *tarCheck) Finish() error {
	err := c.Reader.Finish()
	if err == nil && c.obs != nil {
		if x := c.obs.Index(c.Reader); x != nil {
			c.l.keep(x)
		}
		c.obs = nil
	}
	return err
}

// Indexed reports whether there is an index of the layer, so that questions about it do not
// read its blob to the end. The index is not read: if it turns out to be damaged, it is made
// again.
func (l *Layer) Indexed() bool {
	if l.origin != nil {
		return l.origin.Indexed()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.img.opts.cache
	if l.known != nil || l.looked || c == nil {
		return l.known != nil
	}
	f, err := c.dir.Get(l.indexName())
	if err != nil {
		return false // whoever uses the index notes the error
	}
	return f.Close() == nil
}

// Source returns the layer as a source that can be read more than once. The blob is read
// from its start until it was read to its end once, by this source, another of the image,
// or one that has left an index in the cache of the image. From then on entries come from
// the index, of the blob only the needed parts are read, and they are compared with hashes
// in the index; a reader of such a source reports io.EOF without having read the blob.
// Source is a layer.IndexedSource.
func (l *Layer) Source(ctx context.Context) layer.Source { return &layerSource{l, ctx} }

type layerSource struct {
	l   *Layer
	ctx context.Context
}

func (s *layerSource) Open() (layer.Reader, error) {
	if x := s.Indexed(); x != nil {
		return x.Open()
	}
	r, err := s.l.read(s.ctx, true)
	if err != nil {
		return nil, err
	}
	return layer.LimitReader(r, s.l.img.opts.limits), nil
}

func (s *layerSource) Indexed() layer.EntrySource {
	if x := s.l.index(); x != nil {
		limits := s.l.img.opts.limits
		return x.Source(s.ctx, &s.l.parts, s.l.String(), wintar.WithLimits(limits)).Limited(limits)
	}
	return nil
}

// Sources returns the layers as sources that can be read more than once, base first.
func (i *Image) Sources(ctx context.Context) []layer.Source {
	sources := make([]layer.Source, len(i.layers))
	for n, l := range i.layers {
		sources[n] = l.Source(ctx)
	}
	return sources
}

// Union merges the layers to the view of a container. The caller closes the view
// before the image.
func (i *Image) Union(ctx context.Context) (*layer.View, error) {
	return layer.Union(ctx, i.Sources(ctx), layer.WithUnionLimits(i.opts.limits))
}

// Hive returns a registry hive as a container sees it, the deltas of all layers merged. Every
// layer is read, the base as far as the hive; FindHives takes several hives in one reading.
// The error is hives.ErrNoBase if the base layer has no such hive. The caller closes the hive
// before the image, which until then keeps the hives of the layers in temporary files.
func (i *Image) Hive(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	found, err := FindHives(ctx, i.Sources(ctx), n)
	if err != nil {
		return nil, err
	}
	h, err := found.Open(ctx, n)
	if err != nil {
		return nil, errors.Join(err, found.Close())
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hives = append(i.hives, found)
	return h, nil
}
