package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// AddLayer writes the entries of r as a new layer tar, compressed as f says, and puts it on
// top. It reads r to its end and closes it. h is the entry for it in the history, nil for none.
func (a *Assembly) AddLayer(ctx context.Context, r layer.Reader, f blob.Format, h *ocispec.History) (_ *Layer, err error) {
	defer func() { err = errors.Join(err, r.Close()) }()
	file, err := tempfile.Create("", "mullion-layer-")
	if err != nil {
		return nil, err
	}
	d, id, err := a.writeTar(ctx, file, r, f)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	open := func() (io.ReadCloser, error) { return section{io.NewSectionReader(file, 0, d.Size)}, nil }
	if err := a.record(h); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	a.src.add(d.Digest, content{open: open, local: true, close: file.Close})
	return a.push(&Layer{Descriptor: d, DiffID: id, proven: true}), nil
}

// writeTar writes a layer tar to a file.
func (a *Assembly) writeTar(ctx context.Context, file io.Writer, r layer.Reader, f blob.Format) (d Descriptor, id digest.Digest, err error) {
	out, err := blob.NewWriter(file, f)
	if err != nil {
		return d, "", err
	}
	tar := wintar.NewWriter(out)
	_, err = layer.Copy(ctx, tar, r, layer.WithLimits(a.shell.opts.limits))
	if err == nil {
		err = tar.Commit()
	}
	if err = errors.Join(err, tar.Close(), out.Close()); err != nil {
		return d, "", err
	}
	return Descriptor{MediaType: a.mediaType(f, false), Digest: digest.Digest(out.Digest()), Size: out.StoredSize()}, digest.Digest(out.DiffID()), nil
}

// AddBlob puts a layer that exists as a blob, plain or compressed, on top as it is. open
// returns its bytes from their start each time; the assembly calls it until it is closed, and
// copies nothing: if the bytes change, Write fails. They are read once to find digest and diff
// ID. In the same reading inspect looks at the tar, as far as it likes, and refuses it by an
// error. h is the entry in the history, nil for none.
func (a *Assembly) AddBlob(ctx context.Context, open func() (io.ReadCloser, error), inspect func(tar io.Reader) error, h *ocispec.History) (_ *Layer, err error) {
	rc, err := open()
	if err != nil {
		return nil, err
	}
	_, local := rc.(io.ReaderAt)
	b, err := blob.NewReader(ctx, rc, blob.WithCloser(rc), blob.WithSums(), blob.WithLimits(a.shell.opts.limits))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := inspect(b); err != nil {
		return nil, err
	}
	if err := b.Finish(); err != nil {
		return nil, err
	}
	d := Descriptor{MediaType: a.mediaType(b.Format(), false), Digest: digest.Digest(b.Digest()), Size: b.StoredSize()}
	if err := a.record(h); err != nil {
		return nil, err
	}
	a.src.add(d.Digest, content{open: open, local: local})
	return a.push(&Layer{Descriptor: d, DiffID: digest.Digest(b.DiffID()), proven: true}), nil
}

// KeepLayer puts a layer of this or another image on top, as it is. That image must stay open
// until the assembly is closed. h is the entry in the history, nil for none.
func (a *Assembly) KeepLayer(l *Layer, h *ocispec.History) error {
	if l.DiffID == "" || !oci.IsLayer(l.Descriptor.MediaType) {
		return fmt.Errorf("%w: layer %d is %.100q", ErrMediaType, l.Index, l.Descriptor.MediaType)
	}
	if err := a.record(h); err != nil {
		return err
	}
	d := l.Descriptor
	if docker := strings.HasPrefix(d.MediaType, "application/vnd.docker."); docker != a.docker() {
		f := blob.Plain
		switch {
		case strings.HasSuffix(d.MediaType, "gzip"):
			f = blob.Gzip
		case strings.HasSuffix(d.MediaType, "zstd"):
			f = blob.Zstd
		}
		d.MediaType = a.mediaType(f, l.Foreign())
	}
	a.keep(l, d)
	return nil
}

// keep puts a layer of an open image on top.
func (a *Assembly) keep(l *Layer, d Descriptor) {
	a.src.add(d.Digest, content{kept: l})
	a.push(&Layer{Descriptor: d, DiffID: l.DiffID, proven: l.proven, origin: l})
}

// push puts a layer on top.
func (a *Assembly) push(l *Layer) *Layer {
	l.img, l.Index, l.ChainID = a.shell, len(a.layers), l.DiffID
	if l.Index > 0 {
		l.ChainID = chainID(a.layers[l.Index-1].ChainID, l.DiffID)
	}
	l.parts.l = l
	a.layers, a.all = append(a.layers, l), append(a.all, l)
	return l
}

// Truncate drops the layers from the n-th on, and from the history what is above the others.
func (a *Assembly) Truncate(n int) error {
	if n < 0 || n > len(a.layers) {
		return fmt.Errorf("there are %d layers and not %d", len(a.layers), n)
	}
	filled := 0
	for at, raw := range a.history {
		var h ocispec.History
		if err := json.Unmarshal(raw, &h); err != nil {
			return fmt.Errorf("%w: history: %v", ErrManifest, err)
		}
		if h.EmptyLayer {
			continue
		}
		if filled == n {
			a.history = slices.Clip(a.history[:at])
			break
		}
		filled++
	}
	a.layers = slices.Clip(a.layers[:n])
	return nil
}

// AddHistory adds an entry to the history: with h.EmptyLayer that of a step which has not made
// a layer.
func (a *Assembly) AddHistory(h ocispec.History) error { return a.record(&h) }

// History returns the history as it is stored, oldest first, nil if there is none.
func (a *Assembly) History() []json.RawMessage { return slices.Clone(a.history) }

// SetHistory replaces the history.
func (a *Assembly) SetHistory(h []json.RawMessage) { a.history = slices.Clone(h) }

// record adds an entry to the history. Where that of a base lacks entries for its layers, as
// other programs leave it out, empty ones take their places: a reader pairs entries with
// layers by their order.
func (a *Assembly) record(h *ocispec.History) error {
	if h == nil {
		return nil
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return err
	}
	filled := 0
	for _, old := range a.history {
		var e ocispec.History
		if err := json.Unmarshal(old, &e); err != nil {
			return fmt.Errorf("%w: history: %v", ErrManifest, err)
		}
		if !e.EmptyLayer {
			filled++
		}
	}
	for ; filled < len(a.layers); filled++ {
		a.history = append(a.history, json.RawMessage("{}"))
	}
	a.history = append(a.history, raw)
	return nil
}

func (a *Assembly) docker() bool { return oci.BaseMediaType(a.kind.MediaType) == oci.DockerManifest }

// mediaType returns that of a layer in the family of the manifest.
func (a *Assembly) mediaType(f blob.Format, foreign bool) string {
	return oci.LayerType(f.String(), a.docker(), foreign)
}

// content is where the bytes of a blob are: one of open and kept is set.
type content struct {
	open  func() (io.ReadCloser, error)
	local bool         // what open returns is an io.ReaderAt
	close func() error // or nil
	kept  *Layer
}

// assemblySource is the Source of images that are being made. It is not changed while it is
// read.
type assemblySource struct{ content map[digest.Digest]content }

func (s *assemblySource) add(d digest.Digest, c content) {
	if old, ok := s.content[d]; ok {
		if c.close != nil { // equal bytes
			c.close()
		}
		c = old
	}
	s.content[d] = c
}

// Roots implements Source. The images are made of their documents.
func (s *assemblySource) Roots(context.Context) ([]Descriptor, error) { return nil, nil }

// Open implements Source.
func (s *assemblySource) Open(ctx context.Context, d Descriptor) (io.ReadCloser, error) {
	c, ok := s.content[d.Digest]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %s", ErrMissingBlob, d.Digest)
	case c.kept != nil:
		return c.kept.img.src.Open(ctx, d)
	}
	return c.open()
}

// OpenRange implements RangeOpener.
func (s *assemblySource) OpenRange(ctx context.Context, d Descriptor, off, n int64) (io.ReadCloser, error) {
	c, ok := s.content[d.Digest]
	if ok && c.kept != nil {
		if r, ok := c.kept.img.src.Source.(RangeOpener); ok {
			return r.OpenRange(ctx, d, off, n)
		}
	}
	if !ok || !c.local {
		return nil, ErrNoRanges
	}
	rc, err := c.open()
	if err != nil {
		return nil, err
	}
	return &rangeOf{io.NewSectionReader(rc.(io.ReaderAt), off, n), rc}, nil
}

// Local implements LocalSource.
func (s *assemblySource) Local(d Descriptor) bool {
	c := s.content[d.Digest]
	if c.kept != nil {
		l, ok := c.kept.img.src.Source.(LocalSource)
		return ok && l.Local(d)
	}
	return c.local
}

// Close implements Source.
func (s *assemblySource) Close() error {
	var errs []error
	for _, c := range s.content {
		if c.close != nil {
			errs = append(errs, c.close())
		}
	}
	s.content = map[digest.Digest]content{}
	return errors.Join(errs...)
}

// section is an open temporary file, which stays open.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// rangeOf is a range of what it closes.
type rangeOf struct {
	io.Reader
	io.Closer
}
