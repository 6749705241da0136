package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
)

// registryRoots are the registry keys at which Windows mounts the hives.
var registryRoots = map[hives.Name]string{
	hives.Default: `HKU\.DEFAULT`, hives.SAM: `HKLM\SAM`, hives.Security: `HKLM\SECURITY`,
	hives.Software: `HKLM\SOFTWARE`, hives.System: `HKLM\SYSTEM`,
}

// registryChange is a difference between registries as --json prints it.
type registryChange struct {
	Change string       `json:"change"` // added, removed or changed
	Hive   string       `json:"hive"`   // SYSTEM and so on
	Delta  bool         `json:"delta,omitempty"`
	Key    wtf8         `json:"key"` // from the hive's root
	What   string       `json:"what"`
	Name   *wtf8        `json:"name,omitempty"` // of a value, "" for the default one
	Before *changedData `json:"before,omitempty"`
	After  *changedData `json:"after,omitempty"`
}

type changedData struct {
	Type string `json:"type,omitempty"` // of a value
	Data string `json:"data"`           // of a value in lower-case hex, otherwise text
}

// diffRegistry compares the registries of two images or layers hive by hive, prints the
// differences and reports whether there are any.
func (f *contentFlags) diffRegistry(ctx context.Context, c *console, refs [2]string, skip layer.Aspect) (found bool, err error) {
	var sides [2]imageRegistry
	for i, ref := range refs {
		if sides[i], err = f.openRegistry(ctx, c, ref); err != nil {
			return false, about(ref, err)
		}
		defer func() { err = errors.Join(err, sides[i].Close()) }()
	}
	var partial [2]bool
	for i, r := range sides {
		if partial[i], err = hasOnlyDeltas(ctx, r); err != nil {
			return false, about(refs[i], err)
		}
	}
	if partial[0] != partial[1] {
		part := refs[0]
		if partial[1] {
			part = refs[1]
		}
		c.warnf("the registry is not compared: %s has only delta hives; compare the images instead", part)
		return false, nil
	}
	for _, n := range hives.All() {
		differs, err := c.diffHive(ctx, n, sides, refs, skip, partial[0])
		if err != nil {
			return found, fmt.Errorf("%s: %w", registryRoots[n], err)
		}
		found = found || differs
	}
	return found, nil
}

// hasOnlyDeltas reports whether r has delta hives without the base hives below them.
func hasOnlyDeltas(ctx context.Context, r imageRegistry) (bool, error) {
	for _, n := range hives.All() {
		d, err := r.OpenHive(n, hives.Delta)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = d.Close()
		}
		if err != nil {
			return false, registryHint(err)
		}
		h, err := r.Open(ctx, n)
		if errors.Is(err, hives.ErrNoBase) {
			return true, nil
		}
		if err != nil {
			return false, registryHint(err)
		}
		return false, h.Close()
	}
	return false, nil
}

// diffHive compares one merged hive, or its delta hives if delta is set. A side may lack
// the hive.
func (c *console) diffHive(ctx context.Context, n hives.Name, sides [2]imageRegistry, refs [2]string, skip layer.Aspect, delta bool) (found bool, err error) {
	var open [2]*regf.Hive
	for i, r := range sides {
		h, err := r.Open(ctx, n)
		absent := errors.Is(err, hives.ErrNoBase)
		if delta {
			h, err = r.OpenHive(n, hives.Delta)
			absent = errors.Is(err, fs.ErrNotExist)
		}
		if absent {
			continue
		}
		if err != nil {
			return false, about(refs[i], registryHint(err))
		}
		defer func() { err = errors.Join(err, h.Close()) }()
		open[i] = h
	}
	a, b := open[0], open[1]
	switch {
	case a == nil && b == nil:
		return false, nil
	case a == nil:
		return true, c.printRegistryChange(n, &regf.Difference{Kind: regf.Added}, delta)
	case b == nil:
		return true, c.printRegistryChange(n, &regf.Difference{Kind: regf.Removed}, delta)
	}
	for d, err := range regf.Compare(a, b, regf.CompareOptions{}) {
		if err != nil {
			return found, err
		}
		if d.Field == regf.FieldSecurity && skip&layer.AspectSecurity != 0 {
			continue
		}
		found = true
		if err := c.printRegistryChange(n, &d, delta); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (c *console) printRegistryChange(n hives.Name, d *regf.Difference, delta bool) error {
	kinds := map[regf.DifferenceKind]string{regf.Added: "added", regf.Removed: "removed", regf.Changed: "changed"}
	if c.json {
		out := registryChange{Change: kinds[d.Kind], Hive: n.String(), Delta: delta, Key: wtf8(d.Path), What: d.Field.String()}
		if d.Field == regf.FieldValue {
			name := wtf8(d.Name)
			out.Name, out.Before, out.After = &name, dataOf(d.ValueA), dataOf(d.ValueB)
		} else if d.Kind == regf.Changed {
			was, is := differenceSides(d)
			out.Before, out.After = &changedData{Data: was}, &changedData{Data: is}
		}
		return c.printJSONLine(out)
	}
	path := registryRoots[n]
	if delta {
		path += " (delta)"
	}
	if d.Path != "" {
		path += hiveHeading(d.Path)
	}
	switch d.Field {
	case regf.FieldKey:
	case regf.FieldValue:
		path += " value " + quoteName(d.Name)
	default:
		path += " " + d.Field.String()
	}
	if d.Kind == regf.Changed {
		was, is := differenceSides(d)
		path += ": " + was + " -> " + is
	}
	return c.printf("%-7s %s\n", kinds[d.Kind], path)
}

// dataOf returns one side of a value, or nil if the value does not exist there.
func dataOf(v regf.Value) *changedData {
	if !v.Valid() {
		return nil
	}
	data, _ := v.Data() // it could be read when it was compared
	return &changedData{v.Type().String(), hex.EncodeToString(data)}
}
