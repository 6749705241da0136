package cli

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newHive writes a hive with a key and a value.
func newHive(t *testing.T, path string) {
	t.Helper()
	for _, args := range [][]string{{"hive", "new", "-o", path}, {"hive", "add", path, `A\B`, "-v", "v", "-d", "some text"}} {
		if status, _, errs := run1(args...); status != 0 {
			t.Fatal(errs)
		}
	}
}

// Every command that changes a hive in place fails if the file has other hard links,
// which would keep the old content, and continues with --force or -o.
func TestHardLinkedHive(t *testing.T) {
	dir := t.TempDir()
	base, config, bcd, reg := filepath.Join(dir, "SYSTEM_BASE"), filepath.Join(dir, "SYSTEM"), filepath.Join(dir, "BCD"), filepath.Join(dir, "x.reg")
	newHive(t, base)
	if err := os.Link(base, config); err != nil {
		t.Skip(err)
	}
	if err := os.Link(base, bcd); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(reg, []byte("Windows Registry Editor Version 5.00\n\n[X]\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	commands := [][]string{
		{"hive", "add", config, "New"}, {"hive", "delete", config, "A"}, {"hive", "import", config, reg},
		{"hive", "enable-cim-boot", config}, {"hive", "bcd", config, "--delete", "{default}", "path"},
	}
	for _, args := range commands {
		status, _, errs := run1(args...)
		if status != 2 || !strings.Contains(errs, "the file has 3 names (hard links)") || !strings.Contains(errs, "hint: --force ") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
		if now, err := os.ReadFile(base); err != nil || !bytes.Equal(now, before) {
			t.Fatalf("%v: the hive has changed, %v", args, err)
		}
	}
	if status, _, errs := run1("hive", "add", config, "New", "-o", filepath.Join(dir, "out")); status != 0 {
		t.Errorf("-o: %s", errs)
	}
	if status, _, errs := run1("hive", "add", config, "New", "--force"); status != 0 {
		t.Errorf("--force: %s", errs)
	}
	if status, _, _ := run1("hive", "query", config, "New"); status != 0 {
		t.Error("--force: the key was not made")
	}
	if now, err := os.ReadFile(base); err != nil || !bytes.Equal(now, before) {
		t.Errorf("--force: the hive has changed under its other name, %v", err)
	}
	if status, _, errs := run1("hive", "add", config, "Newer"); status != 0 {
		t.Errorf("with one name: %s", errs)
	}
}

// A hive in which an edit would destroy data is not edited, and the hint names the
// command that repairs it.
func TestEditOfDamagedHiveIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	newHive(t, path)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The cell of the first key below the root, which its parent's list names, ends 8
	// bytes further on, inside the next.
	at := bytes.Index(b[4096+0x80:], []byte("nk")) + 4096 + 0x80 - 4
	binary.LittleEndian.PutUint32(b[at:], binary.LittleEndian.Uint32(b[at:])-8)
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	status, _, errs := run1("hive", "add", path, "New")
	if status == 0 || !strings.Contains(errs, "has to be repaired before it is edited") || !strings.Contains(errs, "hint: mullion hive repair "+path+" -o OUT ") {
		t.Errorf("status %d: %s", status, errs)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
		t.Errorf("the hive has changed, %v", err)
	}
}
