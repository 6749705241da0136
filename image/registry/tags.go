package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	registryerr "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/mullion/mullion/image"
)

// ErrCredentials says that a registry does not accept the credentials of Authenticate.
var ErrCredentials = errors.New("the registry does not accept the credentials")

// maxEmptyPages bounds the pages without a tag that follow each other.
const maxEmptyPages = 100

// Tags yields the tags of a repository, in the order of the registry, which sends them in
// pages. The repository is a name such as mcr.microsoft.com/windows/nanoserver, without
// tag and digest. Errors are image.ErrReference for a name that is not one, and
// image.ErrNotFound. A registry whose pages do not come to an end, because one names itself as
// the next or too many are empty, is an error too.
func Tags(ctx context.Context, repository string, opts ...Option) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		t := newTransport(opts)
		repo, err := name.NewRepository(repository, t.naming()...)
		if err != nil {
			yield("", fmt.Errorf("%w: %w", image.ErrReference, err))
			return
		}
		puller, err := remote.NewPuller(t.remote(repo)...)
		if err != nil {
			yield("", err)
			return
		}
		pages, err := puller.Lister(ctx, repo)
		empty, next := 0, ""
		for err == nil && pages.HasNext() {
			var page *remote.Tags
			if page, err = pages.Next(ctx); err != nil {
				break
			}
			for _, tag := range page.Tags {
				if !yield(tag, nil) {
					return
				}
			}
			if empty++; len(page.Tags) > 0 {
				empty = 0
			}
			if page.Next != "" && page.Next == next || empty > maxEmptyPages {
				err = fmt.Errorf("the pages of tags of %s do not end: the next is %.200q", repository, page.Next)
				break
			}
			next = page.Next
		}
		if err != nil {
			yield("", explain(err))
		}
	}
}

// Authenticate makes a request to a registry, host or host:port, with a name and a
// password, as a client does that asks for the version of its API. Asked reports whether
// the registry wants credentials at all. Errors are ErrCredentials, and image.ErrReference
// for a host that is not one.
func Authenticate(ctx context.Context, registry, user, password string, opts ...Option) (asked bool, err error) {
	t := newTransport(opts)
	reg, err := name.NewRegistry(registry, t.naming()...)
	if err != nil {
		return false, fmt.Errorf("%w: %w", image.ErrReference, err)
	}
	rt := newTripper(&t.options, reg.RegistryStr())
	challenge, err := registryerr.Ping(ctx, reg, rt)
	if err != nil || challenge.Scheme == "" {
		return false, err
	}
	auth := authn.FromConfig(authn.AuthConfig{Username: user, Password: password})
	signed, err := registryerr.NewWithContext(ctx, reg, auth, rt, nil)
	if err != nil {
		return true, refused(err)
	}
	scheme := "https"
	if challenge.Insecure {
		scheme = "http"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+reg.RegistryStr()+"/v2/", nil)
	if err != nil {
		return true, err
	}
	resp, err := signed.RoundTrip(req)
	if err != nil {
		return true, refused(err)
	}
	defer resp.Body.Close()
	return true, refused(registryerr.CheckError(resp, http.StatusOK))
}

// refused maps the answer to wrong credentials to ErrCredentials.
func refused(err error) error {
	var t *registryerr.Error
	if errors.As(err, &t) && (t.StatusCode == http.StatusUnauthorized || t.StatusCode == http.StatusForbidden) {
		return fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	return err
}
