package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
)

// asker opens an image again and again with one cache directory.
type asker struct {
	ref, dir string
	read     atomic.Int64 // stored bytes of layers
	notes    []error
}

func (a *asker) open(t *testing.T) (*image.Image, func()) {
	t.Helper()
	a.read.Store(0)
	c, err := image.OpenCache(a.dir, image.DefaultCacheSize, func(err error) { a.notes = append(a.notes, err) })
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), a.ref, image.WithCache(c), image.WithProgress(func(*image.Layer) (func(int64), func()) {
		return func(n int64) { a.read.Add(n) }, func() {}
	}))
	if err != nil {
		t.Fatal(err)
	}
	return img, func() {
		if err := errors.Join(img.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	}
}

// listing returns all that a view has, content included.
func listing(t *testing.T, img *image.Image) string {
	t.Helper()
	v, err := img.Union(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	return listTree(t, v)
}

func listTree(t *testing.T, v image.Tree) string {
	t.Helper()
	var out strings.Builder
	for it, err := range v.Walk("") {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%+v", *it)
		if it.Kind != layer.File {
			continue
		}
		r, err := v.Open(it.Path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.NextStream(); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		fmt.Fprintf(&out, " %x %v\n", b, err)
		r.Close()
	}
	return out.String()
}

// TestCacheAnswers: the same answers with and without a cache, first and second time, and
// with an index that is damaged, foreign or gone.
func TestCacheAnswers(t *testing.T) {
	ref := "oci:" + layout(t, twoLayers(t, "10.0.17763.1", "v1"))
	plain, err := image.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	want := listing(t, plain)
	var stored int64
	for _, l := range plain.Layers() {
		stored += l.Descriptor.Size
	}
	a := &asker{ref: ref, dir: filepath.Join(t.TempDir(), "cache")}
	ask := func(what string, again bool) {
		t.Helper()
		img, done := a.open(t)
		defer done()
		v, err := img.Union(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		v.Close()
		if n := a.read.Load(); again && n != stored || !again && n != 0 {
			t.Errorf("%s: the union read %d bytes of %d", what, n, stored)
		}
		if got := listing(t, img); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
		}
		if s, err := img.Layers()[1].Summarize(t.Context()); err != nil || s.Files != 1 || s.Dirs != 2 || s.Stored != img.Layers()[1].Descriptor.Size {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	ask("first", true)
	ask("second", false)
	indexes, err := filepath.Glob(filepath.Join(a.dir, "*.index"))
	if err != nil || len(indexes) != 2 {
		t.Fatal(indexes, err)
	}
	for what, spoil := range map[string]func(name string, b []byte) error{
		"damaged": func(name string, b []byte) error { b[len(b)/3] ^= 1; return os.WriteFile(name, b, 0o600) },
		"cut":     func(name string, b []byte) error { return os.WriteFile(name, b[:len(b)-1], 0o600) },
		"other":   func(name string, b []byte) error { return os.WriteFile(name, []byte("other"), 0o600) },
		"gone":    func(name string, b []byte) error { return os.Remove(name) },
	} {
		for _, name := range indexes {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := spoil(name, bytes.Clone(b)); err != nil {
				t.Fatal(err)
			}
		}
		a.notes = nil
		ask(what, true)
		if (len(a.notes) == 0) != (what == "gone") {
			t.Errorf("%s: notes %v", what, a.notes)
		}
		ask(what+", again", false)
	}
	// The index of one layer under the name of the other.
	b, err := os.ReadFile(indexes[0])
	if err == nil {
		err = os.WriteFile(indexes[1], b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	img, done := a.open(t)
	defer done()
	if got := listing(t, img); got != want {
		t.Errorf("exchanged:\ngot  %s\nwant %s", got, want)
	}
}

// treeListing is listing of Image.Tree.
func treeListing(t *testing.T, img *image.Image) string {
	t.Helper()
	tree, err := img.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	return listTree(t, tree)
}

// TestTreeKept: the kept names give the answers of the union, are made again when they are
// damaged or those of other layers, and do not hide that a limit is exceeded.
func TestTreeKept(t *testing.T) {
	ref := "oci:" + layout(t, twoLayers(t, "10.0.17763.1", "v1"))
	plain, err := image.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	want := listing(t, plain)
	if got := treeListing(t, plain); got != want {
		t.Errorf("without a cache:\ngot  %s\nwant %s", got, want)
	}
	a := &asker{ref: ref, dir: filepath.Join(t.TempDir(), "cache")}
	ask := func(what string, kept bool, notes int) {
		t.Helper()
		img, done := a.open(t)
		defer done()
		a.notes = nil
		tree, err := img.Tree(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, is := tree.(*layerindex.Tree); is != kept || len(a.notes) != notes {
			t.Errorf("%s: it is a %T, notes %v", what, tree, a.notes)
		}
		if got := listTree(t, tree); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
		}
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}
	ask("first", false, 0)
	ask("second", true, 0)
	files, err := filepath.Glob(filepath.Join(a.dir, "*-names1.answer"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	file, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]byte{"damaged": append(bytes.Clone(file[:len(file)-1]), file[len(file)-1]^1), "cut": file[:len(file)-1], "empty": nil} {
		if err := os.WriteFile(files[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		ask(what, false, 1)
		ask(what+", again", true, 0)
	}
	// The names do not hide that an index is gone, or a limit.
	indexes, err := filepath.Glob(filepath.Join(a.dir, "*.index"))
	if err != nil || len(indexes) != 2 {
		t.Fatal(indexes, err)
	}
	if err := os.Remove(indexes[0]); err != nil {
		t.Fatal(err)
	}
	ask("without an index", false, 0)
	ask("with all indexes again", true, 0)
	c, err := image.OpenCache(a.dir, image.DefaultCacheSize, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	img, err := image.Open(t.Context(), ref, image.WithCache(c), image.WithLimits(layer.Limits{Entries: 2}))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if _, err := img.Tree(t.Context()); !errors.Is(err, layer.ErrLimit) {
		t.Errorf("with a limit: %v", err)
	}
}

// TestCacheConcurrent: many users of one cache get the same answers.
func TestCacheConcurrent(t *testing.T) {
	ref := "oci:" + layout(t, twoLayers(t, "10.0.17763.1", "v1"))
	plain, err := image.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	want := listing(t, plain)
	dir := filepath.Join(t.TempDir(), "cache")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 5 {
				a := &asker{ref: ref, dir: dir}
				img, done := a.open(t)
				if got := listing(t, img); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if got := treeListing(t, img); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				done()
				for _, err := range a.notes {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// TestUnpackLeavesIndexes: who unpacks an image can ask it afterwards.
func TestUnpackLeavesIndexes(t *testing.T) {
	a := &asker{ref: "oci:" + layout(t, twoLayers(t, "10.0.17763.1", "v1")), dir: filepath.Join(t.TempDir(), "cache")}
	img, done := a.open(t)
	for _, l := range img.Layers() {
		r, err := l.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err = r.Next(); err != nil {
				break
			}
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		r.Close()
	}
	done()
	img, done = a.open(t)
	defer done()
	v, err := img.Union(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.Close()
	if n := a.read.Load(); n != 0 {
		t.Errorf("%d bytes read", n)
	}
}

// TestAnswerKept: what the registry says is kept for the image.
func TestAnswerKept(t *testing.T) {
	a := &asker{ref: "oci-archive:../examples/hello/hello.tar", dir: filepath.Join(t.TempDir(), "cache")}
	var first hives.OSVersion
	for n := range 3 {
		img, done := a.open(t)
		v, err := img.OSVersion(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		env, err := img.Environment(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if root, _ := env.Get("systemroot"); root != `C:\Windows` {
			t.Errorf("SystemRoot is %q", root)
		}
		switch {
		case n == 0:
			first = v
		case v != first:
			t.Errorf("%v, then %v", first, v)
		case n == 1 && a.read.Load() != 0:
			t.Errorf("%d bytes read", a.read.Load())
		case n == 2 && (a.read.Load() == 0 || len(a.notes) == 0):
			t.Error("a damaged answer is used")
		}
		done()
		if n == 1 {
			list, _ := filepath.Glob(filepath.Join(a.dir, "*.answer"))
			for _, name := range list {
				b, err := os.ReadFile(name)
				if err == nil {
					b[len(b)-5] ^= 1
					err = os.WriteFile(name, b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestExamine: the same with and without a cache, the first and the second time, when nothing
// is read, and after an answer is gone.
func TestExamine(t *testing.T) {
	a := &asker{ref: "oci-archive:../examples/hello/hello.tar", dir: filepath.Join(t.TempDir(), "cache")}
	plain, err := image.Open(t.Context(), a.ref)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	tell := func(img *image.Image) string {
		t.Helper()
		x, err := img.Examine(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(x.OSVersionErr, x.EnvironmentErr); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v %+v", x.OSVersion, x.Environment.All())
		for _, s := range x.Layers {
			text += fmt.Sprintf(" %+v", *s)
		}
		return text
	}
	want := tell(plain)
	for n := range 4 {
		img, done := a.open(t)
		if got := tell(img); got != want {
			t.Errorf("%d:\ngot  %s\nwant %s", n, got, want)
		}
		if read := a.read.Load(); (read > 0) != (n == 0 || n == 2) {
			t.Errorf("%d: %d bytes read", n, read)
		}
		done()
		list, _ := filepath.Glob(filepath.Join(a.dir, "*.answer"))
		if len(list) != 2 {
			t.Errorf("%d: answers %q", n, list)
		}
		if n == 1 {
			if err := os.Remove(list[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(a.notes) > 0 {
		t.Error(a.notes)
	}
}
