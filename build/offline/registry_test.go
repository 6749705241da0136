package offline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// baseHives are hives of an image: minimal ones with a few keys, saved, so that every open
// begins with the same bytes.
func baseHives(t testing.TB) map[hives.Name][]byte {
	t.Helper()
	out := map[hives.Name][]byte{}
	for _, n := range hives.All() {
		b, err := hives.Minimal(n, hives.ServerCore(20348, 1))
		if err != nil {
			t.Fatal(err)
		}
		h, err := regf.OpenBytes(b, &regf.Options{Clock: func() winfs.Filetime { return 5 }})
		if err != nil {
			t.Fatal(err)
		}
		keys := []string{`Old\Sub\Deep`, `Old\Other`}
		if n == hives.System {
			keys = append(keys, "Select", `ControlSet001\Control\Session Manager\Environment`)
		}
		for _, p := range keys {
			k, err := h.CreatePath(p)
			if err == nil {
				err = k.SetValue("v", regf.RegSZ, regf.StringData("old"))
			}
			if err == nil && p == "Select" {
				err = k.SetValue("Current", regf.RegDword, regf.Uint32Data(1))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if out[n], err = h.Image(); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func openBase(base map[hives.Name][]byte) *Registry {
	return NewRegistry(func(n hives.Name) (*regf.Hive, error) {
		b, ok := base[n]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return regf.OpenBytes(b, nil)
	})
}

// regBox is a container with a registry, and the profile of its user.
func regBox(t testing.TB, paths ...string) (*Container, *memFiles) {
	base := baseHives(t)
	c, m := box(paths...)
	c.Registry = openBase(base)
	if err := errors.Join(mkdirs(m, `Users`, `Users\ContainerAdministrator`), m.Write(root+`\Users\ContainerAdministrator\NTUSER.DAT`, bytesContent(base[hives.Default]), Meta{})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Registry.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, m
}

func mkdirs(m *memFiles, paths ...string) error {
	var errs []error
	for _, p := range paths {
		errs = append(errs, m.Mkdir(root+`\`+p, Meta{}))
	}
	return errors.Join(errs...)
}

// shown is a value as TYPE=data, "key" for a key alone, "none" without one.
func shown(t testing.TB, h *regf.Hive, key, value string) string {
	t.Helper()
	k, err := h.Key(key)
	if errors.Is(err, regf.ErrNotFound) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	if value == "-" {
		return "key"
	}
	v, err := k.Value(value)
	if errors.Is(err, regf.ErrNotFound) {
		return "key"
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := v.Data()
	if err != nil {
		t.Fatal(err)
	}
	switch v.Type() {
	case regf.RegSZ, regf.RegExpandSZ, regf.RegMultiSZ:
		return fmt.Sprintf("%s=%s", v.Type(), strings.ReplaceAll(winfs.DecodeUTF16LE(b), "\x00", "|"))
	}
	return fmt.Sprintf("%s=%x", v.Type(), b)
}

func TestReg(t *testing.T) {
	const env = `ControlSet001\Control\Session Manager\Environment`
	for _, c := range []struct {
		line       string
		code       int
		hive       hives.Name // 0 is that of the user
		key, value string
		want       string
	}{
		{`reg add HKLM\SOFTWARE\X`, 0, hives.Software, "X", "-", "key"},
		{`reg add HKLM\SOFTWARE\A\B\C /v N /d text`, 0, hives.Software, `A\B\C`, "N", "REG_SZ=text|"},
		{`reg.exe add "HKLM\SOFTWARE\A B" /v "N 1" /t REG_SZ /d "a \"b\" c" /f`, 0, hives.Software, `A B`, "N 1", `REG_SZ=a "b" c|`},
		{`reg add HKLM\SOFTWARE\X /ve /d d`, 0, hives.Software, "X", "", "REG_SZ=d|"},
		{`reg add HKLM\SOFTWARE\X /v N`, 0, hives.Software, "X", "N", "REG_SZ=|"},
		{`reg add HKLM\SOFTWARE\X /v N /t REG_DWORD /d 0x10`, 0, hives.Software, "X", "N", "REG_DWORD=10000000"},
		{`reg add HKLM\SOFTWARE\X /v N /t reg_dword /d 010`, 0, hives.Software, "X", "N", "REG_DWORD=0a000000"},
		{`reg add HKLM\SOFTWARE\X /v N /t REG_QWORD /d 1`, 0, hives.Software, "X", "N", "REG_QWORD=0100000000000000"},
		{`reg add HKLM\SOFTWARE\X /v N /t REG_BINARY /d 00ff`, 0, hives.Software, "X", "N", "REG_BINARY=00ff"},
		{`reg add HKLM\SOFTWARE\X /v N /t REG_MULTI_SZ /d a\0b`, 0, hives.Software, "X", "N", "REG_MULTI_SZ=a|b||"},
		{`reg add HKLM\SOFTWARE\X /v N /t REG_MULTI_SZ /s , /d a,b`, 0, hives.Software, "X", "N", "REG_MULTI_SZ=a|b||"},
		{`reg add HKLM\SOFTWARE\X /v N /t REG_EXPAND_SZ /d ^%A^%;x`, 0, hives.Software, "X", "N", "REG_EXPAND_SZ=%A%;x|"},
		{`reg add HKLM\SOFTWARE\Old\Other /v v /d new /f`, 0, hives.Software, `Old\Other`, "V", "REG_SZ=new|"},
		{`reg add HKEY_LOCAL_MACHINE\System\CurrentControlSet\Services\S /v Start /t REG_DWORD /d 4`, 0, hives.System, `ControlSet001\Services\S`, "Start", "REG_DWORD=04000000"},
		{`reg add HKU\.DEFAULT\X`, 0, hives.Default, "X", "-", "key"},
		{`reg add HKCR\.x /ve /d y`, 0, hives.Software, `Classes\.x`, "", "REG_SZ=y|"},
		{`reg add HKCU\X /v N /d u`, 0, 0, "X", "N", "REG_SZ=u|"},
		{`reg add HKLM\SOFTWARE\X /reg:64`, 0, hives.Software, "X", "-", "key"},
		{`reg delete HKLM\SOFTWARE\Old /f`, 0, hives.Software, "Old", "-", "none"},
		{`reg delete HKLM\SOFTWARE\Old\Other /v v /f`, 0, hives.Software, `Old\Other`, "v", "key"},
		{`reg delete HKLM\SOFTWARE\Old\Other /va /f`, 0, hives.Software, `Old\Other`, "v", "key"},
		{`reg delete HKLM\SOFTWARE\No /f`, 1, hives.Software, "Old", "-", "key"},
		{`reg delete HKLM\SOFTWARE\Old /v no /f`, 1, hives.Software, "Old", "-", "key"},
		{`reg copy HKLM\SOFTWARE\Old\Sub HKLM\SOFTWARE\New /s`, 0, hives.Software, `New\Deep`, "v", "REG_SZ=old|"},
		{`reg copy HKLM\SOFTWARE\Old\Sub\Deep HKLM\SYSTEM\New`, 0, hives.System, `New`, "v", "REG_SZ=old|"},
		{`reg copy HKLM\SOFTWARE\Old\Sub HKLM\SOFTWARE\New`, 0, hives.Software, `New\Deep`, "-", "none"},
		{`reg copy HKLM\SOFTWARE\No HKLM\SOFTWARE\New`, 1, hives.Software, `New`, "-", "none"},
		{`reg query HKLM\SOFTWARE\Old || reg add HKLM\SOFTWARE\X`, 0, hives.Software, `X`, "-", "none"},
		{`reg query HKLM\SOFTWARE\No || reg add HKLM\SOFTWARE\X`, 0, hives.Software, `X`, "-", "key"},
		{`reg query HKLM\SOFTWARE\Old\Other /v v >nul && reg add HKLM\SOFTWARE\X`, 0, hives.Software, `X`, "-", "key"},
		{`reg query HKLM\SOFTWARE\Old\Other /v w >nul 2>&1 && reg add HKLM\SOFTWARE\X`, 1, hives.Software, `X`, "-", "none"},
		{`reg import a.reg`, 0, hives.Software, `Imported`, "s", "REG_SZ=t|"},
		{`reg import a.reg`, 0, hives.Software, `Old\Sub`, "-", "none"},
		{`reg import a.reg`, 0, hives.System, `ControlSet001\Imported`, "d", "REG_DWORD=2a000000"},
		{`reg import no.reg`, 1, hives.Software, `Imported`, "s", "none"},
		{`setx /M N v`, 0, hives.System, env, "N", "REG_SZ=v|"},
		{`setx N "v w" /m`, 0, hives.System, env, "N", "REG_SZ=v w|"},
		{`setx /M PATH "%PATH%;C:\x"`, 0, hives.System, env, "PATH", `REG_SZ=C:\bin;C:\x|`},
		{`setx /M N ^%PATH^%;x`, 0, hives.System, env, "N", `REG_EXPAND_SZ=%PATH%;x|`},
		{`setx N v`, 0, 0, "Environment", "N", "REG_SZ=v|"},
	} {
		b, m := regBox(t, "a.reg=")
		if err := m.Write(root+`\a.reg`, bytesContent("Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Imported]\r\n\"s\"=\"t\"\r\n\r\n"+
			"[-HKEY_LOCAL_MACHINE\\SOFTWARE\\Old\\Sub]\r\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Imported]\r\n\"d\"=dword:2a\r\n\"no\"=-\r\n"), Meta{}); err != nil {
			t.Fatal(err)
		}
		if code := run(t, b, nil, c.line); code != c.code {
			t.Errorf("%s: exit status %d, want %d", c.line, code, c.code)
		}
		var h *regf.Hive
		var err error
		if c.hive != 0 {
			h, err = b.Registry.Hive(c.hive)
		} else {
			n, _ := m.get("", root+`\Users\ContainerAdministrator\NTUSER.DAT`)
			h, err = regf.OpenBytes(n.data, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(t, h, c.key, c.value); got != c.want {
			t.Errorf("%s: %s, want %s", c.line, got, c.want)
		}
	}
}

func TestRegRefuses(t *testing.T) {
	for _, c := range []struct{ line, word string }{
		{`reg add HKLM\SOFTWARE\Old\Other /v v /d new`, "add"}, // asks
		{`reg delete HKLM\SOFTWARE\Old`, "delete"},
		{`reg delete HKLM\SOFTWARE /f`, `HKLM\SOFTWARE`},
		{`reg add HKLM\SAM\X`, `HKLM\SAM\X`},
		{`reg add HKLM\SOFTWARE\X /reg:32`, "/reg:32"},
		{`reg add \\host\HKLM\SOFTWARE\X`, `\\host\HKLM\SOFTWARE\X`},
		{`reg add HKU\S-1-5-21-1-2-3-500\X`, `HKU\S-1-5-21-1-2-3-500\X`},
		{`reg query HKLM\SOFTWARE\Old > f`, "query"},
		{`reg copy HKLM\SOFTWARE\Old HKLM\SOFTWARE\Old\Sub /s`, `HKLM\SOFTWARE\Old\Sub`},
		{`reg copy HKLM\SOFTWARE\Old\Sub\Deep HKLM\SOFTWARE\Old\Other`, `copy`},
		{`setx /M N ` + strings.Repeat("x", 1025), strings.Repeat("x", 1025)},
		{`setx /s host N v /M`, "/s"},
	} {
		b, _ := regBox(t)
		var e *Error
		if err := Run(context.Background(), b, nil, c.line); !errors.Is(err, ErrNotOffline) || !errors.As(err, &e) || e.Word != c.word || e.Advice == "" {
			t.Errorf("%.80s: %.200v", c.line, err)
		}
		if d, err := b.Registry.Deltas(context.Background()); err != nil || len(d) > 0 {
			t.Errorf("%.80s: %v, %v", c.line, d, err)
		}
	}
	b, m := regBox(t)
	for _, text := range []string{"", "hello", "Windows Registry Editor Version 5.00\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\X]\nnonsense\n",
		"Windows Registry Editor Version 5.00\n[HKEY_LOCAL_MACHINE\\SAM\\X]\n", "Windows Registry Editor Version 5.00\n[" + strings.Repeat("HKLM\\SOFTWARE\\", 5000) + "]\n",
		"Windows Registry Editor Version 5.00\n[-HKEY_LOCAL_MACHINE\\SOFTWARE\\X]\n\"a\"=\"b\"\n"} {
		if err := m.Write(root+`\bad.reg`, bytesContent(text), Meta{}); err != nil {
			t.Fatal(err)
		}
		if err := Run(context.Background(), b, nil, "reg import bad.reg"); err == nil {
			t.Errorf("%.100q is imported", text)
		}
	}
}

// setx changes what later commands see, and the words of the configuration still override.
func TestEnvironmentAfterSetx(t *testing.T) {
	b, m := regBox(t)
	b.Env = []string{"Over=config"}
	for _, line := range []string{`setx /M Mine "a b"`, `setx /M Over registry`, `setx /M Both ^%Mine^%+`, `echo %Mine%,%Over%,%Both%>f`} {
		if code := run(t, b, nil, line); code != 0 {
			t.Fatalf("%s: %d", line, code)
		}
	}
	if n, err := m.get("", root+`\f`); err != nil || string(n.data) != "a b,config,a b+\r\n" {
		t.Errorf("%q, %v", n.data, err)
	}
	if len(b.Env) != 1 {
		t.Error(b.Env)
	}
}

// Deltas merged over the hives before equal the hives after, also when commands follow one
// another.
func TestDeltas(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		base := baseHives(t)
		b, _ := box()
		b.Registry = openBase(base)
		chain := map[hives.Name][]*regf.Hive{}
		for n, image := range base {
			h, err := regf.OpenBytes(image, nil)
			if err != nil {
				t.Fatal(err)
			}
			chain[n] = []*regf.Hive{h}
		}
		pick := func(list ...string) string { return list[r.IntN(len(list))] }
		key := func() string {
			return pick(`HKLM\SOFTWARE`, `HKLM\SYSTEM`, `HKU\.DEFAULT`) + `\` + pick(`Old`, `Old\Sub`, `Old\Sub\Deep`, `Old\Other`, `New`, `New\Sub`, `OLD\sub\X`)
		}
		for range 4 {
			b.Now++
			var lines []string
			for range 1 + r.IntN(6) {
				switch r.IntN(5) {
				case 0:
					lines = append(lines, "reg delete "+key()+" /f")
				case 1:
					lines = append(lines, "reg delete "+key()+" /v "+pick("v", "w")+" /f")
				case 2:
					lines = append(lines, "reg copy "+key()+" "+pick(`HKLM\SOFTWARE`, `HKU\.DEFAULT`)+pick(`\Copied`, `\Copied\x`)+" /s /f")
				default:
					lines = append(lines, "reg add "+key()+" /v "+pick("v", "w", "x")+" /d "+pick("1", "2")+" /f")
				}
			}
			line := strings.Join(lines, " & ")
			if err := Run(ctx, b, nil, line); err != nil && !errors.As(err, new(*ExitError)) {
				t.Fatalf("%s: %v", line, err)
			}
			deltas, err := b.Registry.Deltas(ctx)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			for n, d := range deltas {
				if !d.Layered() {
					t.Errorf("%s is no differencing hive", n)
				}
				chain[n] = append(chain[n], d)
			}
			for n, layers := range chain {
				if len(layers) == 1 {
					continue
				}
				merged, err := hives.MergeHives(ctx, layers...)
				if err != nil {
					t.Fatal(err)
				}
				now, err := b.Registry.Hive(n)
				if err != nil {
					t.Fatal(err)
				}
				for d, err := range regf.Compare(now, merged, regf.CompareOptions{Times: true}) {
					if err != nil {
						t.Fatal(err)
					}
					if d.Path == "" && d.Field == regf.FieldTime {
						continue // the time of the root
					}
					t.Errorf("seed %d, %s: %s %s %q %s %s", seed, line, n, d.Kind, d.Path, d.Name, fmt.Sprint(d.Field))
				}
				if err := merged.Close(); err != nil {
					t.Error(err)
				}
			}
			if again, err := b.Registry.Deltas(ctx); err != nil || len(again) > 0 {
				t.Errorf("the same changes twice: %v, %v", again, err)
			}
		}
		if err := b.Registry.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A view is enough, and for a base layer there are whole hives.
func TestRegistryViews(t *testing.T) {
	ctx := context.Background()
	base := baseHives(t)
	open := func(n hives.Name) (*regf.Hive, error) {
		h, err := regf.OpenBytes(base[n], nil)
		if err != nil {
			return nil, err
		}
		d := regf.New(nil)
		if err := d.SetLayered(true); err != nil {
			return nil, err
		}
		return regf.MergeView(ctx, []*regf.Hive{h, d}, nil)
	}
	b, _ := box()
	b.Registry = NewRegistry(open)
	if code := run(t, b, nil, `reg add HKLM\SOFTWARE\X /v N /d 1 && reg delete HKLM\SYSTEM\Old /f`); code != 0 {
		t.Fatal(code)
	}
	whole, err := b.Registry.Whole(ctx)
	if err != nil || len(whole) != 2 {
		t.Fatalf("%v, %v", whole, err)
	}
	if got := shown(t, whole[hives.Software], "X", "N"); got != "REG_SZ=1|" || whole[hives.Software].Layered() {
		t.Error(got)
	}
	if got := shown(t, whole[hives.Software], "Old", "-"); got != "key" {
		t.Error(got)
	}
	if got := shown(t, whole[hives.System], "Old", "-"); got != "none" {
		t.Error(got)
	}
	for _, h := range whole {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	if d, err := b.Registry.Deltas(ctx); err != nil || len(d) != 0 {
		t.Error(d, err)
	}
	if err := b.Registry.Close(); err != nil {
		t.Error(err)
	}
}
