package snapshotter

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// readAhead is how much of a blob is asked for at once: containerd's content service
// answers every request with a stream of its own.
const readAhead = 4 << 20

// contentContext returns a context whose calls of the content store carry the
// namespace and the lease of the request that ctx belongs to.
func (s *Service) contentContext(ctx context.Context) (context.Context, error) {
	if s.config.Content == nil {
		return nil, fmt.Errorf("no content store is configured: %w", errdefs.ErrUnavailable)
	}
	ns, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return nil, err
	}
	lease, leased := leases.FromContext(ctx)
	ctx = namespaces.WithNamespace(ctx, ns)
	if leased {
		ctx = leases.WithLease(ctx, lease)
	}
	return ctx, nil
}

// openBlob opens a blob of the content store. ctx comes from contentContext.
func (s *Service) openBlob(ctx context.Context, desc ocispec.Descriptor) (io.Reader, io.Closer, error) {
	ra, err := s.config.Content.ReaderAt(ctx, desc)
	if err != nil {
		return nil, nil, err
	}
	// The size of the descriptor is checked against what is read, so the reader must
	// not stop there.
	return bufio.NewReaderSize(content.NewReader(ra), readAhead), ra, nil
}
