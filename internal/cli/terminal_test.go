package cli

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestTextOnly(t *testing.T) {
	for text, want := range map[string]bool{
		"plain\r\n\ttext\n": true, "Grüße 🪟": true, "\uFEFFbom": true, "": true,
		"a\x00b\x00": false, "\xff\xfea\x00": false, "esc\x1b[2J": false, "\xc3(": false, "bell\a": false, "rtl \u202e": false,
	} {
		for _, r := range []io.Reader{bytes.NewReader([]byte(text)), iotest.OneByteReader(bytes.NewReader([]byte(text)))} {
			var out bytes.Buffer
			_, err := io.Copy(&textOnly{w: &out}, r)
			if (err == nil) != want || err != nil && !errors.Is(err, errBinary) {
				t.Errorf("%q: %v", text, err)
			}
			if err == nil && out.String() != text {
				t.Errorf("%q became %q", text, &out)
			}
			if bytes.ContainsAny(out.Bytes(), "\x00\x1b\a\xff") {
				t.Errorf("%q got through as %q", text, &out)
			}
		}
	}
}
