package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
)

// damagedHives returns the small hives and logs of the corpus, and hives that are damaged in
// other ways.
func damagedHives(t *testing.T) []string {
	t.Helper()
	var files []string
	var sample []byte
	root := testenv.Corpus(t, "hives")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() > 1<<20 {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(b), "regf") {
			return err
		}
		files = append(files, path)
		if h, err := regf.OpenBytes(b, nil); err == nil && len(b) > 64<<10 && sample == nil {
			sample = b
			return h.Close()
		}
		return nil
	})
	if err != nil || sample == nil {
		t.Fatalf("no sound hive in the corpus: %v", err)
	}
	dir := t.TempDir()
	for name, change := range map[string]func(b []byte) []byte{
		"cut":        func(b []byte) []byte { return b[:len(b)/2] },
		"base-alone": func(b []byte) []byte { return b[:4096] },
		"root":       func(b []byte) []byte { copy(b[4096+32+4:], "xx"); return b },
		"cells":      func(b []byte) []byte { clear(b[8192:16384]); return b },
		"checksum":   func(b []byte) []byte { b[0x1FC] ^= 1; return b },
		"base-block": func(b []byte) []byte { clear(b[4:4096]); return b },
		"a b's":      func(b []byte) []byte { clear(b[4096+32+64 : 4096+512]); return b },
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, change(append([]byte(nil), sample...)), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	return files
}

// No hint of a hive command is the command that failed, and the commands in hints work.
func TestHiveAdviceHelps(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	hint := regexp.MustCompile(`(?m)^hint: (.*)$`)
	given := map[string]int{}
	for _, file := range damagedHives(t) {
		for _, args := range [][]string{
			{"hive", "query", file, "-s"}, {"hive", "export", file}, {"hive", "dump", file}, {"hive", "compare", file, file},
			{"hive", "add", file, "Added", "-o", out}, {"hive", "check", file}, {"hive", "recover", file, "-o", out},
			{"hive", "repair", file, "-o", out},
		} {
			os.Remove(out)
			status, _, errs := run1(args...)
			found := hint.FindStringSubmatch(errs)
			if status < 2 || found == nil {
				if status == 2 && strings.Contains(errs, "mullion: ") && !strings.HasSuffix(file, "base-alone") {
					t.Errorf("%q gives no advice: %s", args, errs)
				}
				continue
			}
			command := strings.Join(args[:2], " ")
			advice := found[1]
			if regexp.MustCompile(`mullion ` + command + ` [^H]`).MatchString(advice) {
				t.Errorf("%q advises itself: %s", args, advice)
			}
			os.Remove(out)
			switch {
			case strings.Contains(advice, "hive repair") && strings.Contains(advice, "--allow-dirty"):
				given["repair a dirty hive"]++
				run1("hive", "repair", file, "--allow-dirty", "-o", out)
				wantSound(t, args, out)
			case strings.Contains(advice, "--allow-dirty"):
				given["--allow-dirty"]++
				if _, _, errs := run1(append(args, "--allow-dirty")...); strings.Contains(errs, "is dirty") {
					t.Errorf("%q with --allow-dirty: %s", args, errs)
				}
			case strings.Contains(advice, "--deleted"):
				given["--deleted"]++
				if status, list, errs := run1("hive", "recover", file, "--deleted"); status != 0 {
					t.Errorf("%q: --deleted: status %d, %q %s", args, status, list, errs)
				}
			case strings.Contains(advice, "hive repair"):
				given["repair"]++
				run1("hive", "repair", file, "-o", out)
				wantSound(t, args, out)
				if strings.Contains(advice, "--mode report") {
					given["--mode report"]++
					if _, _, errs := run1(append(args, "--mode", "report")...); strings.Contains(errs, "mullion: ") {
						t.Errorf("%q with --mode report: %s", args, errs)
					}
				}
			case strings.Contains(advice, "--log"):
				given["--log"]++
			default:
				t.Errorf("%q: the test does not know the advice %q", args, advice)
			}
		}
	}
	for _, kind := range []string{"repair", "--allow-dirty", "--deleted", "--mode report", "--log"} {
		if given[kind] == 0 {
			t.Errorf("no hive needed the advice %s", kind)
		}
	}
	t.Log(given)
}

// wantSound requires that a repair wrote a sound hive.
func wantSound(t *testing.T, args []string, out string) {
	t.Helper()
	if status, _, errs := run1("hive", "check", out); status != 0 {
		t.Errorf("%q advises a repair, and its result: status %d, %s", args, status, errs)
	}
}

// A file that is no hive but holds layers: the advice is to name it as that.
func TestHiveAdviceOnLayers(t *testing.T) {
	dir := t.TempDir()
	tar, other, gz := filepath.Join(dir, "l.tar"), filepath.Join(dir, "text"), filepath.Join(dir, "it's.tgz")
	header := make([]byte, 1024)
	copy(header[257:], "ustar")
	for name, b := range map[string][]byte{tar: header, other: []byte(strings.Repeat("text ", 300)), gz: {0x1f, 0x8b, 8, 0}} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"hive", "query", tar}, "hint: of a layer: mullion hive query tar:" + tar + ` 'HKLM\SOFTWARE'; of an image in a file: oci-archive:` + tar},
		{[]string{"hive", "export", gz}, "hint: of a layer: mullion hive export 'tar:" + strings.ReplaceAll(gz, "'", `'\''`) + "'"},
		{[]string{"hive", "add", tar, "x"}, "hint: mullion cat tar:" + tar},
	} {
		if status, _, errs := run1(c.args...); status != 2 || !strings.Contains(errs, c.want) {
			t.Errorf("%q: status %d, %s", c.args, status, errs)
		}
	}
	if _, _, errs := run1("hive", "query", other); strings.Contains(errs, "hint:") {
		t.Errorf("a text: %s", errs)
	}
}
