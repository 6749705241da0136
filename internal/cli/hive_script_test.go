package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf/regtext"
)

// run1 runs one command and returns its status and output.
func run1(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = Main(args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// Every command that reads a hive rejects a dirty one, and accepts it with each of the
// two flags.
func TestDirtyHiveIsRefused(t *testing.T) {
	from := testenv.Corpus(t, "hives", "AndrewRathbun_DFIRArtifactMuseum", "DEFAULT")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	dirty, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() {
		t.Helper()
		if err := os.WriteFile(in("dirty"), dirty, 0o666); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"out", "clean"} {
			if err := os.Remove(in(name)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		if status, _, errs := run1("hive", "new", "-o", in("clean")); status != 0 {
			t.Fatal(errs)
		}
	}
	if err := os.WriteFile(in("x.reg"), []byte("Windows Registry Editor Version 5.00\n[X]\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"query", in("dirty")}, {"add", in("dirty"), "X"}, {"delete", in("dirty"), "Software"}, {"export", in("dirty")},
		{"import", in("dirty"), in("x.reg")}, {"compare", in("dirty"), in("clean")}, {"compare", in("clean"), in("dirty")},
		{"diff", in("clean"), in("dirty"), "-o", in("out")}, {"merge", in("clean"), in("dirty"), "-o", in("out")},
		{"merge", in("dirty"), in("clean"), "-o", in("out")}, {"dump", in("dirty")}, {"check", in("dirty")},
		{"recover", in("dirty"), "-o", in("out")},
	} {
		fresh()
		args = append([]string{"hive"}, args...)
		status, out, errs := run1(args...)
		if args[0] == "recover" && !strings.Contains(errs, "hint: --log F names a log") {
			t.Errorf("%v: %s", args, errs)
		}
		if status != 2 || out != "" || !strings.Contains(errs, "hint: ") || !strings.Contains(errs, "dirty") {
			t.Errorf("%v: status %d, %q", args, status, errs)
		}
		if got, err := os.ReadFile(in("dirty")); err != nil || !bytes.Equal(got, dirty) {
			t.Errorf("%v changed the hive", args)
		}
		want := 0
		if args[1] == "compare" {
			want = 1
		}
		if args[1] != "recover" {
			insisting := want
			if args[1] == "check" {
				insisting = 1 // the check reports the dirty hive
			}
			if status, _, errs := run1(append(args, "--allow-dirty")...); status != insisting {
				t.Errorf("%v --allow-dirty: status %d, %s", args, status, errs)
			}
		}
		fresh()
		if status, _, errs := run1(append(args, "--log", from+".LOG1", "--log", from+".LOG2")...); status != want {
			t.Errorf("%v --log: status %d, %s", args, status, errs)
		}
		// A log of another hive does not help.
		fresh()
		other := testenv.Corpus(t, "hives", "msuhanov_yarp", "NewDirtyHive1", "NewDirtyHive.LOG1")
		if status, _, errs := run1(append(args, "--log", other)...); status != 2 || !strings.Contains(errs, "no transaction log fits") {
			t.Errorf("%v with a foreign log: status %d, %s", args, status, errs)
		}
	}
}

func TestHiveRecoverCommand(t *testing.T) {
	from := testenv.Corpus(t, "hives", "mkorman90_regipy", "UsrClass.dat")
	out := filepath.Join(t.TempDir(), "recovered")
	status, text, errs := run1("hive", "recover", from, "--log", from+".LOG1", "--log", from+".LOG2", "-o", out, "--json")
	if status != 0 {
		t.Fatal(errs)
	}
	var rep hiveRecovery
	if err := json.Unmarshal([]byte(text), &rep); err != nil {
		t.Fatal(err)
	}
	if rep.Entries != 14 || rep.FirstSequence != 287 || rep.LastSequence != 300 || rep.Format != "new" {
		t.Errorf("%+v", rep)
	}
	status, dump, errs := run1("hive", "dump", out)
	if status != 0 {
		t.Fatal(errs)
	}
	keys, values := 0, 0
	for line := range strings.Lines(dump) {
		var k struct{ Values []struct{ Name, Data string } }
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		keys++
		values += len(k.Values)
	}
	if keys != 6238 || values != 12531 {
		t.Errorf("%d keys, %d values", keys, values)
	}
	// Replaying in memory shows the same.
	if _, inMemory, _ := run1("hive", "dump", from, "--log", from+".LOG2", "--log", from+".LOG1"); inMemory != dump {
		t.Error("a dump with --log differs from that of the recovered file")
	}
}

func TestHiveDamage(t *testing.T) {
	file := testenv.Corpus(t, "hives", "log2timeline_plaso", "corrupt_sub_key_list.hiv")
	if status, _, errs := run1("hive", "dump", file); status != 2 || !strings.Contains(errs, "cell 0x") || !strings.Contains(errs, "hint: mullion hive check") {
		t.Errorf("status %d, %s", status, errs)
	}
	status, out, errs := run1("hive", "dump", file, "--mode", "report")
	if n := strings.Count(out, "\n"); status != 2 || n != 100 || errs == "" {
		t.Errorf("status %d, %d keys, %s", status, n, errs)
	}
	status, out, _ = run1("hive", "check", file)
	if status != 1 || !strings.Contains(out, "error ") {
		t.Errorf("check: status %d, %s", status, out)
	}
	status, out, _ = run1("hive", "check", file, "--json")
	var f struct{ Rule string }
	line, _, _ := strings.Cut(out, "\n")
	if err := json.Unmarshal([]byte(line), &f); status != 1 || err != nil || f.Rule == "" {
		t.Errorf("check --json: status %d, %v, %s", status, err, line)
	}
}

// An export skips names that text cannot represent, and reports them.
func TestHiveExportOddNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "h")
	for _, args := range [][]string{
		{"new", "-o", file}, {"add", file, "K", "-v", "a\r\n[-HKEY_LOCAL_MACHINE\\SAM]", "-t", "REG_SZ", "-d", "x"},
		{"add", file, "K", "-v", "b", "-t", "REG_SZ", "-d", "x"}, {"add", file, "K\nL\\M"}, {"add", file, "Z"},
	} {
		if status, _, errs := run1(append([]string{"hive"}, args...)...); status != 0 {
			t.Fatalf("%q: %s", args, errs)
		}
	}
	status, out, errs := run1("hive", "export", file, "--utf8")
	if status != 2 || strings.Count(errs, " is left out: ") != 2 || strings.Count(errs, "\n") != 2 {
		t.Errorf("status %d, %s", status, errs)
	}
	const want = "Windows Registry Editor Version 5.00\n\n[R]\n\n[R\\K]\n" +
		`; left out: value "a\r\n[-HKEY_LOCAL_MACHINE\\SAM]": a line break in the name: the .reg format cannot hold this name` + "\n\"b\"=\"x\"\n\n" +
		`; left out: key "R\\K\nL": a line break in the name: the .reg format cannot hold this name` + "\n\n[R\\Z]\n\n"
	if out = strings.ReplaceAll(strings.ReplaceAll(out, "\r\n", "\n"), regtext.DefaultPrefix, "R"); strings.ReplaceAll(out, `HKEY_LOCAL_MACHINE\\HIVE`, "R") != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

// Names that neither JSON nor a terminal can show as they are.
func TestHiveOddNames(t *testing.T) {
	for name, want := range map[string]string{
		"plain": `"plain"`, "q\"b\\": `"q\"b\\"`, "\x00\x1f": `"\u0000\u001f"`, "日本😀": `"日本😀"`,
		"\xed\xa0\x80x\xed\xbf\xbf": `"\ud800x\udfff"`, "\u007f": `"\u007f"`, "\u202e": `"\u202e"`,
	} {
		if got := string(appendJSON(nil, []byte(name))); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	for text, want := range map[string]string{"C:\\x": "C:\\x", "a\x1b[2J": `a\u001b[2J`, "\xed\xa0\x80": `\ud800`, "\u202e": `\u202e`, "é": "é"} {
		if got := escapeControl(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if b, err := parseData(7, ""); err != nil || !bytes.Equal(b, []byte{0, 0}) {
		t.Errorf("an empty list: %x %v", b, err)
	}
	if b, err := parseData(5, "0x01020304"); err != nil || binary.BigEndian.Uint32(b) != 0x01020304 {
		t.Errorf("big-endian: %x %v", b, err)
	}
}
