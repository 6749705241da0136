package cli

import "testing"

func TestWrapWords(t *testing.T) {
	for _, c := range []struct {
		line    string
		columns int
		want    string
	}{
		{"one two three", 0, "one two three"},
		{"one two three", 13, "one two three"},
		{"one two three", 12, "one two\n    three"},
		{"one two three four five", 14, "one two three\n    four five"},
		{`an "a quoted path" here`, 12, "an\n    \"a quoted path\"\n    here"},
		{`an "open mark which never ends`, 12, "an \"open\n    mark\n    which\n    never\n    ends"},
		{"a  b with two spaces", 12, "a  b with\n    two\n    spaces"},
		{"äöü äöü äöü äöü", 11, "äöü äöü äöü\n    äöü"},
		{"word-that-is-wider-than-the-terminal and", 12, "word-that-is-wider-than-the-terminal\n    and"},
		{"", 12, ""},
	} {
		if got := wrapWords(c.line, c.columns); got != c.want {
			t.Errorf("%q in %d columns:\n%s\nwant\n%s", c.line, c.columns, got, c.want)
		}
	}
}
