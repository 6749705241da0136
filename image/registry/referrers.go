package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	registryerr "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/internal/oci"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
)

// maxReferrerPages is the number of pages in which a registry may send its list of referrers.
const maxReferrerPages = 100

// Referrers asks for the referrers of a manifest, by the API of the OCI distribution
// specification 1.1 ("Listing Referrers"), page by page, and where a registry lacks it by the
// tag that its "Referrers Tag Schema" defines. A list that is larger than a document may be, one
// of more than 100 pages or that names a page twice, and a page at another place are errors.
func (s *source) Referrers(ctx context.Context, d image.Descriptor) ([]image.Descriptor, error) {
	if _, err := v1.NewHash(string(d.Digest)); err != nil {
		return nil, fmt.Errorf("%w: %.100q: registries are read by SHA-256", image.ErrMediaType, d.Digest)
	}
	client, err := s.blobs(ctx)
	if err != nil {
		return nil, explain(err)
	}
	repo := s.ref.Context()
	at := &url.URL{Scheme: repo.Scheme(), Host: repo.RegistryStr(), Path: fmt.Sprintf("/v2/%s/referrers/%s", repo.RepositoryStr(), d.Digest)}
	var all []image.Descriptor
	seen, size := map[string]bool{}, 0
	for {
		seen[at.String()] = true
		raw, link, err := referrersPage(ctx, client, at)
		switch {
		case errors.Is(err, errNoReferrersAPI) && len(seen) == 1:
			return s.taggedReferrers(ctx, d)
		case err != nil:
			return nil, explain(err)
		}
		if size += len(raw); size > oci.MaxDocument {
			return nil, &layer.LimitError{Limit: "bytes of a list of referrers", Max: oci.MaxDocument}
		}
		list, err := parseReferrers(d, raw)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if link == "" {
			return all, nil
		}
		next, err := at.Parse(link)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: the list of referrers of %s: %w", image.ErrManifest, d.Digest, err)
		case next.Scheme != at.Scheme || next.Host != at.Host:
			return nil, fmt.Errorf("%w: the list of referrers of %s goes on at another place, %.200q", image.ErrManifest, d.Digest, link)
		case seen[next.String()] || len(seen) == maxReferrerPages:
			return nil, fmt.Errorf("%w: the list of referrers of %s does not end: after %d pages the next is %.200q", image.ErrManifest, d.Digest, len(seen), link)
		}
		at = next
	}
}

// errNoReferrersAPI says that a registry does not know the API.
var errNoReferrersAPI = errors.New("the registry does not list referrers")

// referrersPage reads a page of the list, and the address of the next, "" for none.
func referrersPage(ctx context.Context, client *http.Client, at *url.URL) (raw []byte, next string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Accept", string(types.OCIImageIndex))
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if err := registryerr.CheckError(resp, http.StatusOK, http.StatusNotFound, http.StatusBadRequest, http.StatusNotAcceptable); err != nil {
		return nil, "", err
	}
	if resp.StatusCode != http.StatusOK || oci.BaseMediaType(resp.Header.Get("Content-Type")) != string(types.OCIImageIndex) {
		return nil, "", errNoReferrersAPI
	}
	raw, err = io.ReadAll(io.LimitReader(resp.Body, oci.MaxDocument+1))
	return raw, nextPage(resp.Header.Values("Link")), err
}

// nextPage is the target of the link with the relation next (RFC 8288, 3), "" for none.
func nextPage(links []string) string {
	for _, link := range links {
		_, rest, ok := strings.Cut(link, "<")
		for ok {
			var target, parameters string
			if target, rest, ok = strings.Cut(rest, ">"); !ok {
				break
			}
			parameters, rest, ok = strings.Cut(rest, "<")
			for p := range strings.FieldsFuncSeq(parameters, func(r rune) bool { return r == ';' || r == ',' }) {
				name, value, _ := strings.Cut(p, "=")
				if strings.EqualFold(strings.TrimSpace(name), "rel") && strings.EqualFold(strings.Trim(strings.TrimSpace(value), `"`), "next") {
					return target
				}
			}
		}
	}
	return ""
}

// taggedReferrers reads the list under the tag of the Referrers Tag Schema.
func (s *source) taggedReferrers(ctx context.Context, d image.Descriptor) ([]image.Descriptor, error) {
	repo := s.ref.Context()
	t := transport{*s.options}
	index, err := remote.Referrers(repo.Digest(string(d.Digest)), append(t.remote(repo), remote.WithContext(ctx))...)
	if err != nil {
		return nil, explain(err)
	}
	raw, err := index.RawManifest()
	if err != nil {
		return nil, err
	}
	return parseReferrers(d, raw)
}

// parseReferrers decodes a list of referrers of d.
func parseReferrers(d image.Descriptor, raw []byte) ([]image.Descriptor, error) {
	doc, err := image.ParseDocument(image.Descriptor{MediaType: string(types.OCIImageIndex), Digest: digest.FromBytes(raw), Size: int64(len(raw))}, raw)
	if err != nil || doc.Index == nil {
		return nil, fmt.Errorf("%w: the list of referrers of %s: %v", image.ErrManifest, d.Digest, err)
	}
	return doc.Index.Manifests, nil
}

// WriteReferrer pushes an artifact. Where a registry lacks the API of referrers, the client
// also adds it to the tag of the Referrers Tag Schema.
func (d *destination) WriteReferrer(ctx context.Context, manifest image.Content, _ string, blobs []image.Content) error {
	repo := d.ref.Context()
	img, err := partial.CompressedToImage(&artifact{manifest, blobs})
	if err != nil {
		return err
	}
	at := repo.Digest(string(manifest.Descriptor.Digest))
	return d.blame(remote.Write(at, img, append(d.remote(repo), remote.WithContext(ctx))...))
}

// artifact shows a manifest with small blobs, the first of which is the configuration, to the
// registry client.
type artifact struct {
	manifest image.Content
	blobs    []image.Content
}

func (a *artifact) RawConfigFile() ([]byte, error) { return a.blobs[0].Raw, nil }
func (a *artifact) RawManifest() ([]byte, error)   { return a.manifest.Raw, nil }
func (a *artifact) MediaType() (types.MediaType, error) {
	return types.MediaType(a.manifest.Descriptor.MediaType), nil
}

func (a *artifact) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, b := range a.blobs {
		if string(b.Descriptor.Digest) == h.String() {
			return &smallLayer{b, h}, nil
		}
	}
	return nil, fmt.Errorf("%w: %v", image.ErrMissingBlob, h)
}

type smallLayer struct {
	image.Content
	hash v1.Hash
}

func (l *smallLayer) Digest() (v1.Hash, error) { return l.hash, nil }
func (l *smallLayer) Size() (int64, error)     { return l.Descriptor.Size, nil }
func (l *smallLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.Descriptor.MediaType), nil
}

func (l *smallLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.Raw)), nil
}

var (
	_ image.ReferrerSource      = (*source)(nil)
	_ image.ReferrerDestination = (*destination)(nil)
)
