package cli

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/ctxio"
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

// checkedTar is a layer tar that is checked.
type checkedTar struct {
	io.Reader
	finish func() error // tells at the end of a blob whether it was sound
	close  func() error
}

// openCheckedTar opens a file or standard input. A plain file is read directly: it has no sums
// to compare, reading it ahead costs more than it saves, and a check skips what it does not
// look at.
func openCheckedTar(ctx context.Context, c *console, name string, o *layerOptions) (*checkedTar, error) {
	if name != "-" {
		f, err := openfile.Stream(ctx, name)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && isPlain(f) {
			b := c.progress("read", info.Size())
			r := &skippingReader{ctxio.Reader(ctx, c.count(b.read(f))), f, b}
			return &checkedTar{r, func() error { return nil }, func() error { b.done(); return f.Close() }}, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	b, err := openTarBlob(ctx, c, name, o)
	if err != nil {
		return nil, err
	}
	return &checkedTar{b, b.Finish, b.Close}, nil
}

// isPlain reports whether a regular file is not compressed.
func isPlain(f *os.File) bool {
	head := make([]byte, blob.DetectLength)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return false
	}
	format, err := blob.Detect(head[:n])
	return err == nil && format == blob.Plain
}

// skippingReader reads a file of which parts are skipped, and moves the bar over them.
type skippingReader struct {
	io.Reader
	f *os.File
	b *bar
}

// Seek implements io.Seeker.
func (r *skippingReader) Seek(offset int64, whence int) (int64, error) {
	n, err := r.f.Seek(offset, whence)
	if err == nil && whence == io.SeekCurrent {
		r.b.add(offset)
	}
	return n, err
}

// closers adapts a function to io.Closer.
type closers func() error

func (f closers) Close() error { return f() }

func openTar(ctx context.Context, c *console, name string, o *layerOptions) (layer.Reader, error) {
	b, err := openTarBlob(ctx, c, name, o)
	if err != nil {
		return nil, err
	}
	return &archiveWarning{wintar.NewBlobReader(b, wintar.Label(name), wintar.WithLimits(o.limits)), c, name}, nil
}

// archiveWarning prints a warning if the tar read as a layer is an image archive. It is
// not an error, because a layer may contain such a file.
type archiveWarning struct {
	layer.Reader
	c    *console // nil after the warning was printed
	name string
}

func (r *archiveWarning) Next() (*layer.Entry, error) {
	e, err := r.Reader.Next()
	if err == nil && r.c != nil && (e.Path == "oci-layout" || e.Path == "manifest.json") {
		image := "oci-archive:" + r.name
		if e.Path == "manifest.json" {
			image = "docker-archive:" + r.name
		}
		if r.name == "-" {
			image = "which must be read from a file"
		}
		r.c.warnf("tar:%s is an image, %s, and is read as a layer", r.name, image)
		r.c = nil
	}
	return e, err
}

// NextExtent implements layer.ExtentReader.
func (r *archiveWarning) NextExtent() (layer.Extent, error) {
	return r.Reader.(layer.ExtentReader).NextExtent()
}

// StoredSize implements layer.Metered.
func (r *archiveWarning) StoredSize() int64 { return r.Reader.(layer.Metered).StoredSize() }

func checkTar(ctx context.Context, c *console, name string, o *layerOptions) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		stopped := false
		report := func(f finding.Finding) { stopped = stopped || !yield(f, nil) }
		if err := checkTarTo(ctx, c, name, o, report, &stopped); err != nil && !stopped {
			yield(finding.Finding{}, err)
		}
	}
}

func checkTarTo(ctx context.Context, c *console, name string, o *layerOptions, report func(finding.Finding), stopped *bool) (err error) {
	in, err := openCheckedTar(ctx, c, name, o)
	if err != nil {
		return err
	}
	defer in.close()
	registry := image.NewHiveChecker(report)
	defer func() { err = errors.Join(err, registry.Close()) }()
	registry.Layer(name, o.base)
	registry.Expect(o.platform.OSVersion)
	each := func(e *layer.Entry, data io.Reader, report func(finding.Finding)) {
		image.CheckMachine(e, data, o.platform.Architecture, report)
		registry.EntryTo(e, data, report)
	}
	opts := []wintar.Option{wintar.Label(name), wintar.Each(each), wintar.WithLimits(o.limits)}
	switch {
	case o.base:
		opts = append(opts, wintar.Base())
	case len(o.parents) > 0:
		opts = append(opts, wintar.HasParents())
		if o.below != nil {
			opts = append(opts, wintar.Below(o.below))
		}
	}
	for f, cerr := range wintar.Check(ctx, in.Reader, opts...) {
		if cerr != nil {
			// The blob failed in the middle; Finish has the reason.
			err = cerr
			break
		}
		if report(f); *stopped {
			return nil
		}
	}
	if ferr := in.finish(); ferr != nil {
		err = ferr
	}
	if err == nil {
		registry.Finish(ctx)
		return nil
	}
	f, ok := image.BlobFinding(err)
	if !ok || ctx.Err() != nil {
		return err
	}
	report(f.In(name))
	return nil
}

// createTar writes a tar through a compressor to a new file, or to standard output.
func createTar(_ context.Context, c *console, name string, o *layerOptions) (layer.Writer, error) {
	format, err := o.format(name)
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
		w.blob.Close() // Commit returns errors of the compressor; without Commit they have no effect
	}
	if w.file != nil {
		return w.file.Close()
	}
	return nil
}

var _ io.Closer = (*tarFile)(nil)
