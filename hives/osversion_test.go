package hives

import (
	"errors"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
)

// The only genuine SOFTWARE hive of the corpus is that of a Windows NT.
func TestOSVersionGenuine(t *testing.T) {
	h, err := regf.Open(testenv.Corpus(t, "hives", "skelsec_aiowinreg/nt/software.reg"), &regf.Options{AllowDirty: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	v, err := OSVersionOf(h)
	t.Logf("%+v %v", v, err)
	if err != nil || v.Major == 0 || v.Build == 0 || v.HasUBR {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestOSVersionOfOtherHive(t *testing.T) {
	h, err := regf.Open(testenv.Corpus(t, "hives", "mkorman90_regipy/SAM"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := OSVersionOf(h); !errors.Is(err, ErrNoVersion) {
		t.Errorf("%v", err)
	}
}

// The environment of a genuine Windows 10.
func TestEnvironmentGenuine(t *testing.T) {
	h, err := regf.Open(testenv.Corpus(t, "hives", "mkorman90_regipy/SYSTEM_WIN_10_1709"), &regf.Options{AllowDirty: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	e, err := Environment(Registry{System: h}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range e.All() {
		t.Logf("%-8s %s=%s", v.Source, v.Name, v.Value)
	}
	for name, want := range map[string]string{
		"ComSpec": `C:\Windows\system32\cmd.exe`, "windir": `C:\Windows`, "TEMP": `C:\Windows\TEMP`, "OS": "Windows_NT",
		"USERNAME": DefaultUser, // the machine's says SYSTEM
	} {
		if got, _ := e.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
