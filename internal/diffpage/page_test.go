package diffpage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/mullion/mullion/internal/testenv"
)

func page(t *testing.T, rows int) []byte {
	t.Helper()
	var b bytes.Buffer
	p, err := New(&b, `a</title><script>alert(1)</script>`, "b&amp;")
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		err := p.Add(Row{Kind: Added, Area: File, Path: fmt.Sprintf(`Files\🪟\%d</script>`, i), Note: "<b>", Fields: []Field{
			{Name: "size", Before: "</script>", After: "<!--"}, {Name: "dacl", Removed: []string{"<"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close("</script><script>alert(2)</script>"); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpack(t *testing.T, text []byte, v any) {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(v); err != nil {
		t.Fatal(err)
	}
}

var element = regexp.MustCompile(`(?s)<script([^>]*)>(.*?)</script>`)

func TestPage(t *testing.T) {
	const rows = blockRows + 5
	b := page(t, rows)
	if again := page(t, rows); !bytes.Equal(b, again) {
		t.Error("the same data make different pages")
	}
	n, last := 0, ""
	executed := 0
	for _, m := range element.FindAllSubmatch(b, -1) {
		switch attributes := string(m[1]); {
		case strings.Contains(attributes, `class="index"`):
			var x index
			unpack(t, m[2], &x)
			last = ""
			for i, s := range x.Paths {
				last = string(utf16.Decode(utf16.Encode([]rune(last))[:x.Same[i]])) + s
				if want := fmt.Sprintf(`Files\🪟\%d</script>`, n); last != want {
					t.Fatalf("row %d is %q", n, last)
				}
				n++
			}
			if len(x.Kinds) != len(x.Paths) || len(x.Areas) != len(x.Paths) || len(x.Notes) != len(x.Paths) {
				t.Errorf("columns of different lengths")
			}
		case strings.Contains(attributes, `class="details"`):
			var x [][]any
			unpack(t, m[2], &x)
			if got := fmt.Sprint(x[0]); got != "[[size </script> <!--] [dacl [<] []]]" {
				t.Errorf("details are %s", got)
			}
		case attributes == "":
			executed++
			if string(m[2]) != script {
				t.Error("the page runs something else than the script")
			}
		}
	}
	if n != rows || executed != 1 {
		t.Errorf("%d rows, %d scripts", n, executed)
	}
	sum := sha256.Sum256([]byte(script))
	if !bytes.Contains(b, []byte("script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';")) {
		t.Error("the policy does not name the script")
	}
}

// Nothing in the built files ends the element that they are in, or loads something.
func TestBuiltFiles(t *testing.T) {
	for name, text := range map[string]string{"script": script, "style": style} {
		for _, bad := range []string{"</script", "</style", "<!--", "import(", "@import", "url(", "http://", "https://", "eval(", "new Function"} {
			// The namespaces of SVG and MathML are names.
			clean := strings.ReplaceAll(text, "http://www.w3.org/", "")
			if strings.Contains(clean, bad) {
				t.Errorf("the %s contains %q", name, bad)
			}
		}
	}
}

// The built files are those of the sources.
func TestReproducible(t *testing.T) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		testenv.Missing(t, "npm")
	}
	web := filepath.Join(testenv.Root(t), "web")
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "vite.config.js", "tsconfig.json"} {
		b, err := os.ReadFile(filepath.Join(web, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "web"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "web", name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "web", "src"), os.DirFS(filepath.Join(web, "src"))); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ci", "--no-audit", "--no-fund", "--ignore-scripts"}, {"run", "check"}, {"run", "build"}} {
		cmd := exec.Command(npm, args...)
		cmd.Dir = filepath.Join(dir, "web")
		if out, err := cmd.CombinedOutput(); err != nil {
			if args[0] == "ci" {
				testenv.Missing(t, "the packages of web/package-lock.json: "+string(out))
			}
			t.Fatalf("npm %v: %v\n%s", args, err, out)
		}
	}
	for name, want := range map[string]string{"diff.js": script, "diff.css": style} {
		got, err := os.ReadFile(filepath.Join(dir, "internal", "diffpage", "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the sources in web make: npm run build there", name)
		}
	}
}

// TestHidden: the writer knows how many rows the list leaves out.
func TestHidden(t *testing.T) {
	p, err := New(new(bytes.Buffer), "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	p.rows = MostShown - 1
	for want := range 3 {
		if err := p.Add(Row{Kind: Added, Area: File, Path: "x"}); err != nil {
			t.Fatal(err)
		}
		if got := p.Hidden(); got != want {
			t.Errorf("%d rows are hidden, want %d", got, want)
		}
	}
}
