// Package archive reads and writes images in tar files: OCI archives and the archives of
// docker save. Importing it makes package image understand oci-archive:FILE[:TAG][@DIGEST]
// and docker-archive:FILE[:NAME][@DIGEST].
package archive

import (
	"context"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/ocilayout"
	"github.com/mullion/mullion/layer"
)

func init() {
	image.Register(NewOCI())
	image.Register(NewDocker())
}

// NewOCI returns the transport of OCI archives: tar files, compressed or not, that hold an
// OCI image layout. Importing the package registers it.
func NewOCI() image.Transport { return ociTransport{} }

// NewDocker returns the transport of docker archives: tar files, compressed or not, as docker
// save writes them. Importing the package registers it.
func NewDocker() image.Transport { return dockerTransport{} }

type ociTransport struct{}

func (ociTransport) Scheme() string { return image.OCIArchive }

func (ociTransport) ParseReference(rest string) (image.Reference, error) {
	return ocilayout.ParseReference(rest)
}

func (ociTransport) OpenSource(ctx context.Context, ref image.Reference, limits layer.Limits) (image.Source, error) {
	a, err := openArchive(ctx, ref.Path, limits)
	if err != nil {
		return nil, err
	}
	return &ociSource{a, ref.Name, ref.Digest}, nil
}

func (ociTransport) OpenDestination(_ context.Context, ref image.Reference) (image.Destination, error) {
	if err := ocilayout.CheckTag(ref.Name); err != nil {
		return nil, err
	}
	return &ociDestination{ref}, nil
}

type dockerTransport struct{}

func (dockerTransport) Scheme() string { return image.DockerArchive }

func (dockerTransport) ParseReference(rest string) (image.Reference, error) {
	return ocilayout.ParseReference(rest)
}

func (dockerTransport) OpenSource(ctx context.Context, ref image.Reference, limits layer.Limits) (image.Source, error) {
	a, err := openArchive(ctx, ref.Path, limits)
	if err != nil {
		return nil, err
	}
	return newDockerSource(a, ref), nil
}

func (dockerTransport) OpenDestination(_ context.Context, ref image.Reference) (image.Destination, error) {
	if err := checkName(ref.Name); err != nil {
		return nil, err
	}
	return &dockerDestination{ref}, nil
}
