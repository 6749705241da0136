package hives

import (
	"errors"
	"testing"

	"github.com/mullion/mullion/regf"
)

func openMinimal(t *testing.T, n Name) *regf.Hive {
	t.Helper()
	b, err := Minimal(n, ServerCore(20348, 1))
	if err != nil {
		t.Fatal(err)
	}
	h, err := regf.OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func TestIdentify(t *testing.T) {
	for _, n := range All() {
		if got, ok := Identify(openMinimal(t, n)); !ok || got != n {
			t.Errorf("%v is identified as %v, %v", n, got, ok)
		}
	}
	empty := regf.New(nil)
	if got, ok := Identify(empty); ok {
		t.Errorf("an empty hive is %v", got)
	}
	for _, key := range []string{"Select", `Microsoft\Windows`} { // of two hives
		if _, err := empty.CreatePath(key); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := Identify(empty); ok {
		t.Errorf("a hive with keys of two is %v", got)
	}
}

func TestResolveKey(t *testing.T) {
	second := openMinimal(t, System)
	k, err := second.CreatePath("Select")
	if err == nil {
		err = k.SetValue("Current", regf.RegDword, regf.Uint32Data(2))
	}
	if err != nil {
		t.Fatal(err)
	}
	odd := openMinimal(t, System) // has keys of all these names
	for _, key := range []string{`HKLM\SYSTEM\CurrentControlSet`, `CurrentControlSet\Control`, "SYSTEM"} {
		if _, err := odd.CreatePath(key); err != nil {
			t.Fatal(err)
		}
	}
	delta := regf.New(nil) // of a layer, without Select
	if _, err := delta.CreatePath(`ControlSet001\Services`); err != nil {
		t.Fatal(err)
	}
	software, user, empty := openMinimal(t, Software), openMinimal(t, Default), regf.New(nil)
	for _, c := range []struct {
		h     *regf.Hive
		named Name
		path  string
		want  string // "!" for ErrOtherHive
	}{
		{second, 0, "", ""},
		{second, 0, `HKLM\SYSTEM`, ""},
		{second, 0, `HKLM\SYSTEM\Select`, "Select"},
		{second, 0, `hkey_local_machine\system\currentcontrolset\Services\x`, `ControlSet002\Services\x`},
		{second, 0, `HKLM:\SYSTEM\Setup`, "Setup"},
		{second, 0, `CurrentControlSet\Services`, `ControlSet002\Services`},
		{second, 0, `SYSTEM\CurrentControlSet`, `ControlSet002`},
		{second, Software, `SYSTEM\Setup`, "Setup"}, // the keys count, not the file name
		{second, 0, `\CurrentControlSet\Services`, `\CurrentControlSet\Services`},
		{second, 0, `ControlSet001\CurrentControlSet`, `ControlSet001\CurrentControlSet`},
		{second, 0, `HKLM\SOFTWARE\x`, "!"},
		{second, 0, `HKLM\HARDWARE\x`, "!"},
		{second, 0, `HKCU\Software`, "!"},
		{second, 0, `HKLM\OFFLINE\Select`, "Select"}, // where "reg load" has put it
		{odd, 0, `HKLM\SYSTEM\CurrentControlSet`, `HKLM\SYSTEM\CurrentControlSet`},
		{odd, 0, `CurrentControlSet\Control`, `CurrentControlSet\Control`},
		{odd, 0, `SYSTEM`, `SYSTEM`},
		{delta, 0, `HKLM\SYSTEM\CurrentControlSet\Services`, `ControlSet001\Services`},
		{software, 0, `HKLM\SOFTWARE\Microsoft`, "Microsoft"},
		{software, 0, `SOFTWARE\Microsoft`, "Microsoft"},
		{software, 0, `HKCR\.txt`, `Classes\.txt`},
		{software, 0, `CurrentControlSet\x`, `CurrentControlSet\x`},
		{software, 0, `HKLM\SYSTEM\x`, "!"},
		{software, 0, `HKLM\SOFTWARE\a\\u005cb`, `a\\u005cb`},
		{user, 0, `HKCU\Environment`, "Environment"},
		{user, 0, `HKU\.DEFAULT\Environment`, "Environment"},
		{user, 0, `HKU\S-1-5-21-1-2-3-1001\Environment`, "Environment"},
		{user, 0, `Software\Microsoft`, `Software\Microsoft`},
		{user, 0, `HKLM\SOFTWARE\Microsoft`, "!"},
		{empty, 0, `HKLM\SOFTWARE\Microsoft`, "Microsoft"},
		{empty, 0, `HKLM\SYSTEM\CurrentControlSet\x`, `ControlSet001\x`},
		{empty, System, `HKLM\SOFTWARE\x`, "!"},
		{empty, 0, `HKLMX\SOFTWARE`, `HKLMX\SOFTWARE`},
		{empty, 0, `HKLM`, ""},
	} {
		got, err := ResolveKey(c.h, c.named, c.path)
		if c.want == "!" {
			if !errors.Is(err, ErrOtherHive) {
				t.Errorf("%s: %q, %v", c.path, got, err)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.path, got, err, c.want)
		}
	}
}

func TestParseKeyPath(t *testing.T) {
	for path, want := range map[string]string{
		`HKLM\SOFTWARE\Microsoft`: `SOFTWARE Microsoft`, `software\a\b`: `SOFTWARE a\b`, `HKEY_USERS\.DEFAULT\x`: `DEFAULT x`,
		`HKCU\x`: `DEFAULT x`, `HKCR\.txt`: `SOFTWARE Classes\.txt`, `SYSTEM`: `SYSTEM `, `\SAM\SAM`: `SAM SAM`,
		`HKLM`: "", `HKLM\HARDWARE`: "", `Microsoft`: "", ``: "", `HKU\x`: "",
	} {
		n, below, ok := ParseKeyPath(path)
		got := n.String() + " " + below
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v", path, got, ok)
		}
	}
}

// Whatever the path, the result names a key of the same hive, or the error is typed.
func FuzzResolveKey(f *testing.F) {
	for _, s := range []string{`HKLM\SYSTEM\CurrentControlSet`, `\x`, `HKCR`, `a\\u005cb`, `HKU\S-1-5-18\\u0000`} {
		f.Add(s)
	}
	b, err := Minimal(System, ServerCore(20348, 1))
	if err != nil {
		f.Fatal(err)
	}
	h, err := regf.OpenBytes(b, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := ResolveKey(h, 0, path)
		if err != nil {
			if !errors.Is(err, ErrOtherHive) {
				t.Fatal(err)
			}
			return
		}
		if again, err := ResolveKey(h, 0, `\`+got); err != nil || again != `\`+got {
			t.Errorf("%q, %q, %v", got, again, err)
		}
		if n := len(regf.SplitPath(got)); n > len(regf.SplitPath(path))+1 {
			t.Errorf("%q is %q", path, got)
		}
	})
}
