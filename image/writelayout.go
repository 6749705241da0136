package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/internal/publish"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layoutDestination is an OCI image layout in a folder: a new one, or one that
// exists, to which the image is added.
type layoutDestination struct{ ref Reference }

func (d *layoutDestination) write(ctx context.Context, p *parcel) (*Copied, error) {
	if _, err := os.Stat(filepath.Join(d.ref.Path, ocispec.ImageLayoutFile)); err == nil {
		return d.add(ctx, p)
	}
	dir, err := publish.CreateDir(d.ref.Path, publish.Options{})
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	done, err := d.fill(ctx, dir.Root(), p, nil)
	if err != nil {
		return nil, err
	}
	return done, dir.Commit()
}

// add puts the image into a layout that exists. Blobs that are there stay; the
// index is replaced last, and that only one process writes it locks the whole.
func (d *layoutDestination) add(ctx context.Context, p *parcel) (*Copied, error) {
	root, err := os.OpenRoot(d.ref.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	index, err := publish.CreateIn(root, ocispec.ImageIndexFile, publish.Options{Replace: true})
	if err != nil {
		return nil, err
	}
	defer index.Close()
	done, err := d.fill(ctx, root, p, index)
	if err != nil {
		return nil, err
	}
	return done, index.Commit()
}

// fill writes blobs and index. With index set, the layout exists and this is its
// new index.
func (d *layoutDestination) fill(ctx context.Context, root *os.Root, p *parcel, index io.Writer) (*Copied, error) {
	for _, dir := range []string{"blobs", "blobs/sha256"} {
		if err := root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	done := &Copied{Digest: p.root.desc.Digest, Images: len(p.images)}
	for _, l := range p.blobs() {
		if err := d.layer(ctx, root, p, l, done); err != nil {
			return nil, err
		}
	}
	for _, c := range p.documents() {
		if err := putFile(root, c.desc, bytes.NewReader(c.raw)); err != nil {
			return nil, err
		}
	}
	old := &ocispec.Index{}
	if index != nil {
		raw, err := (&layoutSource{root: root}).read(ocispec.ImageIndexFile)
		if err == nil {
			err = json.Unmarshal(raw, old)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: index.json: %v", ErrManifest, err)
		}
	}
	raw, err := json.Marshal(newIndex(old, tagged(p, d.ref.Name)))
	if err != nil {
		return nil, err
	}
	if index != nil {
		_, err := index.Write(raw)
		return done, err
	}
	if err := writeRootFile(root, ocispec.ImageIndexFile, bytes.NewReader(raw)); err != nil {
		return nil, err
	}
	return done, writeRootFile(root, ocispec.ImageLayoutFile, bytes.NewReader(layoutFile))
}

// layoutFile is the content of oci-layout.
var layoutFile = []byte(`{"imageLayoutVersion":"1.0.0"}`)

// layer copies the blob of one layer unless it is there.
func (d *layoutDestination) layer(ctx context.Context, root *os.Root, p *parcel, l *Layer, done *Copied) error {
	if err := blob.CheckDigest(l.Descriptor.Digest); err != nil {
		return err
	}
	if there, err := intact(ctx, root, l.Descriptor); there || err != nil {
		return err
	}
	r, err := p.present(ctx, l)
	if err != nil {
		return err
	}
	if r == nil {
		done.Omitted = append(done.Omitted, l.Descriptor)
		return nil
	}
	defer r.Close()
	done.Blobs++
	done.Bytes += l.Descriptor.Size
	return putFile(root, l.Descriptor, r)
}

// intact reports whether a layout holds a blob. A file of the right name is read before it
// is believed: one that was damaged is written again.
func intact(ctx context.Context, root *os.Root, d Descriptor) (bool, error) {
	rc, err := (&layoutSource{root: root}).open(ctx, d)
	if err != nil {
		return false, nil // what is there instead is replaced
	}
	defer rc.Close()
	r, err := blob.NewReader(ctx, rc, blob.Stored(), blob.WithDigest(d.Digest, d.Size))
	if err != nil {
		return false, err
	}
	defer r.Close()
	err = r.Finish()
	var damaged *blob.MismatchError
	if errors.As(err, &damaged) {
		return false, nil
	}
	return err == nil, err
}

// putFile publishes a blob. r reports an error unless the blob is what the descriptor
// says.
func putFile(root *os.Root, d Descriptor, r io.Reader) (err error) {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return err
	}
	name := blobPath(d.Digest)
	if err := root.Mkdir(path.Dir(name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir := root
	for c := range strings.SplitSeq(path.Dir(name), "/") {
		next, err := publish.OpenFolder(dir, c)
		if dir != root {
			err = errors.Join(err, dir.Close())
		}
		if err != nil {
			return err
		}
		dir = next
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	f, err := publish.CreateIn(dir, path.Base(name), publish.Options{Replace: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.Commit()
}

// writeRootFile writes a durable file in a directory that is not published yet.
func writeRootFile(root *os.Root, name string, r io.Reader) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// tagged returns the descriptor under which a layout lists the parcel.
func tagged(p *parcel, tag string) Descriptor {
	d := Descriptor{MediaType: p.root.desc.MediaType, Digest: p.root.desc.Digest, Size: int64(len(p.root.raw))}
	if p.root.manifest != nil && len(p.images) == 1 && p.images[0].config != nil {
		platform := p.images[0].config.Platform
		d.Platform = &platform
	}
	if tag != "" {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	}
	return d
}

// newIndex adds an entry to an index. An entry that had the tag loses it; the same
// image under the same tag is not listed twice.
func newIndex(old *ocispec.Index, d Descriptor) *ocispec.Index {
	idx := &ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		ArtifactType: old.ArtifactType, Subject: old.Subject, Annotations: old.Annotations, Manifests: []Descriptor{}}
	tag := d.Annotations[ocispec.AnnotationRefName]
	for _, e := range old.Manifests {
		theirs := e.Annotations[ocispec.AnnotationRefName]
		if e.Digest == d.Digest && theirs == tag {
			continue
		}
		if tag != "" && theirs == tag {
			e.Annotations = maps.Clone(e.Annotations)
			delete(e.Annotations, ocispec.AnnotationRefName)
		}
		idx.Manifests = append(idx.Manifests, e)
	}
	idx.Manifests = append(idx.Manifests, d)
	return idx
}
