package regtext_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
)

// Importing an export into an empty hive produces the same keys and values again, and
// exporting that the same text.
func TestImportExport(t *testing.T) {
	for _, file := range wholeHives(t) {
		if strings.Contains(file, "SYSTEM") && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
			source := open(t, file)
			if source.Layered() {
				return // deletions are applied, not kept
			}
			for _, opt := range []regtext.Options{{}, {Encoding: regtext.UTF8}} {
				var text, again bytes.Buffer
				if err := regtext.Export(&text, source.Root(), opt); err != nil {
					t.Fatal(err)
				}
				whole := bytes.Clone(text.Bytes())
				h := regf.New(nil)
				stats, err := regtext.Import(h, &text, regtext.ImportOptions{Raw: true})
				if err != nil {
					t.Fatal(err)
				}
				for d, err := range regf.Compare(source, h, regf.CompareOptions{}) {
					if err != nil {
						t.Fatal(err)
					}
					if d.Field == regf.FieldKey || d.Field == regf.FieldValue {
						t.Fatalf("%v %v %q %q", d.Kind, d.Field, d.Path, d.Name)
					}
				}
				for f, err := range h.Check(t.Context()) {
					if err != nil || f.Severity == finding.Error {
						t.Fatal(f, err)
					}
				}
				if err := regtext.Export(&again, h.Root(), opt); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(whole, again.Bytes()) {
					t.Error("the text of the import differs")
				}
				t.Logf("%+v, %d bytes", stats, len(whole))
			}
		})
	}
}

func TestImportChanges(t *testing.T) {
	h := regf.New(nil)
	apply := func(text string, opt regtext.ImportOptions) error {
		t.Helper()
		_, err := regtext.Import(h, strings.NewReader(head5+text), opt)
		return err
	}
	if err := apply("[HKEY_LOCAL_MACHINE\\Soft\\A\\B]\n\"v\"=dword:1\n[hklm\\soft\\a\\b]\n\"w\"=\"x\"\n[HKU\\soft]\n", regtext.ImportOptions{}); !errors.Is(err, regtext.ErrOtherHive) {
		t.Errorf("a key of another place: %v", err)
	}
	if err := apply("[HKEY_LOCAL_MACHINE\\SOFT\\a]\n@=\"d\"\n[HKEY_LOCAL_MACHINE\\soft]\n\"r\"=hex:\n[-HKEY_LOCAL_MACHINE\\Soft\\missing]\n", regtext.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	show := func() string {
		var b bytes.Buffer
		if err := regtext.Export(&b, h.Root(), regtext.Options{Prefix: "R", Encoding: regtext.UTF8}); err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(b.String(), "\r\n", "\n")
	}
	const start = "Windows Registry Editor Version 5.00\n\n"
	if got, want := show(), start+"[R]\n\"r\"=hex:\n\n[R\\A]\n@=\"d\"\n\n[R\\A\\B]\n\"v\"=dword:00000001\n\"w\"=\"x\"\n\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// Relative paths, deletions of existing and of missing keys and values.
	if err := apply("[\\A\\B]\n\"v\"=-\n\"none\"=-\n[-A\\C]\n[-A\\b]\n[A\\b]\n[A]\n@=-\n", regtext.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, want := show(), start+"[R]\n\"r\"=hex:\n\n[R\\A]\n\n[R\\A\\b]\n\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := apply("[X\\Y\\new]\n", regtext.ImportOptions{Prefix: `x\y`}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Key("new"); err != nil {
		t.Error(err)
	}
	if err := apply("[X\\Z]\n", regtext.ImportOptions{Prefix: `x\y`}); !errors.Is(err, regtext.ErrOtherHive) {
		t.Error(err)
	}
	if err := apply("[-X\\Y]\n", regtext.ImportOptions{Prefix: `x\y`}); !errors.Is(err, regf.ErrInvalid) {
		t.Error(err)
	}
}

// Keys and values that hide the layers below become deletions.
func TestExportDelta(t *testing.T) {
	h := regf.New(nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(h.SetLayered(true))
	for _, k := range []struct {
		path  string
		layer regf.Layer
	}{{"dead", regf.LayerTombstone}, {"new", regf.LayerSupersedeTree}, {`new\below`, regf.LayerSupersedeTree}, {"old", regf.LayerMerge}} {
		key, err := h.CreatePath(k.path)
		must(err)
		must(key.SetLayer(k.layer, false))
	}
	old, err := h.Key("old")
	must(err)
	must(old.SetValueTombstone("gone"))
	var b bytes.Buffer
	must(regtext.Export(&b, h.Root(), regtext.Options{Prefix: "R", Version: 4}))
	want := "REGEDIT4\n\n[R]\n\n[-R\\dead]\n\n[-R\\new]\n\n[R\\new]\n\n[-R\\new\\below]\n\n[R\\new\\below]\n\n[R\\old]\n\"gone\"=-\n\n"
	if got := strings.ReplaceAll(b.String(), "\r\n", "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Names and data that the format makes hard.
func TestHardToHold(t *testing.T) {
	h := regf.New(nil)
	set := func(key, name string, typ regf.Type, data string) {
		t.Helper()
		k, err := h.CreatePath(key)
		if err == nil {
			err = k.SetValue(name, typ, []byte(data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set("a]b[", "q\"\\", regf.RegSZ, "x\x00\x00\x00")
	set("lone \xed\xa0\x80", "two lines", regf.RegSZ, "l\x00\n\x00\x00\x00")
	set("-minus", "=", regf.RegSZ, "odd")
	set("half a character", "", regf.RegSZ, "\x00\xd8\x00\x00")
	set("x", "open list", regf.RegMultiSZ, "l\x00")
	set("x", "open path", regf.RegExpandSZ, "odd")
	set("é", "日本", regf.Type(0xFFFF0007), "")
	set("x", "dword of three", regf.RegDword, "123")
	set("x", "empty text", regf.RegSZ, "\x00\x00")
	set("x", "no text", regf.RegSZ, "")
	set("x", "two terminators", regf.RegSZ, "\x00\x00\x00\x00")
	for _, opt := range []regtext.Options{{}, {Encoding: regtext.UTF8}} {
		var b bytes.Buffer
		if err := regtext.Export(&b, h.Root(), opt); err != nil {
			t.Fatal(err)
		}
		back := regf.New(nil)
		if _, err := regtext.Import(back, &b, regtext.ImportOptions{Raw: true}); err != nil {
			t.Fatal(err)
		}
		for d, err := range regf.Compare(h, back, regf.CompareOptions{}) {
			t.Errorf("encoding %d: %v %v %q %q %v", opt.Encoding, d.Kind, d.Field, d.Path, d.Name, err)
		}
	}
	if err := regtext.Export(io.Discard, h.Root(), regtext.Options{Version: 4}); !errors.Is(err, regtext.ErrCannotHold) {
		t.Errorf("REGEDIT4 took characters that it lacks: %v", err)
	}
}

func FuzzReg(f *testing.F) {
	f.Add([]byte(head5 + "[A\\B]\n@=\"x\"\n\"v\"=dword:2a\n\"w\"=hex(7):61,00,\\\n  00,00\n\"w\"=-\n[-A\\B]\n"))
	f.Add([]byte("REGEDIT4\n[HKEY_LOCAL_MACHINE\\X]\n\"e\"=hex(2):80,00\n"))
	f.Add([]byte("\xFF\xFEW\x00"))
	for _, c := range regeditForms {
		f.Add([]byte(c.head() + "[A]\n" + c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h := regf.New(nil)
		_, err := regtext.Import(h, bytes.NewReader(text), regtext.ImportOptions{})
		lines := 1 + bytes.Count(text, []byte{'\n'}) + bytes.Count(text, []byte{'\r'})
		var le *regtext.LineError
		if err != nil && (!errors.As(err, &le) || le.Line < 1 || le.Line > lines) {
			t.Fatalf("an error without a line: %v", err)
		}
		// With skipping, the result is the same up to the first malformed line.
		h = regf.New(nil)
		var first *regtext.LineError
		_, past := regtext.Import(h, bytes.NewReader(text), regtext.ImportOptions{Skip: func(e *regtext.LineError) {
			if first == nil {
				first = e
			}
		}})
		if first == nil && (past == nil) != (err == nil) || first != nil && (err == nil || le.Line != first.Line) {
			t.Fatalf("%v, but %v and %v where lines are skipped", err, past, first)
		}
		for f, err := range h.Check(t.Context()) {
			if err != nil || f.Severity == finding.Error {
				t.Fatal(f, err)
			}
		}
		for _, opt := range []regtext.Options{{}, {Encoding: regtext.UTF8}, {Version: 4}} {
			var b bytes.Buffer
			if err := regtext.Export(&b, h.Root(), opt); err != nil {
				if !errors.Is(err, regtext.ErrCannotHold) {
					t.Fatal(err)
				}
				continue
			}
			back := regf.New(nil)
			if _, err := regtext.Import(back, bytes.NewReader(b.Bytes()), regtext.ImportOptions{Raw: true}); err != nil {
				t.Fatalf("%v\n%q", err, b.Bytes())
			}
			for d, err := range regf.Compare(h, back, regf.CompareOptions{}) {
				t.Fatalf("version %d, encoding %d: %v %v %q %q %v", opt.Version, opt.Encoding, d.Kind, d.Field, d.Path, d.Name, err)
			}
		}
	})
}

func BenchmarkImport(b *testing.B) {
	for _, name := range []string{"NTUSER_BAGMRU.DAT", "SYSTEM"} {
		b.Run(name, func(b *testing.B) {
			var text bytes.Buffer
			h, err := regf.Open(testenv.Corpus(b, "hives", "mkorman90_regipy", name), &regf.Options{AllowDirty: true})
			if err != nil {
				b.Fatal(err)
			}
			defer h.Close()
			if err := regtext.Export(&text, h.Root(), regtext.Options{}); err != nil {
				b.Fatal(err)
			}
			b.Run("parse", func(b *testing.B) {
				for b.Loop() {
					if _, err := readAllOps(text.Bytes()); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("import", func(b *testing.B) {
				for b.Loop() {
					if _, err := regtext.Import(regf.New(nil), bytes.NewReader(text.Bytes()), regtext.ImportOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func readAllOps(text []byte) (int, error) {
	r := regtext.NewReader(bytes.NewReader(text))
	n := 0
	for {
		if _, err := r.Next(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		n++
	}
}
