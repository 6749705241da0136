package image

import (
	"context"
	"fmt"

	"github.com/mullion/mullion/image/internal/oci"
	"github.com/opencontainers/go-digest"
)

// Parcel is the input of a Destination: one document with everything below it.
type Parcel struct {
	Root     *Document
	Images   []*Image    // all images in it; one if Root is a manifest
	Children []*Document // documents below Root if it is an index, each after those that name it
	Foreign  bool        // push foreign layers to a registry
	Replace  bool        // replace a file that exists

	src  *documents
	opts *options
}

// Copied is the result of Copy.
type Copied struct {
	Digest  digest.Digest // of the document that was written, "" for a docker archive, which holds none
	Images  int
	Blobs   int
	Bytes   int64
	Omitted []Descriptor // foreign layers that stay at their URLs
}

// Copy copies an image from one reference to another: the image that Open would choose,
// or a whole index with WithAll. Documents and blobs are written as they are, so
// that their digests stay; only a docker archive, which cannot hold manifests, keeps
// the configuration alone and plain layers. Everything is verified while it is
// copied, and nothing is visible at the destination before all of it is complete.
func Copy(ctx context.Context, from, to string, opts ...Option) (*Copied, error) {
	o := newOptions(opts)
	dstRef, t, err := o.parse(to)
	if err != nil {
		return nil, err
	}
	dst, err := t.OpenDestination(ctx, dstRef)
	if err != nil {
		return nil, ToDestination(dstRef, err)
	}
	srcRef, src, err := o.openSource(ctx, from)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	p, err := pack(ctx, srcRef, src, o)
	if err != nil {
		return nil, err
	}
	return dst.Write(ctx, p)
}

// pack reads all documents of the image or index to be copied.
func pack(ctx context.Context, ref Reference, src *documents, o *options) (*Parcel, error) {
	p := &Parcel{src: src, opts: o, Foreign: o.foreign, Replace: o.force}
	if !o.all {
		img, err := open(ctx, ref, src, o)
		if err != nil {
			return nil, err
		}
		p.Root, p.Images = img.manifest, []*Image{img}
		return p, nil
	}
	roots, err := src.Roots(ctx)
	if err != nil {
		return nil, err
	}
	if len(roots) != 1 {
		return nil, fmt.Errorf("%w: %d; name one by its tag to copy all of it", ErrAmbiguous, len(roots))
	}
	if p.Root, err = src.document(ctx, roots[0]); err != nil {
		return nil, err
	}
	return p, p.gather(ctx, ref, p.Root, 0, map[digest.Digest]bool{roots[0].Digest: true})
}

// gather reads the documents below one, each once.
func (p *Parcel) gather(ctx context.Context, ref Reference, doc *Document, depth int, seen map[digest.Digest]bool) error {
	if depth > maxIndexDepth || len(p.Children) > maxCandidates {
		return fmt.Errorf("%w: index is too large", ErrManifest)
	}
	if doc.Manifest != nil {
		img := &Image{ref: ref, src: p.src, opts: p.opts, manifest: doc}
		// Attestations and other artifacts are copied as manifests whose layers are
		// blobs of any kind.
		if !oci.IsConfig(doc.Manifest.Config.MediaType) {
			raw, err := p.src.fetch(ctx, doc.Manifest.Config)
			if err != nil {
				return err
			}
			img.rawConfig = raw
			for n, d := range doc.Manifest.Layers {
				img.layers = append(img.layers, &Layer{img: img, Index: n, Descriptor: d})
			}
		} else if err := img.load(ctx); err != nil {
			return err
		}
		p.Images = append(p.Images, img)
		return nil
	}
	for _, d := range doc.Index.Manifests {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		child, err := p.src.document(ctx, d)
		if err != nil {
			return err
		}
		p.Children = append(p.Children, child)
		if err := p.gather(ctx, ref, child, depth+1, seen); err != nil {
			return err
		}
	}
	return nil
}

// Content is a small blob with its bytes.
type Content struct {
	Descriptor Descriptor
	Raw        []byte
}

// Documents returns everything of the parcel that is not a layer, Root last: each document
// comes after those that it names.
func (p *Parcel) Documents() []Content {
	var all []Content
	for _, img := range p.Images {
		all = append(all, Content{img.manifest.Manifest.Config, img.rawConfig})
	}
	for i := len(p.Children) - 1; i >= 0; i-- {
		all = append(all, Content{p.Children[i].Descriptor, p.Children[i].Raw})
	}
	return append(all, Content{p.Root.Descriptor, p.Root.Raw})
}

// Layers returns the layers of all images, each digest once.
func (p *Parcel) Layers() []*Layer {
	var all []*Layer
	seen := map[string]bool{}
	for _, img := range p.Images {
		for _, l := range img.layers {
			if d := string(l.Descriptor.Digest); !seen[d] {
				seen[d] = true
				all = append(all, l)
			}
		}
	}
	return all
}
