package regf

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// fading is a context that ends when it has been asked often enough.
type fading struct {
	context.Context
	asked, most int
}

func (f *fading) Err() error {
	if f.asked++; f.asked > f.most {
		return context.Canceled
	}
	return nil
}

// Long work asks its context at every key or log entry, and ends with its error
// whenever that comes.
func TestCancelled(t *testing.T) {
	const keys = 300
	tree := func() *Hive {
		h := New(nil)
		for i := range keys {
			if _, err := h.CreatePath(fmt.Sprintf(`a%d\b`, i)); err != nil {
				t.Fatal(err)
			}
		}
		return h
	}
	base, delta := tree(), tree()
	hive, log1, log2 := fourEntries(7)
	for name, c := range map[string]struct {
		least int // times that the context is asked
		run   func(ctx context.Context) (result any, err error)
	}{
		"merge": {3 * 2 * keys, func(ctx context.Context) (any, error) {
			h, err := Merge(ctx, []*Hive{base, delta}, nil)
			if h == nil {
				return nil, err
			}
			return h, errors.Join(err, h.Close())
		}},
		"repair": {2 * 2 * keys, func(ctx context.Context) (any, error) {
			r, err := base.Repair(ctx, nil)
			if r == nil || r.Hive == nil {
				return nil, err
			}
			return r.Hive, errors.Join(err, r.Hive.Close())
		}},
		"recover": {4, func(ctx context.Context) (any, error) {
			b, _, err := Recover(ctx, hive, log1, log2)
			if b == nil {
				return nil, err
			}
			return b, err
		}},
	} {
		whole := &fading{Context: t.Context(), most: 1 << 30}
		if _, err := c.run(whole); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if whole.asked < c.least {
			t.Errorf("%s: the context is asked %d times, want %d at least", name, whole.asked, c.least)
		}
		for n := 0; n < whole.asked; n += 1 + whole.asked/40 {
			if got, err := c.run(&fading{Context: t.Context(), most: n}); !errors.Is(err, context.Canceled) || got != nil {
				t.Fatalf("%s: ended after %d of %d: %v, %v", name, n, whole.asked, got, err)
			}
		}
	}
}
