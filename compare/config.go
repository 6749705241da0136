package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ConfigChange is a field of the configuration that differs.
type ConfigChange struct {
	Kind Kind // Added, Removed or Changed
	// Field is the path of the field: os.version, config.Env.PATH, history[2].created_by.
	// Variables of the environment are named by their name.
	Field string
	// Before and After are the JSON of the two sides, nil on the side that lacks the field.
	Before, After json.RawMessage
}

// ConfigOptions select the differences that count.
type ConfigOptions struct {
	// Times compares the times at which the image and the steps of its history were made.
	Times bool
}

// maxConfigDepth bounds the nesting of a configuration; image configurations have five
// levels.
const maxConfigDepth = 64

// Configs compares two configurations of images field by field, in the order of the names
// of the fields. The diff IDs of layers are not compared: what is in the layers is compared
// as files. Steps of the history that both begin with are paired by their number.
func Configs(before, after []byte, opt ConfigOptions) ([]ConfigChange, error) {
	c := &configComparer{opt: opt}
	var sides [2]any
	for i, raw := range [][]byte{before, after} {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber() // so that no digit is lost
		if err := d.Decode(&sides[i]); err != nil {
			return nil, fmt.Errorf("compare configurations: %w", err)
		}
	}
	err := c.values("", sides[0], sides[1], true, true, 0)
	return c.out, err
}

type configComparer struct {
	opt ConfigOptions
	out []ConfigChange
}

// values compares two values of which at least one exists.
func (c *configComparer) values(path string, a, b any, hasA, hasB bool, depth int) error {
	if depth > maxConfigDepth {
		return fmt.Errorf("compare configurations: %.100s: nested deeper than %d", path, maxConfigDepth)
	}
	if path == "rootfs" || !c.opt.Times && (path == "created" || strings.HasPrefix(path, "history[") && strings.HasSuffix(path, "].created")) {
		return nil
	}
	if path == "config.Env" {
		a, b = variables(a), variables(b)
	}
	objA, okA := a.(map[string]any)
	objB, okB := b.(map[string]any)
	if (okA || !hasA) && (okB || !hasB) {
		names := slices.Sorted(maps.Keys(objA))
		for name := range objB {
			if _, ok := objA[name]; !ok {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			below := name
			if path != "" {
				below = path + "." + name
			}
			x, inA := objA[name]
			y, inB := objB[name]
			if err := c.values(below, x, y, inA, inB, depth+1); err != nil {
				return err
			}
		}
		if len(names) > 0 || hasA == hasB {
			return nil
		}
		// An object without fields that one side alone has, such as an exposed port.
	}
	if path == "history" {
		listA, okA := a.([]any)
		listB, okB := b.([]any)
		if (okA || !hasA) && (okB || !hasB) {
			return c.history(listA, listB, depth)
		}
	}
	x, err := encodeJSON(a, hasA)
	if err != nil {
		return err
	}
	y, err := encodeJSON(b, hasB)
	if err != nil || bytes.Equal(x, y) {
		return err
	}
	kind := Changed
	switch {
	case !hasA:
		kind = Added
	case !hasB:
		kind = Removed
	}
	c.out = append(c.out, ConfigChange{kind, path, x, y})
	return nil
}

// history compares the steps that both sides have, and lists those that one side has more.
func (c *configComparer) history(a, b []any, depth int) error {
	for i := range max(len(a), len(b)) {
		path := "history[" + strconv.Itoa(i) + "]"
		var err error
		switch {
		case i >= len(a):
			err = c.step(path, nil, b[i])
		case i >= len(b):
			err = c.step(path, a[i], nil)
		default:
			err = c.values(path, a[i], b[i], true, true, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// step adds a step that one side alone has.
func (c *configComparer) step(path string, a, b any) error {
	x, err := encodeJSON(a, a != nil)
	if err != nil {
		return err
	}
	y, err := encodeJSON(b, b != nil)
	if err != nil {
		return err
	}
	kind := Added
	if a != nil {
		kind = Removed
	}
	c.out = append(c.out, ConfigChange{kind, path, x, y})
	return nil
}

// variables returns an environment by name. Names that differ in case only are the same to
// Windows and two to a configuration; both are kept. A list with something else than
// distinct variables is returned as it is.
func variables(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	env := map[string]any{}
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			return v
		}
		// "=C:=C:\dir" is a variable of cmd.exe whose name begins with "=".
		name, value, _ := strings.Cut(strings.TrimPrefix(s, "="), "=")
		if strings.HasPrefix(s, "=") {
			name = "=" + name
		}
		if _, twice := env[name]; twice {
			return v
		}
		env[name] = value
	}
	return env
}

func encodeJSON(v any, exists bool) (json.RawMessage, error) {
	if !exists {
		return nil, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("compare configurations: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
