package snapshotter

import (
	"context"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
)

// references counts the users of each layer of the store: records of snapshots, and
// requests under way. It is kept in memory and built from the records at start. A layer
// without users is removed at once.
type references struct {
	remove func(chainID string)

	mu    sync.Mutex
	count map[string]int
	going map[string]chan struct{}        // being removed
	known map[string]record               // by chain ID: what records say of layers
	blobs map[digest.Digest]digest.Digest // verified blobs and the diff IDs of their layers
}

func newReferences(remove func(chainID string)) *references {
	return &references{
		remove: remove,
		count:  map[string]int{},
		going:  map[string]chan struct{}{},
		known:  map[string]record{},
		blobs:  map[digest.Digest]digest.Digest{},
	}
}

// hold keeps layers in the store, waiting for those that are just being removed.
func (r *references) hold(ctx context.Context, layers ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 0; i < len(layers); {
		gone, ok := r.going[layers[i]]
		if !ok {
			i++
			continue
		}
		r.mu.Unlock()
		select {
		case <-gone:
		case <-ctx.Done():
		}
		r.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
		i = 0
	}
	for _, l := range layers {
		r.count[l]++
	}
	return nil
}

// release undoes a hold.
func (r *references) release(layers ...string) {
	for _, l := range layers { // the topmost first: it needs those below it
		r.mu.Lock()
		r.count[l]--
		if r.count[l] > 0 {
			r.mu.Unlock()
			continue
		}
		delete(r.count, l)
		gone := make(chan struct{})
		r.going[l] = gone
		r.mu.Unlock()

		r.remove(l)

		r.mu.Lock()
		if k, ok := r.known[l]; ok && r.blobs[k.Blob] == k.DiffID {
			delete(r.blobs, k.Blob)
		}
		delete(r.known, l)
		delete(r.going, l)
		r.mu.Unlock()
		close(gone)
	}
}

// learn remembers the layer that a record describes. The caller holds the layer.
func (r *references) learn(rec *record) {
	if rec.DiffID == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := *rec
	known.Written = false
	if old, ok := r.known[rec.Layers[0]]; ok && known.Blob == "" {
		known.Blob = old.Blob
	}
	r.known[rec.Layers[0]] = known
	if rec.Blob != "" {
		r.blobs[rec.Blob] = rec.DiffID
	}
}

// lookup returns the description of a layer that a request or a record holds.
func (r *references) lookup(chainID string) (record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.known[chainID]
	rec.Layers = slices.Clone(rec.Layers)
	return rec, ok && r.count[chainID] > 0
}

// diffID returns the diff ID of a blob that was verified before, "" if none was.
func (r *references) diffID(blob digest.Digest) digest.Digest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blobs[blob]
}

// held reports whether anybody needs a layer.
func (r *references) held(chainID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[chainID] > 0
}
