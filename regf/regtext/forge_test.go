package regtext_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
	"github.com/mullion/mullion/winfs"
)

// hostileNames are names of keys and values with which an attacker would make the text of a
// hive differ from its contents.
var hostileNames = []string{
	"x\r\n[-HKEY_LOCAL_MACHINE\\SAM]\r\n", "x\n[HKEY_LOCAL_MACHINE\\HIVE\\Forged]\n@=\"\"\n", "x\r[HKEY_LOCAL_MACHINE\\HIVE\\Forged]\r",
	"\r\n\"forged\"=\"\"\r\n", "]\r\n\"forged\"=\"\"", "\"=\"\"\r\n\"forged\"=\"\"", "\"=\"\" ;", "\"=-", "a]", "[a", "]a[", "a] ;b", "-a", "@", "=", ";", "#",
	"\\\\", "a\\\"b", "a\\", "\\0", "nul\x00", "\x00", "\u2028[x]\u2029", "\u0085[x]", "\v[x]\f", "\t", "  ", "\xed\xa0\x80", "\xed\xb0\x80\"", "é\"", "日本]", "\x1a", "\ufeff",
}

// hostileHive makes a hive with such names; those of keys lose the backslashes that
// would be levels, unless patch puts them there.
func hostileHive(t *testing.T, rng *rand.Rand) *regf.Hive {
	t.Helper()
	h := regf.New(nil)
	name := func() string {
		s := hostileNames[rng.IntN(len(hostileNames))]
		if more := s + hostileNames[rng.IntN(len(hostileNames))]; rng.IntN(3) == 0 && winfs.ValidWTF8(more) {
			return more
		}
		return s
	}
	keys := []regf.Key{h.Root()}
	for range 40 {
		k := keys[rng.IntN(len(keys))]
		below, _, err := k.Create(strings.ReplaceAll(name(), `\`, "_"))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, below)
		for range rng.IntN(3) {
			data := append(winfs.AppendUTF16LE(nil, name()), 0, 0)
			if err := below.SetValue(name(), regf.Type([]uint32{1, 2, 3, 7}[rng.IntN(4)]), data[:len(data)-rng.IntN(3)]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return h
}

// A hive of hostile names is exported to the end, omitted keys and values are named, and
// the text contains nothing that the hive does not: neither for our reader nor for one that
// only looks at the start of a line.
func TestExportForgesNothing(t *testing.T) {
	for seed := range uint64(60) {
		h := hostileHive(t, rand.New(rand.NewPCG(seed, 0)))
		for _, opt := range []regtext.Options{{}, {Encoding: regtext.UTF8}, {Version: 4}} {
			checkForged(t, h, opt)
		}
	}
}

func checkForged(t *testing.T, h *regf.Hive, opt regtext.Options) {
	t.Helper()
	var skipped []regtext.Skipped
	opt.Skip = func(s regtext.Skipped) {
		if !errors.Is(s.Err, regtext.ErrCannotHold) {
			t.Errorf("%+v", s)
		}
		skipped = append(skipped, s)
	}
	var text bytes.Buffer
	if err := regtext.Export(&text, h.Root(), opt); err != nil {
		t.Fatal(err)
	}
	opt.Skip = nil
	if err := regtext.Export(io.Discard, h.Root(), opt); errors.Is(err, regtext.ErrCannotHold) != (len(skipped) > 0) {
		t.Fatalf("%v, but %d are left out", err, len(skipped))
	}

	// The lines, of which only the start counts.
	plain := text.String()
	if opt.Version != 4 && opt.Encoding == regtext.UTF16 {
		plain = winfs.DecodeUTF16LE(text.Bytes()[2:])
	}
	lines := strings.FieldsFunc(plain, func(r rune) bool { return r == '\r' || r == '\n' })
	comments := 0
	for _, l := range lines[1:] {
		switch l[0] {
		case '[':
			if !strings.HasPrefix(l, `[HKEY_LOCAL_MACHINE\HIVE`) || strings.Contains(l, "Forged") && strings.HasPrefix(l, `[HKEY_LOCAL_MACHINE\HIVE\Forged`) {
				t.Errorf("a key that is not there: %q", l)
			}
		case ';':
			comments++
			for _, c := range []byte(l) {
				if c < ' ' || c > '~' {
					t.Errorf("a comment with %q: %q", c, l)
				}
			}
		case '@', '"':
			if strings.HasPrefix(l, `"forged"`) {
				t.Errorf("a value that is not there: %q", l)
			}
		case ' ':
			if strings.Trim(l, `0123456789abcdef, \`) != "" {
				t.Errorf("a line of bytes with something else: %q", l)
			}
		default:
			t.Errorf("a line of no kind: %q", l)
		}
	}
	if comments != len(skipped) {
		t.Errorf("%d comments for %d that are left out", comments, len(skipped))
	}

	// Our reader.
	back := regf.New(nil)
	if _, err := regtext.Import(back, &text, regtext.ImportOptions{Raw: true}); err != nil {
		t.Fatalf("%v\n%q", err, plain)
	}
	lost := 0
	for d, err := range regf.Compare(h, back, regf.CompareOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Kind == regf.Removed && (d.Field == regf.FieldKey || d.Field == regf.FieldValue) {
			lost++
			continue
		}
		if d.Field == regf.FieldKey || d.Field == regf.FieldValue {
			t.Errorf("%v %v %q %q\n%q", d.Kind, d.Field, d.Path, d.Name, plain)
		}
	}
	if lost < len(skipped) {
		t.Errorf("%d are missing, %d were said to be left out", lost, len(skipped))
	}
}

// A hive may hold names that no program makes: a backslash would be a level of its
// own, and a name of no length the key above.
func TestExportNamesNoProgramMakes(t *testing.T) {
	h := regf.New(nil)
	for path, name := range map[string]string{`Q_Forged\Below`: "v", `Fine`: "w"} {
		k, err := h.CreatePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetValue(name, regf.RegBinary, []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := h.WriteImage(&file); err != nil {
		t.Fatal(err)
	}
	b := bytes.Replace(file.Bytes(), []byte("Q_Forged"), []byte(`Q\Forged`), 1)
	damaged, err := regf.OpenBytes(b, &regf.Options{Mode: regf.Report})
	if err != nil {
		t.Fatal(err)
	}
	defer damaged.Close()
	checkForged(t, damaged, regtext.Options{})
	for k, err := range damaged.Root().Walk() {
		if err == nil && k.Name() == "Below" {
			if err := regtext.Export(io.Discard, k, regtext.Options{Skip: func(regtext.Skipped) {}}); !errors.Is(err, regtext.ErrCannotHold) {
				t.Errorf("a key below such a key: %v", err)
			}
		}
	}
}

// A place in the registry that would be a deletion, or more than a line, is none.
func TestExportPrefix(t *testing.T) {
	for _, p := range []string{"-HKLM", "a\nb", "a\rb", "a\x00b"} {
		if err := regtext.Export(io.Discard, regf.New(nil).Root(), regtext.Options{Prefix: p}); !errors.Is(err, regf.ErrInvalid) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func ExampleOptions() {
	h := regf.New(nil)
	k, _, _ := h.Root().Create("Key")
	k.SetValue("two\nlines", regf.RegSZ, []byte{0, 0})
	var text strings.Builder
	err := regtext.Export(&text, k, regtext.Options{Encoding: regtext.UTF8, Skip: func(s regtext.Skipped) {
		fmt.Printf("%s, %q: %v\n", s.Key, s.Name, s.Err)
	}})
	fmt.Println(strings.ReplaceAll(text.String(), "\r\n", "\n"), err)
	// Output:
	// HKEY_LOCAL_MACHINE\HIVE\Key, "two\nlines": a line break in the name: the .reg format cannot hold this name
	// Windows Registry Editor Version 5.00
	//
	// [HKEY_LOCAL_MACHINE\HIVE\Key]
	// ; left out: value "two\nlines": a line break in the name: the .reg format cannot hold this name
	//
	//  <nil>
}
