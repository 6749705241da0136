package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/ocilayout"
	"github.com/mullion/mullion/internal/publish"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ociDestination is a new tar file with an OCI image layout in it. The order
// is fixed and times and owners are zero: the same image results in the same bytes.
type ociDestination struct {
	ref image.Reference
}

func (d *ociDestination) Write(ctx context.Context, p *image.Parcel) (*image.Copied, error) {
	f, err := publish.Create(d.ref.Path, publish.Options{Replace: p.Replace})
	if err != nil {
		return nil, image.ToDestination(d.ref, err)
	}
	defer f.Close()
	done := &image.Copied{Digest: p.Root.Descriptor.Digest, Images: len(p.Images)}
	tw := tar.NewWriter(f)
	index, err := json.Marshal(ocilayout.AddEntry(&ocispec.Index{}, ocilayout.Entry(p, d.ref.Name)))
	if err != nil {
		return nil, err
	}
	if err := putEntry(tw, ocispec.ImageLayoutFile, int64(len(ocilayout.File)), bytes.NewReader(ocilayout.File)); err != nil {
		return nil, err
	}
	if err := putEntry(tw, ocispec.ImageIndexFile, int64(len(index)), bytes.NewReader(index)); err != nil {
		return nil, err
	}
	if err := d.blobs(ctx, tw, p, done); err != nil {
		return nil, err
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	return done, image.ToDestination(d.ref, f.Commit())
}

// item is a blob to be written: either small or a layer.
type item struct {
	path  string
	raw   []byte
	layer *image.Layer
}

// blobs writes everything that is named by digest, in the order of the names.
func (d *ociDestination) blobs(ctx context.Context, tw *tar.Writer, p *image.Parcel, done *image.Copied) error {
	var items []item
	for _, c := range p.Documents() {
		if err := blob.CheckDigest(c.Descriptor.Digest); err != nil {
			return err
		}
		items = append(items, item{path: ocilayout.BlobPath(c.Descriptor.Digest), raw: c.Raw})
	}
	for _, l := range p.Layers() {
		if err := blob.CheckDigest(l.Descriptor.Digest); err != nil {
			return err
		}
		items = append(items, item{path: ocilayout.BlobPath(l.Descriptor.Digest), layer: l})
	}
	slices.SortStableFunc(items, func(a, b item) int { return strings.Compare(a.path, b.path) })
	items = slices.CompactFunc(items, func(a, b item) bool { return a.path == b.path })

	dirs := map[string]bool{}
	for _, it := range items {
		for _, dir := range []string{"blobs/", it.path[:strings.LastIndexByte(it.path, '/')+1]} {
			if !dirs[dir] {
				dirs[dir] = true
				if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
					return err
				}
			}
		}
		if it.layer == nil {
			if err := putEntry(tw, it.path, int64(len(it.raw)), bytes.NewReader(it.raw)); err != nil {
				return err
			}
			continue
		}
		if err := d.layer(ctx, tw, p, it, done); err != nil {
			return err
		}
	}
	return nil
}

func (d *ociDestination) layer(ctx context.Context, tw *tar.Writer, p *image.Parcel, it item, done *image.Copied) error {
	desc := it.layer.Descriptor
	r, err := it.layer.Verified(ctx)
	if errors.Is(err, image.ErrForeign) { // stays at its URLs
		done.Omitted = append(done.Omitted, desc)
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	done.Blobs++
	done.Bytes += desc.Size
	return putEntry(tw, it.path, desc.Size, r)
}

// putEntry writes one file of exactly size bytes and reads r to its end, which is
// where a verifying reader speaks.
func putEntry(tw *tar.Writer, name string, size int64, r io.Reader) error {
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		return err
	}
	n, err := io.Copy(tw, r)
	if err == nil && n != size {
		err = fmt.Errorf("%s: %w", name, io.ErrUnexpectedEOF)
	}
	return err
}
