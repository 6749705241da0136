package cimfs

import (
	"container/heap"
	"maps"
	"slices"
)

// Files are made in the order of their FileIDs, and their objects are stored in that order.
// An alternate stream may be made, and the root be described, at any later time: where
// their objects are shows when.

// lateCall is a call whose time is not known but by the place of its first object.
type lateCall struct {
	first RegionOffset
	do    func() error
}

// lateCalls are the calls that wait for their time.
type lateCalls struct {
	waiting map[int]*lateHeap // by region
	stored  map[int]int64     // offset of the last stored object of each region
}

func newLateCalls() *lateCalls {
	return &lateCalls{waiting: map[int]*lateHeap{}, stored: map[int]int64{}}
}

func (l *lateCalls) add(c lateCall) {
	r := c.first.Region()
	if l.waiting[r] == nil {
		l.waiting[r] = new(lateHeap)
	}
	heap.Push(l.waiting[r], c)
}

// before makes the calls whose objects are before one that is about to be stored. An
// object that is stored already shows nothing.
func (l *lateCalls) before(at RegionOffset) error {
	r := at.Region()
	last, made := l.stored[r]
	if at == 0 || at.Offset() == nowhere || made && at.Offset() <= last {
		return nil
	}
	if !made { // regions are numbered by their first objects
		for _, older := range slices.Sorted(maps.Keys(l.waiting)) {
			if _, made := l.stored[older]; older < r && !made && l.waiting[older].Len() > 0 {
				if err := l.next(older); err != nil {
					return err
				}
			}
		}
	}
	for w := l.waiting[r]; w != nil && w.Len() > 0 && (*w)[0].first < at; {
		if err := l.next(r); err != nil {
			return err
		}
	}
	l.stored[r] = max(l.stored[r], at.Offset())
	return nil
}

// next makes the first call of a region.
func (l *lateCalls) next(r int) error {
	c := heap.Pop(l.waiting[r]).(lateCall)
	l.stored[r] = max(l.stored[r], c.first.Offset())
	return c.do()
}

// rest makes all calls that wait.
func (l *lateCalls) rest() error {
	for _, r := range slices.Sorted(maps.Keys(l.waiting)) {
		for l.waiting[r].Len() > 0 {
			if err := l.next(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// lateHeap has the call of the lowest object first.
type lateHeap []lateCall

func (h lateHeap) Len() int           { return len(h) }
func (h lateHeap) Less(i, j int) bool { return h[i].first < h[j].first }
func (h lateHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lateHeap) Push(c any)        { *h = append(*h, c.(lateCall)) }
func (h *lateHeap) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last] = lateCall{}
	*h = (*h)[:last]
	return c
}
