// Package containerd reads images from the content store of a containerd and writes them
// into it. Importing it makes package image understand containerd:[NAMESPACE/]NAME.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/mullion/mullion/image"
	dial "github.com/mullion/mullion/internal/containerd"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Address returns the socket of containerd that is used without WithAddress:
// CONTAINERD_ADDRESS, as for ctr, or containerd's own default.
func Address() string {
	if a := os.Getenv("CONTAINERD_ADDRESS"); a != "" {
		return a
	}
	return dial.DefaultAddress
}

// Option configures New.
type Option func(*transport)

// WithAddress sets the socket of the containerd; the default, also for "", is [Address].
func WithAddress(address string) Option { return func(t *transport) { t.address = address } }

// transport is that of containerd: references.
type transport struct{ address string }

func init() { image.Register(New()) }

// New returns the transport of images in containerd. Importing the package registers one
// without options.
func New(opts ...Option) image.Transport {
	t := &transport{}
	for _, f := range opts {
		f(t)
	}
	return t
}

func (*transport) Scheme() string { return image.Containerd }

func (*transport) ParseReference(rest string) (r image.Reference, err error) {
	if r.Name, r.Path = cutNamespace(rest); r.Path == "" {
		return r, errors.New("it has no name")
	}
	return r, nil
}

func (t *transport) OpenSource(ctx context.Context, ref image.Reference, _ layer.Limits) (image.Source, error) {
	return t.connect(ctx, ref)
}

func (t *transport) OpenDestination(_ context.Context, ref image.Reference) (image.Destination, error) {
	return &destination{t, ref}, nil
}

// defaultNamespace is that of names without one: CONTAINERD_NAMESPACE, as for ctr.
func defaultNamespace() string {
	if n := os.Getenv("CONTAINERD_NAMESPACE"); n != "" {
		return n
	}
	return namespaces.Default
}

// identifier matches the namespaces that containerd allows (pkg/identifiers).
var identifier = regexp.MustCompile(`^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$`)

// cutNamespace splits [NAMESPACE/]NAME. A name in containerd starts with the host of
// its registry, which has a dot or a port in it or is localhost. But so may a
// namespace, as k8s.io: it is one if a host follows.
func cutNamespace(s string) (namespace, name string) {
	first, rest, found := strings.Cut(s, "/")
	if !found || !identifier.MatchString(first) || len(first) > 76 {
		return "", s
	}
	second, _, more := strings.Cut(rest, "/")
	if isHost(first) && !(more && isHost(second)) {
		return "", s
	}
	return first, rest
}

func isHost(s string) bool { return strings.ContainsAny(s, ".:") || s == "localhost" }

// source is an image in a containerd.
type source struct {
	namespace, name string
	conn            *grpc.ClientConn
}

// connect connects to the containerd of an image. Calls are made in the
// namespace of the reference.
func (t *transport) connect(ctx context.Context, ref image.Reference) (*source, error) {
	address := t.address
	if address == "" {
		address = Address()
	}
	// gRPC does not report why it could not connect.
	if err := dial.Reachable(ctx, address); err != nil {
		return nil, err
	}
	conn, err := dial.Dial(address)
	if err != nil {
		return nil, err
	}
	s := &source{namespace: ref.Name, name: ref.Path, conn: conn}
	if s.namespace == "" {
		s.namespace = defaultNamespace()
	}
	return s, nil
}

func (s *source) in(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, s.namespace)
}

func (s *source) Roots(ctx context.Context) ([]image.Descriptor, error) {
	images := imagesapi.NewImagesClient(s.conn)
	resp, err := images.Get(s.in(ctx), &imagesapi.GetImageRequest{Name: s.name})
	if status.Code(err) == codes.NotFound {
		return nil, fmt.Errorf("%w: no %.200q in namespace %s%s", image.ErrNotFound, s.name, s.namespace, s.others(ctx))
	}
	if err != nil {
		return nil, s.explain(err)
	}
	t := resp.GetImage().GetTarget()
	return []image.Descriptor{{MediaType: t.GetMediaType(), Digest: digest.Digest(t.GetDigest()), Size: t.GetSize(), Annotations: t.GetAnnotations()}}, nil
}

// others lists the images of the namespace, for the error of a name that is missing.
func (s *source) others(ctx context.Context) string {
	resp, err := imagesapi.NewImagesClient(s.conn).List(s.in(ctx), &imagesapi.ListImagesRequest{})
	if err != nil || len(resp.GetImages()) == 0 {
		return ""
	}
	var names []string
	for i, img := range resp.GetImages() {
		if i == 16 {
			names = append(names, fmt.Sprintf("and %d more", len(resp.GetImages())-i))
			break
		}
		names = append(names, img.GetName())
	}
	return "; there is: " + strings.Join(names, ", ")
}

// explain reduces a gRPC error to the text that containerd sent, without the status code.
func (s *source) explain(err error) error {
	if status.Code(err) == codes.Canceled {
		return context.Canceled
	}
	return fmt.Errorf("containerd: %s", status.Convert(err).Message())
}

func (s *source) Open(ctx context.Context, d image.Descriptor) (io.ReadCloser, error) {
	return s.read(ctx, d, 0, 0)
}

// OpenRange implements image.RangeOpener.
func (s *source) OpenRange(ctx context.Context, d image.Descriptor, off, n int64) (io.ReadCloser, error) {
	if n <= 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return s.read(ctx, d, off, n)
}

// read opens n bytes of a blob at an offset; 0 is all that follow.
func (s *source) read(ctx context.Context, d image.Descriptor, off, n int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(s.in(ctx))
	stream, err := contentapi.NewContentClient(s.conn).Read(ctx, &contentapi.ReadContentRequest{Digest: string(d.Digest), Offset: off, Size: n})
	r := &reader{s: s, stream: stream, cancel: cancel}
	if err == nil {
		// The first piece, because only with it comes the answer that there is none.
		err = r.fill()
	}
	if err == nil || err == io.EOF {
		return r, nil
	}
	cancel()
	if status.Code(err) == codes.NotFound {
		return nil, fmt.Errorf("%w: %s is not in containerd's content store", image.ErrMissingBlob, d.Digest)
	}
	return nil, s.explain(err)
}

func (s *source) Close() error { return s.conn.Close() }

// reader reads a blob in the pieces in which containerd sends it.
type reader struct {
	s      *source
	stream contentapi.Content_ReadClient
	cancel context.CancelFunc
	piece  []byte
	ended  bool
}

func (r *reader) fill() error {
	resp, err := r.stream.Recv()
	if err != nil {
		r.ended = err == io.EOF
		return err
	}
	r.piece = resp.GetData()
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.piece) == 0 {
		if r.ended {
			return 0, io.EOF
		}
		if err := r.fill(); err == io.EOF {
			return 0, err
		} else if err != nil {
			return 0, r.s.explain(err)
		}
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

func (r *reader) Close() error {
	r.cancel()
	return nil
}
