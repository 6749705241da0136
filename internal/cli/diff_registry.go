package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
)

// registryRoots are the registry keys at which Windows mounts the hives.
var registryRoots = map[hives.Name]string{
	hives.Default: `HKU\.DEFAULT`, hives.SAM: `HKLM\SAM`, hives.Security: `HKLM\SECURITY`,
	hives.Software: `HKLM\SOFTWARE`, hives.System: `HKLM\SYSTEM`,
}

// hivePair is a hive that at least one side has.
type hivePair struct {
	name  hives.Name
	delta bool // both sides have delta hives only
	same  bool // it need not be compared
}

// hivePairs returns the hives that are compared, none if --registry is not asked for.
func (f *diffFlags) hivePairs(ctx context.Context, c *console, a, b *diffSide) ([]hivePair, error) {
	if !f.registry {
		return nil, nil
	}
	sides := [2]*diffSide{a, b}
	var partial [2]bool
	for i, s := range sides {
		var err error
		if partial[i], err = compare.OnlyDeltas(ctx, s.registry); err != nil {
			return nil, about(s.ref, registryHint(err))
		}
	}
	if partial[0] != partial[1] {
		part := sides[0].ref
		if partial[1] {
			part = sides[1].ref
		}
		if !f.files {
			return nil, about(part, hintf(errors.New("only delta hives are here, and the other side has whole ones: the registry was not compared"), "compare the images instead"))
		}
		c.warnf("the registry is not compared: %s has only delta hives; compare the images instead", part)
		return nil, nil
	}
	var pairs []hivePair
	for _, n := range hives.All() {
		p := hivePair{name: n, delta: partial[0], same: compare.SameHive(a.registry, b.registry, n)}
		has := p.same
		for _, s := range sides {
			if has {
				break
			}
			h, err := p.open(ctx, s)
			if err != nil {
				return nil, err
			}
			if has = h != nil; has {
				if err := h.Close(); err != nil {
					return nil, err
				}
			}
		}
		if has {
			pairs = append(pairs, p)
		}
	}
	return pairs, nil
}

// open returns the hive of one side, nil if it has none.
func (p hivePair) open(ctx context.Context, s *diffSide) (*regf.Hive, error) {
	var h *regf.Hive
	var err error
	if p.delta {
		h, err = s.registry.OpenHive(p.name, hives.Delta)
	} else {
		h, err = s.registry.Open(ctx, p.name)
	}
	if errors.Is(err, hives.ErrNoBase) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", registryRoots[p.name], about(s.ref, registryHint(err)))
	}
	return h, nil
}

// diffPair compares one hive of both sides.
func (f *diffFlags) diffPair(ctx context.Context, sink diffSink, sum *diffSummary, a, b *diffSide, p hivePair) (err error) {
	sum.HasRegistry = true
	if p.same && f.filter.empty() {
		sum.Hives++
		return nil
	}
	var open [2]*regf.Hive
	for i, s := range []*diffSide{a, b} {
		if open[i], err = p.open(ctx, s); err != nil {
			return err
		}
		if h := open[i]; h != nil {
			defer func() { err = errors.Join(err, h.Close()) }()
		}
	}
	root := hiveRoot{p.name.String(), registryRoots[p.name], p.delta}
	if err := f.diffHives(ctx, sink, sum, root, open[0], open[1]); err != nil {
		return fmt.Errorf("%s: %w", root.path, err)
	}
	return nil
}

// diffHives compares two hives, one of which can be nil.
func (f *diffFlags) diffHives(ctx context.Context, sink diffSink, sum *diffSummary, root hiveRoot, a, b *regf.Hive) error {
	opt := compare.HiveOptions{Unfold: f.unfold || f.html != "" || sinkUnfolds(sink), NoSecurity: f.skip&layer.AspectSecurity != 0}
	opt.Times = f.times
	matched := f.filter.empty()
	if !matched {
		filter := f.filter
		if root.path == registryRoots[hives.System] {
			h := b
			if h == nil {
				h = a
			}
			var err error
			filter, err = filter.controlSet(func() (string, error) {
				return hives.ResolveKey(h, hives.System, "CurrentControlSet")
			})
			if err != nil {
				return err
			}
		}
		opt.Keep = func(path string) bool {
			keep := filter.keeps(root.of(path))
			matched = matched || keep
			return keep
		}
	}
	for d, err := range compare.Hives(ctx, a, b, opt) {
		if err != nil {
			return registryHint(err)
		}
		for range 1 + d.Keys + d.Values { // a key that is folded counts as what is in it
			sum.Registry.Count(d.Kind())
		}
		if err := sink.hive(root, d); err != nil {
			return err
		}
	}
	// Equal keys are not offered to Keep, and were compared too.
	for _, h := range []*regf.Hive{a, b} {
		if matched || h == nil {
			continue
		}
		for k, err := range h.Root().Walk() {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return registryHint(err)
			}
			if opt.Keep(k.Path()); matched {
				break
			}
		}
	}
	if matched {
		sum.Hives++
	}
	return nil
}

// of returns the path of a key as it is printed.
func (r hiveRoot) of(path string) string {
	if path == "" && r.path != "" {
		return r.path
	}
	return r.path + hiveHeading(path)
}

// sinkUnfolds reports whether a sink wants each key and value.
func sinkUnfolds(s diffSink) bool {
	_, ok := s.(*diffJSON)
	return ok
}
