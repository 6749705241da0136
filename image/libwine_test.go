package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// summed is a merged tree: from upper-cased path with slashes to "dir" or the digest
// of the content. An alternate stream is a path with a colon.
type summed map[string]string

func sumOf(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func (m summed) remove(p string, self bool) {
	for k := range m {
		if strings.HasPrefix(k, p+"/") || self && (k == p || strings.HasPrefix(k, p+":")) {
			delete(m, k)
		}
	}
}

// apply puts a tar over the tree: with archive/tar, strings and maps, and nothing that
// the project has for the purpose. Names are ASCII here.
func (m summed) apply(raw []byte) error {
	below, own := maps.Clone(m), summed{}
	type link struct{ name, target string }
	var links []link
	var later []func()
	for r := tar.NewReader(bytes.NewReader(raw)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name := strings.ToUpper(strings.TrimSuffix(h.Name, "/"))
		dir, base := path.Split(name)
		switch {
		case base == ".WH..WH..OPQ":
			m.remove(path.Clean(dir), false)
		case strings.HasPrefix(base, ".WH."):
			m.remove(dir+base[4:], true)
		case h.Typeflag == tar.TypeLink:
			links = append(links, link{name, strings.ToUpper(h.Linkname)})
		case h.Typeflag == tar.TypeDir:
			later = append(later, func() {
				if m[name] != "dir" {
					m.remove(name, true)
					m[name] = "dir"
				}
			})
		case h.Typeflag == tar.TypeReg:
			sum, err := sumOf(r)
			if err != nil {
				return err
			}
			own[name] = sum
			later = append(later, func() {
				m.remove(name, true)
				m[name] = sum
			})
		default:
			return fmt.Errorf("%s: typeflag %q", h.Name, h.Typeflag)
		}
	}
	for _, do := range later { // whiteouts touch nothing of their own layer
		do()
	}
	for _, l := range links {
		from := below
		if own[l.target] != "" {
			from = own
		}
		m.remove(l.name, true)
		for k, v := range maps.Clone(from) {
			if rest, ok := strings.CutPrefix(k, l.target); ok && (rest == "" || rest[0] == ':') {
				m[l.name+rest] = v
			}
		}
	}
	return nil
}

// summedTree reads a merged tree of the project into the same form.
func summedTree(r layer.Reader) (summed, error) {
	m, links := summed{}, map[string]string{}
	key := func(p string) string { return strings.ToUpper(winfs.ToSlash(p)) }
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		name := key(e.Path)
		switch e.Kind {
		case layer.Link:
			links[name] = key(e.Target)
			continue
		case layer.Dir:
			m[name] = "dir"
		}
		for {
			s, err := r.NextStream()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			n := name
			if s.Name != "" {
				n += ":" + strings.ToUpper(s.Name)
			}
			if m[n], err = sumOf(r); err != nil {
				return nil, err
			}
		}
	}
	for name, target := range links {
		for k, v := range maps.Clone(m) {
			if rest, ok := strings.CutPrefix(k, target); ok && (rest == "" || rest[0] == ':') {
				m[name+rest] = v
			}
		}
	}
	return m, r.Close()
}

// libwineBase is the layer that the script makes, with hives and without the empty
// directory Hives, which no base layer has.
func libwineBase(t *testing.T) []byte {
	t.Helper()
	script := filepath.Join(testenv.Root(t), "scripts", "make-libwine-layer")
	out, err := exec.Command(script).Output()
	if err != nil {
		testenv.Missing(t, fmt.Sprintf("%s: %v", script, err))
	}
	r, err := wintar.Open(t.Context(), filepath.Join(testenv.Root(t), strings.TrimSpace(string(out))))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	defer w.Close()
	keep := layer.WithFilter(func(e *layer.Entry) bool { return e.Path != "Hives" })
	if _, err := layer.Copy(t.Context(), w, r, keep); err != nil {
		t.Fatal(err)
	}
	hiveTar := wintar.NewReader(bytes.NewReader(tarOfEntries(t, hiveEntries(t)[3:])))
	if _, err := layer.Copy(t.Context(), w, hiveTar); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// libwineApp is a layer over it that does everything that a layer can do.
func libwineApp(t *testing.T, base summed) []byte {
	list := []entry{{kind: layer.Dir, path: `Files`}, {kind: layer.Dir, path: `Files\App`}, {kind: layer.File, path: `Files\App\new.txt`, data: "new", stream: "of new"}}
	list = append(list, entry{kind: layer.Dir, path: `Files\windows`}, entry{kind: layer.Dir, path: `Files\windows\system32`})
	back := func(p string) string { return strings.ReplaceAll(p, "/", `\`) }
	n := 0
	for _, p := range slices.Sorted(maps.Keys(base)) {
		if base[p] == "dir" || !strings.HasPrefix(p, "FILES/WINDOWS/SYSTEM32/") || strings.HasPrefix(p, "FILES/WINDOWS/SYSTEM32/CONFIG") {
			continue
		}
		n++
		if strings.HasPrefix(p, "FILES/WINDOWS/SYSTEM32/WINE/") {
			continue
		}
		switch name := `Files\windows\system32\` + strings.ToLower(path.Base(p)); n % 16 {
		case 1:
			list = append(list, entry{kind: layer.File, path: name, data: strings.Repeat(name, n%900), stream: fmt.Sprint("stream ", n)})
		case 2:
			list = append(list, entry{kind: layer.Whiteout, path: name})
		case 3:
			list = append(list, entry{kind: layer.Link, path: fmt.Sprintf(`Files\App\link%d.dll`, n), target: back(p)})
		case 4:
			list = append(list, entry{kind: layer.Link, path: name, target: `Files\App\new.txt`})
		}
	}
	list = append(list, entry{kind: layer.Dir, path: `Files\Windows\System32\wine`}, entry{kind: layer.Opaque, path: `Files\Windows\System32\wine`},
		entry{kind: layer.File, path: `Files\Windows\System32\wine\only`, data: "only"})
	return tarOfEntries(t, list)
}

// A base layer of real size and a layer over it that replaces, hides, links and adds,
// unpacked to a store: the image on top, and the union of the tars, are file by file
// what a naive model makes of the tars. MULLION_LONG=1, for it takes a minute.
func TestLibwineMerged(t *testing.T) {
	if os.Getenv("MULLION_LONG") != "1" {
		return
	}
	model := summed{}
	base := libwineBase(t)
	if err := model.apply(base); err != nil {
		t.Fatal(err)
	}
	app := libwineApp(t, model)
	if err := model.apply(app); err != nil {
		t.Fatal(err)
	}
	if len(model) < 700 {
		t.Fatalf("the model has only %d files", len(model))
	}
	img := openLayout(t, layout(t, imagetest.Image{Config: windows("10.0.20348.2700"), Layers: []imagetest.Layer{
		{Tar: base, Format: blob.Gzip}, {Tar: app, Format: blob.Gzip},
	}}))
	store := openStore(t, t.TempDir())
	done, err := img.UnpackStore(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	checkStored(t, store, done)
	im, err := store.Open(string(done[1].ChainID))
	if err != nil {
		t.Fatal(err)
	}
	fromCIM, err := summedTree(cimlayer.NewImageReader(im))
	if err := errors.Join(err, im.Close()); err != nil {
		t.Fatal(err)
	}
	delete(fromCIM, "LAYOUT")
	fromCIM.remove("HIVES", true)
	view, err := img.Union(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	fromTars, err := summedTree(view.Reader())
	if err := errors.Join(err, view.Close()); err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]summed{"CIM": fromCIM, "union": fromTars} {
		for _, p := range slices.Sorted(maps.Keys(model)) {
			if got[p] != model[p] {
				t.Errorf("%s: %s is %.12s, want %.12s", what, p, got[p], model[p])
			}
		}
		for _, p := range slices.Sorted(maps.Keys(got)) {
			if _, ok := model[p]; !ok {
				t.Errorf("%s: %s should not be there", what, p)
			}
		}
	}
	t.Logf("%d files and directories compared", len(model))
}
