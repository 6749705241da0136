package regtext_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mullion/mullion/regf/regtext"
	"github.com/mullion/mullion/winfs"
)

const head5 = "Windows Registry Editor Version 5.00\r\n\r\n"

// readAll shows the changes of a file, one a line.
func readAll(r io.Reader) (string, error) { return showAll(regtext.NewReader(r)) }

func showAll(rd *regtext.Reader) (string, error) {
	var b strings.Builder
	for {
		op, err := rd.Next()
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		switch op.Kind {
		case regtext.MakeKey:
			fmt.Fprintf(&b, "%d make %q\n", op.Line, op.Key)
		case regtext.DeleteKey:
			fmt.Fprintf(&b, "%d delete %q\n", op.Line, op.Key)
		case regtext.SetValue:
			fmt.Fprintf(&b, "%d set %q %q %x %s\n", op.Line, op.Key, op.Name, op.Type, hex.EncodeToString(op.Data))
		case regtext.DeleteValue:
			fmt.Fprintf(&b, "%d unset %q %q\n", op.Line, op.Key, op.Name)
		}
	}
}

func TestReader(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"keys", head5 + "[A\\B]\r\n[-A\\C]\r\n", "3 make \"A\\\\B\"\n4 delete \"A\\\\C\"\n"},
		{"brackets in a name", head5 + "[A\\[x] y]z]  \r\n", "3 make \"A\\\\[x] y]z\"\n"},
		{"default value", head5 + "[A]\r\n@=\"x\"\r\n@=-\r\n", "3 make \"A\"\n4 set \"A\" \"\" 1 78000000\n5 unset \"A\" \"\"\n"},
		{"escapes", head5 + `[A]` + "\n" + `"a\\b\"c"="C:\\x\"\q"`, "3 make \"A\"\n4 set \"A\" \"a\\\\b\\\"c\" 1 43003a005c007800220" + "05c0071000000\n"},
		{"text over two lines", head5 + "[A]\n\"v\"=\"a\r\nb\"\n\"w\"=-", "3 make \"A\"\n4 set \"A\" \"v\" 1 61000d000a0062000000\n6 unset \"A\" \"w\"\n"},
		{"dword", head5 + "[A]\n\"v\"=dword:0000002A\n\"w\"= DWORD: 1 ; one\n", "3 make \"A\"\n4 set \"A\" \"v\" 4 2a000000\n5 set \"A\" \"w\" 4 01000000\n"},
		{"hex", head5 + "[A]\n\"v\"=hex:\n\"w\"=hex:0,fF,10\n\"x\"=hex(ffff000b):01,\\\r\n  02,\\\n\t03", "3 make \"A\"\n4 set \"A\" \"v\" 3 \n5 set \"A\" \"w\" 3 00ff10\n6 set \"A\" \"x\" ffff000b 010203\n"},
		{"comma before the end", head5 + "[A]\n\"v\"=hex:01,\n\"w\"=hex(0):01 , 02,\\ ; more\n03", "3 make \"A\"\n4 set \"A\" \"v\" 3 01\n5 set \"A\" \"w\" 0 010203\n"},
		{"comments", head5 + "; [X]\n[A] ; note\n;\n\"v\"=\"x\" ; note\n", "4 make \"A\"\n6 set \"A\" \"v\" 1 78000000\n"},
		{"equals sign and semicolon in a name", head5 + "[A]\n\"a=b;c\"=\"\"\n", "3 make \"A\"\n4 set \"A\" \"a=b;c\" 1 0000\n"},
		{"nothing but the first line", "REGEDIT4", ""},
		{"version 4 widens text", "REGEDIT4\r\n\r\n[A]\r\n\"v\"=hex(2):25,80,00\r\n\"\xE9\"=hex:80\r\n", "3 make \"A\"\n4 set \"A\" \"v\" 2 2500ac200000\n5 set \"A\" \"é\" 3 80\n"},
		{"UTF-8 mark", "\xEF\xBB\xBF" + head5 + "[é€😀]\n", "3 make \"é€😀\"\n"},
		{"lone surrogate", head5 + "[\xED\xA0\x81x]\n", "3 make \"\\xed\\xa0\\x81x\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(strings.NewReader(c.text))
			if err != nil || got != c.want {
				t.Errorf("got\n%s%v\nwant\n%s", got, err, c.want)
			}
			if strings.HasPrefix(c.text, "REGEDIT4") || strings.HasPrefix(c.text, "\xEF") {
				return
			}
			if !strings.Contains(c.text, "a\r\nb") { // in a text they are kept
				for _, end := range []string{"\n", "\r", "\r\n"} {
					text := strings.ReplaceAll(strings.ReplaceAll(c.text, "\r\n", "\n"), "\n", end)
					if got, err := readAll(strings.NewReader(text)); err != nil || got != c.want {
						t.Errorf("with lines that end in %q: got\n%s%v\nwant\n%s", end, got, err, c.want)
					}
				}
			}
			for _, mark := range []string{"", "\xFF\xFE"} {
				wide := mark + string(winfs.AppendUTF16LE(nil, c.text))
				// One byte at a time, so that nothing depends on the buffer.
				if got, err := readAll(&slow{wide}); err != nil || got != c.want {
					t.Errorf("as UTF-16 with mark %x: got\n%s%v\nwant\n%s", mark, got, err, c.want)
				}
			}
		})
	}
}

// TestReaderForm: version and encoding are known once the first line is read.
func TestReaderForm(t *testing.T) {
	for _, c := range []struct {
		text     string
		version  int
		encoding regtext.Encoding
	}{
		{"REGEDIT4\n[A]\n", 4, regtext.ANSI},
		{head5 + "[A]\n", 5, regtext.UTF8},
		{"\xFF\xFE" + string(winfs.AppendUTF16LE(nil, head5+"[A]\n")), 5, regtext.UTF16},
	} {
		r := regtext.NewReader(strings.NewReader(c.text))
		if _, err := r.Next(); err != nil || r.Version() != c.version || r.Encoding() != c.encoding {
			t.Errorf("%.20q: version %d, encoding %v, %v", c.text, r.Version(), r.Encoding(), err)
		}
	}
}

type slow struct{ s string }

func (r *slow) Read(p []byte) (int, error) {
	if r.s == "" {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	p[0] = r.s[0]
	r.s = r.s[1:]
	return 1, nil
}

func TestReaderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		line int
	}{
		"empty":                   {"", 1},
		"another program's file":  {"MZ\x90\x00\x03", 1},
		"version 6":               {"Windows Registry Editor Version 6.00\n[A]\n", 1},
		"text after the version":  {"REGEDIT4 FOO\n[A]\n", 1},
		"value before a key":      {head5 + "\"v\"=\"\"\n", 3},
		"value under a deletion":  {head5 + "[-A]\n@=\"\"\n", 4},
		"open key":                {head5 + "[A\n", 3},
		"text after a key":        {head5 + "[A] b\n", 3},
		"deletion without a name": {head5 + "[-]\n", 3},
		"open text":               {head5 + "[A]\n\"v\"=\"x\n", 4},
		"open name":               {head5 + "[A]\n\"v\n=\"x\"\n", 4},
		"stray line":              {head5 + "[A]\nv=\"x\"\n", 4},
		"no equals sign":          {head5 + "[A]\n\"v\" \"x\"\n", 4},
		"unknown type":            {head5 + "[A]\n\"v\"=qword:1\n", 4},
		"type is no number":       {head5 + "[A]\n\"v\"=hex(x):00\n", 4},
		"type beyond 32 bits":     {head5 + "[A]\n\"v\"=hex(100000000):00\n", 4},
		"three digits":            {head5 + "[A]\n\"v\"=hex:001\n", 4},
		"two commas":              {head5 + "[A]\n\"v\"=hex:00,,01\n", 4},
		"no digit":                {head5 + "[A]\n\"v\"=dword:\n", 4},
		"nine digits":             {head5 + "[A]\n\"v\"=dword:000000001\n", 4},
		"text after a value":      {head5 + "[A]\n\"v\"=\"x\" y\n", 4},
		"not UTF-8":               {head5 + "[\xE9]\n", 3},
		"half a unit":             {"\xFF\xFE" + string(winfs.AppendUTF16LE(nil, head5)) + "[", 3},
		"an endless first line":   {strings.Repeat("x", 10000), 1},
		"ends inside a deletion":  {head5 + "[A]\n\"v\"=", 4},
		"ends inside a backslash": {head5 + "[A]\n\"v\"=\"\\", 4},
	} {
		_, err := readAll(strings.NewReader(c.text))
		var le *regtext.LineError
		if !errors.Is(err, regtext.ErrSyntax) || !errors.As(err, &le) {
			t.Errorf("%s: %v", name, err)
		} else if le.Line != c.line {
			t.Errorf("%s: line %d, want %d: %v", name, le.Line, c.line, err)
		}
	}
}
