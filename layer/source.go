package layer

// Source is a layer that can be read more than once. What needs two passes, as
// [Union] and [Diff] do, takes sources.
type Source interface {
	// Open begins a new reading from the first entry. Every reading yields the same
	// entries. The caller closes the reader. Readers of one source are independent
	// of each other.
	Open() (Reader, error)
}

// SourceFunc is a function as a Source.
type SourceFunc func() (Reader, error)

// Open calls the function.
func (f SourceFunc) Open() (Reader, error) { return f() }
