package cli

import (
	"os"
	"strings"
	"testing"
)

// TestFixTable: the table in docs/check.md is that of the rules. With UPDATE=1 it is written
// anew.
func TestFixTable(t *testing.T) {
	const name, begin, end = "../../docs/check.md", "| rule | change |\n", "\n\n"
	var want strings.Builder
	want.WriteString(begin + "|---|---|")
	for _, r := range allRules() {
		if r.Fix != "" {
			want.WriteString("\n| `" + r.ID + "` | " + r.Fix + " |")
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, after, ok := strings.Cut(string(b), begin)
	if !ok {
		t.Fatalf("%s has no table of corrections", name)
	}
	table, rest, _ := strings.Cut(after, end)
	if begin+table == want.String() {
		return
	}
	if os.Getenv("UPDATE") != "1" {
		t.Fatalf("the table of corrections in %s is not that of the rules; UPDATE=1 go test -run TestFixTable writes it", name)
	}
	if err := os.WriteFile(name, []byte(before+want.String()+end+rest), 0o644); err != nil {
		t.Fatal(err)
	}
}
