package offline

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/winfs"
)

var (
	powershell = []string{"powershell", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';"}
	lenient    = []string{"powershell", "-NoProfile", "-ExecutionPolicy", "Bypass", "-Command"}
	pwsh       = []string{"pwsh", "-Command"}
)

func TestPowerShell(t *testing.T) {
	for _, c := range []struct {
		line string
		have string
		code int
		want string
	}{
		{`New-Item -ItemType Directory -Path C:\a\b`, "", 0, `a\; a\b\`},
		{`New-Item -Type Directory a, b | Out-Null`, "", 0, `a\; b\`},
		{`New-Item -ItemType Directory a`, "a", 1, `a\`},
		{`New-Item -ItemType Directory -Force a`, "a", 0, `a\`},
		{`New-Item -ItemType Directory -Path C:\ -Name 'x y'`, "", 0, `x y\`},
		{`new-item -itemtype file -path a -value 'text'`, "", 0, `a=text`},
		{`New-Item -ItemType File a`, "a=x", 1, `a=x`},
		{`New-Item -ItemType File a -Force`, "a=x", 0, `a=`},
		{`New-Item -ItemType File d\a -Force`, "", 0, `d\; d\a=`},
		{`New-Item -ItemType File d\a`, "", 1, ``},
		{`New-Item -ItemType SymbolicLink -Path l -Target C:\d`, "d", 0, `d\; l -> C:\d (dir)`},
		{`New-Item -ItemType SymbolicLink -Path l -Target C:\a`, "a=", 0, `a=; l -> C:\a`},
		{`New-Item -ItemType SymbolicLink -Path l -Target C:\no`, "", 1, ``},
		{`New-Item -ItemType Junction -Path l -Value C:\d`, "d", 0, `d\; l -> C:\d (dir)`},
		{`New-Item -ItemType HardLink -Path l -Value C:\a`, "a=x", 0, `a=x; l=x`},
		{`mkdir a/b; md c`, "", 0, `a\; a\b\; c\`},
		{`Remove-Item a`, "a=x b=", 0, `b=`},
		{`Remove-Item a, b`, "a=x b=", 0, ``},
		{`Remove-Item -Recurse -Force C:\a`, `a\b=x`, 0, ``},
		{`rm -Recurse a; rmdir c`, `a\b=x c`, 0, ``},
		{`Remove-Item *.txt`, `a.txt= b.txt= c=`, 0, `c=`},
		{`Remove-Item no`, ``, 1, ``},
		{`Remove-Item no; mkdir a`, ``, 1, ``}, // Stop
		{`Remove-Item no -ErrorAction SilentlyContinue; mkdir a`, ``, 0, `a\`},
		{`Remove-Item no*; mkdir a`, ``, 0, `a\`},
		{`Copy-Item a b`, `a=x`, 0, `a=x; b=x`},
		{`Copy-Item a d`, `a=x d`, 0, `a=x; d\; d\a=x`},
		{`Copy-Item -Path a -Destination d\b -Force`, `a=x d\b=y`, 0, `a=x; d\; d\b=x`},
		{`Copy-Item a e -Recurse`, `a\b=x a\c\d=y`, 0, `a\; a\b=x; a\c\; a\c\d=y; e\; e\b=x; e\c\; e\c\d=y`},
		{`Copy-Item a e -Recurse`, `a\b=x e`, 0, `a\; a\b=x; e\; e\a\; e\a\b=x`},
		{`Copy-Item a e`, `a\b=x`, 0, `a\; a\b=x; e\`},
		{`Copy-Item a\* e -Recurse`, `a\b=x a\c\d=y e`, 0, `a\; a\b=x; a\c\; a\c\d=y; e\; e\b=x; e\c\; e\c\d=y`},
		{`Copy-Item no b`, ``, 1, ``},
		{`Move-Item a b`, `a=x`, 0, `b=x`},
		{`Move-Item a b`, `a=x b=y`, 1, `a=x; b=y`},
		{`Move-Item a b -Force`, `a=x b=y`, 0, `b=x`},
		{`mv a d`, `a\x=1 d`, 0, `d\; d\a\; d\a\x=1`},
		{`Rename-Item a b`, `a=x`, 0, `b=x`},
		{`Rename-Item -Path a -NewName b`, `a=x b=y`, 1, `a=x; b=y`},
		{`Set-Content a 'x'`, ``, 0, `a=x|`},
		{`Set-Content -Path a -Value x, y`, `a=old`, 0, `a=x|y|`},
		{`Set-Content a x -NoNewline -Encoding ASCII`, ``, 0, `a=x`},
		{`Add-Content a x; Add-Content a y`, ``, 0, `a=x|y|`},
		{`'x', 'y' | Set-Content a`, ``, 0, `a=x|y|`},
		{`'x' | Out-File a -Encoding ascii`, ``, 0, `a=x|`},
		{`Set-Content d\a x`, ``, 1, ``},
		{`Set-Location d; Set-Content a x`, `d`, 0, `d\; d\a=x|`},
		{`Set-ItemProperty a -Name IsReadOnly -Value $true`, `a=`, 0, `a= [R]`},
		{`Set-ItemProperty a IsReadOnly $true; Remove-Item a -Force`, `a=`, 0, ``},
		{`Set-ItemProperty a IsReadOnly $true; Remove-Item a`, `a=`, 1, `a= [R]`},
		// Strings and variables. Double quotes of the line itself are those of the command line.
		{`Set-Content a \"$env:A\"`, ``, 0, `a=one|`},
		{`Set-Content a \"x${env:A}y $env:Two\"`, ``, 0, `a=xoney 2nd value|`},
		{`Set-Content a $env:A`, ``, 0, `a=one|`},
		{`Set-Content a ('{' + $env:A + '}')`, ``, 0, `a={one}|`},
		{`Set-Content a 'it''s $env:A'`, ``, 0, `a=it's $env:A|`},
		{"Set-Content a \\\"x`ty`$z``\\\"", ``, 0, "a=x\ty$z`|"},
		{`Set-Content a ('{0}-{1} {{x}} {0}' -f $env:A, 2)`, ``, 0, `a=one-2 {x} one|`},
		{`$p = ('{0}\bin;{1}' -f $env:A, $env:PATH); Set-Content a $p`, ``, 0, `a=one\bin;C:\bin|`},
		{`Set-Content a ('{0}' -f 'x' + 'y')`, ``, 0, `a=xy|`},
		{`Rename-Item -Path $('C:\node-{0}' -f $env:A) -NewName 'C:\nodejs'`, `node-one\x=1`, 0, `nodejs\; nodejs\x=1`},
		{`Rename-Item a C:\d\b`, `a= d`, 1, `a=; d\`},
		{`Set-Content C:\$env:A\b x`, `one`, 0, `one\; one\b=x|`},
		{`$x = 'v'; Set-Content a \"$x-$($env:A)\"`, ``, 0, `a=v-one|`},
		{`$x = 'v'; $x += 'w'; Set-Content a $x`, ``, 0, `a=vw|`},
		{`$env:NEW = 'n'; $env:NEW += ';m'; cmd /c 'echo %NEW%>a'`, ``, 0, `a=n;m|`},
		{`Set-Content a $env:NONE`, ``, 0, `a=`},
		{`Set-Content a (1 + 2)`, ``, 0, `a=3|`},
		{`Set-Content a 0x10`, ``, 0, `a=16|`},
		{`Set-Content 1.5 '1.50'; Set-Content 1kb 10.0.1`, ``, 0, `1.5=1.50|; 1kb=10.0.1|`},
		{"Set-Content a @'\nl1\nl2 $x\n'@", ``, 0, "a=l1\nl2 $x|"},
		{"Set-Content a @\\\"\nl1 $env:A\n\\\"@", ``, 0, "a=l1 one|"},
		{"mkdir a\nmkdir b\n# comment\nmkdir c # more", ``, 0, `a\; b\; c\`},
		{"Set-Content `\n a `\n x", ``, 0, `a=x|`},
		{`New-Item -ItemType Directory a > $null`, ``, 0, `a\`},
		{`if (-not (Test-Path C:\a)) { mkdir a }`, ``, 0, `a\`},
		{`if (Test-Path C:\a) { Remove-Item a } else { mkdir b }`, ``, 0, `b\`},
		{`if (Test-Path a -PathType Leaf) { Remove-Item a } else { mkdir b }; mkdir c`, `a=`, 0, `c\`},
		{`if (!(Test-Path 'a b')) { New-Item -ItemType Directory 'a b' | Out-Null }`, ``, 0, `a b\`},
		// Programs.
		{`attrib +h a; if (Test-Path a) { mkdir b }`, `a=`, 0, `a= [H]; b\`},
		{`cmd /c mklink /d l C:\d`, `d`, 0, `d\; l -> C:\d (dir)`},
		{`cmd /c exit 3`, ``, 1, ``},
		{`cmd /c exit 3; mkdir a`, ``, 0, `a\`},
		{`exit 5`, ``, 5, ``},
		{`Write-Host 'hello'; echo x; 'y'; mkdir a`, ``, 0, `a\`},
	} {
		b, m := box(strings.Fields(c.have)...)
		if code := run(t, b, powershell, c.line); code != c.code {
			t.Errorf("%s: exit status %d, want %d", c.line, code, c.code)
		}
		if got := strings.ReplaceAll(strings.TrimSuffix(m.tree(), "\n"), "\n", "; "); !strings.Contains(c.want, "\n") && got != c.want || strings.TrimSuffix(m.tree(), "\n") != c.want && strings.Contains(c.want, "\n") {
			t.Errorf("%s:\n have %s\n want %s", c.line, got, c.want)
		}
	}
	// Without Stop, a script goes on after an error, and its last statement decides.
	b, m := box()
	if code := run(t, b, lenient, `Remove-Item no; mkdir a`); code != 0 || m.tree() != "a\\\n" {
		t.Error(code, m.tree())
	}
	if code := run(t, b, lenient, `mkdir b; Remove-Item no`); code != 1 || m.tree() != "a\\\nb\\\n" {
		t.Error(code, m.tree())
	}
	// A cmd RUN that starts PowerShell.
	b, m = box()
	if code := run(t, b, nil, `powershell -Command "New-Item -ItemType Directory 'C:\x y' | Out-Null; Set-Content f \"a b\"" && mkdir z`); code != 0 || m.tree() != "f=a b|\nx y\\\nz\\\n" {
		t.Error(code, m.tree())
	}
	// Encodings differ between the shells.
	for _, c := range []struct {
		shell []string
		line  string
		want  string
	}{
		{lenient, `Set-Content f x -Encoding UTF8`, "\xEF\xBB\xBFx\r\n"},
		{pwsh, `Set-Content f x -Encoding UTF8`, "x\r\n"},
		{pwsh, `Set-Content f é`, "é\r\n"},
		{lenient, `'x' > f`, "\xFF\xFEx\x00\r\x00\n\x00"},
		{pwsh, `'x' > f`, "x\r\n"},
		{lenient, `'x' | Out-File f; 'y' | Out-File f -Append`, "\xFF\xFEx\x00\r\x00\n\x00y\x00\r\x00\n\x00"},
	} {
		b, m := box()
		if code := run(t, b, c.shell, c.line); code != 0 {
			t.Errorf("%s: %d", c.line, code)
		}
		if n, err := m.get("", root+`\f`); err != nil || string(n.data) != c.want {
			t.Errorf("%s %s: %+v, %v", c.shell[0], c.line, m.tree(), err)
		}
	}
}

func TestPowerShellRefuses(t *testing.T) {
	for _, c := range []struct{ line, word string }{
		{`Invoke-WebRequest https://example.com -OutFile a`, "Invoke-WebRequest"},
		{`mkdir n; Start-Process a.exe -Wait`, "Start-Process"},
		{`Remove-Item a -Include *.txt`, "-Include"},
		{`Remove-Item d`, "Remove-Item"}, // asks
		{`Remove-Item -Rec d`, "-Rec"},
		{`foreach ($x in 1) { mkdir n }`, "foreach"},
		{`try { mkdir n } catch { }`, "try"},
		{`Get-ChildItem | Remove-Item`, "Get-ChildItem"},
		{`mkdir n | Set-Content x`, "Set-Content"},
		{`mkdir n > log`, ">"},
		{`Set-Content f ('{0:x}' -f 1)`, "{0:x}"},
		{`Set-Content f ('a' -join 1)`, "-join"},
		{`Set-Content f $undefined`, "$undefined"},
		{`Set-Content f $env:A.Length`, ".Length"},
		{`Set-Content f ($env:A.Length)`, ""},
		{`Set-Content f é`, "f"},
		{`Set-Content f 1kb`, "1kb"},
		{`Set-Content f 1.50, x`, "1.50"},
		{`Set-Content f -Value -1`, "-1"},
		{`Set-Content f x -Encoding utf32`, "utf32"},
		{`New-Item x`, "New-Item"},
		{`New-Item -ItemType SymbolicLink l -Target d`, "d"},
		{`Copy-Item d\* no`, "no"},
		{`$x = Get-Content a`, "Get-Content"},
		{`[System.IO.File]::WriteAllText('a', 'b')`, "[System.IO.File]::WriteAllText"},
		{`& $env:A`, "$"},
		{`mkdir n && mkdir m`, "&"},
		{`mkdir n 2>$null`, "2>"},
		{`Set-ItemProperty HKLM:\SOFTWARE\X -Name a -Value 1`, `HKLM:\SOFTWARE\X`},
		{`Remove-Item D:\x`, `D:\x`},
		{`Remove-Item ~\x`, `~\x`},
		{`Remove-Item 'a[b]'`, `a[b]`},
		{`Remove-Item Env:\A`, `Env:\A`},
		{`reg add "HKLM\SOFTWARE\X" 'a\"b'`, ""},
		{`if ($true) { mkdir n }`, "$"},
		{`Set-Content f “x”`, "“"},
	} {
		b, m := box("a=1", `d\e=`)
		err := Run(context.Background(), b, powershell, c.line)
		var e *Error
		if !errors.Is(err, ErrNotOffline) || !errors.As(err, &e) || e.Advice == "" {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if c.word != "" && (e.Word != c.word || e.Column != strings.Index(c.line, c.word)+1) {
			t.Errorf("%s: %q in column %d, want %q", c.line, e.Word, e.Column, c.word)
		}
		if strings.HasPrefix(c.line, "Remove") && len(m.below(root)) != 3 {
			t.Errorf("%s: %s", c.line, m.tree())
		}
	}
	for _, line := range []string{`Set-Content a 'x`, `Set-Content a ('{1}' -f 1)`, `Set-Content a ('{' -f 1)`, `Set-Content a ('}' -f 1)`, `Set-Content a (1`, `if (Test-Path a) { mkdir n`, `Set-Content`, "Set-Content a @'\nx", `Remove-Item -Path a -Path b`, strings.Repeat("(", 500),
		strings.Repeat("if (Test-Path a) {", 200) + strings.Repeat("}", 200)} {
		b, _ := box("a=1")
		if err := Run(context.Background(), b, powershell, line); !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrLimit) {
			t.Errorf("%.60s: %v", line, err)
		}
	}
	for _, shell := range [][]string{{"powershell", "-File"}, {"powershell", "-EncodedCommand"}, {"powershell", "-Version", "2", "-Command"}, {"bash", "-c"}, {"cmd", "/V:ON", "/C"}} {
		b, _ := box()
		if err := Run(context.Background(), b, shell, "mkdir a"); !errors.Is(err, ErrNotOffline) {
			t.Errorf("%s: %v", shell, err)
		}
	}
}

func TestPowerShellRegistry(t *testing.T) {
	const env = `ControlSet001\Control\Session Manager\Environment`
	for _, c := range []struct {
		line       string
		code       int
		hive       hives.Name
		key, value string
		want       string
	}{
		{`New-Item HKLM:\SOFTWARE\X`, 0, hives.Software, "X", "-", "key"},
		{`New-Item -Path HKLM:\SOFTWARE -Name X -Value d`, 0, hives.Software, "X", "", "REG_SZ=d|"},
		{`New-Item HKLM:\SOFTWARE\X\Y`, 1, hives.Software, "X", "-", "none"},
		{`New-Item HKLM:\SOFTWARE\X\Y -Force`, 0, hives.Software, `X\Y`, "-", "key"},
		{`New-Item HKLM:\SOFTWARE\Old`, 1, hives.Software, `Old\Sub`, "-", "key"},
		{`New-Item HKLM:\SOFTWARE\Old -Force`, 0, hives.Software, `Old\Sub`, "-", "none"},
		{`New-Item 'Registry::HKEY_LOCAL_MACHINE\SOFTWARE\X'`, 0, hives.Software, "X", "-", "key"},
		{`Remove-Item HKLM:\SOFTWARE\Old -Recurse`, 0, hives.Software, "Old", "-", "none"},
		{`Remove-Item HKLM:\SOFTWARE\No`, 1, hives.Software, "Old", "-", "key"},
		{`Set-ItemProperty HKLM:\SOFTWARE\Old v new`, 0, hives.Software, "Old", "v", "key"},
		{`Set-ItemProperty HKLM:\SOFTWARE\Old\Other v new`, 0, hives.Software, `Old\Other`, "v", "REG_SZ=new|"},
		{`Set-ItemProperty -Path HKLM:\SOFTWARE\Old -Name N -Value 0x10 -Type DWord`, 0, hives.Software, `Old`, "N", "REG_DWORD=10000000"},
		{`Set-ItemProperty -Path HKLM:\SOFTWARE\Old -Name N -Value 7`, 0, hives.Software, `Old`, "N", "REG_DWORD=07000000"},
		{`Set-ItemProperty -Path HKLM:\SOFTWARE\Old -Name N -Value '7' -Type QWord`, 0, hives.Software, `Old`, "N", "REG_QWORD=0700000000000000"},
		{`Set-ItemProperty -Path HKLM:\SOFTWARE\Old -Name N -Value 0xFFFFFFFF -Type DWord`, 0, hives.Software, `Old`, "N", "REG_DWORD=ffffffff"},
		{`Set-ItemProperty -Path HKLM:\SOFTWARE\Old -Name N -Value a, b -Type MultiString`, 0, hives.Software, `Old`, "N", "REG_MULTI_SZ=a|b||"},
		{`Set-ItemProperty -Path HKLM:\SOFTWARE\Old -Name N -Value ([byte[]](1, 0xff)) -Type Binary`, 0, hives.Software, `Old`, "N", "REG_BINARY=01ff"},
		{`New-ItemProperty -Path HKLM:\SYSTEM\CurrentControlSet\Control -Name N -Value 1 -PropertyType DWORD -Force | Out-Null`, 0, hives.System, `ControlSet001\Control`, "N", "REG_DWORD=01000000"},
		{`New-ItemProperty HKLM:\SOFTWARE\Old N -Value %SystemRoot%\x -PropertyType ExpandString`, 0, hives.Software, `Old`, "N", `REG_EXPAND_SZ=%SystemRoot%\x|`},
		{`New-ItemProperty HKLM:\SOFTWARE\Old\Other v -Value x`, 1, hives.Software, `Old\Other`, "v", `REG_SZ=old|`},
		{`New-ItemProperty HKLM:\SOFTWARE\No v -Value x`, 1, hives.Software, `No`, "-", `none`},
		{`Remove-ItemProperty HKLM:\SOFTWARE\Old\Other v`, 0, hives.Software, `Old\Other`, "v", "key"},
		{`Remove-ItemProperty HKLM:\SOFTWARE\Old\Other w`, 1, hives.Software, `Old\Other`, "v", "REG_SZ=old|"},
		{`if (-not (Test-Path HKLM:\SOFTWARE\X)) { New-Item HKLM:\SOFTWARE\X }`, 0, hives.Software, "X", "-", "key"},
		{`[Environment]::SetEnvironmentVariable('N', 'v', 'Machine')`, 0, hives.System, env, "N", "REG_SZ=v|"},
		{`[System.Environment]::SetEnvironmentVariable('PATH', $env:PATH + ';C:\x', [EnvironmentVariableTarget]::Machine)`, 0, hives.System, env, "PATH", `REG_SZ=C:\bin;C:\x|`},
		{`[Environment]::SetEnvironmentVariable('N', 'a', 'Machine'); [Environment]::SetEnvironmentVariable('M', [Environment]::GetEnvironmentVariable('N', 'Machine') + 'b', 'Machine')`, 0, hives.System, env, "M", `REG_SZ=ab|`},
		{`[Environment]::SetEnvironmentVariable('v', '', 'Machine')`, 0, hives.System, env, "v", "key"},
		{`setx /M N 'a b'`, 0, hives.System, env, "N", "REG_SZ=a b|"},
		{`setx /M PATH \"$env:PATH;C:\y\"`, 0, hives.System, env, "PATH", `REG_SZ=C:\bin;C:\y|`},
		{`reg add HKLM\SOFTWARE\X /v N /t REG_DWORD /d 1 /f | Out-Null`, 0, hives.Software, "X", "N", "REG_DWORD=01000000"},
	} {
		b, _ := regBox(t)
		if code := run(t, b, powershell, c.line); code != c.code {
			t.Errorf("%s: exit status %d, want %d", c.line, code, c.code)
		}
		h, err := b.Registry.Hive(c.hive)
		if err != nil {
			t.Fatal(err)
		}
		if c.line == `Set-ItemProperty HKLM:\SOFTWARE\Old v new` {
			c.want = "REG_SZ=new|"
		}
		if got := shown(t, h, c.key, c.value); got != c.want {
			t.Errorf("%s: %s, want %s", c.line, got, c.want)
		}
	}
}

// zipOf makes an archive of name=content words.
func zipOf(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		name, content, _ := strings.Cut(f, "=")
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)})
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExpandArchive(t *testing.T) {
	expand := func(line, archive string, have ...string) (*memFiles, error) {
		t.Helper()
		b, m := box(have...)
		if err := m.Write(root+`\a.zip`, bytesContent(archive), Meta{}); err != nil {
			t.Fatal(err)
		}
		b.MaxArchive = 1 << 20
		err := Run(context.Background(), b, powershell, line)
		if cerr := b.Close(); cerr != nil {
			t.Error(cerr)
		}
		if err := m.Remove(root + `\a.zip`); err != nil {
			t.Fatal(err)
		}
		return m, err
	}
	good := zipOf(t, "x=1", "d/", "d/y=22", `e\z=`)
	for _, c := range []struct{ line, want string }{
		{`Expand-Archive a.zip`, "a\\\na\\d\\\na\\d\\y=22\na\\e\\\na\\e\\z=\na\\x=1\n"},
		{`Expand-Archive -Path C:\a.zip -DestinationPath C:\to\there -Force`, "to\\\nto\\there\\\nto\\there\\d\\\nto\\there\\d\\y=22\nto\\there\\e\\\nto\\there\\e\\z=\nto\\there\\x=1\n"},
	} {
		m, err := expand(c.line, good)
		if err != nil || m.tree() != c.want {
			t.Errorf("%s: %v\n%s", c.line, err, m.tree())
		}
	}
	m, err := expand(`Expand-Archive a.zip C:\`, good)
	if err != nil {
		t.Fatal(err)
	}
	want, err := winfs.FiletimeFromTime(time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC))
	if n, nerr := m.get("", root+`\x`); err != nil || nerr != nil || n.Times.LastWrite != want {
		t.Error(n, err, nerr)
	}
	if m, err := expand(`Expand-Archive a.zip C:\to`, good, `to\x=old`); err == nil || !errors.As(err, new(*ExitError)) {
		t.Errorf("a file is replaced without -Force: %s", m.tree())
	}
	if m, err := expand(`Expand-Archive a.zip C:\to -Force`, good, `to\x=old`); err != nil || !strings.Contains(m.tree(), `to\x=1`) {
		t.Error(err, m.tree())
	}
	for name, bad := range map[string]string{
		"traversal": zipOf(t, "../x=1"), "deep traversal": zipOf(t, "a/../../x=1"), "backslashes": zipOf(t, `..\x=1`), "absolute": zipOf(t, "/x=1"),
		"drive": zipOf(t, "C:/x=1"), "stream": zipOf(t, "x:s=1"), "device": zipOf(t, "nul=1"), "trailing": zipOf(t, "x.=1"),
		"bomb": zipOf(t, "x="+strings.Repeat("\x00", 2<<20)), "no archive": "hello", "cut": good[:len(good)-30], "wrong": strings.Replace(good, "22", "23", 1),
		"empty": "",
	} {
		m, err := expand(`Expand-Archive a.zip C:\to`, bad)
		if err == nil {
			t.Errorf("%s is expanded: %s", name, m.tree())
		}
		if _, err := m.Lookup(root + `\x`); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %s", name, m.tree())
		}
	}
	// A link of the image leads no file elsewhere.
	b, m := box("to", "secret")
	if err := m.Write(root+`\a.zip`, bytesContent(zipOf(t, "l/x=1")), Meta{}); err != nil {
		t.Fatal(err)
	}
	if code := run(t, b, nil, `mklink /j to\l C:\secret`); code != 0 {
		t.Fatal(code)
	}
	if err := Run(context.Background(), b, powershell, `Expand-Archive a.zip C:\to`); !errors.Is(err, errTraversal) {
		t.Error(err, m.tree())
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("f%d=%d", i, i))
	}
	if m, err := expand(`Expand-Archive a.zip C:\to`, zipOf(t, names...)); err != nil || len(m.below(root)) != 21 {
		t.Error(err)
	}
}
