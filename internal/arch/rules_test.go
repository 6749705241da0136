package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/wclayer"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
)

// ruleVar is a variable of a package, or of an unknown one as x.Name has it.
type ruleVar struct{ dir, name string }

// ruleUse is the text of Go files as far as it is about rules.
type ruleUse struct {
	declared map[ruleVar]bool // variables that hold a rule
	used     map[ruleVar]int  // identifiers, by how often they occur
	literals []string         // places that make a finding without a rule
}

func usesOf(t *testing.T, files map[string]any) *ruleUse {
	t.Helper()
	u := &ruleUse{declared: map[ruleVar]bool{}, used: map[ruleVar]int{}}
	set := token.NewFileSet()
	for name, src := range files {
		f, err := parser.ParseFile(set, name, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, v := range n.Values {
					if call, ok := v.(*ast.CallExpr); ok && isSelector(call.Fun, "rules", "Add") {
						u.declared[ruleVar{filepath.Dir(name), n.Names[i].Name}] = true
					}
				}
			case *ast.CompositeLit:
				if isSelector(n.Type, "finding", "Finding") && len(n.Elts) > 0 {
					u.literals = append(u.literals, set.Position(n.Pos()).String())
				}
			case *ast.SelectorExpr:
				u.used[ruleVar{"", n.Sel.Name}]++
			case *ast.Ident:
				u.used[ruleVar{filepath.Dir(name), n.Name}]++
			}
			return true
		})
	}
	return u
}

func isSelector(e ast.Expr, x, sel string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := s.X.(*ast.Ident)
	return ok && id.Name == x && s.Sel.Name == sel
}

// TestRules: findings are made of declared rules only, and each declared rule is
// reported somewhere.
func TestRules(t *testing.T) {
	root := testenv.Root(t)
	files := map[string]any{}
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && file != root && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || filepath.Dir(file) == root && e.Name() == "finding") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") {
			files[file] = nil
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	u := usesOf(t, files)
	for _, place := range u.literals {
		t.Errorf("%s makes a finding that belongs to no declared rule; use Rule.At", place)
	}
	for v := range u.declared {
		if u.used[v] < 2 && (!ast.IsExported(v.name) || u.used[ruleVar{"", v.name}] == 0) {
			t.Errorf("%s: nothing reports the rule %s", v.dir, v.name)
		}
	}
	if n := len(catalogues()); len(u.declared) != n {
		t.Errorf("%d variables hold rules, the catalogues have %d", len(u.declared), n)
	}
}

// The test can fail.
func TestUsesOf(t *testing.T) {
	u := usesOf(t, map[string]any{"x.go": `package x
var a, b = rules.Add(1), rules.Add(2)
var f = finding.Finding{Rule: "x"}
var g = a.At()
var h = finding.Finding{}`})
	a, b := ruleVar{".", "a"}, ruleVar{".", "b"}
	if len(u.literals) != 1 || !u.declared[a] || !u.declared[b] || u.used[a] != 2 || u.used[b] != 1 {
		t.Errorf("%+v", u)
	}
}

func catalogues() []finding.Rule {
	var all []finding.Rule
	for _, rules := range [][]finding.Rule{cimfs.Rules(), cimlayer.Rules(), image.Rules(), layer.Rules(), regf.Rules(), wclayer.Rules(), winsec.Rules(), wintar.Rules()} {
		all = append(all, rules...)
	}
	return all
}

// TestRuleIDs: an ID names one rule of all packages.
func TestRuleIDs(t *testing.T) {
	where := map[string]string{}
	for _, r := range catalogues() {
		if other, ok := where[r.ID]; ok {
			t.Errorf("%s is a rule of %s and of %s", r.ID, other, r.Where)
		}
		where[r.ID] = r.Where
		if strings.ToLower(r.ID) != r.ID || strings.Contains(r.ID, " ") || !strings.HasSuffix(r.Meaning, ".") || !strings.HasSuffix(r.Mend, ".") {
			t.Errorf("%+v is not written as the others", r)
		}
	}
}

// TestCauses: the specification lists each rule of layers and layer tars about something that
// makes an import fail, and no rule that does not exist.
func TestCauses(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "spec", "layers.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Causes of failed imports\n")
	section, _, ok := strings.Cut(section, "\n## ")
	if !ok {
		t.Fatal("the section is missing")
	}
	known, named := map[string]bool{}, map[string]bool{}
	for _, r := range catalogues() {
		known[r.ID] = true
	}
	for _, row := range strings.Split(section, "\n") {
		cells := strings.Split(row, " | ")
		if len(cells) != 3 || !strings.HasSuffix(row, "` |") {
			continue
		}
		for id := range strings.SplitSeq(strings.TrimSuffix(cells[2], " |"), ", ") {
			id = strings.Trim(id, "`")
			if named[id] = true; !known[id] {
				t.Errorf("there is no rule %s", id)
			}
		}
	}
	for _, r := range append(layer.Rules(), wintar.Rules()...) {
		// A limit is one of this program, not of Windows.
		if r.Severity == finding.Error && !named[r.ID] && r.ID != layer.RuleLimitExceeded.ID {
			t.Errorf("the causes of failed imports lack %s", r.ID)
		}
	}
}
