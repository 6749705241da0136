package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
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

// ruleUse is the text of the Go files of one directory, as far as it is about rules.
type ruleUse struct {
	declared map[string]bool // variables that hold a rule
	used     map[string]int  // identifiers, by how often they occur
	literals []string        // places that make a finding without a rule
}

func usesOf(t *testing.T, files map[string]any) *ruleUse {
	t.Helper()
	u := &ruleUse{declared: map[string]bool{}, used: map[string]int{}}
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
						u.declared[n.Names[i].Name] = true
					}
				}
			case *ast.CompositeLit:
				if isSelector(n.Type, "finding", "Finding") && len(n.Elts) > 0 {
					u.literals = append(u.literals, set.Position(n.Pos()).String())
				}
			case *ast.Ident:
				u.used[n.Name]++
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
	for name := range u.declared {
		if u.used[name] < 2 {
			t.Errorf("nothing reports the rule %s", name)
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
	if len(u.literals) != 1 || !u.declared["a"] || !u.declared["b"] || u.used["a"] != 2 || u.used["b"] != 1 {
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
