package regf

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestSplitPath(t *testing.T) {
	for path, want := range map[string][]string{
		``:                         nil,
		`\`:                        nil,
		`a\b`:                      {"a", "b"},
		`\a\\b\`:                   {"a", "b"},
		`a\\u0041b`:                {"aAb"},
		`a\u0041b`:                 {"a", "u0041b"},
		`\\u0000`:                  {"\x00"},
		`\\\u0000x`:                {"\x00x"},
		`a\\u005Cb\c/d`:            {`a\b`, "c/d"},
		`\\ud83d\\ude00`:           {"\U0001F600"},
		`\\ud83d`:                  {"\xed\xa0\xbd"},
		`a\\u004`:                  {"a", "u004"},
		`a\\u00g0`:                 {"a", "u00g0"},
		`line\\u000abreak\\\u000d`: {"line\nbreak", "\r"},
	} {
		if got := SplitPath(path); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// Whatever names are, their path leads to them.
func TestPathRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{`\`, `\`, "u", "0041", "0", "a", "\x00", "\n", "é", "\xed\xa0\x80", "/", " "}
	h := New(nil)
	for range 3000 {
		var names []string
		for range 1 + r.IntN(4) {
			var b strings.Builder
			for range 1 + r.IntN(8) {
				b.WriteString(pieces[r.IntN(len(pieces))])
			}
			names = append(names, b.String())
		}
		path := JoinPath(names...)
		if got := SplitPath(path); !slices.Equal(got, names) {
			t.Fatalf("%q: path %s gives %q", names, path, got)
		}
		if strings.Contains(strings.Join(names, ""), `\`) {
			continue // Windows makes no such key, and neither does this package
		}
		k, err := h.CreatePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := h.Key(k.Path()); err != nil || same.Offset() != k.Offset() {
			t.Fatalf("%q: key of path %s: %v", names, k.Path(), err)
		}
	}
}

// A key whose stored name has a backslash has a path of its own, and is found by it.
func TestBackslashInName(t *testing.T) {
	h := New(nil)
	for _, p := range []string{`aXb\c`, `a\b\d`} {
		if _, err := h.CreatePath(p); err != nil {
			t.Fatal(err)
		}
	}
	k, err := h.Key("aXb")
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	b[baseSize+k.Offset()+4+nkNameAt+1] = '\\'
	o, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.Key(`a\\u005cb\c`)
	if err != nil || got.Path() != `a\\u005cb\c` {
		t.Errorf("%q, %v", got.Path(), err)
	}
	if _, err := o.Key(`a\b\d`); err != nil {
		t.Error(err)
	}
	if _, err := o.Key(`a\b\c`); err == nil {
		t.Error(`a\b\c is not there`)
	}
	r, err := o.Repair(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Hive.Key(`a_b\c`); err != nil {
		t.Error(err, r.Mended)
	}
}
