package cli

import (
	"context"
	"errors"
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
)

// tarFormat is tar:FILE and tar:-, plain or compressed.
var tarFormat = &layerFormat{scheme: "tar", flags: []string{"compress"}, open: openTar, create: createTar, check: checkTar}

// openTarBlob opens a file or standard input and recognises its compression.
func openTarBlob(ctx context.Context, c *console, name string, o *layerOptions) (*blob.Reader, error) {
	opts := []blob.ReaderOption{blob.WithLimits(o.limits)}
	if name == "-" {
		return blob.NewReader(ctx, c.count(c.in), opts...)
	}
	f, err := openfile.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	b := c.progress("read", info.Size())
	return blob.NewReader(ctx, c.count(b.read(f)), append(opts, blob.WithCloser(closers(func() error { b.done(); return f.Close() })))...)
}

// closers is a function as an io.Closer.
type closers func() error

func (f closers) Close() error { return f() }

func openTar(ctx context.Context, c *console, name string, o *layerOptions) (layer.Reader, error) {
	b, err := openTarBlob(ctx, c, name, o)
	if err != nil {
		return nil, err
	}
	return &archiveWarning{wintar.NewBlobReader(b, wintar.Label(name), wintar.WithLimits(o.limits)), c, name}, nil
}

// archiveWarning says so when what is read as a layer is an image with its layers
// inside. It may be meant all the same.
type archiveWarning struct {
	layer.Reader
	c    *console // nil once it has spoken
	name string
}

func (r *archiveWarning) Next() (*layer.Entry, error) {
	e, err := r.Reader.Next()
	if err == nil && r.c != nil && (e.Path == "oci-layout" || e.Path == "manifest.json") {
		what := "oci-archive:" + r.name
		if e.Path == "manifest.json" {
			what = "docker-archive:" + r.name
		}
		if r.name == "-" {
			what = "which is read from a file"
		}
		r.c.warnf("tar:%s is an image, %s, and is taken for a layer", r.name, what)
		r.c = nil
	}
	return e, err
}

// NextExtent implements layer.ExtentReader as the reader of tars does.
func (r *archiveWarning) NextExtent() (layer.Extent, error) {
	return r.Reader.(layer.ExtentReader).NextExtent()
}

// StoredSize implements layer.Metered as the reader of tars does.
func (r *archiveWarning) StoredSize() int64 { return r.Reader.(layer.Metered).StoredSize() }

func checkTar(ctx context.Context, c *console, name string, o *layerOptions, report func(layer.Finding)) (err error) {
	b, err := openTarBlob(ctx, c, name, o)
	if err != nil {
		return err
	}
	defer b.Close()
	registry := image.NewHiveChecker(report)
	defer func() { err = errors.Join(err, registry.Close()) }()
	registry.Layer(name, o.base)
	opts := []wintar.Option{wintar.Label(name), wintar.Each(registry.Entry)}
	switch {
	case o.base:
		opts = append(opts, wintar.Base())
	case len(o.parents) > 0:
		opts = append(opts, wintar.HasParents())
	}
	for f := range wintar.Check(b, opts...) {
		report(f)
	}
	if err := b.Finish(); err != nil {
		if ctx.Err() != nil {
			return err
		}
		report(layer.Finding{Severity: layer.SevereError, Rule: ruleUnreadable, Layer: name, Offset: -1, Message: err.Error()})
		return nil
	}
	registry.Finish(ctx)
	return nil
}

// createTar writes a tar through a compressor to a new file, or to standard output.
func createTar(_ context.Context, c *console, name string, o *layerOptions) (layer.Writer, error) {
	format, err := o.format()
	if err != nil {
		return nil, err
	}
	w := &tarFile{}
	out := c.out
	if name != "-" {
		if w.file, err = publish.Create(name, publish.Options{Replace: o.force}); err != nil {
			return nil, existsHint(err)
		}
		out = w.file
	}
	if w.blob, err = blob.NewWriter(out, format); err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.Writer = wintar.NewWriter(w.blob)
	return w, nil
}

// tarFile is a tar writer together with the compressor and the file under it.
type tarFile struct {
	*wintar.Writer
	blob *blob.Writer
	file *publish.File // nil for standard output
}

func (w *tarFile) Commit() error {
	if err := w.Writer.Commit(); err != nil {
		return err
	}
	if err := w.blob.Close(); err != nil {
		return err
	}
	if w.file != nil {
		return existsHint(w.file.Commit())
	}
	return nil
}

func (w *tarFile) Close() error {
	return errors.Join(w.Writer.Close(), w.close())
}

func (w *tarFile) close() error {
	if w.blob != nil {
		w.blob.Close() // what it says was said by Commit, or does not matter any more
	}
	if w.file != nil {
		return w.file.Close()
	}
	return nil
}

var _ io.Closer = (*tarFile)(nil)
