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

// registryRoots are where Windows shows the hives.
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

// diffRegistry compares the registries of two images or layers, hive by hive, prints
// what differs and reports whether anything does.
func (f *contentFlags) diffRegistry(ctx context.Context, c *console, refs [2]string, skip layer.Aspect) (found bool, err error) {
	var sides [2]registry
	for i, ref := range refs {
		if sides[i], err = f.openRegistry(ctx, c, ref); err != nil {
			return false, about(ref, err)
		}
		defer func() { err = errors.Join(err, sides[i].Close()) }()
	}
	for _, n := range hives.All() {
		differs, err := c.diffHive(n, sides, refs, skip)
		if err != nil {
			return found, fmt.Errorf("%s: %w", registryRoots[n], err)
		}
		found = found || differs
	}
	return found, nil
}

// openComparable opens a hive as it is compared: merged, or where a layer alone has no
// base for its delta, the delta itself. h is nil if there is neither.
func openComparable(r registry, n hives.Name) (h *regf.Hive, delta bool, err error) {
	if h, err = r.Open(n); !errors.Is(err, hives.ErrNoBase) {
		return h, false, err
	}
	if h, err = r.OpenHive(n, hives.Delta); errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return h, true, err
}

func (c *console) diffHive(n hives.Name, sides [2]registry, refs [2]string, skip layer.Aspect) (found bool, err error) {
	var open [2]*regf.Hive
	var delta [2]bool
	for i, r := range sides {
		h, isDelta, err := openComparable(r, n)
		if err != nil {
			return false, about(refs[i], registryHint(err))
		}
		if h != nil {
			defer func() { err = errors.Join(err, h.Close()) }()
		}
		open[i], delta[i] = h, isDelta
	}
	a, b := open[0], open[1]
	switch {
	case a == nil && b == nil:
		return false, nil
	case a == nil || b == nil:
		change := regf.Difference{Kind: regf.Added, Field: regf.FieldKey}
		if b == nil {
			change.Kind = regf.Removed
		}
		return true, c.printRegistryChange(n, &change, delta[0] || delta[1])
	case delta[0] != delta[1]:
		whole, part := refs[0], refs[1]
		if delta[0] {
			whole, part = part, whole
		}
		c.warnf("%s is not compared: %s has the hive, %s only changes of it; compare the images instead", registryRoots[n], whole, part)
		return false, nil
	}
	for d, err := range regf.Compare(a, b, regf.CompareOptions{}) {
		if err != nil {
			return found, err
		}
		if d.Field == regf.FieldSecurity && skip&layer.AspectSecurity != 0 {
			continue
		}
		found = true
		if err := c.printRegistryChange(n, &d, delta[0]); err != nil {
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
		path += " value " + quote(d.Name)
	default:
		path += " " + d.Field.String()
	}
	if d.Kind == regf.Changed {
		was, is := differenceSides(d)
		path += ": " + was + " -> " + is
	}
	return c.printf("%-7s %s\n", kinds[d.Kind], path)
}

// dataOf is one side of a value, nil if it does not exist there.
func dataOf(v regf.Value) *changedData {
	if !v.Valid() {
		return nil
	}
	data, _ := v.Data() // it could be read when it was compared
	return &changedData{v.Type().String(), hex.EncodeToString(data)}
}
