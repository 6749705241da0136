package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// sources calls f with every file of the repository that has one of the suffixes, in
// other modules too, its path relative to root with slashes.
func sources(t *testing.T, root, suffix string, f func(rel string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if e.IsDir() && file != root && (name == "testdata" || name == "dist" || name == "node_modules" || strings.HasPrefix(name, ".") && name != ".github" || strings.HasPrefix(name, "_")) {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(root, file)
		if err == nil && e.Type().IsRegular() && strings.HasSuffix(name, suffix) {
			f(filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// headings returns the headings of a Markdown document.
func headings(text string) []string {
	var list []string
	code := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		if h := strings.TrimLeft(line, "#"); !code && h != line && strings.HasPrefix(h, " ") {
			list = append(list, strings.TrimSpace(h))
		}
	}
	return list
}

// anchor returns the fragment of a heading's address, as the hosts of repositories make it.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-', r == '_', r >= '0' && r <= '9', r >= 'a' && r <= 'z', r > 0x7f:
			b.WriteRune(r)
		}
	}
	return b.String()
}

var (
	citation = regexp.MustCompile(`docs/spec/([a-z]+)\.md(?:, "([^"]*)")?`)
	// Other ways to cite a specification of ours, none of which leads anywhere. Numbered
	// sections are those of other documents, which have a name.
	lost = regexp.MustCompile(`§|(?i)\b(layers?|registry|cimfs) specification\b|\([Ss]ection \d|\([0-9]+\.[0-9]+\)[.:;]`)
)

// citationProblem reports the first citation in a comment that does not lead to a
// heading. specs has the headings of each specification.
func citationProblem(comment string, specs map[string][]string) string {
	comment = strings.Join(strings.Fields(comment), " ")
	if m := lost.FindString(comment); m != "" {
		return fmt.Sprintf("%q names no heading: write docs/spec/NAME.md, \"HEADING\"", m)
	}
	for _, m := range citation.FindAllStringSubmatch(comment, -1) {
		list, ok := specs[m[1]]
		if !ok {
			return m[0] + ": no such specification"
		}
		found := m[2] == ""
		for _, h := range list {
			found = found || h == m[2]
		}
		if !found {
			return m[0] + ": no such heading"
		}
	}
	return ""
}

func readSpecs(t *testing.T, root string) map[string][]string {
	t.Helper()
	specs := map[string][]string{}
	sources(t, filepath.Join(root, "docs/spec"), ".md", func(rel string) {
		text, err := os.ReadFile(filepath.Join(root, "docs/spec", rel))
		if err != nil {
			t.Fatal(err)
		}
		specs[strings.TrimSuffix(rel, ".md")] = headings(string(text))
	})
	return specs
}

// Every comment that cites a specification names a heading of it.
func TestCitations(t *testing.T) {
	root := testenv.Root(t)
	specs := readSpecs(t, root)
	cited := 0
	sources(t, root, ".go", func(rel string) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(root, rel), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range f.Comments {
			text := commentText(g)
			if p := citationProblem(text, specs); p != "" && rel != "internal/arch/spec_test.go" {
				t.Errorf("%s: %s", fset.Position(g.Pos()), p)
			}
			cited += len(citation.FindAllString(text, -1))
		}
	})
	if cited < 40 {
		t.Errorf("only %d citations were found", cited)
	}
}

// commentText is the text of a group without the slashes. CommentGroup.Text leaves out
// directives, this does not.
func commentText(g *ast.CommentGroup) string {
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(strings.TrimPrefix(strings.TrimPrefix(c.Text, "//"), "/*"))
		b.WriteByte('\n')
	}
	return b.String()
}

func TestCitationProblem(t *testing.T) {
	specs := map[string][]string{"registry": {"Big data", "Keys"}}
	for comment, ok := range map[string]bool{
		`(docs/spec/registry.md, "Big data")`:             true,
		"(docs/spec/registry.md,\n \"Big\n data\"): more": true,
		`docs/spec/registry.md has it`:                    true,
		`docs/spec/registry.md, "Small data"`:             false,
		`docs/spec/tapes.md`:                              false,
		`the registry specification, 1.4`:                 false,
		`(3.2).`:                                          false,
		`see §2`:                                          false,
		`MS-DTYP, section 2.4.4.17`:                       true,
		`the OCI image specification, "Whiteouts"`:        true,
	} {
		if p := citationProblem(comment, specs); (p == "") != ok {
			t.Errorf("%q: %q", comment, p)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Every link in a document to a file of the repository, or to a heading, leads there.
func TestLinks(t *testing.T) {
	root := testenv.Root(t)
	anchors := map[string]map[string]bool{} // of each document
	load := func(rel string) (string, error) {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(rel)))
		if err == nil && anchors[rel] == nil {
			anchors[rel] = map[string]bool{}
			for _, h := range headings(string(text)) {
				anchors[rel][anchor(h)] = true
			}
		}
		return string(text), err
	}
	links := 0
	sources(t, root, ".md", func(rel string) {
		text, err := load(rel)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, ":") {
				continue
			}
			links++
			target := rel
			if to != "" {
				target = path.Join(path.Dir(rel), to)
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: link %s: %v", rel, m[1], err)
				continue
			}
			if fragment == "" {
				continue
			}
			if _, err := load(target); err != nil || !anchors[target][fragment] {
				t.Errorf("%s: link %s: no such heading", rel, m[1])
			}
		}
	})
	if links < 30 {
		t.Errorf("only %d links were found", links)
	}
}
