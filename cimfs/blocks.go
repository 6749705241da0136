package cimfs

import "iter"

// blocks is a growing list in pieces that stay where they are: it never needs
// twice its memory to grow, and pointers into it remain good.
type blocks[T any] struct {
	b       [][]T
	n       int
	dropped []uint16 // of each piece
}

const blockLength = 1024

func (l *blocks[T]) push(v T) *T {
	if l.n%blockLength == 0 {
		l.b = append(l.b, nil)
	}
	last := &l.b[len(l.b)-1]
	if *last == nil {
		*last = make([]T, l.n%blockLength, blockLength)
	}
	*last = append(*last, v)
	l.n++
	return &(*last)[len(*last)-1]
}

func (l *blocks[T]) at(i int) *T { return &l.b[i/blockLength][i%blockLength] }
func (l *blocks[T]) len() int    { return l.n }

// extend makes the list n elements long. Pieces that nothing is put into take no
// memory.
func (l *blocks[T]) extend(n int) {
	for l.n = max(l.n, n); len(l.b)*blockLength < l.n; {
		l.b = append(l.b, nil)
	}
}

// ensure is at for a list that was extended: the piece comes into being.
func (l *blocks[T]) ensure(i int) *T {
	if b := &l.b[i/blockLength]; *b == nil {
		*b = make([]T, min(blockLength, l.n-i/blockLength*blockLength), blockLength)
	}
	return l.at(i)
}

// drop forgets an element of a list that does not grow any more. A piece of which all
// elements are forgotten is freed. Each element may be dropped once.
func (l *blocks[T]) drop(i int) {
	if l.dropped == nil {
		l.dropped = make([]uint16, len(l.b))
	}
	i /= blockLength
	if l.dropped[i]++; int(l.dropped[i]) == len(l.b[i]) {
		l.b[i] = nil
	}
}

// all yields the elements of all pieces that there are.
func (l *blocks[T]) all() iter.Seq2[int, *T] {
	return func(yield func(int, *T) bool) {
		for i, b := range l.b {
			for j := range b {
				if !yield(i*blockLength+j, &b[j]) {
					return
				}
			}
		}
	}
}
