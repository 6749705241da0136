package dockerfile

import (
	"errors"
	"strings"
	"testing"
)

func TestParsePlace(t *testing.T) {
	app := place{"app", "bin"}
	for _, c := range []struct {
		text, want string
		dir        bool
	}{
		{`C:\x`, `C:\x`, false},
		{`c:/x/y`, `C:\x\y`, false},
		{`/x`, `C:\x`, false},
		{`\x\`, `C:\x`, true},
		{`C:/`, `C:\`, true},
		{`\`, `C:\`, true},
		{`x`, `C:\app\bin\x`, false},
		{`.`, `C:\app\bin`, true},
		{``, `C:\app\bin`, true},
		{`.\x/`, `C:\app\bin\x`, true},
		{`..\lib`, `C:\app\lib`, false},
		{`..`, `C:\app`, true},
		{`C:x`, `C:\app\bin\x`, false},
		{`C:\a\..\..\b\.\c`, `C:\b\c`, false},
		{`C:\\a//b`, `C:\a\b`, false},
	} {
		p, dir, err := parsePlace(c.text, app)
		if err != nil || p.String() != c.want || dir != c.dir {
			t.Errorf("%q: %v, %v, %v; want %s, %v", c.text, p, dir, err, c.want, c.dir)
		}
		if strings.HasPrefix(c.want, `C:\app`) == isAbsolute(c.text) {
			t.Errorf("%q: absolute is %v", c.text, isAbsolute(c.text))
		}
		if want := "Files" + strings.TrimSuffix(c.want[2:], `\`); err == nil && p.layer() != want {
			t.Errorf("%q: %s, want %s", c.text, p.layer(), want)
		}
	}
	for _, bad := range []string{
		`D:\x`, `C:`, `\\server\share\x`, `//server/x`, `\\?\C:\x`, `\\.\pipe\x`, `C:\a:b`, `C:\a\nul`, `C:\com1.txt`,
		`C:\a.`, "C:\\a ", `C:\a*`, `C:\a?b`, "C:\\a\x00b", `C:\a|b`, `C:\a<b`, strings.Repeat(`a`, 256),
	} {
		if p, _, err := parsePlace(bad, nil); !errors.Is(err, ErrPath) {
			t.Errorf("%.60q: %v, %v", bad, p, err)
		}
	}
	if got := app; got.String() != `C:\app\bin` {
		t.Errorf("the working directory was changed to %v", got)
	}
}
