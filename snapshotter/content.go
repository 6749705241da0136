package snapshotter

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// readAhead is how much of a blob is asked for at once: containerd's content service
// answers every request with a stream of its own.
const readAhead = 4 << 20

// CompareLease is how long a blob that Compare wrote is kept without a reference. That
// is long enough to compare and push the other layers of an image; then a forgotten
// blob is collected.
const CompareLease = time.Hour

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

// leased returns a context whose writes to the content store outlive the next garbage
// collection. drop returns the lease if the write failed. ctx comes from
// contentContext.
func (s *Service) leased(ctx context.Context) (_ context.Context, drop func(), err error) {
	if _, ok := leases.FromContext(ctx); ok || s.config.Leases == nil {
		return ctx, func() {}, nil
	}
	l, err := s.config.Leases.Create(ctx, leases.WithRandomID(), leases.WithExpiration(CompareLease))
	if err != nil {
		return nil, nil, fmt.Errorf("lease for the difference: %w", err)
	}
	drop = func() {
		// Also when the request was cancelled.
		if err := s.config.Leases.Delete(context.WithoutCancel(ctx), l); err != nil {
			s.log.Warn("give back lease", "lease", l.ID, "err", err)
		}
	}
	return leases.WithLease(ctx, l.ID), drop, nil
}

// openBlob opens a blob of the content store. ctx comes from contentContext.
func (s *Service) openBlob(ctx context.Context, desc ocispec.Descriptor) (io.Reader, io.Closer, error) {
	ra, err := s.config.Content.ReaderAt(ctx, desc)
	if err != nil {
		return nil, nil, err
	}
	// The descriptor's size is checked against the number of bytes read, so the
	// reader must not stop there.
	return bufio.NewReaderSize(content.NewReader(ra), readAhead), ra, nil
}
