package regtext_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
)

// form is text below a key, with the values that regedit sets from it, "name type
// bytes" each, and the lines that are left out, counted from 1 in the text.
type form struct {
	text    string
	set     string
	skipped []int
	old     bool // REGEDIT4
}

func (c form) head() string {
	if c.old {
		return "REGEDIT4\n\n"
	}
	return "Windows Registry Editor Version 5.00\n\n"
}

// regeditForms record how regedit of Windows reads. Where nothing else is said the
// facts are those that Wine's tests of regedit hold Windows to.
var regeditForms = []form{
	// Bytes that go on in the next line: after a comma, with comments and empty lines
	// between, but not after a byte, and never beyond the end of the file.
	{text: "\"a\"=hex:11,22,\\\n  33,44\n", set: "a 3 11223344"},
	{text: "\"a\"=hex:11,22,  \\\n\t33\n", set: "a 3 112233"},
	{text: "\"a\"=hex(2):\\\n  25,00,00,00\n", set: "a 2 25000000"},
	{text: "\"a\"=hex:11,\\;note\n  22\n", set: "a 3 1122"},
	{text: "\"a\"=hex:11,\\\n  ;note\n  22\n", set: "a 3 1122"},
	{text: "\"a\"=hex:11,\\\n\n \t\n  22,\\;note\n\n;note\n33\n", set: "a 3 112233"},
	{text: "\"a\"=hex:11,22,\n  33\n", set: "a 3 1122", skipped: []int{2}},
	{text: "\"a\"=hex:11,22,;note\n  33\n", set: "a 3 1122", skipped: []int{2}},
	{text: "\"a\"=hex:11,\\", set: "a 3 11"},
	{text: "\"a\"=hex(7):4c,00,\\", set: "a 7 4c000000"},
	{text: "\"a\"=hex(7):4c,00\\", skipped: []int{1}},
	{text: "\"a\"=hex:11\\\n,22\n\"b\"=\"\"\n", set: "b 1 0000", skipped: []int{1, 2}},
	{text: "\"a\"=hex:11\\\n  22\n\"b\"=\"\"\n", set: "b 1 0000", skipped: []int{1, 2}},
	{text: "\"a\"=hex:1\\\n1\n", skipped: []int{1, 2}},
	{text: "\"a\"=hex:11,\\\n,22\n", skipped: []int{2}},
	{text: "\"a\"=hex:11,\\#note\n22\n", skipped: []int{1, 2}},
	{text: "\"a\"=hex:11,\\\n\\\n22\n", skipped: []int{2, 3}},
	{text: "\"a\"=hex:11,\\ 22\n", skipped: []int{1}},
	{text: "\"a\"=hex:11,\\\\\n22\n", skipped: []int{1, 2}},
	{text: "\"a\"=hex:,\\\n22\n", skipped: []int{1, 2}},
	{text: "\"a\"=hex:11,,22\n", skipped: []int{1}},
	{text: "\"a\"=hex:11,122,33\n", skipped: []int{1}},
	{text: "\"a\"=hex:11,/\n  22\n", skipped: []int{1, 2}},

	// Another value or key where bytes should continue is dropped with them; a line with #
	// takes the place of the bytes, and saves the lines after it.
	{text: "\"a\"=hex:11,\\\n\"b\"=\"x\"\n\"c\"=\"\"\n", set: "c 1 0000", skipped: []int{2}},
	{text: "\"a\"=hex:11\\\n\"b\"=\"\"\n", set: "b 1 0000", skipped: []int{1}},
	{text: "\"a\"=hex:11,\\\n;note\n\"b\"=\"\"\n", skipped: []int{3}},
	{text: "\"a\"=hex:11,\\\n\n@=\"\"\n", skipped: []int{3}},
	{text: "\"a\"=hex:11,\\\n#note\n\"b\"=dword:8\n", set: "b 4 08000000", skipped: []int{2}},
	{text: "\"a\"=hex:11,\\\n[A\\B]\n\"c\"=\"\"\n", set: "c 1 0000", skipped: []int{2}},
	{text: "\"a\"=hex:11\\\n[A\\B]\n\"c\"=\"\"\n", set: "key A\\B; c 1 0000", skipped: []int{1}},

	// Comments.
	{text: "#note\n  #\"n\"=\"x\"\n#note\\\n\"a\"=\"\"\n", set: "a 1 0000"},
	{text: ";note\\\n  ;\"n\"=\"x\"\n\"a\"=\"\"  ;note\n", set: "a 1 0000"},
	{text: "\"a\"=\"\";\"b\"=\"\"\n\"c\"=\"\"#note\n\"d\"=dword:1#note\n", set: "a 1 0000", skipped: []int{2, 3}},
	{text: "\"a\"=;\"\"\n\"b\"=#\"\"\n", skipped: []int{1, 2}},
	{text: "\"a\"=\";#\"\n", set: "a 1 3b0023000000"},

	// Numbers.
	{text: "\"a\"=dword:1\n\"b\"=dword:\t1234;5678\n\"c\"=dword:1234 ;5678\n", set: "a 4 01000000; b 4 34120000; c 4 34120000"},
	{text: "\"a\"=dword:\n\"b\"=dword:hello\n\"c\"=dword:012345678\n\"d\"=dword:0x1\n\"e\"=dword:1 2\n\"f\"=dword:1\\\n2\n", skipped: []int{1, 2, 3, 4, 5, 6, 7}},

	// Types.
	{text: "\"a\"=hex(00000004):01\n\"b\"=hex(ffffffff):\n\"c\"=hex(7):\n", set: "a 4 01; b ffffffff ; c 7 "},
	{text: "\"a\"=hex(100000000):01\n\"b\"=hex(0x2):01\n\"c\"=hex(x2):01\n", skipped: []int{1, 2, 3}},

	// Text: quotes, escapes, NUL.
	{text: "\"a\"=\"x \\\"or\\\" y\"\n\"\\\\f\\\"\"=\"\"\n\"\"=\"\"\n", set: "a 1 780020002200" + "6f0072002200" + "200079000000; \\f\" 1 0000;  1 0000"},
	{text: "\"a\"=\"\\\\0\"\n", set: "a 1 5c0030000000"},
	{text: "\"a\"=\"x\\0y\"\n\"b\"=\"\\0\"\n\"c\"=\"\"\n", set: "c 1 0000", skipped: []int{1, 2}},
	{text: "\"a\"=\"x\"y\"\n\"b\"=\"x\"\"y\"\n\"c\"=x\"\n\"d\"=x\n\"e\"=\n\"f\"=\\\"\n", skipped: []int{1, 2, 3, 4, 5, 6}},
	{text: "\"a\"=\"x \\\ny\"\n\"b\"=\"\"\n", set: "b 1 0000", skipped: []int{1, 2}},
	{text: "\"a=\"x\"\nb\"=\"x\"\nc=\"x\"\n\"d=x\"\n", skipped: []int{1, 2, 3, 4}},
	{text: "\"a\\\n1\"=\"x\"\n\"b\"=\"\"\n\"c\n\\1\"=\"x\"\n", set: "b 1 0000", skipped: []int{1, 2, 4, 5}},
	{text: "\"a\"=\"x\n", skipped: []int{1}},
	{text: "\"a\"=\"x\"", set: "a 1 78000000"},

	// Text that is not terminated gets its NUL, text that is does not.
	{text: "\"a\"=hex(2):25,00\n\"b\"=hex(7):4c,00,\n\"c\"=hex(7):4c,00,00,00\n\"d\"=hex(7):4c,00,00,00,00,00\n", set: "a 2 25000000; b 7 4c000000; c 7 4c000000; d 7 4c0000000000"},
	{text: "\"a\"=hex(2):25,41\n\"b\"=hex(7):61,00\n\"c\"=hex(2):\n", set: "a 2 250041000000; b 7 61000000; c 2 ", old: true},
	{text: "\"a\"=hex(1):61,00\n\"b\"=hex:61,00\n", set: "a 1 6100; b 3 6100"}, // ours: they come back as they were exported

	// Blanks; values of no key.
	{text: "  \"a\"\t = \t\"\"\t\n\t@ = dword: 8\t\n\"  b  \"=\"\"\n", set: "a 1 0000;  4 08000000;   b   1 0000"},
	{text: "\t[A\\B]\n\"a\"=\"\"\n", set: "key A\\B; a 1 0000"},
	{text: "[A\\B\n\"a\"=\"\"\n\"b\"=hex:01,\\\n02\n\\C]\n", skipped: []int{1, 2, 3, 5}},
	{text: "[-A\\B]\n\"a\"=\"\"\n", set: "delete A\\B", skipped: []int{2}},
}

func TestReadsAsRegedit(t *testing.T) {
	for _, c := range regeditForms {
		for _, enc := range []string{"\n", "\r\n", "\r"} {
			text := strings.ReplaceAll(c.head()+"[A]\n"+c.text, "\n", enc)
			rd := regtext.NewReader(strings.NewReader(text))
			var skipped []int
			rd.Skip = func(e *regtext.LineError) {
				skipped = append(skipped, e.Line-3)
				if !errors.Is(e, regtext.ErrSyntax) {
					t.Errorf("%q: skipped for %v", text, e)
				}
			}
			var set []string
			for {
				op, err := rd.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				switch {
				case op.Key == "A" && op.Kind == regtext.MakeKey:
				case op.Kind == regtext.MakeKey:
					set = append(set, "key "+op.Key)
				case op.Kind == regtext.DeleteKey:
					set = append(set, "delete "+op.Key)
				default:
					set = append(set, fmt.Sprintf("%s %x %x", op.Name, op.Type, op.Data))
				}
			}
			if got := strings.Join(set, "; "); got != c.set || fmt.Sprint(skipped) != fmt.Sprint(c.skipped) {
				t.Errorf("%q:\ngot  %q, left out %v\nwant %q, left out %v", text, got, skipped, c.set, c.skipped)
			}
			// Without Skip the first of the lines is where reading ends.
			_, err := readAll(strings.NewReader(text))
			var le *regtext.LineError
			switch {
			case len(c.skipped) == 0 && err != nil:
				t.Errorf("%q: %v", text, err)
			case len(c.skipped) > 0 && (!errors.As(err, &le) || le.Line-3 != c.skipped[0]):
				t.Errorf("%q: %v, but line %d is malformed", text, err, c.skipped[0]+3)
			}
		}
	}
}

// The first line may be indented; nothing else about it is free.
func TestFirstLine(t *testing.T) {
	for _, s := range []string{"REGEDIT4", "  REGEDIT4", " \t REGEDIT4 ", "\tWindows Registry Editor Version 5.00"} {
		if got, err := readAll(strings.NewReader(s + "\n[A]\n")); err != nil || got != "2 make \"A\"\n" {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"REGEDIT3", "regedit4", "REGEDIT 4", "REGEDIT4FOO", "REGEDIT5", "Windows Registry Editor Version 4.00",
		"Windows Registry Editor Version 5", "WINDOWS REGISTRY EDITOR VERSION 5.00", "Windows Registry Editor version 5.00"} {
		rd := regtext.NewReader(strings.NewReader(s + "\n[A]\n"))
		rd.Skip = func(e *regtext.LineError) { t.Errorf("%q: %v", s, e) }
		var le *regtext.LineError
		if _, err := rd.Next(); !errors.As(err, &le) || le.Line != 1 || !errors.Is(err, regtext.ErrSyntax) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// Raw keeps text that is not terminated.
func TestRaw(t *testing.T) {
	rd := regtext.NewReader(strings.NewReader(head5 + "[A]\n\"a\"=hex(2):25,00\n\"b\"=hex(7):4c,00\n"))
	rd.Raw = true
	const want = "3 make \"A\"\n4 set \"A\" \"a\" 2 2500\n5 set \"A\" \"b\" 7 4c00\n"
	if got, err := showAll(rd); err != nil || got != want {
		t.Errorf("got\n%s%v", got, err)
	}
}

// Text of programs without a registry: [] is the root, and names start there.
func TestImportRoot(t *testing.T) {
	h := regf.New(nil)
	const text = head5 + "[]\n\"r\"=\"\"\n[machine]\n[machine\\software]\n\"v\"=\"1\"\n[user\\current]\n"
	if n, err := regtext.Import(h, strings.NewReader(text), regtext.ImportOptions{}); err != nil || n.KeysMade != 3 || n.ValuesSet != 2 {
		t.Errorf("%+v, %v", n, err)
	}
	if _, err := h.Root().Value("r"); err != nil {
		t.Error(err)
	}
	// It says nothing about where the hive is.
	h = regf.New(nil)
	if _, err := regtext.Import(h, strings.NewReader(head5+"[]\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\A]\n"), regtext.ImportOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := h.Key("A"); err != nil {
		t.Error(err)
	}
	for _, opt := range []regtext.ImportOptions{{Prefix: `HKEY_LOCAL_MACHINE\X`}, {Prefix: "X"}} {
		if _, err := regtext.Import(regf.New(nil), strings.NewReader(head5+"[]\n"), opt); !errors.Is(err, regtext.ErrOtherHive) {
			t.Errorf("%+v: %v", opt, err)
		}
	}
}

// One file, two hives.
func TestImportOneHive(t *testing.T) {
	const text = head5 + "[HKEY_LOCAL_MACHINE\\SOFTWARE\\A]\n\"v\"=\"1\"\n[HKLM\\SYSTEM\\B]\n\"v\"=\"2\"\n[-HKLM\\SYSTEM\\C]\n[HKLM\\software\\A\\D]\n[HKLM\\SOFTWARE2\\E]\n"
	for _, c := range []struct {
		opt     regtext.ImportOptions
		want    string
		outside int
	}{
		{regtext.ImportOptions{Key: `HKEY_LOCAL_MACHINE\SOFTWARE`}, `A A\D`, 3},
		{regtext.ImportOptions{Key: `hklm\system\`}, `B`, 3},
		{regtext.ImportOptions{Key: `HKLM\SOFTWARE\A\D`}, `A A\D`, 4},
		{regtext.ImportOptions{Key: `HKLM\SYSTEM`, Prefix: "HKEY_LOCAL_MACHINE"}, `SYSTEM SYSTEM\B`, 3},
		{regtext.ImportOptions{Key: `HKU`}, ``, 5},
	} {
		h := regf.New(nil)
		n, err := regtext.Import(h, strings.NewReader(text), c.opt)
		if err != nil {
			t.Errorf("%+v: %v", c.opt, err)
			continue
		}
		var keys []string
		for k, err := range h.Root().Walk() {
			if err != nil {
				t.Fatal(err)
			}
			if !k.IsRoot() {
				keys = append(keys, k.Path())
			}
		}
		if got := strings.Join(keys, " "); got != c.want || n.Outside != c.outside {
			t.Errorf("%+v: %q, %+v", c.opt, got, n)
		}
	}
	if _, err := regtext.Import(regf.New(nil), strings.NewReader(text), regtext.ImportOptions{Key: `HKLM\SYSTEM`, Prefix: `HKLM\SOFTWARE`}); !errors.Is(err, regtext.ErrOtherHive) {
		t.Errorf("a key outside the prefix: %v", err)
	}
}
