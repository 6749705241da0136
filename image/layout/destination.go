package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/ocilayout"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/internal/publish"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// destination is an OCI image layout in a folder: a new one, or one that
// exists, to which the image is added.
type destination struct{ ref image.Reference }

func (d *destination) Write(ctx context.Context, p *image.Parcel) (*image.Copied, error) {
	if _, err := os.Stat(filepath.Join(d.ref.Path, ocispec.ImageLayoutFile)); err == nil {
		return d.add(ctx, p)
	}
	dir, err := publish.CreateDir(d.ref.Path, publish.Options{})
	if err != nil {
		return nil, image.ToDestination(d.ref, err)
	}
	defer dir.Close()
	done, err := d.fill(ctx, dir.Root(), p, nil)
	if err != nil {
		return nil, err
	}
	return done, image.ToDestination(d.ref, dir.Commit())
}

// add puts the image into a layout that exists. Blobs that are there stay; the
// index is replaced last, and that only one process writes it locks the whole.
func (d *destination) add(ctx context.Context, p *image.Parcel) (*image.Copied, error) {
	root, err := openfile.Root(d.ref.Path)
	if err != nil {
		return nil, image.ToDestination(d.ref, err)
	}
	defer root.Close()
	// A process that was killed may have published this layout and left its folder.
	if err := publish.SweepBeside(d.ref.Path); err != nil {
		return nil, image.ToDestination(d.ref, err)
	}
	index, err := publish.CreateIn(root, ocispec.ImageIndexFile, publish.Options{Replace: true})
	if err != nil {
		return nil, image.ToDestination(d.ref, err)
	}
	defer index.Close()
	done, err := d.fill(ctx, root, p, index)
	if err != nil {
		return nil, err
	}
	return done, image.ToDestination(d.ref, index.Commit())
}

// fill writes blobs and index. With index set, the layout exists and this is its
// new index.
func (d *destination) fill(ctx context.Context, root *os.Root, p *image.Parcel, index io.Writer) (*image.Copied, error) {
	for _, dir := range []string{"blobs", "blobs/sha256"} {
		if err := root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	done := &image.Copied{Digest: p.Root.Descriptor.Digest, Images: len(p.Images)}
	for _, l := range p.Layers() {
		if err := d.layer(ctx, root, p, l, done); err != nil {
			return nil, err
		}
	}
	for _, c := range p.Documents() {
		if err := putFile(root, c.Descriptor, bytes.NewReader(c.Raw)); err != nil {
			return nil, err
		}
	}
	old := &ocispec.Index{}
	if index != nil {
		raw, err := (&source{root: root}).read(ocispec.ImageIndexFile)
		if err == nil {
			err = json.Unmarshal(raw, old)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: index.json: %v", image.ErrManifest, err)
		}
	}
	raw, err := json.Marshal(ocilayout.AddEntry(old, ocilayout.Entry(p, d.ref.Name)))
	if err != nil {
		return nil, err
	}
	if index != nil {
		_, err := index.Write(raw)
		return done, err
	}
	if err := writePart(root, ocispec.ImageIndexFile, raw); err != nil {
		return nil, err
	}
	return done, writePart(root, ocispec.ImageLayoutFile, ocilayout.File)
}

// layer copies the blob of one layer unless it is there.
func (d *destination) layer(ctx context.Context, root *os.Root, p *image.Parcel, l *image.Layer, done *image.Copied) error {
	if err := blob.CheckDigest(l.Descriptor.Digest); err != nil {
		return err
	}
	if there, err := intact(ctx, root, l.Descriptor); there || err != nil {
		return err
	}
	r, err := l.Verified(ctx)
	if errors.Is(err, image.ErrForeign) { // stays at its URLs
		done.Omitted = append(done.Omitted, l.Descriptor)
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	done.Blobs++
	done.Bytes += l.Descriptor.Size
	return putFile(root, l.Descriptor, r)
}

// intact reports whether a layout holds a blob. A file of the right name is read before it
// is believed: one that was damaged is written again.
func intact(ctx context.Context, root *os.Root, d image.Descriptor) (bool, error) {
	rc, err := (&source{root: root}).Open(ctx, d)
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

// putFile publishes a blob. r reports an error if the blob doesn't match the descriptor.
func putFile(root *os.Root, d image.Descriptor, r io.Reader) (err error) {
	if err := blob.CheckDigest(d.Digest); err != nil {
		return err
	}
	name := ocilayout.BlobPath(d.Digest)
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
	// The pieces that a blob.Reader has read ahead are larger than those that io.Copy asks for.
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{r}, make([]byte, 256<<10)); err != nil {
		return err
	}
	return f.Commit()
}

// writePart writes a durable file in a directory that is not published yet.
func writePart(root *os.Root, name string, raw []byte) error {
	return publish.WritePart(root, name, 0o644, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}
