package hives

import (
	"slices"
	"testing"
)

func TestExpand(t *testing.T) {
	var e Env
	e.Set("SystemRoot", `C:\Windows`, FromSystem)
	e.Set("a", "%b%", FromSystem)
	e.Set("b", "no", FromSystem)
	for in, want := range map[string]string{
		``:                              ``,
		`%SYSTEMROOT%\x`:                `C:\Windows\x`,
		`%none%`:                        `%none%`,
		`100%`:                          `100%`,
		`%%`:                            `%%`,
		`%none%SystemRoot%`:             `%noneC:\Windows`,
		`%a%`:                           `%b%`, // once
		`%SystemRoot%;%SystemRoot%`:     `C:\Windows;C:\Windows`,
		`50% of %systemroot%, 10% more`: `50% of C:\Windows, 10% more`,
	} {
		if got := e.Expand(in); got != want {
			t.Errorf("Expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestApply(t *testing.T) {
	var e Env
	e.Set("SystemRoot", `C:\Windows`, FromSystem)
	e.Set("USERPROFILE", `C:\Users\ContainerAdministrator`, FromSystem)
	e.apply([]setting{
		{"Path", `%SystemRoot%\system32;%TOOLS%;`, true},
		{"TEMP", `%SystemRoot%\TEMP`, true},
		{"TOOLS", `C:\tools`, false},
		{"windir", `%SystemRoot%`, true},
	}, FromMachine)
	e.apply([]setting{
		{"PATH", `%USERPROFILE%\bin`, true},
		{"temp", `%USERPROFILE%\Temp`, true},
	}, FromUser)
	e.applyConfig([]string{"windir=X", "New=1=2", "bad", "", "=C:=C:\\w"})
	want := []Variable{
		{"=C:", `C:\w`, FromConfig},
		{"New", "1=2", FromConfig},
		{"Path", `C:\Windows\system32;C:\tools;C:\Users\ContainerAdministrator\bin`, FromUser},
		{"SystemRoot", `C:\Windows`, FromSystem},
		{"TEMP", `C:\Users\ContainerAdministrator\Temp`, FromUser},
		{"TOOLS", `C:\tools`, FromMachine},
		{"USERPROFILE", `C:\Users\ContainerAdministrator`, FromSystem},
		{"windir", "X", FromConfig},
	}
	if got := e.All(); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
