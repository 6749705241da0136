package image

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// registryDestination is a name in a registry. Layers are pushed before the
// manifest, so that the name never stands for an incomplete image.
type registryDestination struct{ ref name.Reference }

func (d *registryDestination) write(ctx context.Context, p *parcel) (*Copied, error) {
	done := &Copied{Digest: p.root.desc.Digest, Images: len(p.images)}
	opts := append(remoteOptions(d.ref, p.opts), remote.WithContext(ctx))
	if p.opts.foreign {
		opts = append(opts, remote.WithNondistributable)
	}
	for _, l := range p.blobs() {
		if l.Foreign() && !p.opts.foreign {
			done.Omitted = append(done.Omitted, l.Descriptor)
			continue
		}
		done.Blobs++
		done.Bytes += l.Descriptor.Size
	}
	if p.root.index != nil {
		return done, remote.WriteIndex(d.ref, &pushIndex{ctx, p, p.root}, opts...)
	}
	img, err := pushImage(ctx, p, p.images[0])
	if err != nil {
		return nil, err
	}
	return done, remote.Write(d.ref, img, opts...)
}

// pushImage shows an image to the registry client.
func pushImage(ctx context.Context, p *parcel, img *Image) (v1.Image, error) {
	return partial.CompressedToImage(&imageCore{ctx, p, img})
}

type imageCore struct {
	ctx context.Context
	p   *parcel
	img *Image
}

func (c *imageCore) RawConfigFile() ([]byte, error) { return c.img.rawConfig, nil }
func (c *imageCore) RawManifest() ([]byte, error)   { return c.img.manifest.raw, nil }
func (c *imageCore) MediaType() (types.MediaType, error) {
	return types.MediaType(c.img.manifest.desc.MediaType), nil
}

func (c *imageCore) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range c.img.layers {
		if string(l.Descriptor.Digest) == h.String() {
			return &pushLayer{c.ctx, c.p, l, h}, nil
		}
	}
	if m := c.img.manifest.manifest; string(m.Config.Digest) == h.String() {
		return partial.ConfigLayer(c)
	}
	return nil, fmt.Errorf("%w: %v", ErrMissingBlob, h)
}

type pushLayer struct {
	ctx  context.Context
	p    *parcel
	l    *Layer
	hash v1.Hash
}

func (l *pushLayer) Digest() (v1.Hash, error) { return l.hash, nil }
func (l *pushLayer) Size() (int64, error)     { return l.l.Descriptor.Size, nil }
func (l *pushLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.l.Descriptor.MediaType), nil
}

func (l *pushLayer) Compressed() (io.ReadCloser, error) {
	return l.l.verified(l.ctx)
}

// pushIndex shows an index to the registry client.
type pushIndex struct {
	ctx context.Context
	p   *parcel
	doc *document
}

func (i *pushIndex) MediaType() (types.MediaType, error) {
	return types.MediaType(i.doc.desc.MediaType), nil
}
func (i *pushIndex) Digest() (v1.Hash, error)     { return v1.NewHash(string(i.doc.desc.Digest)) }
func (i *pushIndex) Size() (int64, error)         { return int64(len(i.doc.raw)), nil }
func (i *pushIndex) RawManifest() ([]byte, error) { return i.doc.raw, nil }
func (i *pushIndex) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(bytes.NewReader(i.doc.raw))
}

func (i *pushIndex) Image(h v1.Hash) (v1.Image, error) {
	for _, img := range i.p.images {
		if string(img.Digest()) == h.String() {
			return pushImage(i.ctx, i.p, img)
		}
	}
	return nil, fmt.Errorf("%w: %v", ErrMissingBlob, h)
}

func (i *pushIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	for _, c := range i.p.children {
		if c.index != nil && string(c.desc.Digest) == h.String() {
			return &pushIndex{i.ctx, i.p, c}, nil
		}
	}
	return nil, fmt.Errorf("%w: %v", ErrMissingBlob, h)
}
