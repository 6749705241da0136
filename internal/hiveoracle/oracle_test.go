package hiveoracle_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
)

// oracle is a program that prints what another library reads of a hive, in the
// form that testdata describes.
type oracle struct {
	name, debian string
	libraries    []string
	class        bool // it tells class and descriptor
	path         string
}

func oracles() []*oracle {
	return []*oracle{
		{name: "hivexdump", libraries: []string{"-lhivex"}, debian: "libhivex-dev"},
		{name: "regfdump", libraries: []string{"-lregf"}, debian: "libregf-dev libbfio-dev", class: true},
		{name: "regfidump", libraries: []string{"-lregfi", "-ltalloc"}, debian: "libregfi-dev libtalloc-dev", class: true},
	}
}

// build compiles an oracle into the test's own folder.
func (o *oracle) build(t *testing.T) {
	t.Helper()
	cc := testenv.Program(t, "cc", "gcc")
	o.path = filepath.Join(t.TempDir(), o.name)
	args := append([]string{"-O2", "-o", o.path, filepath.Join("testdata", o.name+".c")}, o.libraries...)
	out, err := exec.Command(cc, args...).CombinedOutput()
	if err != nil {
		testenv.Missing(t, fmt.Sprintf("%s does not build (Debian: %s): %v\n%s", o.name, o.debian, err, out))
	}
}

// run returns the lines that the oracle prints.
func (o *oracle) run(hive string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, o.path, hive)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %.200s", err, errs.String())
	}
	var lines []string
	s := bufio.NewScanner(&out)
	s.Buffer(nil, 1<<30)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	return lines, s.Err()
}

func hexField(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return hex.EncodeToString(b)
}

// ourLines prints a hive as the oracles do.
func ourLines(t *testing.T, h *regf.Hive, class bool) []string {
	t.Helper()
	var lines []string
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		tail := "? ?"
		if class {
			c, err := k.ClassBytes()
			if err != nil {
				t.Error(err)
			}
			sd, err := k.Security()
			if err != nil {
				t.Error(err)
			}
			tail = hexField(c) + " " + hexField(sd)
		}
		lines = append(lines, fmt.Sprintf("K %d %s %016x %s", k.Level(), hexField(k.AppendName(nil)), uint64(k.LastWrite()), tail))
		for v, err := range k.Values() {
			if err != nil {
				t.Fatal(err)
			}
			data, err := v.Data()
			if err != nil {
				t.Error(err)
			}
			lines = append(lines, fmt.Sprintf("V %s %x %s", hexField(v.AppendName(nil)), uint32(v.Type()), hexField(data)))
		}
	}
	return lines
}

// exceptions are the reviewed differences from an oracle. Every one has a reason;
// a line that differs and that no exception explains fails the test, and so does
// an exception for a file that explains nothing.
var exceptions = []struct {
	oracle string
	file   string // or "" for all
	why    string
	// explains tells whether a pair of lines is such a difference; "" stands for a
	// line that only the other side has.
	explains func(ours, theirs []string) bool
}{
	{oracle: "regfdump", why: "libregf garbles data of one to three bytes that stands in the value itself",
		explains: func(a, b []string) bool {
			return sameValue(a, b) && len(a[3]) < 8 && len(a[3]) == len(b[3])
		}},
	{oracle: "regfdump", why: "libregf gives text, not data: cut after the terminator, or completed with one",
		explains: func(a, b []string) bool {
			if !sameValue(a, b) || a[2] != "1" && a[2] != "2" {
				return false
			}
			text := a[3]
			for i := 0; i+4 <= len(text); i += 4 {
				if text[i:i+4] == "0000" {
					text = text[:i]
					break
				}
			}
			return strings.HasPrefix(b[3], text[:len(text)&^3])
		}},
	{oracle: "regfidump", why: "libregfi does not parse a descriptor without a DACL",
		explains: func(a, b []string) bool {
			return a[0] == "K" && b[0] == "K" && b[5] == "!" && strings.HasPrefix(a[5], "01000080") && strings.Join(a[:5], " ") == strings.Join(b[:5], " ")
		}},
	{oracle: "regfidump", file: "mkorman90_regipy/SYSTEM_before_offreg", why: "libregfi reads big data of three values from wrong segments; libhivex and libregf agree with us",
		explains: func(a, b []string) bool { return sameValue(a, b) && len(a[3]) == len(b[3]) && len(a[3]) > 2*16344 }},
	{oracle: "regfidump", file: "msuhanov_yarp/UpcaseHive", why: "libregfi does not decode Latin-1 names",
		explains: func(a, b []string) bool {
			return a[0] == "K" && b[2] == "-" && strings.Join(a[3:], " ") == strings.Join(b[3:], " ")
		}},
	{oracle: "regfidump", file: "strozfriedberg_notatin/win7_ntuser.dat", why: "libregfi does not decode Latin-1 names",
		explains: func(a, b []string) bool {
			return a[0] == "V" && b[1] == "-" && strings.Join(a[2:], " ") == strings.Join(b[2:], " ")
		}},
	{oracle: "hivexdump", file: "msuhanov_yarp/System_Delta", why: "libhivex fails on the data of value tombstones", explains: nil},
}

// unsorted hives have a subkey list that is out of order or names a key twice.
// Everyone reads them; a strict save refuses them.
var unsorted = map[string]bool{"msuhanov_yarp/WrongOrderHive": true, "msuhanov_yarp/DuplicateSubkeysHive": true}

func sameValue(a, b []string) bool {
	return a[0] == "V" && b[0] == "V" && a[1] == b[1] && a[2] == b[2]
}

// damaged hives are those on which no two oracles agree, or which they refuse. For
// them the counts of the corpus manifest hold, made by an independent walker.
var damaged = map[string]struct {
	keys, values int
	why          string
}{
	"EricZimmerman_Registry/SAMBadHBinHeader":     {68, 73, "a bin has a wrong signature; libhivex and libregf refuse the file, libregfi sees the root alone"},
	"log2timeline_plaso/corrupt_sub_key_list.hiv": {100, 99, "one subkey points at a free cell; libhivex and libregf stop there"},
	"mkorman90_regipy/corrupted_system_hive":      {1687, 5625, "bins are overwritten; all oracles refuse the file"},
	"msuhanov_yarp/BadListHive":                   {6, 0, "a key is listed twice; the oracles show it twice"},
	"msuhanov_yarp/TruncatedNameHive":             {2, 0, "a name goes past its cell; libhivex and libregf stop there, libregfi skips the key"},
}

func TestOracles(t *testing.T) {
	root := testenv.Corpus(t, "hives")
	for _, o := range oracles() {
		t.Run(o.name, func(t *testing.T) {
			o.build(t)
			for _, file := range corpusHives(t) {
				if _, ok := damaged[file]; !ok {
					t.Run(file, func(t *testing.T) {
						t.Parallel()
						compareOracle(t, o, root, file)
					})
				}
			}
		})
	}
	for file, d := range damaged {
		t.Run(file, func(t *testing.T) {
			h, err := regf.Open(filepath.Join(root, filepath.FromSlash(file)), &regf.Options{AllowDirty: true, Mode: regf.Report})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			keys, values := 0, 0
			for k, err := range h.Root().Walk() {
				if err != nil {
					t.Fatal(err)
				}
				keys++
				for _, err := range k.Values() {
					if err != nil {
						t.Fatal(err)
					}
					values++
				}
			}
			if keys != d.keys || values != d.values || len(h.Findings()) == 0 {
				t.Errorf("%d keys, %d values, %d findings; want %d, %d (%s)", keys, values, len(h.Findings()), d.keys, d.values, d.why)
			}
		})
	}
}

// corpusHives returns the primary files of the corpus, relative to its folder.
func corpusHives(t testing.TB) []string {
	t.Helper()
	root := testenv.Corpus(t, "hives")
	var files []string
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".tsv") || strings.Contains(filepath.Base(p), ".LOG") {
			return err
		}
		rel, err := filepath.Rel(root, p)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func compareOracle(t *testing.T, o *oracle, root, file string) {
	theirs, err := o.run(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		for _, e := range exceptions {
			if e.oracle == o.name && e.file == file && e.explains == nil {
				t.Log(e.why)
				return
			}
		}
		t.Fatalf("the oracle fails: %v", err)
	}
	h, err := regf.Open(filepath.Join(root, filepath.FromSlash(file)), &regf.Options{AllowDirty: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ours := ourLines(t, h, o.class)
	if len(ours) != len(theirs) {
		t.Errorf("%d lines, the oracle has %d", len(ours), len(theirs))
	}
	explained, bad := make([]int, len(exceptions)), 0
	for i := range min(len(ours), len(theirs)) {
		if ours[i] == theirs[i] {
			continue
		}
		a, b := strings.Fields(ours[i]), strings.Fields(theirs[i])
		which := -1
		for n, e := range exceptions {
			if e.oracle == o.name && (e.file == "" || e.file == file) && e.explains != nil && len(a) == len(b) && e.explains(a, b) {
				which = n
				break
			}
		}
		if which >= 0 {
			explained[which]++
		} else if bad++; bad <= 5 {
			t.Errorf("line %d:\nours   %.300s\ntheirs %.300s", i, ours[i], theirs[i])
		}
	}
	for n, e := range exceptions {
		if explained[n] > 0 {
			t.Logf("%d lines: %s", explained[n], e.why)
		} else if e.oracle == o.name && e.file == file {
			t.Errorf("this exception explains nothing: %s", e.why)
		}
	}
}

// writable opens what is to be saved in spite of logs that were not replayed.
var writable = &regf.Options{AllowDirty: true, EditDirty: true}

// After a compacting save and after an edit in place the oracles read what we read.
func TestOraclesReadWhatWeWrite(t *testing.T) {
	root := testenv.Corpus(t, "hives")
	all := oracles()
	for _, o := range all {
		o.build(t)
	}
	dir := t.TempDir()
	for i, file := range corpusHives(t) {
		if strings.Contains(file, "/SYSTEM_") && os.Getenv("MULLION_LONG") != "1" {
			continue // one hive of that kind is enough for every day
		}
		if _, ok := damaged[file]; ok || unsorted[file] || strings.HasPrefix(file, "offreg-written") {
			continue
		}
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			h, err := regf.Open(filepath.Join(root, filepath.FromSlash(file)), writable)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			saved := filepath.Join(dir, fmt.Sprintf("%d-saved", i))
			if err := h.WriteCompactFile(saved, nil); err != nil {
				t.Fatal(err)
			}
			edited := filepath.Join(dir, fmt.Sprintf("%d-edited", i))
			edit(t, h)
			if err := h.WriteImageFile(edited, nil); err != nil {
				t.Fatal(err)
			}
			for _, written := range []string{saved, edited} {
				w, err := regf.Open(written, nil)
				if err != nil {
					t.Fatal(err)
				}
				for f, err := range w.Check(t.Context()) {
					if err != nil || f.Severity == finding.Error {
						t.Error(f, err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				for _, o := range all {
					if file != "msuhanov_yarp/System_Delta" || o.name != "hivexdump" { // see exceptions
						compareWritten(t, o, written)
					}
				}
				if err := os.Remove(written); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// edit makes the kinds of changes that move cells about.
func edit(t *testing.T, h *regf.Hive) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	k, err := h.CreatePath(`Mullion\One\Two`)
	must(err)
	must(k.SetValue("big", regf.RegBinary, bytes.Repeat([]byte("0123456789"), 5000)))
	must(k.SetValue("", regf.RegSZ, []byte("d\x00e\x00f\x00\x00\x00")))
	for i := range 600 {
		_, err := h.CreatePath(fmt.Sprintf(`Mullion\Many\%03d`, i))
		must(err)
	}
	must(k.SetValue("big", regf.RegBinary, []byte("now it is small")))
	must(k.SetValue("日本", regf.Type(0xFFFF0011), []byte("x")))
	must(k.SetValue("empty", regf.RegBinary, nil))
	must(k.SetValue("emptied", regf.RegBinary, []byte("something longer")))
	must(k.SetValue("emptied", regf.RegSZ, nil))
	for first, err := range h.Root().Subkeys() {
		must(err)
		if first.Name() != "Mullion" {
			must(first.DeleteTree())
			break
		}
	}
}

// compareWritten compares a file of ours, of which we know that libregfi does not
// decode Latin-1 names: everything general in the exceptions holds here too.
func compareWritten(t *testing.T, o *oracle, file string) {
	t.Helper()
	theirs, err := o.run(file)
	if err != nil {
		t.Errorf("%s: %v", o.name, err)
		return
	}
	h, err := regf.Open(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ours := ourLines(t, h, o.class)
	if len(ours) != len(theirs) {
		t.Errorf("%s: %d lines, the oracle has %d", o.name, len(ours), len(theirs))
		return
	}
	for i := range ours {
		if ours[i] == theirs[i] {
			continue
		}
		a, b := strings.Fields(ours[i]), strings.Fields(theirs[i])
		known := false
		for _, e := range exceptions {
			known = known || e.oracle == o.name && e.explains != nil && len(a) == len(b) && e.explains(a, b)
		}
		if !known {
			t.Errorf("%s: line %d:\nours   %.300s\ntheirs %.300s", o.name, i, ours[i], theirs[i])
			return
		}
	}
}

// The programs that people use read the saved files to the end.
func TestProgramsReadWhatWeWrite(t *testing.T) {
	programs := []string{testenv.Program(t, "hivexml", "libhivex-bin"), testenv.Program(t, "regfexport", "libregf-utils"), testenv.Program(t, "reglookup", "reglookup")}
	root := testenv.Corpus(t, "hives")
	dir := t.TempDir()
	for i, file := range corpusHives(t) {
		if _, ok := damaged[file]; ok || unsorted[file] {
			continue
		}
		info, err := os.Stat(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1<<20 && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			original := filepath.Join(root, filepath.FromSlash(file))
			h, err := regf.Open(original, writable)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			saved := filepath.Join(dir, fmt.Sprintf("%d-whole", i))
			if err := h.WriteCompactFile(saved, nil); err != nil {
				t.Fatal(err)
			}
			for _, p := range programs {
				before, errBefore := text(p, original)
				after, errAfter := text(p, saved)
				if fmt.Sprint(errBefore) != fmt.Sprint(errAfter) {
					t.Errorf("%s: %v, before saving %v", filepath.Base(p), errAfter, errBefore)
				} else if before != after {
					t.Errorf("%s prints something else after saving", filepath.Base(p))
				}
			}
		})
	}
}

// byteRuns are the places of cells in the file, which hivexml prints.
var byteRuns = regexp.MustCompile(`<byte_runs>(<byte_run [^>]*>)*</byte_runs>`)

// text runs a program over a hive and returns what it prints, without the name of
// the file and the places of cells in it.
func text(program, hive string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, hive)
	cmd.Stdout = &out
	err := cmd.Run()
	return byteRuns.ReplaceAllString(strings.ReplaceAll(out.String(), hive, "HIVE"), ""), err
}
