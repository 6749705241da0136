package main

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writeImage writes a container image of the program for the platforms, and nothing else
// in it, as an archive of an OCI layout: one index, one image of one layer for each
// platform.
func (r *release) writeImage(list []platform) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range list {
		img, err := r.image(p)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img,
			Descriptor: v1.Descriptor{
				MediaType: types.OCIManifestSchema1,
				Platform:  &v1.Platform{OS: p.os, Architecture: p.arch},
			},
		})
	}
	dir := filepath.Join(r.stage, "oci")
	top, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := top.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": r.tag(),
		"io.containerd.image.name":          "localhost/mullion:" + r.tag(),
	})); err != nil {
		return err
	}
	var files []file
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files = append(files, file{filepath.ToSlash(rel), path, 0o644})
		return err
	})
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(r.dist, "mullion_"+r.number()+"_oci.tar"))
	if err != nil {
		return err
	}
	if err := writeTar(out, files, r.time); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// tag returns the version in the characters that a tag may have.
func (r *release) tag() string {
	return string(bytes.ReplaceAll([]byte(r.version), []byte("+"), []byte("-")))
}

// image makes the image for p. Files in it belong to root; the program needs root to
// mount, and says so where it is started by another user.
func (r *release) image(p platform) (v1.Image, error) {
	var b bytes.Buffer
	err := writeTar(&b, []file{
		{"usr/bin/mullion", r.program(p), 0o755},
		{"usr/share/doc/mullion/LICENSE", filepath.Join(r.root, "LICENSE"), 0o644},
		{"usr/share/doc/mullion/NOTICES", r.notices(p), 0o644},
	}, r.time)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{
		Layer: layer, MediaType: types.OCILayer,
		History: v1.History{Created: v1.Time{Time: r.time}, CreatedBy: "release"},
	})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.os, p.arch, v1.Time{Time: r.time}
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/mullion"},
		Env:        []string{"PATH=/usr/bin"},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "mullion",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.revision": r.revision,
			"org.opencontainers.image.source":   "https://" + modulePath,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(img, config)
}
