package layerindex

import (
	"fmt"
	"io"

	"github.com/mullion/mullion/layer"
)

// WithTar returns the source such that its tar is read from r, which has the decompressed
// bytes of the blob, for a program that reads many files in an order of its own.
func (s *Source) WithTar(r io.ReaderAt) *Source {
	with := *s
	with.tar = r
	return &with
}

// openTar opens n bytes of the tar at an offset, all that follow if n is negative.
func (s *Source) openTar(off, n int64) (io.ReadCloser, error) {
	if s.tar == nil {
		return s.x.plainMap.NewReader(s.ctx, s.src, off, n)
	}
	if rest := s.x.head.Plain - off; n < 0 || n > rest {
		n = rest
	}
	// A reader that could seek would leave the end of the archive unread.
	return io.NopCloser(struct{ io.Reader }{io.NewSectionReader(s.tar, off, n)}), nil
}

// StreamsAt returns the streams of the entry of a number, from 0, without reading the blob.
func (s *Source) StreamsAt(n int32) ([]layer.Stream, error) {
	r, err := s.at(n)
	if err != nil {
		return nil, err
	}
	list := make([]layer.Stream, len(r.rec.streams))
	for i := range list {
		list[i] = r.rec.streams[i].Stream
	}
	return list, r.Close()
}

// at returns a reader whose current entry is that of a number.
func (s *Source) at(n int32) (*reader, error) {
	r, err := s.open(n, true)
	if err != nil {
		return nil, err
	}
	if _, err := r.Next(); err != nil {
		if err == io.EOF {
			err = s.fail("", n, fmt.Errorf("%w: the layer ends", ErrDamaged))
		}
		return nil, err
	}
	return r.(*reader), nil
}

// TarOffset returns where in the tar the content of a stream begins; the numbers of its entry
// and its own there are from 0. ok is false if the content is not there in one piece, as that
// of a sparse stream is not. The headers of the entry are read.
func (s *Source) TarOffset(n int32, stream int) (off int64, ok bool, err error) {
	r, err := s.at(n)
	if err != nil {
		return 0, false, err
	}
	defer r.Close()
	if stream < 0 || stream >= len(r.rec.streams) {
		return 0, false, s.fail(r.rec.Path, n, fmt.Errorf("%w: stream %d of %d", ErrDamaged, stream, len(r.rec.streams)))
	}
	for range stream + 1 {
		if _, err := r.NextStream(); err != nil {
			return 0, false, err
		}
	}
	if err := r.locate(); err != nil {
		return 0, false, err
	}
	off, ok = r.data.DataOffset()
	return off, ok && off <= s.x.head.Plain-r.current().Size, nil
}
