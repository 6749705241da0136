package layer

// Source is a layer that can be read more than once. Operations that need two passes, such
// as [Union] and [Diff], take sources.
type Source interface {
	// Open returns a new reader at the first entry. All readers yield the same entries and
	// are independent of each other. The caller closes the reader.
	Open() (Reader, error)
}

// EntrySource is a Source that has its entries at hand and need not be read up to one, as an
// index of a layer. [Union] and [View] use it to read single files and to keep no metadata
// of their own.
type EntrySource interface {
	Source
	// Len returns the number of entries.
	Len() int64
	// EntryAt returns the entry of a number, from 0 in the order of the layer. The entry is
	// the caller's to keep, its buffers are not to be changed.
	EntryAt(n int32) (*Entry, error)
	// OpenAt returns a reader that begins at the entry of a number. The caller closes it.
	OpenAt(n int32) (Reader, error)
}

// IndexedSource is a Source that may have an index.
type IndexedSource interface {
	Source
	// Indexed returns the source as one that has its entries at hand, which yields the same
	// entries, and nil while it has no index. Reading the source to its end may make one.
	Indexed() EntrySource
}

// entriesOf returns the entries of a source that has them at hand, otherwise nil.
func entriesOf(s Source) EntrySource {
	switch s := s.(type) {
	case EntrySource:
		return s
	case IndexedSource:
		return s.Indexed()
	}
	return nil
}

// SourceFunc is a function as a Source.
type SourceFunc func() (Reader, error)

// Open calls the function.
func (f SourceFunc) Open() (Reader, error) { return f() }
