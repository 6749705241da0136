package regtext_test

import (
	"bytes"
	"testing"
	"testing/iotest"

	"github.com/mullion/mullion/regf/regtext"
	"github.com/mullion/mullion/winfs"
)

// samePaths reads a text twice: whole, with the quick paths of the scanner, and byte by
// byte, where the buffer is never long enough for one.
func samePaths(t *testing.T, text []byte) {
	t.Helper()
	read := func(slow bool) (string, string) {
		var skipped bytes.Buffer
		src := bytes.NewReader(text)
		rd := regtext.NewReader(src)
		if slow {
			rd = regtext.NewReader(iotest.OneByteReader(src))
		}
		rd.Skip = func(e *regtext.LineError) { skipped.WriteString(e.Error() + "\n") }
		ops, err := showAll(rd)
		if err != nil {
			ops += err.Error()
		}
		return ops, skipped.String()
	}
	quick, quickSkipped := read(false)
	plain, plainSkipped := read(true)
	if quick != plain {
		t.Errorf("quick:\n%s\nbyte by byte:\n%s", quick, plain)
	}
	if quickSkipped != plainSkipped {
		t.Errorf("skipped quick:\n%s\nbyte by byte:\n%s", quickSkipped, plainSkipped)
	}
}

var pathTexts = []string{
	"\"v\"=hex:01,02,\\\r\n  03,04,\\\r\n  05\r\n\"w\"=dword:1\r\n",
	"\"v\"=hex:01,02,\\\r\n  \r\n  03\r\n\"w\"=oops\r\n",              // an empty line between
	"\"v\"=hex:01,02,\\\r\n  ; c\r\n  03\r\n\"w\"=oops\r\n",           // a comment
	"\"v\"=hex:01,02,\\\r\n  0g,04\r\n\"w\"=oops\r\n",                 // a fault in a line that continues
	"\"v\"=hex:01,02,\\\r\n  ,04\r\n\"w\"=oops\r\n",                   // a comma too many
	"\"v\"=hex:01,02,\\\r\n  ",                                        // the end
	"\"v\"=hex:\\\r\n  01,02,\\\r\n\"w\"=dword:2\r\n\"x\"=oops\r\n",   // the next value continues it
	"\"v\"=hex:01\\\r\n  ,02\r\n\"w\"=hex:01,02,\\\n  03\r\noops\r\n", // a backslash after a byte; LF alone
	"\"a\\\\b\"=\"c\\\"d\"\r\n\"é\"=\"日本\r\nx\"\r\noops\r\n@=\"plain ASCII text, longer than eight\"\r\n",
	"\"v\"=\"x\"\r\r\n\"w\"=\"y\"\n\roops\n",
}

func TestReaderPaths(t *testing.T) {
	for _, body := range pathTexts {
		text := head5 + "[A]\r\n" + body
		samePaths(t, []byte(text))
		samePaths(t, append([]byte{0xFF, 0xFE}, winfs.AppendUTF16LE(nil, text)...))
		samePaths(t, []byte("REGEDIT4\r\n\r\n[A]\r\n"+body))
	}
}

func FuzzReaderPaths(f *testing.F) {
	for _, body := range pathTexts {
		text := head5 + "[A]\r\n" + body
		f.Add([]byte(text))
		f.Add(append([]byte{0xFF, 0xFE}, winfs.AppendUTF16LE(nil, text)...))
	}
	f.Fuzz(samePaths)
}
