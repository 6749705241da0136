package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

const module = "github.com/mullion/mullion"

// floors are the packages of the house from the ground up. A package may import
// those on lower lines, and those that have a path in common with it: regf/regtext
// is part of regf and has its floor. The longest path counts.
var floors = [][]string{
	{"winfs", "internal/filelock", "internal/openfile", "internal/tempfile", "internal/testenv", "internal/ctxio", "internal/zeros", "internal/wtf8", "internal/inflate", "internal/jsonstream"},
	{"finding"},
	{"winsec", "backup", "internal/nametree", "internal/publish"},
	{"regf", "cimfs"},
	{"layer"}, // the hall; from the ground to here: the standard library alone
	{"hives", "blob", "mend", "internal/cache", "internal/containerd"},
	{"internal/hostfs"},
	{"internal/layerdir"},
	{"wintar", "wctransport", "internal/plaindir"},
	{"wclayer", "layerindex"},
	{"cimlayer", "overlay"},
	{"fusefs"},
	{"image"},
	{"inventory", "compare", "history", "internal/diffpage", "build"},
	{"snapshotter"},
	{"internal/cli"},
	{"cmd", "internal/arch", "contrib", "examples", "scripts"},
}

const hall = 4

// floorOf returns the floor of a package and the path that gives it.
func floorOf(pkg string) (int, string) {
	for p := pkg; p != "."; p = path.Dir(p) {
		for i, names := range floors {
			if slices.Contains(names, p) {
				return i, p
			}
		}
	}
	return -1, ""
}

// problem says what is wrong with an import, if anything is.
func problem(pkg, imported string) string {
	floor, family := floorOf(pkg)
	if floor < 0 {
		return "package has no floor: give it one in this test and in docs/architecture.md"
	}
	own, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		if first, _, _ := strings.Cut(imported, "/"); floor <= hall && strings.Contains(first, ".") {
			return "imports " + imported + ", but up to the hall there is the standard library alone"
		}
		return ""
	}
	below, other := floorOf(own)
	switch {
	case below < 0:
		return "imports " + own + ", which has no floor"
	case other != family && below >= floor:
		return "imports " + own + ", which is not below it"
	}
	return ""
}

// Files are parsed instead of built, so that those for other systems count too.
func TestFloors(t *testing.T) {
	root := testenv.Root(t)
	files := 0
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			_, nested := os.Stat(filepath.Join(file, "go.mod"))
			if rel != "." && (nested == nil || e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		// Tests may look anywhere, also packages that are tests by their name.
		pkg := path.Dir(rel)
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") || strings.HasSuffix(pkg, "test") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files++
		for _, s := range f.Imports {
			imported, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			if p := problem(pkg, imported); p != "" {
				t.Errorf("%s: %s %s", rel, pkg, p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files were looked at", files)
	}
}

// The test can fail.
func TestProblem(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		ok            bool
	}{
		{"winfs", "strings", true},
		{"winfs", module + "/layer", false},
		{"winfs", "golang.org/x/sys/unix", false},
		{"winsec", module + "/winfs", true},
		{"winsec", module + "/backup", false},
		{"backup", module + "/regf", false},
		{"regf/regtext", module + "/regf", true},
		{"cimfs", module + "/regf", false},
		{"layer", module + "/cimfs", true},
		{"layer", "github.com/opencontainers/go-digest", false},
		{"wintar", module + "/wclayer", false},
		{"wintar", module + "/blob", true},
		{"layer", module + "/blob", false},
		{"image", "github.com/opencontainers/go-digest", true},
		{"image", module + "/internal/cli", false},
		{"cmd/mullion", module + "/internal/cli", true},
		{"newcomer", "strings", false},
	} {
		if p := problem(c.pkg, c.imported); (p == "") != c.ok {
			t.Errorf("%s importing %s: %q", c.pkg, c.imported, p)
		}
	}
}
