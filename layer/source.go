package layer

// Source is a layer that can be read more than once. Operations that need two passes, such
// as [Union] and [Diff], take sources.
type Source interface {
	// Open returns a new reader at the first entry. All readers yield the same entries and
	// are independent of each other. The caller closes the reader.
	Open() (Reader, error)
}

// SourceFunc is a function as a Source.
type SourceFunc func() (Reader, error)

// Open calls the function.
func (f SourceFunc) Open() (Reader, error) { return f() }
