package cimfs

// blocks is a growing list in pieces that stay where they are: it never needs
// twice its memory to grow, and pointers into it remain good.
type blocks[T any] struct {
	b [][]T
	n int
}

const blockLength = 1024

func (l *blocks[T]) push(v T) *T {
	if l.n%blockLength == 0 {
		l.b = append(l.b, make([]T, 0, blockLength))
	}
	last := &l.b[len(l.b)-1]
	*last = append(*last, v)
	l.n++
	return &(*last)[len(*last)-1]
}

func (l *blocks[T]) at(i int) *T { return &l.b[i/blockLength][i%blockLength] }
func (l *blocks[T]) len() int    { return l.n }
