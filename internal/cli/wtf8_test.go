package cli

import (
	"bytes"
	"encoding/json"
	"testing"
)

// Every name has a JSON form of its own, lone surrogates and markup included.
func TestNamesInJSON(t *testing.T) {
	for name, want := range map[string]string{
		"":                     `""`,
		`a\b`:                  `"a\\b"`,
		`"quoted"`:             `"\"quoted\""`,
		"<&>":                  `"<&>"`,
		"\U0001F600":           "\"\U0001F600\"",
		"\xed\xa0\x80":         `"\ud800"`,
		"x\xed\xbf\xbfy\u00e9": `"x\udfffyé"`,
		"\ufffd":               "\"\ufffd\"",
		"\xed\xa0\x80\ufffd":   "\"\\ud800\ufffd\"",
		"\x01":                 `"\u0001"`,
	} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(wtf8(name)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if got := b.String(); got != want+"\n" {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
