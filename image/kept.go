package image

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
)

// UnionKeeping is Union for a caller that goes on to read the files at certain paths: while
// a layer without an index is read for the view, the content of those for which wanted
// returns true is kept in a temporary file in dir, from which the view reads it. So each
// blob is read once. What does not fit there is read from the blob again. The caller calls
// done after it has closed the view and its readers.
func (i *Image) UnionKeeping(ctx context.Context, dir string, wanted func(path string) bool) (v *layer.View, done func() error, err error) {
	sources, done := i.keepingSources(ctx, dir, wanted)
	if v, err = layer.Union(ctx, sources, layer.WithUnionLimits(i.opts.limits)); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return v, done, nil
}

// keepingSources returns the layers as sources that keep the content of files at certain
// paths, until done is called; see UnionKeeping.
func (i *Image) keepingSources(ctx context.Context, dir string, wanted func(path string) bool) (sources []layer.Source, done func() error) {
	sources = make([]layer.Source, len(i.layers))
	var kept []*keptStreams
	for n, l := range i.layers {
		k := &keptStreams{dir: dir, at: map[streamPlace]streamSpan{}}
		kept = append(kept, k)
		sources[n] = &keepingSource{layerSource{l, ctx}, k, wanted}
	}
	done = func() error {
		var errs []error
		for _, k := range kept {
			errs = append(errs, k.Close())
		}
		return errors.Join(errs...)
	}
	return sources, done
}

// keepingSource is a layer of which streams are kept when it is read without an index.
type keepingSource struct {
	layerSource
	kept   *keptStreams
	wanted func(path string) bool
}

func (s *keepingSource) Open() (layer.Reader, error) {
	if x := s.Indexed(); x != nil {
		return x.Open()
	}
	r, err := s.l.read(s.ctx, true)
	if rec, ok := r.(*layerindex.Recorder); ok && err == nil {
		return &keepingReader{Recorder: rec, s: s, n: -1}, nil
	}
	return r, err
}

func (s *keepingSource) Indexed() layer.EntrySource {
	if x, ok := s.layerSource.Indexed().(*layerindex.Source); ok {
		return x.WithStreams(s.kept)
	}
	return nil
}

// keepingReader keeps the wanted streams that its caller passes over.
type keepingReader struct {
	*layerindex.Recorder
	s     *keepingSource
	n     int32 // of the current entry
	keeps bool  // the current entry is wanted, and none of its streams was begun
}

func (r *keepingReader) Next() (*layer.Entry, error) {
	if r.keeps {
		r.keeps = false
		if err := r.keep(); err != nil {
			return nil, err
		}
	}
	e, err := r.Recorder.Next()
	if err == nil {
		r.n++
		r.keeps = e.Kind == layer.File && r.s.wanted(e.Path)
	}
	return e, err
}

func (r *keepingReader) NextStream() (*layer.Stream, error) {
	r.keeps = false
	return r.Recorder.NextStream()
}

func (r *keepingReader) keep() error {
	for n := 0; ; n++ {
		s, err := r.Recorder.NextStream()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if s.Size == 0 || s.Sparse {
			continue // zeros are not worth keeping
		}
		if err := r.s.kept.add(streamPlace{r.n, n}, ctxio.Reader(r.s.ctx, r.Recorder), s.Size); err != nil {
			return err
		}
	}
}

// streamPlace is the number of an entry and that of one of its streams.
type streamPlace struct {
	entry  int32
	stream int
}

// streamSpan is where a stream is in a file.
type streamSpan struct{ off, size int64 }

// keptStreams are streams of a layer in a temporary file.
type keptStreams struct {
	dir string

	mu   sync.Mutex
	file *tempfile.File // or nil
	size int64
	at   map[streamPlace]streamSpan
	full bool // nothing more is kept
	buf  []byte
}

// add keeps a stream. The error is one of r; what cannot be written is not kept.
func (k *keptStreams) add(p streamPlace, r io.Reader, size int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil && !k.full {
		var err error
		k.file, err = tempfile.Create(k.dir, "mullion-content-")
		k.full = err != nil
		k.buf = make([]byte, 256<<10)
	}
	for at := int64(0); !k.full; {
		n, err := r.Read(k.buf)
		if _, werr := k.file.WriteAt(k.buf[:n], k.size+at); werr != nil {
			k.full = true
			return nil // the recorder reads the rest
		}
		at += int64(n)
		if err == io.EOF {
			if at == size {
				k.at[p] = streamSpan{k.size, size}
				k.size += size
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Stream implements layerindex.Streams.
func (k *keptStreams) Stream(entry int32, stream int) io.Reader {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.at[streamPlace{entry, stream}]
	if !ok {
		return nil
	}
	return io.NewSectionReader(k.file, s.off, s.size)
}

func (k *keptStreams) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.file
	k.file, k.at, k.full = nil, nil, true
	if f == nil {
		return nil
	}
	return f.Close()
}
