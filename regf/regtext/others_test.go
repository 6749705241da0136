package regtext_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
)

// The text that other programs export leads back to the hive, as far as they get
// it right.
func TestReadsOthersText(t *testing.T) {
	hivexregedit := testenv.Program(t, "hivexregedit", "libwin-hivex-perl")
	reged := testenv.Program(t, "reged", "chntpw")
	for _, name := range []string{"mkorman90_regipy/BCD", "log2timeline_plaso/100_sub_keys.hiv", "mkorman90_regipy/NTUSER.DAT", "skelsec_aiowinreg/nt/software.reg"} {
		file := testenv.Corpus(t, "hives", filepath.FromSlash(name))
		source := open(t, file)
		t.Run("hivexregedit/"+name, func(t *testing.T) {
			text, err := exec.Command(hivexregedit, "--export", "--prefix", `HKEY_LOCAL_MACHINE\HIVE`, file, `\`).Output()
			if err != nil {
				t.Fatal(err)
			}
			readBack(t, source, text, nil)
		})
		if name == "mkorman90_regipy/NTUSER.DAT" {
			continue // reged ends no line after an empty hex(0), so that its text is malformed
		}
		t.Run("reged/"+name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.reg")
			// It ends with status 2 whenever it has looked at a hive.
			var exit *exec.ExitError
			if err := exec.Command(reged, "-x", file, `HKEY_LOCAL_MACHINE\HIVE`, `\`, out).Run(); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			text, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			// It writes text that is not terminated in quotes, which adds a terminator.
			readBack(t, source, text, func(was, is []byte) bool { return bytes.HasPrefix(is, bytes.TrimRight(was, "\x00")) })
		})
	}
}

func readBack(t *testing.T, source *regf.Hive, text []byte, excuse func(was, is []byte) bool) {
	t.Helper()
	h := regf.New(nil)
	if _, err := regtext.Import(h, bytes.NewReader(text), regtext.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	for d, err := range regf.Compare(source, h, regf.CompareOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Field != regf.FieldKey && d.Field != regf.FieldValue {
			continue
		}
		if excuse != nil && d.Kind == regf.Changed {
			was, _ := d.ValueA.Data()
			is, _ := d.ValueB.Data()
			if excuse(was, is) {
				continue
			}
		}
		t.Errorf("%v %v %q %q", d.Kind, d.Field, d.Path, d.Name)
	}
}
