package offline

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// box is a container for a test: files as newMemFiles makes them and no registry.
func box(paths ...string) (*Container, *memFiles) {
	m := newMemFiles(paths...)
	return &Container{Files: m, Registry: NewRegistry(nil), Env: []string{"A=one", "Two=2nd value", `PATH=C:\bin`, "L=" + strings.Repeat("l", 200)}, Now: 132223104010000000}, m
}

// run carries out a line and returns the exit status; any other error ends the test.
func run(t *testing.T, c *Container, shell []string, line string) int {
	t.Helper()
	err := Run(context.Background(), c, shell, line)
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return 0
}

// cmdCase is a line with the files before and after.
type cmdCase struct {
	line string
	have string // files, separated by blanks
	code int
	want string // of memFiles.tree, lines separated by "; "
}

func cmdCases() []cmdCase {
	return []cmdCase{
		// Output and its redirection (Wine's test_builtins.cmd, which runs on Windows).
		{"echo foo>f", "", 0, `f=foo|`},
		{"echo foo > f", "", 0, `f=foo |`},
		{"echo foo 1> f", "", 0, `f=foo |`},
		{"echo foo1> f", "", 0, `f=foo1|`},
		{"echo foo12>f", "", 0, `f=foo12|`},
		{"echo foo 2>f", "", 0, `f=`},
		{"> f echo foo", "", 0, `f=foo|`},
		{"echo a > f b", "", 0, `f=a  b|`},
		{"echo.>f", "", 0, `f=|`},
		{"echo.word>f", "", 0, `f=word|`},
		{"echo(>f", "", 0, `f=|`},
		{"echo:a b>f", "", 0, `f=a b|`},
		{"echo foo>f&echo bar>>f", "", 0, `f=foo|bar|`},
		{"(echo a& echo b)>f", "", 0, `f=a|b|`},
		{"(echo a & echo b) > f", "", 0, `f=a |b|`},
		{"(echo a) >f 2>&1", "", 0, `f=a|`},
		{"echo a>nul 2>&1", "", 0, ``},
		{`echo a>"f g"`, "", 0, `f g=a|`},
		{"type nul>f", "", 0, `f=`},
		{"type a>b", "a=x", 0, `a=x; b=x`},
		{"type a>>b", "a=x b=y", 0, `a=x; b=yx`},
		{`echo foo>no\f`, "", 1, ``},
		{`echo foo>no\f||echo bar>f`, "", 0, `f=bar|`},
		// Escapes and quotes.
		{"echo hell^o, world>f", "", 0, `f=hello, world|`},
		{"echo hell^^o>f", "", 0, `f=hell^o|`},
		{"echo foo ^& echo bar>f", "", 0, `f=foo & echo bar|`},
		{`echo "a & b">f`, "", 0, `f="a & b"|`},
		{`echo "a ^ b">f`, "", 0, `f="a ^ b"|`},
		{`echo a^>b>f`, "", 0, `f=a>b|`},
		// Variables, as in a line that is not in a batch file.
		{"echo %A%>f", "", 0, `f=one|`},
		{"echo %a%%A%>f", "", 0, `f=oneone|`},
		{"echo %none%>f", "", 0, `f=%none%|`},
		{"echo %%>f", "", 0, `f=%%|`},
		{"echo %%A%%>f", "", 0, `f=%one%|`},
		{"echo 50%>f", "", 0, `f=50%|`},
		{"echo %A:n=N%>f", "", 0, `f=oNe|`},
		{"echo %A:*n=x%>f", "", 0, `f=xe|`},
		{"echo %A:~1%>f", "", 0, `f=ne|`},
		{"echo %A:~0,1%>f", "", 0, `f=o|`},
		{"echo %A:~-1%>f", "", 0, `f=e|`},
		{"echo x%A:~0,-1%>f", "", 0, `f=xon|`},
		{"echo %A:~0,-1%>f", "", 0, `f=`}, // echo on
		{"echo x%A:~9%>f", "", 0, `f=x|`},
		{"echo %A:~9%>f", "", 0, `f=ECHO is on.|`},
		{"echo %none:a=b%>f", "", 0, `f=%none:a=b%|`},
		{"echo ^%A^%>f", "", 0, `f=%A%|`}, // the name is A^, which is not set
		{"set A=two&&echo %A%>f", "", 0, `f=one|`},
		{"set A=two&& cmd /c echo %A%>f", "", 0, `f=one|`},
		{`set "X=y"&&cmd /c echo %^X%>f`, "", 0, `f=y|`},
		{`set "X=y"&&cmd /c "echo ^%X^%>f"`, "", 0, `f=%X%|`},
		{"cd>f", "", 0, `f=C:\|`},
		{"echo %cd%>f", "", 0, `f=C:\|`},
		// Chains.
		{"mkdir a&&mkdir b", "", 0, `a\; b\`},
		{"mkdir a&&mkdir b", `a`, 1, `a\`},
		{"mkdir a||mkdir b", `a`, 0, `a\; b\`},
		{"mkdir a&mkdir b", `a`, 0, `a\; b\`},
		{"mkdir a&&mkdir b||mkdir c", `a`, 0, `a\; c\`},
		{"mkdir b||mkdir c&&mkdir d", `a`, 0, `a\; b\`},
		{"(mkdir a&mkdir b)&&mkdir c", `b`, 1, `a\; b\`},
		{"mkdir b &", "", 0, `b\`},
		{"@mkdir b", "", 0, `b\`},
		{"rem mkdir a & mkdir b", "", 0, ``},
		{"mkdir a & rem mkdir b", "", 0, `a\`},
		{"exit /b 3", "", 3, ``},
		{"exit 4 & mkdir a", "", 4, ``},
		{"exit /b 0&mkdir a", "", 0, ``},
		// if
		{"if exist a mkdir b", "a", 0, `a\; b\`},
		{"if exist c mkdir b", "a", 0, `a\`},
		{"if not exist c mkdir b & mkdir d", "a", 0, `a\; b\; d\`},
		{"if exist c mkdir b & mkdir d", "a", 0, `a\`},
		{"if exist c (mkdir b) else mkdir d", "a", 0, `a\; d\`},
		{"if exist c (mkdir b) else (mkdir d)", "c", 0, `b\; c\`},
		{"(if exist c (mkdir b)) && mkdir d", "a", 0, `a\; d\`},
		{"if exist a* mkdir b", "aa=", 0, `aa=; b\`},
		{"if exist nul mkdir b", "", 0, `b\`},
		{`if exist a\ mkdir b`, "a=", 0, `a=`},
		{"if %A%==one mkdir b", "", 0, `b\`},
		{`if "%A%" == "ONE" mkdir b`, "", 0, ``},
		{`if /i "%A%"=="ONE" mkdir b`, "", 0, `b\`},
		{`if not "%A%"=="ONE" mkdir b`, "", 0, `b\`},
		{"if 10 GTR 9 mkdir b", "", 0, `b\`},
		{"if 0x10 EQU 16 mkdir b", "", 0, `b\`},
		{"if defined A mkdir b", "", 0, `b\`},
		{"mkdir a&if errorlevel 1 mkdir b", "a", 0, `a\; b\`},
		{"rmdir c&if errorlevel 1 mkdir b", "", 0, ``}, // rmdir sets no ERRORLEVEL
		// mkdir, rmdir (test_builtins.bat)
		{`mkdir a\b\c`, "", 0, `a\; a\b\; a\b\c\`},
		{`mkdir "a b" c,d;e`, "", 0, `a b\; c\; d\; e\`},
		{`mkdir C:\x\..\y`, "", 0, `y\`},
		{`md \x`, "", 0, `x\`},
		{"mkdir a", "a=", 1, `a=`},
		{`mkdir a\b`, "a=", 1, `a=`},
		{"mkdir", "", 1, ``},
		{`MKDIR A\B`, "a", 0, `a\; a\B\`},
		{"rmdir a", "a", 0, ``},
		{"rmdir a", `a\b`, 145, `a\; a\b\`},
		{"rmdir a", `a=`, 267, `a=`},
		{"rmdir b", `a=`, 2, `a=`},
		{`rmdir b\c`, `a=`, 3, `a=`},
		{"rd /s /q a", `a\b=x a\c\d=y`, 0, ``},
		{"rd/s/q a", `a\b=x`, 0, ``},
		// del
		{"del a", "a= b=", 0, `b=`},
		{"del c", "a=", 0, `a=`},
		{`del c\d`, "a=", 1, `a=`},
		{"del *.txt", "a.txt= b.txt= c.log= d.txt", 0, `c.log=; d.txt\`},
		{"del /q *", `a= b= c\d=`, 0, `c\; c\d=`},
		{"del /q *.*", `a= b.c=`, 0, ``},
		{"del /q a", `a\b= a\c\d=`, 0, `a\; a\c\; a\c\d=`},
		{"del /s /q a", `a\b= a\c\d=`, 0, `a\; a\c\`},
		{`del /s /q *.log`, `a.log= a\b.log= a\c.txt=`, 0, `a\; a\c.txt=`},
		{"attrib +h a&del a", "a=", 0, `a= [H]`},
		{"attrib +h a&del /a:h a", "a=", 0, ``},
		{"attrib +h a&del /a a b", "a= b=", 0, ``},
		{"attrib +r a&del /f a", "a=", 0, ``},
		{"attrib +r a&del /a-r /q *", "a= b=", 0, `a= [R]`},
		// copy
		{"copy a b", "a=x", 0, `a=x; b=x`},
		{"copy a b", "a=x b=y", 0, `a=x; b=x`},
		{"copy a d", "a=x d", 0, `a=x; d\; d\a=x`},
		{`copy a d\`, "a=x", 1, `a=x`},
		{"copy b c", "a=x", 1, `a=x`},
		{`copy a no\b`, "a=x", 1, `a=x`},
		{"copy a a", "a=x", 1, `a=x`},
		{`copy *.txt d`, "a.txt=x b.txt=y c=z d", 0, `a.txt=x; b.txt=y; c=z; d\; d\a.txt=x; d\b.txt=y`},
		{`copy d`, `d\a=x d\b=y`, 0, `a=x; b=y; d\; d\a=x; d\b=y`},
		{`copy *.txt *.bak`, "a.txt=x", 0, `a.bak=x; a.txt=x`},
		{"attrib +r b&copy a b", "a=x b=y", 1, `a=x; b=y [R]`},
		{"attrib +r a&copy a b", "a=x", 0, `a=x [R]; b=x [R]`},
		// xcopy
		{`xcopy a b /e /i /y`, `a\x=1 a\c\y=2 a\d`, 0, `a\; a\c\; a\c\y=2; a\d\; a\x=1; b\; b\c\; b\c\y=2; b\d\; b\x=1`},
		{`xcopy a b\ /s`, `a\x=1 a\c\y=2 a\d`, 0, `a\; a\c\; a\c\y=2; a\d\; a\x=1; b\; b\c\; b\c\y=2; b\x=1`},
		{`xcopy a b /s/e/i/q`, `a\d`, 1, `a\; a\d\; b\; b\d\`},
		{`xcopy a b /i`, `a\x=1 a\c\y=2`, 0, `a\; a\c\; a\c\y=2; a\x=1; b\; b\x=1`},
		{`xcopy a\*.t b /i`, `a\x=1 a\y.t=2`, 0, `a\; a\x=1; a\y.t=2; b\; b\y.t=2`},
		{`xcopy x b /i`, `a=1`, 4, `a=1`},
		{`xcopy a a\b\ /e`, `a\x=1`, 4, `a\; a\x=1`},
		{`attrib +r a\x&xcopy a b /i`, `a\x=1`, 0, `a\; a\x=1 [R]; b\; b\x=1`},
		{`attrib +r a\x&xcopy a b /i /k`, `a\x=1`, 0, `a\; a\x=1 [R]; b\; b\x=1 [R]`},
		{`attrib +h a\x&xcopy a b /i`, `a\x=1`, 1, `a\; a\x=1 [H]`},
		{`attrib +h a\x&xcopy a b /i /h`, `a\x=1`, 0, `a\; a\x=1 [H]; b\; b\x=1 [H]`},
		{`attrib +r b\x&xcopy a b /y`, `a\x=1 b\x=2`, 4, `a\; a\x=1; b\; b\x=2 [R]`},
		{`attrib +r b\x&xcopy a b /y /r`, `a\x=1 b\x=2`, 0, `a\; a\x=1; b\; b\x=1`},
		// move, ren
		{"move a b", "a=x", 0, `b=x`},
		{"move a b", "a=x b=y", 0, `b=x`},
		{"move a d", "a=x d", 0, `d\; d\a=x`},
		{"move d e", `d\a=x`, 0, `e\; e\a=x`},
		{"move d e", `d\a=x e`, 0, `e\; e\d\; e\d\a=x`},
		{"move *.t d", `a.t=x b.t=y d`, 0, `d\; d\a.t=x; d\b.t=y`},
		{`move a no\b`, "a=x", 1, `a=x`},
		{"move c b", "a=x", 1, `a=x`},
		{"move a A", "a=x", 0, `A=x`},
		{"ren a b", "a=x", 0, `b=x`},
		{"ren a b", "a=x b=y", 1, `a=x; b=y`},
		{"ren c b", "a=x", 1, `a=x`},
		{`ren a no\b`, "a=x", 1, `a=x`},
		{"ren *.txt *.log", "a.txt=x b.txt=y", 0, `a.log=x; b.log=y`},
		{`rename d\a b`, `d\a=x`, 0, `d\; d\b=x`},
		{"ren d e", `d\a=x`, 0, `e\; e\a=x`},
		// mklink
		{"mklink l a", "a=x", 0, `a=x; l -> a`},
		{`mklink /d l C:\d`, "d", 0, `d\; l -> C:\d (dir)`},
		{`mklink /j l d`, "d", 0, `d\; l -> C:\d (dir)`},
		{`mklink /j l no`, "", 0, `l -> C:\no (dir)`},
		{`mklink /h l a`, "a=x", 0, `a=x; l=x`},
		{`mklink /h l no`, "a=x", 1, `a=x`},
		{`mklink /h a a`, "a=x", 1, `a=x`},
		{`mklink l a`, "a=x l=y", 1, `a=x; l=y`},
		{`mklink /j l d && echo x>l\f`, "d", 0, `d\; d\f=x|; l -> C:\d (dir)`},
		{`cd d&mklink /d l ..\e&&mkdir l\f`, "d e", 0, `d\; d\l -> ..\e (dir); e\; e\f\`},
		{`mklink /j l d && rmdir l`, `d\f=x`, 0, `d\; d\f=x`},
		{`mklink /j d\l e && rd /s /q d`, `d\f=x e\g=y`, 0, `e\; e\g=y`},
		// Directories.
		{`cd d&mkdir e`, "d", 0, `d\; d\e\`},
		{`cd d && echo %cd%>f`, "d", 0, `d\; d\f=C:\|`}, // %cd% was expanded before
		{`cd no && mkdir e`, "d", 1, `d\`},
		{`cd..&mkdir e`, "d", 0, `d\; e\`},
		{`pushd d&mkdir e&popd&mkdir f`, "d", 0, `d\; d\e\; f\`},
		// attrib
		{`attrib +r +h a`, "a=", 0, `a= [RH]`},
		{`attrib +r d\* /s`, `d\a= d\e\b=`, 0, `d\; d\a= [R]; d\e\; d\e\b= [R]`},
		{`attrib +h d\* /s /d`, `d\a= d\e\b=`, 0, `d\; d\a= [H]; d\e\ [H]; d\e\b= [H]`},
		{`attrib +h d`, `d\a=`, 0, `d\ [H]; d\a=`},
		{`attrib +h no`, `a=`, 1, `a=`},
		// Shells in shells.
		{`"mkdir a"`, "", 0, `a\`},
		{`"mkdir "a b""`, "", 0, `a b\`},
		{`cmd /c mkdir a`, "", 0, `a\`},
		{`cmd /s /c "mkdir a&&mkdir b"&&mkdir c`, "", 0, `a\; b\; c\`},
		{`cmd /c "exit /b 7"||mkdir c`, "", 0, `c\`},
		{`cmd /c "cd d&mkdir e"&mkdir f`, "d", 0, `d\; d\e\; f\`},
	}
}

func TestCmd(t *testing.T) {
	for _, c := range cmdCases() {
		b, m := box(strings.Fields(c.have)...)
		if code := run(t, b, nil, c.line); code != c.code {
			t.Errorf("%s: exit status %d, want %d", c.line, code, c.code)
		}
		if got := strings.ReplaceAll(strings.TrimSuffix(m.tree(), "\n"), "\n", "; "); got != c.want {
			t.Errorf("%s:\n have %s\n want %s", c.line, got, c.want)
		}
	}
}

// What cannot be done is an error with its place, and never silent.
func TestCmdRefuses(t *testing.T) {
	for _, c := range []struct {
		line, word string
		column     int
		err        error
	}{
		{"msiexec /i a.msi", "msiexec", 1, ErrNotOffline},
		{"mkdir n && msiexec /i a.msi", "msiexec", 12, ErrNotOffline},
		{"mkdir n && (echo b & foo.exe x)", "foo.exe", 22, ErrNotOffline},
		{"echo a | find b", "|", 8, ErrNotOffline},
		{"for %i in (a) do echo %i", "for", 1, ErrNotOffline},
		{"call foo.cmd", "call", 1, ErrNotOffline},
		{"start foo", "start", 1, ErrNotOffline},
		{"goto :eof", "goto", 1, ErrNotOffline},
		{"mkdir a/b", "/b", 8, ErrNotOffline},
		{"copy /z a b", "/z", 6, ErrNotOffline},
		{"copy a+b c", "a+b", 6, ErrNotOffline},
		{"rd /s a", "rd", 1, ErrNotOffline},
		{"del *", "*", 5, ErrNotOffline},
		{"del /p a", "/p", 5, ErrNotOffline},
		{`mkdir D:\x`, `D:\x`, 7, ErrNotOffline},
		{`mkdir \\server\share`, `\\server\share`, 7, ErrNotOffline},
		{`copy a progra~1\x`, `progra~1\x`, 8, ErrNotOffline},
		{`mkdir con`, `con`, 7, ErrNotOffline},
		{`mkdir a:b`, `a:b`, 7, ErrNotOffline},
		{`mkdir %COMPUTERNAME%`, `%COMPUTERNAME%`, 7, ErrNotOffline},
		{`echo %A% %RANDOM%`, `%RANDOM%`, 10, ErrNotOffline},
		{`echo %A% && foo`, `foo`, 13, ErrNotOffline},
		{`echo é>f`, `é`, 6, ErrNotOffline},
		{`xcopy a b`, `b`, 9, ErrNotOffline},
		{`xcopy a b /z`, `/z`, 11, ErrNotOffline},
		{`move a b>log`, `move`, 1, ErrNotOffline},
		{`set /a X=1`, `/a`, 5, ErrNotOffline},
		{`rem&mkdir a`, `rem&`, 1, ErrNotOffline},
		{`if exist a (del a) & mkdir b`, `if`, 1, ErrNotOffline},
		{`if cmdextversion 2 mkdir a`, `cmdextversion`, 4, ErrNotOffline},
		{"mkdir a\nmkdir b", ``, 8, ErrNotOffline},
		{`cmd /v:on /c mkdir a`, `/v:on`, 5, ErrNotOffline},
		{`cmd /k mkdir a`, `/k`, 5, ErrNotOffline},
		{`reg export HKLM\SOFTWARE a.reg`, `export`, 5, ErrNotOffline},
		{`reg add HKLM\HARDWARE\X /f`, `HKLM\HARDWARE\X`, 9, ErrNotOffline},
		{`reg add HKLM\SOFTWARE\X /f`, `HKLM\SOFTWARE\X`, 9, ErrNotOffline},
		{`setx A b /k c`, `/k`, 10, ErrNotOffline},
		{`setx A b`, `setx`, 1, ErrNotOffline},
		{`del C:\Windows\System32\config\SOFTWARE`, `C:\Windows\System32\config\SOFTWARE`, 5, ErrNotOffline},
		{`rd /s /q C:\Windows`, `C:\Windows`, 10, ErrNotOffline},
		{`rd /s /q C:\`, `C:\`, 10, ErrNotOffline},
		{`icacls a /save b`, `/save`, 10, ErrNotOffline},
		{`icacls a /grant bob:F`, `bob:F`, 17, ErrNotOffline},
		{`mkdir a)`, ``, 0, nil}, // a directory of that name
		{`(mkdir a`, ``, 9, ErrSyntax},
		{`mkdir a &&`, ``, 11, ErrSyntax},
		{`&& mkdir a`, `&`, 1, ErrSyntax},
		{`mkdir a >`, ``, 10, ErrSyntax},
		{`if a`, ``, 5, ErrSyntax},
		{strings.Repeat("(", 100) + "mkdir a", "", 65, ErrLimit},
		{"echo " + strings.Repeat("a", maxLine), "", 0, ErrLimit},
		{"echo " + strings.Repeat("%L%", 50), "", 0, ErrLimit},
	} {
		b, m := box("a=1", "Windows\\System32\\config\\SOFTWARE=1")
		err := Run(context.Background(), b, nil, c.line)
		if c.err == nil {
			if err != nil {
				t.Errorf("%s: %v", c.line, err)
			}
			continue
		}
		var e *Error
		if !errors.Is(err, c.err) || !errors.As(err, &e) {
			t.Errorf("%.60s: %v, want %v", c.line, err, c.err)
			continue
		}
		if e.Word != c.word || e.Column != c.column {
			t.Errorf("%.60s: %q in column %d, want %q in column %d (%v)", c.line, e.Word, e.Column, c.word, c.column, err)
		}
		if c.err == ErrNotOffline && e.Advice == "" {
			t.Errorf("%.60s: no advice", c.line)
		}
		if _, err := m.Lookup(root + `\Windows\System32\config\SOFTWARE`); err != nil {
			t.Errorf("%.60s: %v", c.line, err)
		}
	}
}

func TestMatchPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a", true}, {"*.*", "a", true}, {"*.*", "a.b", true}, {"*.", "a", true}, {"*.", "a.b", false},
		{"a*", "A.txt", true}, {"*.txt", "a.TXT", true}, {"*.txt", "a.txtx", false}, {"*.txt", "a.b.txt", true}, {"*.txt", "txt", false},
		{"?", "a", true}, {"?", "ab", false}, {"???", "a", true}, {"a?.txt", "a.txt", true}, {"a?.txt", "ab.txt", true}, {"a?.txt", "abc.txt", false},
		{"a.*", "a", true}, {"a.?", "a.b", true}, {"a.?", "a", true}, {"a.?", "a.bc", false}, {"*b", "ab", true}, {"*b*", "abc", true}, {"*b*", "ac", false},
		{"é*", "É1", true}, {"a*b*c", "axbxc", true}, {"a*b*c", "axbx", false}, {"*.b.txt", "a.b.txt", true},
	} {
		if got := matchPattern(c.pattern, c.name); got != c.want {
			t.Errorf("%s with %s: %v", c.pattern, c.name, got)
		}
	}
}

func TestSplitArgs(t *testing.T) {
	// MS Learn, "Parsing C command-line arguments".
	for _, c := range []struct{ line, want string }{
		{`"a b c" d e`, "a b c|d|e"},
		{`"ab\"c" "\\" d`, `ab"c|\|d`},
		{`a\\\b d"e f"g h`, `a\\\b|de fg|h`},
		{`a\\\"b c d`, `a\"b|c|d`},
		{`a\\\\"b c" d e`, `a\\b c|d|e`},
		{`a"b"" c d`, `ab" c d`},
		{`"" x`, "|x"},
	} {
		var got []string
		for _, a := range splitArgs(newText(c.line)) {
			got = append(got, a.s)
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%s: %s, want %s", c.line, s, c.want)
		}
	}
	for _, args := range [][]string{{"a b", `c"d`, `e\`, `f g\`, "", `\\"`}} {
		var got []string
		for _, a := range splitArgs(newText(joinArgs(args))) {
			got = append(got, a.s)
		}
		if strings.Join(got, "|") != strings.Join(args, "|") {
			t.Errorf("%q became %q", args, got)
		}
	}
}

func TestExec(t *testing.T) {
	b, m := box()
	if err := Exec(context.Background(), b, []string{"cmd", "/S", "/C", "mkdir", "a b"}); err != nil {
		t.Error(err)
	}
	if err := Exec(context.Background(), b, []string{`C:\Windows\System32\cmd.exe`, "/c", "mkdir c && mkdir d"}); err != nil {
		t.Error(err)
	}
	if err := Exec(context.Background(), b, []string{"attrib", "+h", "a b"}); err != nil {
		t.Error(err)
	}
	if got := m.tree(); got != "a b\\ [H]\nc\\\nd\\\n" {
		t.Error(got)
	}
	var e *Error
	if err := Exec(context.Background(), b, []string{"mkdir", "x"}); !errors.As(err, &e) || !errors.Is(err, ErrNotOffline) || e.Word != "mkdir" {
		t.Errorf("mkdir is no program: %v", err)
	}
	// A program of that name in the directory is another one.
	b, _ = box("reg.exe=")
	if err := Run(context.Background(), b, nil, `reg add HKLM\SOFTWARE\X`); !errors.Is(err, ErrNotOffline) || !strings.Contains(err.Error(), "current directory") {
		t.Error(err)
	}
	for _, user := range []string{"ContainerUser", `NT AUTHORITY\SYSTEM`} {
		b, _ = box()
		b.User = user
		if err := Run(context.Background(), b, nil, "mkdir a"); !errors.Is(err, ErrNotOffline) {
			t.Errorf("as %s: %v", user, err)
		}
	}
	b, m = box("app")
	b.WorkDir, b.User = `C:\app`, `User Manager\ContainerAdministrator`
	if run(t, b, []string{"cmd", "/S", "/C"}, "mkdir a") != 0 || m.tree() != "app\\\napp\\a\\\n" {
		t.Error(m.tree())
	}
	b.WorkDir = `C:\no`
	if err := Run(context.Background(), b, nil, "mkdir a"); err == nil {
		t.Error("a working directory that is missing is no error")
	}
}

// A copy keeps streams, attributes and the time of the last write, and inherits its
// descriptor; what is moved keeps everything.
func TestCopyKeeps(t *testing.T) {
	b, m := box("a=x", "d")
	a, _ := m.get("", root+`\a`)
	a.streams = map[string]string{"s": "y"}
	a.Times.LastWrite = 77
	a.Attributes = winfs.AttrHidden
	a.Security = nil
	if run(t, b, nil, `xcopy a d /h && ren a b`) != 0 {
		t.Fatal("failed")
	}
	c, err := m.get("", root+`\d\a`)
	if err != nil {
		t.Fatal(err)
	}
	if c.streams["s"] != "y" || c.Times.LastWrite != 77 || c.Attributes != winfs.AttrHidden|winfs.AttrArchive || c.Security == nil {
		t.Errorf("%+v", c.memData)
	}
	if n, err := m.get("", root+`\b`); err != nil || n.memData != a.memData {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestCancel(t *testing.T) {
	b, _ := box()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Run(ctx, b, nil, strings.Repeat("mkdir a & ", 500)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
