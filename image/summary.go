package image

import (
	"context"
	"io"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
)

// Summary counts what one layer holds.
type Summary struct {
	Stored    int64    // bytes of the blob
	Plain     int64    // bytes of the tar
	Files     int64    // with hard links not counted again
	Dirs      int64    //
	Links     int64    // hard links
	Whiteouts int64    // explicit and opaque
	Content   int64    // logical bytes of all streams
	Hives     []string // paths of the registry hives and delta hives
}

// Summarize reads the layer to its end, which verifies it, and counts.
func (l *Layer) Summarize(ctx context.Context) (*Summary, error) {
	tar, err := l.Tar(ctx)
	if err != nil {
		return nil, err
	}
	r := OpenTar(tar)
	defer r.Close()
	s := &Summary{}
	for {
		e, err := r.Next()
		if err == io.EOF {
			s.Stored, s.Plain = tar.StoredSize(), tar.Size()
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		switch e.Kind {
		case layer.File:
			s.Files++
			if _, _, ok := hives.Match(e.Path); ok {
				s.Hives = append(s.Hives, e.Path)
			}
		case layer.Dir:
			s.Dirs++
		case layer.Link:
			s.Links++
		case layer.Whiteout, layer.Opaque:
			s.Whiteouts++
		}
		for {
			stream, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			s.Content += stream.Size
		}
	}
}
