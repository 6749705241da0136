package hives

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
)

func TestMinimal(t *testing.T) {
	v := ServerCore(20348, 2700)
	reg := Registry{}
	for _, n := range All() {
		b, err := Minimal(n, v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Minimal(n, v)
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("%v: two hives differ, %v", n, err)
		}
		h, err := regf.OpenBytes(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if f, err := finding.Collect(h.Check(t.Context())); err != nil || len(f) > 0 {
			t.Errorf("%v: %v, %v", n, f, err)
		}
		switch n {
		case System:
			reg.System = h
		case Software:
			reg.Software = h
		case Default:
			reg.Default = h
		}
		// Every reader of the list reads them.
		p := filepath.Join(t.TempDir(), n.String())
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ program, debian string }{
			{"hivexml", "libhivex-bin"}, {"regfexport", "libregf-utils"}, {"reglookup", "reglookup"},
		} {
			out, err := exec.Command(testenv.Program(t, c.program, c.debian), p).CombinedOutput()
			if err != nil || len(out) < 40 {
				t.Errorf("%s: %v: %s", c.program, err, out)
			}
		}
	}
	got, err := OSVersionOf(reg.Software)
	if err != nil || got != v || got.String() != "10.0.20348.2700" {
		t.Errorf("%+v, %v; want %+v", got, err, v)
	}
	e, err := Environment(reg, "ContainerUser", []string{"FOO=bar", "path=C:\\only"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"SystemRoot": `C:\Windows`, "ComSpec": `C:\Windows\system32\cmd.exe`, "FOO": "bar", "PATH": `C:\only`,
		"TEMP": `C:\Users\ContainerUser\AppData\Local\Temp`, "ProgramFiles(x86)": `C:\Program Files (x86)`,
		"ALLUSERSPROFILE": `C:\ProgramData`, "USERNAME": "ContainerUser",
	} {
		if got, _ := e.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if e, err = Environment(reg, "", nil); err != nil {
		t.Fatal(err)
	}
	want := `C:\Windows\system32;C:\Windows;C:\Windows\System32\Wbem;C:\Windows\System32\WindowsPowerShell\v1.0\;` +
		`C:\Users\ContainerAdministrator\AppData\Local\Microsoft\WindowsApps;`
	if got, _ := e.Get("PATH"); got != want {
		t.Errorf("PATH is %q, want %q", got, want)
	}
}

// A wrong version is reported, not guessed.
func TestOSVersionErrors(t *testing.T) {
	change := func(f func(k regf.Key) error) error {
		b, err := Minimal(Software, ServerCore(20348, 1))
		if err != nil {
			t.Fatal(err)
		}
		h, err := regf.OpenBytes(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		k, err := h.Key(versionKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := f(k); err != nil {
			t.Fatal(err)
		}
		_, err = OSVersionOf(h)
		return err
	}
	for name, c := range map[string]struct {
		change func(k regf.Key) error
		want   error
	}{
		"build is a number": {func(k regf.Key) error { return k.SetValue("CurrentBuild", regf.RegDword, regf.Uint32Data(1)) }, regf.ErrType},
		"UBR is text":       {func(k regf.Key) error { return k.SetValue("UBR", regf.RegSZ, regf.StringData("1")) }, regf.ErrType},
		"UBR is short":      {func(k regf.Key) error { return k.SetValue("UBR", regf.RegDword, []byte{1}) }, regf.ErrType},
		"no number": {func(k regf.Key) error {
			return errors.Join(k.SetValue("CurrentBuild", regf.RegSZ, regf.StringData("x")), k.DeleteValue("CurrentBuildNumber"))
		}, ErrNoVersion},
		"no build": {func(k regf.Key) error {
			return errors.Join(k.DeleteValue("CurrentBuild"), k.DeleteValue("CurrentBuildNumber"))
		}, ErrNoVersion},
		"second choice": {func(k regf.Key) error { return k.SetValue("CurrentBuild", regf.RegSZ, regf.StringData("1.511.1 ()")) }, nil},
		"no UBR":        {func(k regf.Key) error { return k.DeleteValue("UBR") }, nil},
	} {
		if err := change(c.change); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestEnableCimBoot(t *testing.T) {
	for _, from := range []string{"", "mkorman90_regipy/SYSTEM"} {
		p := filepath.Join(t.TempDir(), "SYSTEM")
		if from == "" {
			b, err := Minimal(System, OSVersion{})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, b, 0o600); err != nil {
				t.Fatal(err)
			}
		} else {
			p = copyFile(t, filepath.Dir(p), "SYSTEM", testenv.Corpus(t, "hives", from))
		}
		if err := EnableCimBootFile(p); err != nil {
			t.Fatal(err)
		}
		h, err := regf.Open(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		for _, s := range CimBootSettings() {
			k, err := h.Key(s.Key)
			if err != nil {
				t.Fatal(err)
			}
			v, err := k.Value(s.Value)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := v.Data(); err != nil || v.Type() != s.Type || !bytes.Equal(b, s.Data) {
				t.Errorf("%s\\%s is %v %x, %v", s.Key, s.Value, v.Type(), b, err)
			}
		}
		if entries, _ := os.ReadDir(filepath.Dir(p)); len(entries) != 1 {
			t.Errorf("left %v", entries)
		}
	}
	// A dirty hive is not touched.
	p := copyFile(t, t.TempDir(), "SYSTEM", testenv.Corpus(t, "hives", "mkorman90_regipy/SYSTEM_B"))
	before, _ := os.ReadFile(p)
	if err := EnableCimBootFile(p); !errors.Is(err, regf.ErrDirty) {
		t.Errorf("%v", err)
	}
	if after, _ := os.ReadFile(p); !bytes.Equal(before, after) {
		t.Error("a hive that was refused was changed")
	}
}
