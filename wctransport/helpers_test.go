package wctransport

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func collect(t testing.TB, path string, opts ...Option) *layertest.Layer {
	t.Helper()
	r, err := Open(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, err := layertest.Collect(r, true)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func paths(l *layertest.Layer) []string {
	var list []string
	for _, it := range l.Items {
		s := it.Kind.String()[:1] + " " + it.Path
		if it.Target != "" {
			s += " -> " + it.Target
		}
		list = append(list, s)
	}
	return list
}

func expect(t *testing.T, path string, want ...string) {
	t.Helper()
	if got := paths(collect(t, path)); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// put writes files of a hand-made directory; a name that ends with / is a folder.
func put(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(p, 0o777))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(p), 0o777))
		must(t, os.WriteFile(p, []byte(content), 0o666))
	}
	return dir
}

// addFiles adds files given as path, content pairs.
func addFiles(t testing.TB, w layer.Writer, list ...string) {
	t.Helper()
	for i := 0; i < len(list); i += 2 {
		must(t, w.Add(&layer.Entry{Path: list[i], Kind: layer.File, Size: int64(len(list[i+1]))}))
		must(t, w.AddStream(&layer.Stream{Size: int64(len(list[i+1]))}))
		_, err := io.WriteString(w, list[i+1])
		must(t, err)
	}
}
