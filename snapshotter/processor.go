package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/typeurl/v2"
	"github.com/mullion/mullion/blob"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Processor is a program that turns layers of one media type into another, as containerd's
// configuration names them under stream_processors: one that decrypts layers, for
// instance. It reads the blob from standard input and writes the result to standard
// output; the media type is in STREAM_PROCESSOR_MEDIATYPE, and the payload of the
// request, if there is one, at file descriptor 3.
type Processor struct {
	ID      string
	Accepts []string // media types
	Returns string
	Path    string
	Args    []string
	Env     []string // NAME=value, beside the environment of this process
}

// maxProcessors is how many programs a blob goes through at most.
const maxProcessors = 8

// layerBlob is a blob that a layer is made of, with the programs that it has to go
// through.
type layerBlob struct {
	ocispec.Descriptor
	through  []Processor
	payloads map[string]typeurl.Any
}

// processed finds the programs that make a Windows layer of a blob. A configured one comes
// first, as in containerd; ok is false where the end is no type of a layer.
func (s *Service) processed(desc ocispec.Descriptor, payloads map[string]typeurl.Any) (b layerBlob, ok bool) {
	b = layerBlob{Descriptor: desc, payloads: payloads}
	mediaType := desc.MediaType
	for len(b.through) < maxProcessors {
		i := slices.IndexFunc(s.config.Processors, func(p Processor) bool { return slices.Contains(p.Accepts, mediaType) })
		if i < 0 {
			return b, layerTypes[mediaType]
		}
		b.through = append(b.through, s.config.Processors[i])
		mediaType = s.config.Processors[i].Returns
	}
	return b, false
}

// blobStream is an open blob, after the programs that it goes through.
type blobStream struct {
	io.Reader
	options []blob.ReaderOption // verify what Reader yields, as far as it is the blob
	closer  io.Closer
	stored  *blob.Reader // the blob, where programs are in between
	stages  []diff.StreamProcessor
}

// openStream opens a blob. ctx bounds the programs, cctx comes from contentContext.
func (s *Service) openStream(ctx, cctx context.Context, b layerBlob) (*blobStream, error) {
	src, closer, err := s.openBlob(cctx, b.Descriptor)
	if err != nil {
		return nil, err
	}
	verify := blob.WithDigest(b.Digest, b.Size)
	if len(b.through) == 0 {
		return &blobStream{Reader: src, closer: closer, options: []blob.ReaderOption{verify}}, nil
	}
	stored, err := blob.NewReader(ctx, src, verify, blob.Stored())
	if err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	st := &blobStream{closer: closer, stored: stored}
	last, mediaType := diff.NewProcessorChain(b.MediaType, stored), b.MediaType
	for _, p := range b.through {
		next, err := diff.NewBinaryProcessor(ctx, mediaType, p.Returns, last, p.Path, p.Args, p.Env, b.payloads[p.ID])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("stream processor %s: %w", p.ID, err), st.Close())
		}
		st.stages = append(st.stages, next)
		last, mediaType = next, p.Returns
	}
	st.Reader = last
	return st, nil
}

// verify reports, after the end of the stream, whether every program has succeeded and
// has read the blob that was meant.
func (st *blobStream) verify(ctx context.Context) error {
	if st.stored == nil {
		return nil
	}
	for _, p := range st.stages {
		if w, ok := p.(interface{ Wait(context.Context) error }); ok {
			if err := w.Wait(ctx); err != nil {
				return fmt.Errorf("stream processor: %w", err)
			}
		}
		if e, ok := p.(interface{ Err() error }); ok && e.Err() != nil {
			return fmt.Errorf("stream processor: %w", e.Err())
		}
	}
	return st.stored.Finish()
}

// storedSize returns how many bytes of the blob were read; r is the reader of the stream.
func (st *blobStream) storedSize(r *blob.Reader) int64 {
	if st.stored != nil {
		return st.stored.StoredSize()
	}
	return r.StoredSize()
}

// Close ends the programs and closes the blob.
func (st *blobStream) Close() error {
	var errs []error
	for _, p := range slices.Backward(st.stages) {
		errs = append(errs, p.Close())
	}
	if st.stored != nil {
		errs = append(errs, st.stored.Close())
	}
	return errors.Join(append(errs, st.closer.Close())...)
}
