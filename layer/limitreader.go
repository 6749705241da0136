package layer

// LimitReader returns a reader of r that ends with a [*LimitError] in an [*Error] when the
// layer exceeds a limit: Entries, Depth, MetadataLen, FileSize and TotalSize at an entry, so
// that sizes count whether a stream is read or not, and Streams, FileSize and TotalSize of
// alternate streams at a stream, before its first byte. It counts no directories that are
// implied by their contents. Closing it closes r. It is an [ExtentReader] and [Metered] as r
// is.
//
// [Copy] and [Union] have limits of their own. LimitReader is for programs that look for
// something in a layer.
func LimitReader(r Reader, limits Limits) Reader {
	l := &limitReader{Reader: r, limits: limits.WithDefaults()}
	l.hasher, _ = r.(StreamHasher)
	x, extents := r.(ExtentReader)
	m, metered := r.(Metered)
	switch {
	case extents && metered:
		return &struct {
			*limitReader
			ExtentReader
			Metered
		}{l, x, m}
	case extents:
		return &struct {
			*limitReader
			ExtentReader
		}{l, x}
	case metered:
		return &struct {
			*limitReader
			Metered
		}{l, m}
	}
	return l
}

type limitReader struct {
	Reader
	hasher  StreamHasher // nil if Reader is none
	limits  Limits
	entry   string
	index   int64 // of the entry, from 1
	streams int64 // of the entry
	total   int64 // bytes of all streams
	counted int64 // of the entry's main stream
}

// Next implements Reader.
func (l *limitReader) Next() (*Entry, error) {
	e, err := l.Reader.Next()
	if err != nil {
		return nil, err
	}
	l.index++
	l.streams = 0
	l.entry = e.Path
	switch {
	case l.index > l.limits.Entries:
		return nil, l.fail(&LimitError{Limit: "Entries", Max: l.limits.Entries})
	case e.MetadataSize() > l.limits.MetadataLen:
		return nil, l.fail(&LimitError{Limit: "MetadataLen", Max: l.limits.MetadataLen})
	}
	if err := l.limits.CheckDepth(e.Path); err != nil {
		return nil, l.fail(err)
	}
	l.counted = 0
	if e.Kind == File && e.Size > 0 {
		if err := l.count(e.Size); err != nil {
			return nil, l.fail(err)
		}
		l.counted = e.Size
	}
	return e, nil
}

// NextStream implements Reader.
func (l *limitReader) NextStream() (*Stream, error) {
	s, err := l.Reader.NextStream()
	if err != nil {
		return nil, err
	}
	if l.streams++; l.streams > l.limits.Streams {
		return nil, l.fail(&LimitError{Limit: "Streams", Max: l.limits.Streams})
	}
	more := s.Size
	if s.Name == "" {
		more -= l.counted // at the entry, unless its size was not known
	}
	if err := l.count(max(0, more)); err != nil {
		return nil, l.fail(err)
	}
	return s, nil
}

// count adds a stream of n bytes.
func (l *limitReader) count(n int64) error {
	switch {
	case n > l.limits.FileSize:
		return &LimitError{Limit: "FileSize", Max: l.limits.FileSize}
	case n > l.limits.TotalSize-l.total:
		return &LimitError{Limit: "TotalSize", Max: l.limits.TotalSize}
	}
	l.total += n
	return nil
}

// StreamSum implements StreamHasher.
func (l *limitReader) StreamSum() (sum [32]byte, ok bool) {
	if l.hasher == nil {
		return sum, false
	}
	return l.hasher.StreamSum()
}

func (l *limitReader) fail(err error) error {
	return &Error{Op: "read", Entry: l.entry, Index: l.index, Offset: -1, Err: err}
}
