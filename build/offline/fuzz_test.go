package offline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// fuzzed carries out a line on a small tree and says what must hold after any line.
func fuzzed(t *testing.T, shell []string, line string) {
	c, m := box("a=1", "b=2", `d\a.txt=3`, `d\e\b.log=4`, `Windows\System32\config\SOFTWARE=h`)
	c.Registry = openBase(fuzzHives(t))
	c.MaxArchive = 1 << 20
	err := Run(context.Background(), c, shell, line)
	var e *Error
	if err != nil {
		if !errors.As(err, &e) {
			t.Fatalf("%q: %T %v", line, err, err)
		}
		if e.Line != line || e.Column < 0 || e.Column > len(line)+1 {
			t.Errorf("%q: column %d", line, e.Column)
		}
		if errors.Is(err, ErrNotOffline) && e.Advice == "" {
			t.Errorf("%q: no advice", line)
		}
		if utf8.ValidString(line) && !utf8.ValidString(err.Error()) {
			t.Errorf("%q: %q", line, err.Error())
		}
	}
	if n, err := m.get("", root+`\Windows\System32\config\SOFTWARE`); err != nil || string(n.data) != "h" {
		t.Errorf("%q: the registry is touched: %v", line, err)
	}
	for _, n := range m.nodes {
		if err := winfs.ValidatePath(n.path); err != nil || n.path != root && !winfs.Under(n.path, root) {
			t.Errorf("%q: %q, %v", line, n.path, err)
		}
	}
	if _, err := c.Registry.Deltas(context.Background()); err != nil {
		t.Errorf("%q: %v", line, err)
	}
	if err := errors.Join(c.Registry.Close(), c.Close()); err != nil {
		t.Errorf("%q: %v", line, err)
	}
}

// fuzzHives are made once.
var fuzzHives = func() func(testing.TB) map[hives.Name][]byte {
	var base map[hives.Name][]byte
	return func(t testing.TB) map[hives.Name][]byte {
		if base == nil {
			base = baseHives(t)
		}
		return base
	}
}()

func FuzzCmd(f *testing.F) {
	for _, s := range []string{
		`mkdir a && cd a || (echo x > y & type y >> z)`, `if not exist a (del /s /q *) else ren a b`, `echo %PATH:~1,-2%%A:o=p%^&"q" 2>&1>nul`,
		`xcopy d x /e /i /y & move x y & attrib +h y\* /s /d`, `reg add HKLM\SOFTWARE\X /v N /t REG_MULTI_SZ /d a\0b /f && reg delete HKLM\SOFTWARE\X /va /f`,
		`icacls d /grant:r Users:(OI)(CI)(RX,W) /inheritance:d /T`, `setx /M P "%PATH%;x"`, `mklink /j l d & mklink /d m l & rd /s /q l & del m`, `mklink /d x x & echo a>x\y`,
		`cmd /c "cmd /s /c "mkdir q""`, `powershell -Command "New-Item -ItemType Directory q"`, `copy *.txt *.bak`, `((((`, `%%%`, `a^`, `>>>`, `set "a=b&cd`, `rem )`,
		`pushd d & popd & exit /b 2`, "mkdir \xff", "echo \xed\xa0\x80>f", `takeown /f d /r /d y`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) { fuzzed(t, nil, line) })
}

func FuzzPowerShell(f *testing.F) {
	for _, s := range []string{
		`New-Item -ItemType File -Path C:\x\y -Value 'z' -Force | Out-Null; Remove-Item -Recurse d`, `if (-not (Test-Path HKLM:\SOFTWARE\X)) { New-Item HKLM:\SOFTWARE\X -Force } else { exit 3 }`,
		`$x = 'a' + \"b$($env:A)\"; $x += 'c'; Set-Content f $x -Encoding Unicode`, `Set-ItemProperty HKLM:\SOFTWARE\Old N ([byte[]](1,2,0xff)) -Type Binary`, "@'\nx\n'@ | Set-Content f", `Copy-Item d\* e -Recurse -Force; Move-Item a d; Rename-Item b c`,
		`[Environment]::SetEnvironmentVariable('N', $env:PATH + ';x', 'Machine')`, `Expand-Archive a.zip d`, `cmd /c mkdir q; icacls d /reset`, `'x' > f; 'y' >> f`, "`", `$`, `${`, `$(`, `@(`, `[a]::b(`, `{`, `"`, `'`, `& `, `-`, `1..2`, `Set-Content f 1kb`, `if(`, "#", `Set-Location d;cd ..`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		fuzzed(t, powershell, line)
		fuzzed(t, pwsh, line)
	})
}

// FuzzIcacls: what is granted is in the list, and the descriptor stays one.
func FuzzIcacls(f *testing.F) {
	for _, s := range []string{"Users:F", "Everyone:(OI)(CI)(M)", "*S-1-5-11:(RX,W)", "Users:(NP)(CI)(DE,WDAC,AS)", `"IIS APPPOOL\x":R`, "a:", ":F", "Users:((", "Users:FMRXRWD", "SYSTEM:(GA)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := parseGrant(newText(s))
		if err != nil {
			return
		}
		if g.mask == 0 || !g.sid.IsValid() || !strings.Contains(s, ":") {
			t.Fatalf("%q: %+v", s, g)
		}
		c, m := box(`d\f=`)
		if err := Exec(context.Background(), c, []string{"icacls", "d", "/grant", s, "/T"}); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		it, err := m.Lookup(root + `\d`)
		if err != nil {
			t.Fatal(err)
		}
		d, err := (&session{}).descriptor(&item{it})
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if !slices.ContainsFunc(d.DACL.ACEs, func(a winsec.ACE) bool { return a.SID == g.sid && a.Mask&g.mask == g.mask && a.Flags == g.flags }) {
			t.Errorf("%q: %s", s, d.SDDL())
		}
	})
}
