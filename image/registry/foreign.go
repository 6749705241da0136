package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/mullion/mullion/image"
)

// OpenForeign opens a foreign layer where its publisher keeps it: at the first of the
// URLs in its descriptor that answers. The URLs come from the image, so that they are
// subject to the address policy of the registry client even before any redirect, and
// no answer is repeated in an error, which would disclose to the image's author
// which services this machine reaches.
func (t *transport) OpenForeign(ctx context.Context, d image.Descriptor) (io.ReadCloser, error) {
	client := &http.Client{Transport: newTripper(&t.options, ""), CheckRedirect: noRedirects}
	const maxURLs = 16
	if len(d.URLs) > maxURLs {
		return nil, fmt.Errorf("%w: %s has %d URLs", image.ErrManifest, d.Digest, len(d.URLs))
	}
	var refused error
	for _, u := range d.URLs {
		rc, err := openURL(ctx, client, u)
		if err == nil {
			return rc, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if refused == nil && (errors.Is(err, ErrAddress) || errors.Is(err, image.ErrMediaType)) {
			refused = err
		}
	}
	if refused != nil {
		return nil, refused
	}
	return nil, fmt.Errorf("%w: %s is at none of its %d URLs", image.ErrMissingBlob, d.Digest, len(d.URLs))
}

// errURL reports that a URL did not serve the layer.
var errURL = errors.New("not served")

func openURL(ctx context.Context, client *http.Client, u string) (io.ReadCloser, error) {
	parsed, err := url.Parse(u)
	if err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" {
		return nil, fmt.Errorf("%w: foreign layer at %.200q", image.ErrMediaType, u)
	}
	req, err := http.NewRequestWithContext(foreign(ctx), http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, errURL
	}
	return resp.Body, nil
}
