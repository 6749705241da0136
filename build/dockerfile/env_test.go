package dockerfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/mullion/mullion/hives"
)

// testExpander has one variable of each source.
func testExpander(escape rune, asked *int) *expander {
	v := &variables{}
	v.set("Path", `C:\stage`)
	v.set("name", "value")
	v.set("empty", "")
	return &expander{lex: shell.NewLex(escape), escape: escape, variables: v, registry: func() (*hives.Env, error) {
		*asked++
		env := &hives.Env{}
		env.Set("PATH", `C:\Windows`, hives.FromMachine)
		env.Set("ProgramFiles(x86)", `C:\Program Files (x86)`, hives.FromSystem)
		env.Set("SystemRoot", `C:\Windows`, hives.FromSystem)
		return env, nil
	}}
}

func TestExpand(t *testing.T) {
	for _, c := range []struct {
		escape     rune
		word, want string
		unmatched  string
		asked      bool
	}{
		{'`', `${PATH};C:\app`, `C:\stage;C:\app`, "", false},
		{'`', `$path`, `C:\stage`, "", false}, // as Windows: without regard to case
		{'`', `${SYSTEMROOT}\x`, `C:\Windows\x`, "", true},
		{'`', `%SystemRoot%\x;%path%`, `C:\Windows\x;C:\stage`, "", true},
		{'`', `"%ProgramFiles(x86)%\x"`, `C:\Program Files (x86)\x`, "", true},
		{'`', `'%NAME% $name'`, `%NAME% $name`, "", false},
		{'`', `%absent%`, `%absent%`, "", true},
		{'`', `$absent`, ``, "absent", true},
		{'`', `100%`, `100%`, "", false},
		{'`', `50%name%`, `50value`, "", false},
		{'`', "`%name`%", `%name%`, "", false},
		{'`', `${absent:-$name}`, `value`, "absent", true},
		{'`', `${name:+%name%s}`, `values`, "", false},
		{'`', `${empty:-x}-${empty-y}`, `x-`, "", false},
		{'`', "`$name", `$name`, "", false},
		{'\\', `\$name\\x`, `$name\x`, "", false},
		{'\\', `"C:\%name%"`, `C:\value`, "", false},
		{'\\', `C:\\%name%`, `C:\value`, "", false},
		{'\\', `"C:\\%name%\%name%"`, `C:\value\value`, "", false},
	} {
		asked := 0
		x := testExpander(c.escape, &asked)
		e, err := x.word(c.word)
		if err != nil || e.text != c.want || strings.Join(e.unmatched, " ") != c.unmatched {
			t.Errorf("%s: %q, unmatched %v, %v; want %q, %q", c.word, e.text, e.unmatched, err, c.want, c.unmatched)
		}
		if (asked > 0) != c.asked {
			t.Errorf("%s: the registry was opened %d times", c.word, asked)
		}
	}
}

func TestExpandErrors(t *testing.T) {
	asked := 0
	x := testExpander('`', &asked)
	for _, bad := range []string{`${name`, `${name:}`, `${absent:?it is needed}`, `"x`} {
		if e, err := x.word(bad); err == nil {
			t.Errorf("%s: %q", bad, e.text)
		}
	}
	failed := errors.New("no hive")
	x.registry = func() (*hives.Env, error) { return nil, failed }
	if _, err := x.word("$absent"); !errors.Is(err, failed) {
		t.Errorf("error of the registry: %v", err)
	}
	if e, err := x.word("$name"); err != nil || e.text != "value" {
		t.Errorf("afterwards: %q, %v", e.text, err)
	}
}

// A Dockerfile cannot make variables grow without bound.
func TestExpandBound(t *testing.T) {
	v := &variables{}
	v.set("a", strings.Repeat("x", 30000))
	x := &expander{lex: shell.NewLex('\\'), escape: '\\', variables: v}
	if _, err := x.word(strings.Repeat("$a", 100)); !errors.Is(err, ErrLimit) {
		t.Errorf("3 MB in a word: %v", err)
	}
	if err := checkVariable("b", strings.Repeat("x", 32766)); !errors.Is(err, ErrLimit) {
		t.Errorf("32766 characters and a name of 1: %v", err)
	}
	if err := checkVariable("b", strings.Repeat("x", 32765)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "a=b", "a\x00"} {
		if err := checkVariable(name, ""); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestVariables(t *testing.T) {
	var v variables
	v.set("Path", "a")
	w := v.clone()
	v.set("PATH", "b")
	v.set("other", "")
	if got := v.words(); !slices.Equal(got, []string{"Path=b", "other="}) {
		t.Errorf("%q", got)
	}
	if got := w.words(); !slices.Equal(got, []string{"Path=a"}) {
		t.Errorf("the copy has changed: %q", got)
	}
}

func TestParsePort(t *testing.T) {
	for _, c := range []struct {
		text string
		want string
		odd  bool
	}{
		{"80", "80/tcp", false}, {"443/TCP", "443/tcp", false}, {"53/udp", "53/udp", false},
		{"8000-8002/tcp", "8000/tcp 8001/tcp 8002/tcp", false}, {"8080:80", "80/tcp", true},
		{"127.0.0.1:8080:80/udp", "80/udp", true}, {"[::1]:8080:80", "80/tcp", true}, {"0", "0/tcp", false},
	} {
		got, odd, err := parsePort(c.text)
		if err != nil || strings.Join(got, " ") != c.want || odd != c.odd {
			t.Errorf("%s: %v, %v, %v", c.text, got, odd, err)
		}
	}
	for _, bad := range []string{"", "x", "65536", "-1", "9-8", "80/icmp", "1.2.3:1:2", "a:80", "80-", "/tcp"} {
		if got, _, err := parsePort(bad); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func TestExcerpt(t *testing.T) {
	lines := strings.Split("FROM x\n\nRUN ver\nCMD a\nCMD b\nCMD c\nCMD d", "\n")
	want := "Dockerfile:3:1\n--------------------\n" +
		"   1 |     FROM x\n   2 |     \n   3 | >>> RUN ver\n   4 |     CMD a\n   5 |     CMD b\n--------------------\n"
	if got := excerpt("Dockerfile:3:1", lines, 3, 3); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := excerpt("Dockerfile", lines, 0, 0); got != "" {
		t.Errorf("without a line: %s", got)
	}
	many := strings.Split(strings.Repeat("x\n", 100), "\n")
	if got := excerpt("D", many, 1, 100); strings.Count(got, "\n") > maxExcerpt+4 || !strings.Contains(got, "more lines") {
		t.Errorf("%d lines\n%s", strings.Count(got, "\n"), got)
	}
	if got := short(fmt.Sprint(strings.Repeat("ä", 50)), 11); got != "äääää …" {
		t.Errorf("%q", got)
	}
}
