package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"github.com/mullion/mullion/layer"
)

// hostileTexts control the terminal, forge lines or reverse the text after them.
var hostileTexts = []string{
	"a\x1b[2Jb", "a\nmullion: forged", "a\rb", "a\tb", "right\u202Eto left", "line\u2028end\u2029", "c1\u009b31m", "\x9b31m",
	"zero\u200bwidth", "\u2066isolate", "del\x7f", "nul\x00", "\xed\xa0\x80", "tag\U000e0041",
}

// harmless reports whether nothing in a text is interpreted by a terminal.
func harmless(t *testing.T, b []byte) bool {
	t.Helper()
	for _, r := range string(b) {
		if !unicode.IsPrint(r) && r != '\n' {
			return false
		}
	}
	return true
}

func TestVisible(t *testing.T) {
	for _, s := range hostileTexts {
		if got := visible(s); !harmless(t, []byte(got)) || strings.Contains(got, "\n") {
			t.Errorf("visible(%q) = %q", s, got)
		}
		var out, errs bytes.Buffer
		c := &console{out: &out, err: &errs, verbose: true}
		f := layer.RuleUnreadable.At("", -1, "%s", s)
		if err := c.printf("%s %v %-9s %q\n", s, f, errors.New(s), s); err != nil {
			t.Fatal(err)
		}
		c.notef("%s", s)
		c.warnf("%s", s)
		c.printWarning(errors.New(s))
		left := leftOut{printed: maxLeftOut - 1}
		left.add(c, s, errors.New(s))
		left.add(c, s, errors.New(s)) // only counted
		if err := left.end(c, s, nil); err == nil {
			t.Error("something was left out, and the command succeeds")
		}
		c.printError(t.Context(), newRoot(c), errors.Join(errors.New(s), errors.New("two")), 2)
		if b := out.Bytes(); !harmless(t, b) || bytes.Count(b, []byte("\n")) != 1 {
			t.Errorf("%q prints %q", s, b)
		}
		if b := errs.Bytes(); !harmless(t, b) || bytes.Count(b, []byte("\n")) != 6 {
			t.Errorf("%q prints %q on standard error", s, b)
		}
	}
	for _, s := range []string{"plain", "Grüße", "日本語", `back\slash`, "e\u0301"} {
		if got := visible(s); got != s {
			t.Errorf("visible(%q) = %q", s, got)
		}
	}
}

// Escaping does not change the value of JSON and leaves no terminal control characters.
func TestVisibleJSON(t *testing.T) {
	for _, s := range append(hostileTexts, "plain", "日本語", "\U0001f600") {
		s = strings.ToValidUTF8(s, "\ufffd")
		var out bytes.Buffer
		c := &console{out: &out}
		if err := errors.Join(c.printJSON(map[string]string{s: s}), c.printJSONLine(s)); err != nil {
			t.Fatal(err)
		}
		out.Write(append(appendJSON(nil, []byte(s)), '\n'))
		if !harmless(t, out.Bytes()) {
			t.Errorf("%q is printed as %q", s, out.Bytes())
		}
		d := json.NewDecoder(&out)
		var object map[string]string
		var line, appended string
		if err := errors.Join(d.Decode(&object), d.Decode(&line), d.Decode(&appended)); err != nil || object[s] != s || line != s || appended != s {
			t.Errorf("%q: %q, %q, %q, %v", s, object, line, appended, err)
		}
	}
	// However the writes cut the characters.
	var out bytes.Buffer
	w := &jsonText{w: &out}
	r := iotest.OneByteReader(strings.NewReader("\"x\u202ey\U000e0041z日\""))
	b := make([]byte, 1)
	for {
		if _, err := r.Read(b); err != nil {
			break
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if want := "\"x\\u202ey\\udb40\\udc41z日\""; out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}
