package jsonstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"testing"
)

type head struct {
	Name string         `json:"name"`
	Of   map[string]int `json:"of,omitempty"`
}

func list(v ...any) iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, x := range v {
			if !yield(x) {
				return
			}
		}
	}
}

// The output is what encoding/json writes of the whole object.
func TestObject(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(*Object)
		whole any
	}{
		{"empty", func(*Object) {}, struct{}{}},
		{"members without any", func(o *Object) { o.Members(struct{}{}) }, struct{}{}},
		{"empty list", func(o *Object) { o.List("list", list()) }, struct {
			List []any `json:"list"`
		}{[]any{}}},
		{"all", func(o *Object) {
			o.Members(head{"a<b", map[string]int{"x": 1, "y": 2}})
			o.Member("number", 7)
			o.List("list", list("one\n", head{"in", nil}, []int{1, 2}, nil))
			o.Member("last", head{"z", map[string]int{"&": 3}})
		}, struct {
			head
			Number int   `json:"number"`
			List   []any `json:"list"`
			Last   head  `json:"last"`
		}{head{"a<b", map[string]int{"x": 1, "y": 2}}, 7, []any{"one\n", head{"in", nil}, []int{1, 2}, nil}, head{"z", map[string]int{"&": 3}}}},
	} {
		for _, escape := range []bool{false, true} {
			var got, want bytes.Buffer
			o := NewObject(&got, escape)
			c.write(o)
			if err := o.Close(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			e := json.NewEncoder(&want)
			e.SetEscapeHTML(escape)
			e.SetIndent("", "  ")
			if err := e.Encode(c.whole); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("%s: got\n%s\nwant\n%s", c.name, &got, &want)
			}
		}
	}
}

// limited fails after n bytes.
type limited struct{ n int }

var errFull = errors.New("full")

func (l *limited) Write(p []byte) (int, error) {
	if l.n -= len(p); l.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// An error ends the list, whose end may be far.
func TestError(t *testing.T) {
	asked := 0
	endless := func(yield func(any) bool) {
		for yield(asked) {
			asked++
		}
	}
	o := NewObject(&limited{1 << 20}, false)
	o.List("list", endless)
	if err := o.Close(); !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v", err, errFull)
	}
	if asked > 1<<20 {
		t.Errorf("%d elements were asked for", asked)
	}
	o = NewObject(&bytes.Buffer{}, false)
	o.List("list", list(func() {}, 1))
	var unsupported *json.UnsupportedTypeError
	if err := o.Close(); !errors.As(err, &unsupported) {
		t.Errorf("error %v, want an UnsupportedTypeError", err)
	}
}
