package build_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// TestAppendOrdinary: names are found without regard to case and keep their spelling, parents
// come once with the metadata of the base, whiteouts hide, links become those of Windows, and
// the result has no finding.
func TestAppendOrdinary(t *testing.T) {
	a := assembly(t, baseImage(t))
	src := tarFile(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "program files/new/x.txt"},
		tar.Header{Name: "program files/OLD/A.TXT"},
		tar.Header{Name: "program files/OLD/.wh.b.txt"},
		tar.Header{Name: "app/", Typeflag: tar.TypeDir},
		tar.Header{Name: "app/twice"},
		tar.Header{Name: "app/hard", Typeflag: tar.TypeLink, Linkname: "program files/new/x.txt"},
		tar.Header{Name: "app/sym", Typeflag: tar.TypeSymlink, Linkname: "../program files/new"},
		tar.Header{Name: "app/rooted", Typeflag: tar.TypeSymlink, Linkname: "/Windows/System32"},
		tar.Header{Name: "app/twice"},
		tar.Header{Name: "app/.wh.nothing"},
	)
	mustAppend(t, a, build.AppendOptions{Format: blob.Gzip}, src)
	img := current(t, a)
	if bad := findings(t, img); len(bad) > 0 {
		t.Errorf("%s", strings.Join(bad, "\n"))
	}
	equal(t, shown(t, img, `Files\Program Files`), []string{
		`Files\Program Files\new`, `Files\Program Files\new\x.txt "program files/new/x.txt" x2`,
		`Files\Program Files\Old`, `Files\Program Files\Old\a.txt "program files/OLD/A.TXT"`})
	equal(t, shown(t, img, `Files\app`), []string{
		`Files\app\hard "program files/new/x.txt" x2`, `Files\app\rooted -> \Windows\System32 (dir)`,
		`Files\app\sym -> ..\program files\new (dir)`, `Files\app\twice "app/twice"`})
	l := collect(t, img.Layers()[1].Source(t.Context()))
	var paths []string
	for _, it := range l.Items {
		paths = append(paths, it.Path)
	}
	equal(t, paths, []string{`Files`, `Hives`, `Files\Program Files`, `Files\Program Files\new`, `Files\Program Files\new\x.txt`,
		`Files\Program Files\Old`, `Files\Program Files\Old\a.txt`, `Files\Program Files\Old\b.txt`, `Files\app`,
		`Files\app\hard`, `Files\app\sym`, `Files\app\rooted`, `Files\app\twice`})
	base := collect(t, img.Layers()[0].Source(t.Context()))
	for _, it := range l.Items {
		i := slices.IndexFunc(base.Items, func(b layertest.Item) bool { return b.Path == it.Path && b.Kind == layer.Dir })
		if i >= 0 && (!bytes.Equal(base.Items[i].Security, it.Security) || base.Items[i].Times != it.Times) {
			t.Errorf("%s does not have the metadata of the base", it.Path)
		}
	}
	if n := len(img.Config().History); n != 2 || img.Config().History[1].CreatedBy != "mullion append src.tar" {
		t.Errorf("%+v", img.Config().History)
	}
}

// TestAppendDescriptors: what is new has the owner and the inherited entries that Windows gives
// it in a directory of another owner, and not the descriptor of that directory.
func TestAppendDescriptors(t *testing.T) {
	const parent = "O:LSG:LSD:(A;OICI;FA;;;BA)(A;;0x1200a9;;;AU)(A;OICIIO;GA;;;CO)"
	dir := layer.Entry{Kind: layer.Dir, Attributes: winfs.AttrDirectory, Security: descriptor(t, parent)}
	l := &layertest.Layer{}
	for _, p := range []string{`Files`, `Hives`} {
		e := dir
		e.Path = p
		l.Items = append(l.Items, layertest.Item{Entry: e})
	}
	v := hives.ServerCore(20348, 2700)
	a := assembly(t, openImage(t, config(v), layerTar(t, l)))
	mustAppend(t, a, build.AppendOptions{}, tarFile(t, tar.Header{Name: "f"}, tar.Header{Name: "d/f"}))
	want := map[string]string{
		`Files`:     parent,
		`Files\f`:   "O:BAG:SYD:AI(A;ID;FA;;;BA)",
		`Files\d`:   "O:BAG:SYD:AI(A;OICIID;FA;;;BA)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)",
		`Files\d\f`: "O:BAG:SYD:AI(A;ID;FA;;;BA)",
	}
	layers := current(t, a).Layers()
	found := 0
	for _, it := range collect(t, layers[len(layers)-1].Source(t.Context())).Items {
		text, ok := want[it.Path]
		if !ok {
			continue
		}
		found++
		if d, err := winsec.Parse(it.Security); err != nil || d.SDDL() != text {
			t.Errorf("%s has %v (%v), want %s", it.Path, d.SDDL(), err, text)
		}
	}
	if found != len(want) {
		t.Errorf("%d of %d entries", found, len(want))
	}
}

func collect(t testing.TB, s layer.Source) *layertest.Layer {
	t.Helper()
	r, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, err := layertest.Collect(r, false)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestAppendOpaque: an opaque whiteout of another system becomes one for each name.
func TestAppendOpaque(t *testing.T) {
	a := assembly(t, baseImage(t))
	mustAppend(t, a, build.AppendOptions{}, tarFile(t,
		tar.Header{Name: "Program Files/.wh..wh..opq"},
		tar.Header{Name: "Program Files/Old/new"},
		tar.Header{Name: ".wh.Link"}))
	img := current(t, a)
	if bad := findings(t, img); len(bad) > 0 {
		t.Errorf("%s", strings.Join(bad, "\n"))
	}
	equal(t, shown(t, img, `Files\Program Files`), []string{`Files\Program Files\Old`, `Files\Program Files\Old\new "Program Files/Old/new"`})
}

// TestAppendDirectory: a directory and a tar of it become layers with the same tree.
func TestAppendDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "src")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "windows", "new"), 0o755), os.WriteFile(filepath.Join(dir, "windows", "new", "f"), []byte("data"), 0o644),
		os.Symlink("windows", filepath.Join(dir, "sym"))); err != nil {
		t.Fatal(err)
	}
	a := assembly(t, baseImage(t))
	mustAppend(t, a, build.AppendOptions{Format: blob.Zstd}, dir)
	img := current(t, a)
	if bad := findings(t, img); len(bad) > 0 {
		t.Errorf("%s", strings.Join(bad, "\n"))
	}
	equal(t, shown(t, img, `Files\Windows\new`), []string{`Files\Windows\new\f "data"`})
	if got := shown(t, img, `Files`); !slices.Contains(got, `Files\sym -> windows (dir)`) {
		t.Errorf("%q", got)
	}
	// The next layer goes on top of this one.
	mustAppend(t, a, build.AppendOptions{}, tarFile(t, tar.Header{Name: "WINDOWS/NEW/F"}))
	equal(t, shown(t, current(t, a), `Files\Windows\new`), []string{`Files\Windows\new\f "WINDOWS/NEW/F"`})
}

// TestAppendNative: a layer for Windows keeps its bytes.
func TestAppendNative(t *testing.T) {
	raw := layerTar(t, &layertest.Layer{Items: []layertest.Item{
		{Entry: layer.Entry{Path: `Files`, Kind: layer.Dir, Attributes: winfs.AttrDirectory}},
		{Entry: layer.Entry{Path: `Files\n`, Kind: layer.File, Attributes: winfs.AttrArchive, Size: 1}, Streams: []layertest.Stream{{Data: []byte("n")}}},
		{Entry: layer.Entry{Path: `Hives`, Kind: layer.Dir, Attributes: winfs.AttrDirectory}},
	}})
	for _, f := range []blob.Format{blob.Plain, blob.Gzip, blob.Zstd} {
		var stored bytes.Buffer
		w, err := blob.NewWriter(&stored, f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		a := assembly(t, baseImage(t))
		mustAppend(t, a, build.AppendOptions{Stdin: bytes.NewReader(stored.Bytes())}, "-")
		l := current(t, a).Layers()[1]
		if string(l.Descriptor.Digest) != w.Digest() || string(l.DiffID) != w.DiffID() || l.Descriptor.Size != int64(stored.Len()) {
			t.Errorf("%v: %+v", f, l.Descriptor)
		}
		equal(t, shown(t, current(t, a), `Files`)[1:2], []string{`Files\n "n"`})
		if _, err := a.Write(t.Context(), "oci:"+filepath.Join(t.TempDir(), "out")); err != nil {
			t.Error(err)
		}
	}
}

// TestAppendRefuses: what Windows cannot hold is an error that names it, and leaves the
// assembly as it was.
func TestAppendRefuses(t *testing.T) {
	dir := func(make func(string) error) string {
		d := filepath.Join(t.TempDir(), "src")
		if err := errors.Join(os.Mkdir(d, 0o755), make(d)); err != nil {
			t.Fatal(err)
		}
		return d
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no tar "), 200), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		src  string
		want error
		text string
	}{
		"device":          {tarFile(t, tar.Header{Name: "a/null", Typeflag: tar.TypeChar}), layer.ErrUnsupported, "null"},
		"pipe":            {tarFile(t, tar.Header{Name: "a/pipe", Typeflag: tar.TypeFifo}), layer.ErrUnsupported, "pipe"},
		"case":            {tarFile(t, tar.Header{Name: "a/File"}, tar.Header{Name: "a/file"}), layer.ErrCaseConflict, "file"},
		"case of a dir":   {tarFile(t, tar.Header{Name: "a/File"}, tar.Header{Name: "A/other"}), layer.ErrCaseConflict, "A"},
		"colon":           {tarFile(t, tar.Header{Name: "a/b:c"}), build.ErrName, "b:c"},
		"reserved":        {tarFile(t, tar.Header{Name: "a/con.txt"}), build.ErrName, "con.txt"},
		"trailing dot":    {tarFile(t, tar.Header{Name: "a./b"}), build.ErrName, "a."},
		"backslash":       {tarFile(t, tar.Header{Name: `a\b`}), build.ErrName, `a\\b`},
		"out":             {tarFile(t, tar.Header{Name: "../b"}), build.ErrOutside, "../b"},
		"link out":        {tarFile(t, tar.Header{Name: "a/l", Typeflag: tar.TypeSymlink, Linkname: "../../x"}), build.ErrOutside, "l"},
		"below a file":    {tarFile(t, tar.Header{Name: "a"}, tar.Header{Name: "a/b"}), layer.ErrNotDirectory, "a"},
		"below a link":    {tarFile(t, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}, tar.Header{Name: "a/b"}), build.ErrThroughLink, "a"},
		"through a link":  {tarFile(t, tar.Header{Name: "link/b"}), build.ErrThroughLink, "Link"},
		"target":          {tarFile(t, tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "none"}), layer.ErrLinkTarget, "none"},
		"target later":    {tarFile(t, tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}, tar.Header{Name: "b"}), layer.ErrLinkTarget, "b"},
		"no tar":          {text, layer.ErrCorrupt, "text"},
		"none":            {filepath.Join(t.TempDir(), "none"), os.ErrNotExist, "none"},
		"native, twice":   {tarFile(t, tar.Header{Name: "Files", Typeflag: tar.TypeDir}, tar.Header{Name: "Files/a"}, tar.Header{Name: "Files/A"}, tar.Header{Name: "Hives", Typeflag: tar.TypeDir}), build.ErrLayer, "case"},
		"directory, link": {dir(func(d string) error { return os.Symlink("../x", filepath.Join(d, "l")) }), build.ErrOutside, "l"},
		"directory, root": {dir(func(d string) error { return os.Symlink("/etc/passwd", filepath.Join(d, "l")) }), build.ErrOutside, "passwd"},
		"directory, name": {dir(func(d string) error { return os.WriteFile(filepath.Join(d, "aux"), nil, 0o644) }), build.ErrName, "aux"},
		"directory, case": {dir(func(d string) error {
			return errors.Join(os.WriteFile(filepath.Join(d, "aa"), nil, 0o644), os.WriteFile(filepath.Join(d, "AA"), nil, 0o644))
		}), layer.ErrCaseConflict, "aa"},
	} {
		t.Run(name, func(t *testing.T) {
			a := assembly(t, baseImage(t))
			_, err := build.Append(t.Context(), a, build.AppendOptions{}, c.src)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v; want %v with %q", err, c.want, c.text)
			}
			if n := len(a.Layers()); n != 1 || len(a.History()) != 1 {
				t.Errorf("%d layers after the error", n)
			}
		})
	}
}

// TestAppendDeterministic: the same source makes the same bytes, whenever it was written.
func TestAppendDeterministic(t *testing.T) {
	src := tarFile(t, tar.Header{Name: "a/b"}, tar.Header{Name: "a/c"}, tar.Header{Name: ".wh.Link"})
	var first string
	for range 3 {
		a := assembly(t, openImage(t, config(hives.ServerCore(20348, 1)), baseLayer(t, hives.ServerCore(20348, 1))))
		mustAppend(t, a, build.AppendOptions{Format: blob.Gzip}, src)
		got := current(t, a).Digest().String()
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("%s, %s", first, got)
		}
	}
}
