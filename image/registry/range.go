package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	registryerr "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/mullion/mullion/image"
)

// OpenRange asks for a part of a blob (OCI distribution specification, "Pulling blobs";
// RFC 9110, 14). A server may answer with the whole blob, then the error is
// image.ErrNoRanges and the answer is not read.
func (s *source) OpenRange(ctx context.Context, d image.Descriptor, off, n int64) (io.ReadCloser, error) {
	if _, err := v1.NewHash(string(d.Digest)); err != nil {
		return nil, fmt.Errorf("%w: %.100q: registries are read by SHA-256", image.ErrMediaType, d.Digest)
	}
	if n <= 0 {
		return http.NoBody, nil
	}
	client, err := s.blobs(ctx)
	if err != nil {
		return nil, err
	}
	repo := s.ref.Context()
	u := url.URL{Scheme: repo.Scheme(), Host: repo.RegistryStr(), Path: fmt.Sprintf("/v2/%s/blobs/%s", repo.RepositoryStr(), d.Digest)}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if err = checkRange(resp.Header.Get("Content-Range"), off, n, d.Size); err == nil {
			return resp.Body, nil
		}
	case http.StatusOK, http.StatusNotImplemented, http.StatusRequestedRangeNotSatisfiable:
		err = image.ErrNoRanges
	case http.StatusNotFound:
		err = fmt.Errorf("%w: %s", image.ErrMissingBlob, d.Digest)
	default:
		err = registryerr.CheckError(resp, http.StatusPartialContent)
	}
	resp.Body.Close()
	return nil, err
}

// checkRange compares the Content-Range of an answer with what was asked for.
func checkRange(text string, off, n, size int64) error {
	want := fmt.Sprintf("bytes %d-%d/", off, off+n-1)
	if text != fmt.Sprintf("%s%d", want, size) && text != want+"*" {
		return fmt.Errorf("the registry sent %.100q and was asked for %s%d", text, want, size)
	}
	return nil
}

// blobs returns a client that may read the blobs and lists of the repository.
func (s *source) blobs(ctx context.Context) (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		repo := s.ref.Context()
		auth, err := authn.Resolve(ctx, s.options.keychain, repo)
		if err != nil {
			return nil, err
		}
		rt, err := registryerr.NewWithContext(ctx, repo.Registry, auth, newTripper(s.options, repo.RegistryStr()), []string{repo.Scope(registryerr.PullScope)})
		if err != nil {
			return nil, err
		}
		s.client = &http.Client{Transport: rt, CheckRedirect: noRedirects}
	}
	return s.client, nil
}

var _ image.RangeOpener = (*source)(nil)
