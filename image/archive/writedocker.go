package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/ocilayout"
	"github.com/mullion/mullion/internal/publish"
	"github.com/opencontainers/go-digest"
)

// dockerDestination is a new tar file as docker load reads it: configuration, plain
// layers named by their diff IDs, and manifest.json.
type dockerDestination struct {
	ref image.Reference
}

func (d *dockerDestination) Write(ctx context.Context, p *image.Parcel) (*image.Copied, error) {
	if p.Root.Index != nil {
		return nil, fmt.Errorf("%w: a docker archive holds one image and no index", image.ErrMediaType)
	}
	f, err := publish.Create(d.ref.Path, publish.Options{Replace: p.Replace})
	if err != nil {
		return nil, image.ToDestination(d.ref, err)
	}
	defer f.Close()
	img := p.Images[0]
	done := &image.Copied{Images: 1}
	saved := savedImage{Config: configName(img), Layers: []string{}, RepoTags: []string{}}
	if d.ref.Name != "" {
		saved.RepoTags = append(saved.RepoTags, tagged(d.ref.Name))
	}
	w := &dockerWriter{f: f}
	written := map[string]bool{}
	for _, l := range img.Layers() {
		if err := blob.CheckDigest(l.DiffID); err != nil {
			return nil, err // the blob of an artifact
		}
		name := l.DiffID.Encoded() + ".tar"
		saved.Layers = append(saved.Layers, name)
		if l.Foreign() {
			if saved.LayerSources == nil {
				saved.LayerSources = map[digest.Digest]image.Descriptor{}
			}
			saved.LayerSources[l.DiffID] = l.Descriptor
		}
		if written[name] {
			continue
		}
		written[name] = true
		r, err := l.Plain(ctx)
		if errors.Is(err, image.ErrMissingBlob) && l.Foreign() {
			done.Omitted = append(done.Omitted, l.Descriptor)
			continue
		}
		if err != nil {
			return nil, err
		}
		n, err := w.stream(name, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		done.Blobs++
		done.Bytes += n
	}
	manifest, err := json.Marshal([]savedImage{saved})
	if err != nil {
		return nil, err
	}
	if err := w.small(saved.Config, img.RawConfig()); err != nil {
		return nil, err
	}
	if err := w.small("manifest.json", manifest); err != nil {
		return nil, err
	}
	if err := w.finish(); err != nil {
		return nil, err
	}
	return done, image.ToDestination(d.ref, f.Commit())
}

// checkName checks the name of a new image in a docker archive, [REPOSITORY[:TAG]]. Only
// what docker load rejects in any case is an error.
func checkName(name string) error {
	if err := ocilayout.CheckTag(name); err != nil {
		return err
	}
	repository, _ := cutTag(name)
	path := repository[strings.IndexByte(repository, '/')+1:] // a host may have capitals
	if path != strings.ToLower(path) {
		return fmt.Errorf("%w: %.200q: a name in a docker archive has no capital letters", image.ErrReference, name)
	}
	return nil
}

// cutTag splits a name with an optional tag, which has no slash, unlike the port of a host.
func cutTag(name string) (repository, tag string) {
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') {
		return name[:at], name[at+1:]
	}
	return name, ""
}

// tagged returns a name as docker save writes it: the tag "latest" is not left out.
func tagged(name string) string {
	if _, tag := cutTag(name); tag == "" {
		return name + ":latest"
	}
	return name
}

// configName is how docker save names a configuration.
func configName(img *image.Image) string {
	return img.Manifest().Config.Digest.Encoded() + ".json"
}

// dockerWriter writes a tar whose files may be of unknown size: the header is
// written again when the size is known.
type dockerWriter struct {
	f *publish.File
}

func (w *dockerWriter) small(name string, raw []byte) error {
	_, err := w.stream(name, bytes.NewReader(raw))
	return err
}

// stream writes one file from r and returns its size.
func (w *dockerWriter) stream(name string, r io.Reader) (int64, error) {
	at, err := w.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if _, err := w.f.Write(make([]byte, blockSize)); err != nil {
		return 0, err
	}
	n, err := io.Copy(w.f, r)
	if err != nil {
		return n, err
	}
	if pad := -n & (blockSize - 1); pad > 0 {
		if _, err := w.f.Write(make([]byte, pad)); err != nil {
			return n, err
		}
	}
	header, err := ustarHeader(name, n)
	if err != nil {
		return n, err
	}
	_, err = w.f.WriteAt(header, at)
	return n, err
}

func (w *dockerWriter) finish() error {
	_, err := w.f.Write(make([]byte, 2*blockSize))
	return err
}

const blockSize = 512

// ustarHeader returns the single header block of a regular file. From 8 GiB on the
// size is in base 256, as GNU tar, bsdtar and Go read it, because a PAX record would
// take blocks of its own.
func ustarHeader(name string, size int64) ([]byte, error) {
	var b bytes.Buffer
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, Format: tar.FormatUSTAR}
	if size >= 1<<33 {
		h.Format = tar.FormatGNU
	}
	if err := tar.NewWriter(&b).WriteHeader(h); err != nil {
		return nil, err
	}
	if b.Len() != blockSize {
		return nil, fmt.Errorf("header of %s takes %s bytes", name, strconv.Itoa(b.Len()))
	}
	return b.Bytes(), nil
}
