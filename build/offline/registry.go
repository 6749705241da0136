package offline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// Registry holds the merged hives of an image, in memory as far as commands change them.
// One goroutine uses it at a time.
type Registry struct {
	open  func(hives.Name) (*regf.Hive, error)
	hives map[hives.Name]*merged
	now   winfs.Filetime
}

// merged is one hive. before is its state at the last call of Deltas, after the one that
// commands see; they are the same hive until the first change.
type merged struct {
	before, after *regf.Hive
	err           error
}

// NewRegistry returns the registry of an image. Open is called when a hive is first needed
// and returns the merged hive, or fs.ErrNotExist if the image has none; a view is enough
// (hives.ChainView). The registry closes it. A nil open is that of an image without a
// registry.
func NewRegistry(open func(hives.Name) (*regf.Hive, error)) *Registry {
	return &Registry{open: open, hives: map[hives.Name]*merged{}}
}

func (r *Registry) hive(n hives.Name) (*merged, error) {
	if r == nil || r.open == nil {
		return nil, fs.ErrNotExist
	}
	m, ok := r.hives[n]
	if !ok {
		m = &merged{}
		if m.before, m.err = r.open(n); m.err != nil {
			m.before = nil
			if !missing(m.err) {
				m.err = fmt.Errorf("hive %s: %w", n, m.err)
			}
		}
		m.after = m.before
		r.hives[n] = m
	}
	return m, m.err
}

// Hive returns a hive as the commands before have left it, for reading. It belongs to the
// registry, and is valid until the next command. A hive that the image has not is
// fs.ErrNotExist.
func (r *Registry) Hive(n hives.Name) (*regf.Hive, error) {
	m, err := r.hive(n)
	if err != nil {
		return nil, err
	}
	return m.after, nil
}

// edit returns a hive for changing. now is the time that the changes write.
func (r *Registry) edit(n hives.Name, now winfs.Filetime) (*regf.Hive, error) {
	m, err := r.hive(n)
	if err != nil {
		return nil, err
	}
	r.now = now
	if m.after != m.before {
		return m.after, nil
	}
	image, err := m.before.Image()
	if err != nil {
		return nil, fmt.Errorf("hive %s: %w", n, err)
	}
	// The bytes are shared: the first edit of a hive copies them. A view is replaced, since
	// it cannot be compared in little more time than it takes to read it.
	before, err := regf.OpenBytes(image, &regf.Options{AllowHarmless: true})
	if err == nil {
		err = m.before.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("hive %s: %w", n, err)
	}
	m.before, m.after = before, before
	after, err := regf.OpenBytes(image, &regf.Options{AllowHarmless: true, Clock: func() winfs.Filetime { return r.now }})
	if err != nil {
		return nil, fmt.Errorf("hive %s: %w", n, err)
	}
	m.after = after
	return after, nil
}

// changed calls f with each hive that changed since the last call, in the order of their
// names, and makes the state after the one before.
func (r *Registry) changed(ctx context.Context, f func(before, after *regf.Hive) (*regf.Hive, error)) (map[hives.Name]*regf.Hive, error) {
	out := map[hives.Name]*regf.Hive{}
	if r == nil {
		return out, nil
	}
	for _, n := range slices.Sorted(maps.Keys(r.hives)) {
		m := r.hives[n]
		if m.before == m.after {
			continue
		}
		h, err := f(m.before, m.after)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			for _, h := range out {
				err = errors.Join(err, h.Close())
			}
			return nil, fmt.Errorf("changes of hive %s: %w", n, err)
		}
		if h != nil {
			out[n] = h
		}
	}
	for n, m := range r.hives {
		if m.before == m.after {
			continue
		}
		if err := m.before.Close(); err != nil {
			return out, fmt.Errorf("hive %s: %w", n, err)
		}
		m.before = m.after
	}
	return out, nil
}

// Deltas returns the changes since the last call as differencing hives, which merged over
// the hives before equal the hives after. A hive that did not change is not in the map. The
// caller closes the results.
func (r *Registry) Deltas(ctx context.Context) (map[hives.Name]*regf.Hive, error) {
	return r.changed(ctx, func(before, after *regf.Hive) (*regf.Hive, error) {
		same := true
		for _, err := range regf.Compare(before, after, regf.CompareOptions{Times: true}) {
			if err != nil {
				return nil, err
			}
			same = false
			break
		}
		if same {
			return nil, nil
		}
		return regf.Diff(before, after, &regf.DiffOptions{IgnoreValueOrder: true})
	})
}

// Whole returns, for a layer without parents, the complete hives that changed since the
// last call. The caller closes the results.
func (r *Registry) Whole(ctx context.Context) (map[hives.Name]*regf.Hive, error) {
	return r.changed(ctx, func(_, after *regf.Hive) (*regf.Hive, error) {
		image, err := after.Image()
		if err != nil {
			return nil, err
		}
		return regf.OpenBytes(image, &regf.Options{AllowHarmless: true})
	})
}

// Close closes the hives.
func (r *Registry) Close() error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, n := range slices.Sorted(maps.Keys(r.hives)) {
		m := r.hives[n]
		if m.before != nil {
			errs = append(errs, m.before.Close())
		}
		if m.after != nil && m.after != m.before {
			errs = append(errs, m.after.Close())
		}
	}
	r.hives, r.open = nil, nil
	return errors.Join(errs...)
}

// Environment returns the variables of a process that starts now: those of the registry, as
// commands have changed it, with the words of the configuration over them.
func (c *Container) Environment() (*hives.Env, error) {
	var reg hives.Registry
	for _, h := range []struct {
		n  hives.Name
		to **regf.Hive
	}{{hives.System, &reg.System}, {hives.Software, &reg.Software}, {hives.Default, &reg.Default}} {
		got, err := c.Registry.Hive(h.n)
		if err != nil && !missing(err) {
			return nil, err
		}
		if err == nil {
			*h.to = got
		}
	}
	return hives.Environment(reg, c.User, c.Env)
}
