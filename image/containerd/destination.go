package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	"github.com/containerd/containerd/api/types"
	contentstore "github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/mullion/mullion/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// destination is a name in a containerd. The image is put into its content
// store and not unpacked.
type destination struct {
	*transport
	ref image.Reference
}

// Labels that containerd's garbage collector looks at (docs/garbage-collection.md):
// when a lease expires, and the content that other content refers to.
const (
	labelExpire  = "containerd.io/gc.expire"
	labelContent = "containerd.io/gc.ref.content."
)

// leaseTime is how long content that nothing refers to yet is kept if this process
// dies.
const leaseTime = 24 * time.Hour

func (d *destination) Write(ctx context.Context, p *image.Parcel) (done *image.Copied, err error) {
	s, err := d.connect(ctx, d.ref)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx = s.in(ctx)
	leaseClient := leasesapi.NewLeasesClient(s.conn)
	lease, err := leaseClient.Create(ctx, &leasesapi.CreateRequest{
		Labels: map[string]string{labelExpire: time.Now().Add(leaseTime).UTC().Format(time.RFC3339)},
	})
	if err != nil {
		return nil, s.explain(err)
	}
	id := lease.GetLease().GetID()
	defer func() {
		if _, e := leaseClient.Delete(context.WithoutCancel(ctx), &leasesapi.DeleteRequest{ID: id}); e != nil {
			err = errors.Join(err, s.explain(e))
		}
	}()
	if done, err = d.content(leases.WithLease(ctx, id), proxy.NewContentStore(s.conn), p); err != nil {
		return nil, err
	}
	return done, s.publish(ctx, p.Root.Descriptor, int64(len(p.Root.Raw)))
}

// content puts layers and documents into the store, in the order of references:
// a document comes after the content that it refers to.
func (d *destination) content(ctx context.Context, store contentstore.Store, p *image.Parcel) (*image.Copied, error) {
	done := &image.Copied{Digest: p.Root.Descriptor.Digest, Images: len(p.Images)}
	for _, l := range p.Layers() {
		if _, err := store.Info(ctx, l.Descriptor.Digest); err == nil {
			continue
		}
		r, err := l.Verified(ctx)
		if errors.Is(err, image.ErrForeign) { // stays at its URLs
			done.Omitted = append(done.Omitted, l.Descriptor)
			continue
		}
		if err != nil {
			return nil, err
		}
		done.Blobs++
		done.Bytes += l.Descriptor.Size
		if err := errors.Join(put(ctx, store, l.Descriptor, r, nil), r.Close()); err != nil {
			return nil, fmt.Errorf("layer %d: %w", l.Index, err)
		}
	}
	for _, img := range p.Images {
		if err := put(ctx, store, img.Manifest().Config, bytes.NewReader(img.RawConfig()), nil); err != nil {
			return nil, err
		}
		if err := putDocument(ctx, store, img.Document()); err != nil {
			return nil, err
		}
	}
	for _, c := range append(p.Children, p.Root) {
		if c.Index == nil {
			continue
		}
		if err := putDocument(ctx, store, c); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// putDocument stores an index or manifest, labelled with its references so that
// containerd keeps the content they name.
func putDocument(ctx context.Context, store contentstore.Store, doc *image.Document) error {
	refs := map[string]string{}
	if m := doc.Manifest; m != nil {
		refs[labelContent+"config"] = string(m.Config.Digest)
		for i, l := range m.Layers {
			refs[fmt.Sprintf(labelContent+"l.%d", i)] = string(l.Digest)
		}
	} else {
		for i, m := range doc.Index.Manifests {
			refs[fmt.Sprintf(labelContent+"m.%d", i)] = string(m.Digest)
		}
	}
	desc := doc.Descriptor
	desc.Size = int64(len(doc.Raw))
	return put(ctx, store, desc, bytes.NewReader(doc.Raw), refs)
}

// put stores a blob. One that is there gets the labels.
func put(ctx context.Context, store contentstore.Store, d image.Descriptor, r io.Reader, labels map[string]string) error {
	ref := "mullion-" + string(d.Digest)
	var opts []contentstore.Opt
	if len(labels) > 0 {
		opts = append(opts, contentstore.WithLabels(labels))
	}
	desc := ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	if err := contentstore.WriteBlob(ctx, store, ref, r, desc, opts...); err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	if len(labels) == 0 {
		return nil
	}
	var paths []string
	for k := range labels {
		paths = append(paths, "labels."+k)
	}
	if _, err := store.Update(ctx, contentstore.Info{Digest: d.Digest, Labels: labels}, paths...); err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	return nil
}

// publish creates the image record under its name, which from then on keeps the content.
func (s *source) publish(ctx context.Context, d image.Descriptor, size int64) error {
	img := &imagesapi.Image{Name: s.name, Target: &types.Descriptor{MediaType: d.MediaType, Digest: string(d.Digest), Size: size}}
	client := imagesapi.NewImagesClient(s.conn)
	_, err := client.Create(ctx, &imagesapi.CreateImageRequest{Image: img})
	if status.Code(err) == codes.AlreadyExists {
		_, err = client.Update(ctx, &imagesapi.UpdateImageRequest{Image: img, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"target"}}})
	}
	if err != nil {
		return s.explain(err)
	}
	return nil
}
