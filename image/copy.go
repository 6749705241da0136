package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
)

// parcel is what is copied: one document with everything below it.
type parcel struct {
	src      *documents
	opts     *options
	name     string // tag at the source
	root     *document
	images   []*Image    // all images in it; one if root is a manifest
	children []*document // documents below root, if it is an index
}

// Copied says what Copy did.
type Copied struct {
	Digest  digest.Digest // of the document that was written
	Images  int
	Blobs   int
	Bytes   int64
	Omitted []Descriptor // foreign layers that stay at their URLs
}

// destination is a place that takes a parcel.
type destination interface {
	write(ctx context.Context, p *parcel) (*Copied, error)
}

// Copy copies an image from one place to another: the one that Open would choose,
// or all of an index with WithAll. Documents and blobs are written as they are, so
// that their digests stay; only a docker archive, which cannot hold manifests, keeps
// the configuration alone and plain layers. Everything is verified on the way, and
// nothing is visible at the destination before all of it is there.
func Copy(ctx context.Context, from, to string, opts ...Option) (*Copied, error) {
	o := newOptions(opts)
	dstRef, err := ParseReference(to)
	if err != nil {
		return nil, err
	}
	dst, err := newDestination(dstRef, o)
	if err != nil {
		return nil, err
	}
	srcRef, err := ParseReference(from)
	if err != nil {
		return nil, err
	}
	src, err := openSource(ctx, srcRef, o)
	if err != nil {
		return nil, err
	}
	defer src.close()
	p, err := pack(ctx, srcRef, src, o)
	if err != nil {
		return nil, err
	}
	return dst.write(ctx, p)
}

func newDestination(ref Reference, o *options) (destination, error) {
	switch ref.Transport {
	case Layout:
		return &layoutDestination{ref}, nil
	case OCIArchive:
		return &ociArchiveDestination{ref, o.force}, nil
	case DockerArchive:
		return &dockerDestination{ref, o.force}, nil
	case Registry:
		r, err := parseRegistryName(ref.Path, o)
		if err != nil {
			return nil, err
		}
		return &registryDestination{r}, nil
	case Containerd:
		return &containerdDestination{ref, o}, nil
	}
	return nil, fmt.Errorf("%w: transport %.40q", ErrReference, ref.Transport)
}

// pack reads all documents of what is to be copied.
func pack(ctx context.Context, ref Reference, src *documents, o *options) (*parcel, error) {
	p := &parcel{src: src, opts: o}
	if !o.all {
		img, err := open(ctx, ref, src, o)
		if err != nil {
			return nil, err
		}
		p.root, p.images, p.name = img.manifest, []*Image{img}, img.name
		return p, nil
	}
	roots, err := src.roots(ctx)
	if err != nil {
		return nil, err
	}
	if len(roots) != 1 {
		return nil, fmt.Errorf("%w: %d; name one by its tag to copy all of it", ErrAmbiguous, len(roots))
	}
	if p.root, err = src.document(ctx, roots[0]); err != nil {
		return nil, err
	}
	p.name = descriptorName(roots[0])
	return p, p.gather(ctx, ref, p.root, 0, map[digest.Digest]bool{roots[0].Digest: true})
}

// gather reads the documents below one, each once.
func (p *parcel) gather(ctx context.Context, ref Reference, doc *document, depth int, seen map[digest.Digest]bool) error {
	if depth > maxIndexDepth || len(p.children) > maxCandidates {
		return fmt.Errorf("%w: index is too large", ErrManifest)
	}
	if doc.manifest != nil {
		img := &Image{ref: ref, src: p.src, opts: p.opts, manifest: doc}
		// Attestations and other artifacts are copied as manifests whose layers are
		// blobs of any kind.
		if !isConfig(doc.manifest.Config.MediaType) {
			raw, err := p.src.fetch(ctx, doc.manifest.Config)
			if err != nil {
				return err
			}
			img.rawConfig = raw
			for n, d := range doc.manifest.Layers {
				img.layers = append(img.layers, &Layer{img: img, Index: n, Descriptor: d})
			}
		} else if err := img.load(ctx); err != nil {
			return err
		}
		p.images = append(p.images, img)
		return nil
	}
	for _, d := range doc.index.Manifests {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		child, err := p.src.document(ctx, d)
		if err != nil {
			return err
		}
		p.children = append(p.children, child)
		if err := p.gather(ctx, ref, child, depth+1, seen); err != nil {
			return err
		}
	}
	return nil
}

// documents returns everything small of the parcel, root last: what names others
// comes after what it names.
func (p *parcel) documents() []content {
	var all []content
	for _, img := range p.images {
		all = append(all, content{img.manifest.manifest.Config, img.rawConfig})
	}
	for i := len(p.children) - 1; i >= 0; i-- {
		all = append(all, content{p.children[i].desc, p.children[i].raw})
	}
	return append(all, content{p.root.desc, p.root.raw})
}

// content is a small blob with its bytes.
type content struct {
	desc Descriptor
	raw  []byte
}

// blobs returns the layers of all images, each digest once.
func (p *parcel) blobs() []*Layer {
	var all []*Layer
	seen := map[string]bool{}
	for _, img := range p.images {
		for _, l := range img.layers {
			if d := string(l.Descriptor.Digest); !seen[d] {
				seen[d] = true
				all = append(all, l)
			}
		}
	}
	return all
}

// present opens a layer's blob, verified with its diff ID. A foreign layer that is not
// there gives nil without an error: it stays at its URLs.
func (p *parcel) present(ctx context.Context, l *Layer) (io.ReadCloser, error) {
	r, err := l.verified(ctx)
	if errors.Is(err, ErrForeign) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}
