package layerdir

import (
	"fmt"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// entryOrder checks that a caller keeps the order of the Writer contract: the main stream of a
// file first, no name twice, exactly the announced bytes.
type entryOrder struct {
	kind   layer.Kind
	begun  bool // the entry has a stream
	main   bool // the entry has its main stream
	open   bool // a stream is being written
	due    bool // the entry announces a main stream that is not empty
	sparse bool
	offset int64
	size   int64
	names  map[string]bool // upper-cased names of alternate streams
}

func (in *entryOrder) entry(e *layer.Entry) {
	*in = entryOrder{kind: e.Kind, due: e.Kind == layer.File && e.Size > 0}
}

// stream checks that s may be the next stream. The one before is complete.
func (in *entryOrder) stream(s *layer.Stream) error {
	switch {
	case in.kind != layer.File && in.kind != layer.Dir:
		return fmt.Errorf("%w: a %v has no streams", layer.ErrUnsupported, in.kind)
	case s.Size < 0:
		return fmt.Errorf("%w: size of stream %q is not known", layer.ErrUnsupported, s.Name)
	case s.Name == "" && in.kind == layer.Dir:
		return fmt.Errorf("%w: a directory has no main stream", layer.ErrUnsupported)
	case s.Name == "" && in.begun:
		return fmt.Errorf("%w: the main stream must come first and once", layer.ErrDuplicate)
	}
	if s.Name != "" {
		if err := winfs.ValidateStream(s.Name); err != nil {
			return fmt.Errorf("stream: %w", err)
		}
		key := winfs.Fold(s.Name)
		if in.names[key] {
			return fmt.Errorf("%w: stream %q", layer.ErrDuplicate, s.Name)
		}
		if in.names == nil {
			in.names = make(map[string]bool)
		}
		in.names[key] = true
	} else {
		in.main = true
	}
	in.begun, in.open, in.sparse, in.offset, in.size = true, true, s.Sparse, 0, s.Size
	return nil
}

// advance checks that n more bytes, or a hole of n bytes, fit.
func (in *entryOrder) advance(n int64, hole bool) error {
	switch {
	case !in.open:
		return fmt.Errorf("%w: no stream was begun", layer.ErrUnsupported)
	case n < 0:
		return fmt.Errorf("%w: negative length", layer.ErrUnsupported)
	case n > in.size-in.offset:
		return fmt.Errorf("%w: more than %d bytes", layer.ErrStreamSize, in.size)
	case hole && !in.sparse:
		return fmt.Errorf("%w: hole in a stream that is not sparse", layer.ErrUnsupported)
	}
	in.offset += n
	return nil
}

// finishEntry checks that the current entry is complete.
func (in *entryOrder) finishEntry() error {
	if in.due && !in.main {
		return fmt.Errorf("%w: the main stream is missing", layer.ErrStreamSize)
	}
	return in.finish()
}

// finish checks that the current stream, if any, is complete.
func (in *entryOrder) finish() error {
	if in.open && in.offset != in.size {
		return fmt.Errorf("%w: %d of %d bytes", layer.ErrStreamSize, in.offset, in.size)
	}
	in.open = false
	return nil
}
