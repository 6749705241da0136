package cli

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// complete returns what the shell is offered for a line.
func complete(t *testing.T, line ...string) []string {
	t.Helper()
	var out, stderr bytes.Buffer
	if status := run(t.Context(), append([]string{"__complete"}, line...), strings.NewReader(""), &out, &stderr); status != 0 {
		t.Fatalf("%q: status %d, %s", line, status, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[:len(lines)-1] // without the directive
}

// enumeration matches the description of a flag that lists its values.
var enumeration = regexp.MustCompile(`: [a-z0-9]+(, [a-z0-9]+)* or [a-z0-9]+\b|: strict stops|REG_SZ, |format.*: [a-z]+, [a-z]+, [a-z]+$`)

// TestFlagsComplete asks for the values of every flag whose description lists some, and
// for those of every flag with a list of them.
func TestFlagsComplete(t *testing.T) {
	asked := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			want := valuesOf(cmd, f.Name)
			if f.Value.Type() == "bool" || want == nil && !enumeration.MatchString(f.Usage) {
				return
			}
			asked++
			line := append(strings.Fields(commandName(cmd)), "--"+f.Name, "")
			if !cmd.HasParent() {
				line = line[1:]
			}
			if got := complete(t, line...); want == nil || !slices.Equal(got, want) {
				t.Errorf("%q offers %q, want %q", line, got, want)
			}
			for _, v := range want {
				if name := strings.TrimSuffix(v, "="); cmd.Name() != "add" && f.Name != "cim-version" && !strings.Contains(f.Usage, name) {
					t.Errorf("%s --%s: %q is not in %q", commandName(cmd), f.Name, v, f.Usage)
				}
			}
		})
		for _, sub := range cmd.Commands() {
			if sub.Name() != "completion" && sub.Name() != "help" {
				walk(sub)
			}
		}
	}
	walk(newRoot(&console{}))
	if asked < 10 {
		t.Errorf("%d flags have values", asked)
	}
}

// TestReferencesComplete asks for the schemes of references.
func TestReferencesComplete(t *testing.T) {
	for _, c := range []struct {
		line []string
		want []string
	}{
		{[]string{"inspect", "oci"}, []string{"oci:", "oci-archive:"}},
		{[]string{"copy", "oci:a", "dock"}, []string{"docker-archive:", "docker://"}},
		{[]string{"ls", "t"}, []string{"tar:"}},
		{[]string{"convert", "tar:a", "c"}, []string{"cim:"}},
		{[]string{"diff", "tar:a", "w"}, []string{"wclayer:"}},
		{[]string{"unpack", "oci:a", "o"}, []string{}},
		{[]string{"hive", "check", "t"}, []string{}},
	} {
		if got := complete(t, c.line...); !slices.Equal(got, c.want) {
			t.Errorf("%q offers %q, want %q", c.line, got, c.want)
		}
	}
}
