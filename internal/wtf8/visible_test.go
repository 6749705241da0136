package wtf8

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	for s, want := range map[string]string{
		"":                  "",
		"plain":             "plain",
		"Grüße 日本 <&>":      "Grüße 日本 <&>",
		"a\x1b[2J\n":        `a\u001b[2J\u000a`,
		"\u202ekcab":        `\u202ekcab`,
		"\U000e0041":        `\udb40\udc41`,
		"\xed\xa0\x80x":     `\ud800x`,
		"\xed\xbf\xbf":      `\udfff`,
		"\xed\xa0":          `\xed\xa0`,
		"\xff":              `\xff`,
		"\ufffd":            "\ufffd",
		"nul\x00 \u200bzws": `nul\u0000 \u200bzws`,
	} {
		if got := Visible(s); got != want {
			t.Errorf("Visible(%q) = %q, want %q", s, got, want)
		}
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\xed\xa0\x80\x1b\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := Visible(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q has %U", got, r)
			}
		}
		if Visible(got) != got {
			t.Errorf("%q changes when it is escaped again", got)
		}
	})
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		`Files\a`: `"Files\a"`,
		`a"b`:     `"a\u0022b"`,
		"a\nb":    `"a\u000ab"`,
		"":        `""`,
	} {
		if got := Quote(s); got != want {
			t.Errorf("Quote(%q) = %s, want %s", s, got, want)
		}
	}
}
