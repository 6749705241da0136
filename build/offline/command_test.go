package offline

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// TestTable: each row of the table has the code that carries it out, and no name stands
// twice for one shell.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range table() {
		kinds := map[string]int{shellCmd: count(r.internal != nil), program: count(r.program != nil, r.line != nil), shellPower: count(r.cmdlet != nil, r.method != nil)}
		n := 0
		for shell, k := range kinds {
			n += k
			if k > 0 != (shell == r.Shell) {
				t.Errorf("%s: the code is that of %s", r.Name, shell)
			}
		}
		if n != 1 || r.Syntax == "" {
			t.Errorf("%s: %d pieces of code, syntax %q", r.Name, n, r.Syntax)
		}
		for _, name := range append([]string{r.Name}, r.Aliases...) {
			key := r.Shell + " " + strings.ToLower(name)
			if seen[key] {
				t.Errorf("%s stands twice", key)
			}
			seen[key] = true
		}
		for _, o := range r.Options {
			if o.Name == "" || o.Means == "" || !strings.Contains(strings.ToLower(r.Syntax), strings.ToLower(o.Name)) && !strings.Contains(o.Means, "no effect") {
				t.Errorf("%s: option %+v is not in the syntax", r.Name, o)
			}
		}
	}
}

// Options that are documented are accepted, at least as far as not to be refused as unknown.
func TestOptionsAreKnown(t *testing.T) {
	for _, r := range table() {
		for _, o := range r.Options {
			if r.cmdlet == nil && r.method == nil && r.Name != "cmd" && r.Name != "powershell" {
				b, _ := regBox(t, "a=1")
				err := Run(context.Background(), b, nil, r.Name+" "+o.Name+" a")
				var e *Error
				if errors.As(err, &e) && strings.EqualFold(e.Word, o.Name) && strings.Contains(err.Error(), ErrNotOffline.Error()) && !strings.Contains(err.Error(), "asks") &&
					r.Name != "reg" && r.Name != "icacls" {
					t.Errorf("%s %s: %v", r.Name, o.Name, err)
				}
			}
		}
		for _, q := range r.params {
			if !strings.Contains(strings.ToLower(r.Syntax), strings.ToLower(q.name)) && q.name != "InputObject" && q.name != "Object" && q.name != "PropertyType" && q.name != "PathType" && q.name != "Value" {
				t.Errorf("%s takes -%s, which is not in its syntax", r.Name, q.name)
			}
		}
	}
	c := Commands()
	c[0].Name = "changed"
	if Commands()[0].Name == "changed" || len(c) != len(table()) {
		t.Error("the table can be changed from outside")
	}
}

// TestCommandsPage: docs/build-commands.md is the table. With UPDATE=1 it is written.
func TestCommandsPage(t *testing.T) {
	var b bytes.Buffer
	if err := WriteCommands(&b, true); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(testenv.Root(t), "docs", "build-commands.md")
	old, err := os.ReadFile(name)
	if err == nil && bytes.Equal(old, b.Bytes()) {
		return
	}
	if os.Getenv("UPDATE") != "1" {
		t.Fatalf("%s is not the table of commands; UPDATE=1 go test -run TestCommandsPage writes it (%v)", name, err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}
