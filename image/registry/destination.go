package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	registryerr "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/mullion/mullion/image"
)

// destination is a name in a registry. Layers are pushed before the
// manifest, so that the name never refers to an incomplete image.
type destination struct {
	*transport
	ref name.Reference
}

func (d *destination) Write(ctx context.Context, p *image.Parcel) (*image.Copied, error) {
	done := &image.Copied{Digest: p.Root.Descriptor.Digest, Images: len(p.Images)}
	opts := append(d.remote(d.ref.Context()), remote.WithContext(ctx))
	if p.Foreign {
		opts = append(opts, remote.WithNondistributable)
	}
	for _, l := range p.Layers() {
		if l.Foreign() && !p.Foreign {
			done.Omitted = append(done.Omitted, l.Descriptor)
			continue
		}
		done.Blobs++
		done.Bytes += l.Descriptor.Size
	}
	if p.Root.Index != nil {
		return done, d.blame(remote.WriteIndex(d.ref, &pushIndex{ctx, p, p.Root}, opts...))
	}
	img, err := pushImage(ctx, p, p.Images[0])
	if err != nil {
		return nil, err
	}
	return done, d.blame(remote.Write(d.ref, img, opts...))
}

// blame makes an error of a request to the destination an [image.DestinationError], so that
// it is not taken for one of the source. The URL of the request decides: it is that of the
// registry itself, or of the repository.
func (d *destination) blame(err error) error {
	var host, path string
	var answer *registryerr.Error
	var unanswered *url.Error
	switch {
	case errors.As(err, &answer) && answer.Request != nil:
		host, path = answer.Request.URL.Host, answer.Request.URL.Path
	case errors.As(err, &unanswered):
		u, parseErr := url.Parse(unanswered.URL)
		if parseErr != nil {
			return err
		}
		host, path = u.Host, u.Path
	default:
		return err
	}
	repo := d.ref.Context()
	if host == repo.RegistryStr() && (path == "/v2/" || strings.HasPrefix(path, "/v2/"+repo.RepositoryStr()+"/")) {
		return &image.DestinationError{Reference: image.Registry + "://" + d.ref.Name(), Err: err}
	}
	return err
}

// pushImage shows an image to the registry client.
func pushImage(ctx context.Context, p *image.Parcel, img *image.Image) (v1.Image, error) {
	return partial.CompressedToImage(&imageCore{ctx, p, img})
}

type imageCore struct {
	ctx context.Context
	p   *image.Parcel
	img *image.Image
}

func (c *imageCore) RawConfigFile() ([]byte, error) { return c.img.RawConfig(), nil }
func (c *imageCore) RawManifest() ([]byte, error)   { return c.img.Document().Raw, nil }
func (c *imageCore) MediaType() (types.MediaType, error) {
	return types.MediaType(c.img.Descriptor().MediaType), nil
}

func (c *imageCore) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range c.img.Layers() {
		if string(l.Descriptor.Digest) == h.String() {
			return &pushLayer{c.ctx, c.p, l, h}, nil
		}
	}
	if m := c.img.Manifest(); string(m.Config.Digest) == h.String() {
		return partial.ConfigLayer(c)
	}
	return nil, fmt.Errorf("%w: %v", image.ErrMissingBlob, h)
}

type pushLayer struct {
	ctx  context.Context
	p    *image.Parcel
	l    *image.Layer
	hash v1.Hash
}

func (l *pushLayer) Digest() (v1.Hash, error) { return l.hash, nil }
func (l *pushLayer) Size() (int64, error)     { return l.l.Descriptor.Size, nil }
func (l *pushLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.l.Descriptor.MediaType), nil
}

func (l *pushLayer) Compressed() (io.ReadCloser, error) {
	return l.l.Verified(l.ctx)
}

// pushIndex shows an index to the registry client.
type pushIndex struct {
	ctx context.Context
	p   *image.Parcel
	doc *image.Document
}

func (i *pushIndex) MediaType() (types.MediaType, error) {
	return types.MediaType(i.doc.Descriptor.MediaType), nil
}
func (i *pushIndex) Digest() (v1.Hash, error)     { return v1.NewHash(string(i.doc.Descriptor.Digest)) }
func (i *pushIndex) Size() (int64, error)         { return int64(len(i.doc.Raw)), nil }
func (i *pushIndex) RawManifest() ([]byte, error) { return i.doc.Raw, nil }
func (i *pushIndex) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(bytes.NewReader(i.doc.Raw))
}

func (i *pushIndex) Image(h v1.Hash) (v1.Image, error) {
	for _, img := range i.p.Images {
		if string(img.Digest()) == h.String() {
			return pushImage(i.ctx, i.p, img)
		}
	}
	return nil, fmt.Errorf("%w: %v", image.ErrMissingBlob, h)
}

func (i *pushIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	for _, c := range i.p.Children {
		if c.Index != nil && string(c.Descriptor.Digest) == h.String() {
			return &pushIndex{i.ctx, i.p, c}, nil
		}
	}
	return nil, fmt.Errorf("%w: %v", image.ErrMissingBlob, h)
}
