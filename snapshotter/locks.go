package snapshotter

import (
	"context"
	"sync"
)

// keyed is a set of mutexes with names. A mutex exists while it is held or waited for.
type keyed struct {
	mu    sync.Mutex
	locks map[string]*keyedLock
}

type keyedLock struct {
	token   chan struct{}
	waiting int
}

// lock takes the mutex of a name. The caller calls unlock unless it gets an error,
// which is that of the context.
func (k *keyed) lock(ctx context.Context, name string) (unlock func(), err error) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*keyedLock{}
	}
	l := k.locks[name]
	if l == nil {
		l = &keyedLock{token: make(chan struct{}, 1)}
		k.locks[name] = l
	}
	l.waiting++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.waiting--; l.waiting == 0 {
			delete(k.locks, name)
		}
	}
	select {
	case l.token <- struct{}{}:
		return func() { <-l.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
