package content_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/mullion/mullion/build/internal/content"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/winfs"
)

const now winfs.Filetime = 133000000000000000

var when = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

// tree makes files on the host. A name that ends with a slash is a directory; text that
// begins with "-> " makes a symbolic link, with "= " a hard link.
func tree(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		name, text := filepath.Join(dir, files[i]), files[i+1]
		must(t, os.MkdirAll(filepath.Dir(name), 0o777))
		switch target, isLink := strings.CutPrefix(text, "-> "); {
		case strings.HasSuffix(files[i], "/"):
			must(t, os.MkdirAll(name, 0o777))
		case isLink:
			if runtime.GOOS == "windows" {
				t.Skip("symbolic links need a privilege")
			}
			must(t, os.Symlink(target, name))
		case strings.HasPrefix(text, "= "):
			must(t, os.Link(filepath.Join(dir, text[2:]), name))
		default:
			must(t, os.WriteFile(name, []byte(text), 0o666))
			must(t, os.Chtimes(name, when, when))
		}
	}
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir, ignore string) *content.Context {
	t.Helper()
	var r io.Reader
	if ignore != "" {
		r = strings.NewReader(ignore)
	}
	c, err := content.OpenContext(dir, r)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func newDraft(t testing.TB, dirs ...string) *draft.Draft {
	t.Helper()
	d := draft.New(draft.NoLower, draft.Options{Now: now})
	t.Cleanup(func() { d.Close() })
	for _, p := range append([]string{"Files"}, dirs...) {
		must(t, d.MkdirAll(p, draft.Meta{}))
	}
	return d
}

// shown lists what is below Files.
func shown(t testing.TB, d draft.Lower) (out []string) {
	t.Helper()
	var walk func(dir string)
	walk = func(dir string) {
		for it, err := range d.Children(dir) {
			must(t, err)
			line := strings.TrimPrefix(winfs.ToSlash(it.Path), "Files/")
			switch {
			case it.IsReparsePoint():
				p, err := winfs.ParseReparse(it.Reparse)
				must(t, err)
				line += " -> " + p.Target()
				if it.Kind == layer.Dir {
					line += " dir"
				}
			case it.Kind == layer.Dir:
				line += "/"
			default:
				r, err := d.Open(it.Path)
				must(t, err)
				_, err = r.Next()
				must(t, err)
				_, err = r.NextStream()
				must(t, err)
				b, err := io.ReadAll(r)
				must(t, err)
				r.Close()
				line += " " + string(b)
				if it.Links > 1 {
					line += fmt.Sprintf(" x%d", it.Links)
				}
			}
			out = append(out, line)
			if it.Kind == layer.Dir {
				walk(it.Path)
			}
		}
	}
	walk("Files")
	return out
}

func TestCopy(t *testing.T) {
	ctx := context.Background()
	dir := tree(t,
		"a.txt", "A", "b.txt", "B", "Upper.TXT", "U",
		"src/x", "X", "src/sub/y", "Y", "src/sub/z.log", "Z", "empty/", "",
		"src/link", "-> sub", "src/file", "-> sub/y", "src/nowhere", "-> /opt/x", "src/up", "-> ../a.txt",
		"toSrc", "-> src", "toA", "-> ./src/../a.txt",
		"hard/one", "1", "hard/two", "= hard/one",
	)
	for _, c := range []struct {
		name   string
		from   []string
		dst    string
		toDir  bool
		opt    content.Options
		ignore string
		there  []string
		want   string
		err    error
	}{
		{name: "file to file", from: []string{"a.txt"}, dst: `Files\new\f`, want: "new/|new/f A"},
		{name: "file to directory", from: []string{"a.txt"}, dst: `Files\new`, toDir: true, want: "new/|new/a.txt A"},
		{name: "file to a directory that exists", from: []string{"a.txt"}, dst: `Files\NEW`, there: []string{`Files\new`}, want: "new/|new/a.txt A"},
		{name: "the content of a directory", from: []string{"src/sub"}, dst: `Files\d`, want: "d/|d/y Y|d/z.log Z"},
		{name: "into one that exists", from: []string{"src/sub"}, dst: `Files\d`, there: []string{`Files\D\Y2`}, want: "D/|D/y Y|D/Y2/|D/z.log Z"},
		{name: "links in a directory", from: []string{"src"}, dst: `Files\d`, toDir: true,
			want: `d/|d/file -> sub\y|d/link -> sub dir|d/nowhere -> \opt\x|d/sub/|d/sub/y Y|d/sub/z.log Z|d/up -> ..\a.txt|d/x X`},
		{name: "a link is followed", from: []string{"toA"}, dst: `Files\`[:5], toDir: true, want: "toA A"},
		{name: "a link in the way", from: []string{"toSrc/sub/y"}, dst: "Files", toDir: true, want: "y Y"},
		{name: "several", from: []string{"a.txt", "b.txt"}, dst: `Files\d`, toDir: true, want: "d/|d/a.txt A|d/b.txt B"},
		{name: "several to a file", from: []string{"a.txt", "b.txt"}, dst: `Files\d`, err: content.ErrNeedDir},
		{name: "wildcard", from: []string{"*.txt"}, dst: `Files\d`, toDir: true, want: "d/|d/a.txt A|d/b.txt B"},
		{name: "wildcard in the middle", from: []string{"s*/s?b/[y]"}, dst: `Files\d`, toDir: true, want: "d/|d/y Y"},
		{name: "wildcard to a file", from: []string{"*.txt"}, dst: `Files\d`, err: content.ErrNeedDir},
		{name: "wildcard of directories", from: []string{"src/su*"}, dst: `Files\d`, want: "d/|d/y Y|d/z.log Z"},
		{name: "wildcard for nothing", from: []string{"*.none"}, dst: `Files\d`, toDir: true, want: ""},
		{name: "bad wildcard", from: []string{"[a"}, dst: `Files\d`, toDir: true, err: errPattern},
		{name: "names regard case", from: []string{"upper.txt"}, dst: `Files\d`, err: fs.ErrNotExist},
		{name: "missing", from: []string{"none"}, dst: `Files\d`, err: fs.ErrNotExist},
		{name: "above the root is the root", from: []string{"../../a.txt"}, dst: `Files\d`, want: "d A"},
		{name: "directory to a file", from: []string{"src"}, dst: `Files\a.txt\..`[:11], there: []string{"=Files\\a.txt"}, err: content.ErrNotDir},
		{name: "ignored", from: []string{"src/sub"}, dst: `Files\d`, ignore: "**/*.log", want: "d/|d/y Y"},
		{name: "ignored by name", from: []string{"a.txt"}, dst: `Files\d`, ignore: "a.txt", err: fs.ErrNotExist},
		{name: "ignored behind a link", from: []string{"toA"}, dst: `Files\d`, ignore: "a.txt", err: fs.ErrNotExist},
		{name: "all but", from: []string{"."}, dst: `Files\d`, ignore: "*\n!src/sub/y", want: "d/|d/src/|d/src/sub/|d/src/sub/y Y"},
		{name: "ignored wildcard", from: []string{"*.txt"}, dst: `Files\d`, toDir: true, ignore: "b*", want: "d/|d/a.txt A"},
		{name: "exclude", from: []string{"src/sub"}, dst: `Files\d`, opt: content.Options{Exclude: []string{"*.log"}}, want: "d/|d/y Y"},
		{name: "hard links", from: []string{"hard"}, dst: `Files\d`, want: "d/|d/one 1 x2|d/two 1 x2"},
		{name: "hard link of an excluded file", from: []string{"hard"}, dst: `Files\d`, opt: content.Options{Exclude: []string{"one"}}, want: "d/|d/two 1"},
		{name: "parents", from: []string{"src/sub/y"}, dst: `Files\d`, toDir: true, opt: content.Options{Parents: true}, want: "d/|d/src/|d/src/sub/|d/src/sub/y Y"},
		{name: "parents from a pivot", from: []string{"src/./sub/*"}, dst: `Files\d`, toDir: true, opt: content.Options{Parents: true}, want: "d/|d/sub/|d/sub/y Y|d/sub/z.log Z"},
		{name: "a file is replaced", from: []string{"a.txt"}, dst: `Files\A.TXT`, there: []string{"=Files\\a.txt"}, want: "A.TXT A"},
		{name: "a directory in the way", from: []string{"a.txt"}, dst: `Files\d`, toDir: true, there: []string{`Files\d\a.txt`}, err: draft.ErrIsDir},
		{name: "empty directory", from: []string{"empty"}, dst: `Files\d`, want: "d/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDraft(t)
			for _, p := range c.there {
				if f, ok := strings.CutPrefix(p, "="); ok {
					must(t, d.Write(f, old{}, draft.Meta{}))
				} else {
					must(t, d.MkdirAll(p, draft.Meta{}))
				}
			}
			err := content.CopyInto(ctx, d, open(t, dir, c.ignore), c.from, c.dst, c.toDir, c.opt)
			if c.err != nil {
				if !errors.Is(err, c.err) {
					t.Fatalf("error %v, want %v", err, c.err)
				}
				return
			}
			must(t, err)
			if got := strings.Join(shown(t, d), "|"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

var errPattern = path.ErrBadPattern

// old is the content of a file that a copy replaces.
type old struct{}

func (old) Size() int64                  { return 3 }
func (old) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("old")), nil }

// What no layer can have is an error with its name.
func TestBadContext(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the host refuses such files")
	}
	socket := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(socket, "s"))
	must(t, err)
	defer l.Close()
	for _, c := range []struct {
		name, dir, from string
		want            error
		says            string
	}{
		{"link out of the context", tree(t, "l", "-> ../../etc"), "l", content.ErrOutside, `"l"`},
		{"absolute link", tree(t, "l", "-> /etc/passwd"), "l", content.ErrOutside, `"l"`},
		{"in the way", tree(t, "l", "-> /etc"), "l/passwd", content.ErrOutside, `"l/passwd"`},
		{"loop", tree(t, "l", "-> m", "m", "-> l"), "l", draft.ErrLinkLoop, `"l"`},
		{"socket", socket, ".", content.ErrSpecial, `"s"`},
		{"case", tree(t, "d/Name", "", "d/nAME", ""), ".", layer.ErrCaseConflict, "d/N"},
		{"colon", tree(t, "d/a:b", ""), ".", winfs.ErrNameColon, "d/a:b"},
		{"backslash", tree(t, `d/a\b`, ""), ".", winfs.ErrInvalidName, `a\\b`},
		{"device", tree(t, "d/nul.txt", ""), ".", winfs.ErrNameReserved, "d/nul.txt"},
		{"dot", tree(t, "d/a.", ""), ".", winfs.ErrNameTrailing, "d/a."},
		{"whiteout", tree(t, "d/.wh.a", ""), ".", layer.ErrInvalidName, "d/.wh.a"},
		{"not UTF-8", tree(t, "d/a\xff", ""), ".", winfs.ErrInvalidName, `d/a\xff`},
		{"control character", tree(t, "d/a\n", ""), ".", winfs.ErrNameChar, `d/a\n`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDraft(t)
			err := content.CopyInto(context.Background(), d, open(t, c.dir, ""), []string{c.from}, `Files\d`, true, content.Options{})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v and %s", err, c.want, c.says)
			}
			if err != nil && strings.Contains(err.Error(), c.dir) {
				t.Errorf("the error shows the path of the host: %v", err)
			}
		})
	}
}

// A file that changes between the copy and the reading of the layer is an error.
func TestChangedFile(t *testing.T) {
	for name, text := range map[string]string{"shorter": "a", "longer": "abcdef"} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, "f", "abc")
			d := newDraft(t)
			must(t, content.CopyInto(context.Background(), d, open(t, dir, ""), []string{"f"}, "Files", true, content.Options{}))
			must(t, os.WriteFile(filepath.Join(dir, "f"), []byte(text), 0o666))
			r, err := d.Layer()
			must(t, err)
			defer r.Close()
			for err == nil {
				if _, err = r.Next(); err == nil {
					if _, e := r.NextStream(); e == nil {
						_, err = io.Copy(io.Discard, r)
					}
				}
			}
			if !errors.Is(err, draft.ErrContent) || !strings.Contains(err.Error(), `Files\f`) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	dir := tree(t, "d/f", "x")
	for _, c := range []struct{ epoch, want time.Time }{
		{time.Time{}, when}, {when.Add(time.Hour), when}, {when.Add(-time.Hour), when.Add(-time.Hour)},
	} {
		d := newDraft(t)
		must(t, content.CopyInto(context.Background(), d, open(t, dir, ""), []string{"."}, "Files", true, content.Options{Epoch: c.epoch}))
		f, err := d.Lookup(`Files\d\f`)
		must(t, err)
		if got := f.Times.LastWrite.Time(); !got.Equal(c.want) || f.Times.Creation != f.Times.LastWrite {
			t.Errorf("%v, want %v", f.Times, c.want)
		}
		if up, err := d.Lookup(`Files\d`); err != nil || up.Times.LastWrite != now {
			t.Errorf("directory: %v, %v", up, err)
		}
	}
}

// entry is an entry of a tar in a test.
type entry struct {
	name, text string
	kind       byte
}

func archive(t testing.TB, list ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range list {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, ModTime: when, Mode: 0o644}
		if e.kind == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(e.text))
		} else {
			h.Linkname = e.text
		}
		must(t, w.WriteHeader(h))
		if e.kind == 0 {
			_, err := io.WriteString(w, e.text)
			must(t, err)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

func packed(t testing.TB, how string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		z, err := zstd.NewWriter(&out)
		must(t, err)
		w = z
	default:
		return b
	}
	_, err := w.Write(b)
	must(t, err)
	must(t, w.Close())
	return out.Bytes()
}

// An archive that tar and bzip2 made.
func TestBzip2(t *testing.T) {
	b, err := hex.DecodeString("425a683931415926535996ef90050000705b80c91040007d800000e1001e400408200054348681a0034092868d47a4d1a01f65de8840f50422257d08beb540892f63a626c0b34071c1300d983cd8e20dd06b07538aabe891101f17724538509096ef9005")
	must(t, err)
	d := newDraft(t)
	must(t, content.CopyInto(context.Background(), d, open(t, tree(t, "x", string(b)), ""), []string{"x"}, "Files", true, content.Options{Extract: true}))
	if got := shown(t, d); !slices.Equal(got, []string{"f x\n"}) {
		t.Errorf("%q", got)
	}
}

func TestAdd(t *testing.T) {
	list := []entry{
		{"./", "", tar.TypeDir}, {"d/", "", tar.TypeDir}, {"d/f", "file", 0}, {"/abs", "A", 0}, {"h", "d/f", tar.TypeLink},
		{"implied/g", "G", 0}, {"l", "d", tar.TypeSymlink}, {"later", "z", tar.TypeSymlink}, {"z/", "", tar.TypeDir},
		{"twice", "1", 0}, {"twice", "2", 0}, {"bad", "nowhere/x", tar.TypeSymlink},
	}
	want := `to/|to/abs A|to/bad -> nowhere\x|to/d/|to/d/f file x2|to/h file x2|to/implied/|to/implied/g G|to/l -> d dir|to/later -> z dir|to/twice 2|to/z/`
	for _, how := range []string{"plain", "gzip", "zstd"} {
		t.Run(how, func(t *testing.T) {
			dir := tree(t, "x.bin", string(packed(t, how, archive(t, list...))), "plain.txt", "no archive", "zero", "")
			d := newDraft(t)
			opt := content.Options{Extract: true}
			c := open(t, dir, "")
			must(t, content.CopyInto(context.Background(), d, c, []string{"x.bin"}, `Files\to`, false, opt))
			if got := strings.Join(shown(t, d), "|"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			must(t, content.CopyInto(context.Background(), d, c, []string{"plain.txt", "zero"}, `Files\other`, true, opt))
			if got := shown(t, d); !slices.Contains(got, "other/plain.txt no archive") || !slices.Contains(got, "other/zero ") {
				t.Errorf("%q", got)
			}
			if f, err := d.Lookup(`Files\to\d\f`); err != nil || !f.Times.LastWrite.Time().Equal(when) {
				t.Errorf("%v, %v", f, err)
			}
			// Reading twice gives the same.
			if a, b := shown(t, d), shown(t, d); !slices.Equal(a, b) {
				t.Errorf("%q and then %q", a, b)
			}
		})
	}
}

func TestBadArchive(t *testing.T) {
	for _, c := range []struct {
		name string
		list []entry
		want error
		says string
	}{
		{"up", []entry{{"../x", "", 0}}, winfs.ErrNameEscapes, "../x"},
		{"up in the middle", []entry{{"a/../../x", "", 0}}, winfs.ErrNameEscapes, "a/../../x"},
		{"drive", []entry{{"C:/x", "", 0}}, winfs.ErrInvalidName, "C:/x"},
		{"link target up", []entry{{"l", "../x", tar.TypeLink}}, winfs.ErrNameEscapes, `"l"`},
		{"link forward", []entry{{"l", "f", tar.TypeLink}, {"f", "", 0}}, layer.ErrLinkTarget, `"l"`},
		{"link to a directory", []entry{{"d", "", tar.TypeDir}, {"l", "d", tar.TypeLink}}, layer.ErrLinkTarget, `"l"`},
		{"through a symbolic link", []entry{{"l", "..", tar.TypeSymlink}, {"l/x", "", 0}}, layer.ErrNotDirectory, "l/x"},
		{"through a file", []entry{{"l", "", 0}, {"l/x", "", 0}}, layer.ErrNotDirectory, "l/x"},
		{"case", []entry{{"a", "", 0}, {"A", "", 0}}, layer.ErrCaseConflict, `"A"`},
		{"case of a directory", []entry{{"a/x", "", 0}, {"A/y", "", 0}}, layer.ErrCaseConflict, "A/y"},
		{"device node", []entry{{"dev/null", "", tar.TypeChar}}, content.ErrSpecial, "dev/null"},
		{"pipe", []entry{{"p", "", tar.TypeFifo}}, content.ErrSpecial, `"p"`},
		{"name of a device", []entry{{"aux", "", 0}}, winfs.ErrNameReserved, `"aux"`},
		{"file and directory", []entry{{"a", "", 0}, {"a", "", tar.TypeDir}}, layer.ErrDuplicate, `"a"`},
		{"whiteout", []entry{{".wh.a", "", 0}}, layer.ErrInvalidName, ".wh.a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, "x.tar", string(archive(t, c.list...)))
			d := newDraft(t)
			err := content.CopyInto(context.Background(), d, open(t, dir, ""), []string{"x.tar"}, `Files\d`, true, content.Options{Extract: true})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "x.tar") {
				t.Errorf("%v, want %v and %s", err, c.want, c.says)
			}
		})
	}
	dir := tree(t, "x.xz", "\xfd7zXZ\x00 and more")
	d := newDraft(t)
	if err := content.CopyInto(context.Background(), d, open(t, dir, ""), []string{"x.xz"}, "Files", true, content.Options{Extract: true}); !errors.Is(err, content.ErrXZ) {
		t.Errorf("xz: %v", err)
	}
	must(t, content.CopyInto(context.Background(), d, open(t, dir, ""), []string{"x.xz"}, "Files", true, content.Options{}))
}

func TestArchiveLimits(t *testing.T) {
	big := strings.Repeat("\x00", 20<<20)
	for _, c := range []struct {
		name   string
		limits layer.Limits
		data   []byte
	}{
		{"Entries", layer.Limits{Entries: 2}, archive(t, entry{"a", "", 0}, entry{"b", "", 0}, entry{"c", "", 0})},
		{"Entries", layer.Limits{Entries: 2}, archive(t, entry{"a/b/c/d", "", 0})},
		{"Depth", layer.Limits{Depth: 2}, archive(t, entry{"a/b/c", "", 0})},
		{"FileSize", layer.Limits{FileSize: 2}, archive(t, entry{"a", "abc", 0})},
		{"TotalSize", layer.Limits{TotalSize: 3}, archive(t, entry{"a", "ab", 0}, entry{"b", "ab", 0})},
		{"Ratio", layer.Limits{Ratio: 2}, packed(t, "gzip", archive(t, entry{"a", big, 0}))},
		{"Ratio", layer.Limits{Ratio: 2}, packed(t, "zstd", archive(t, entry{"a", big, 0}))},
	} {
		_, _, err := content.OpenArchive(context.Background(), "x", bytes.NewReader(c.data), c.limits)
		var limit *layer.LimitError
		if !errors.As(err, &limit) || limit.Limit != c.name {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The hostile corpus: an error or an archive whose files are all in it, never a panic.
func TestHostile(t *testing.T) {
	for _, c := range hostile.Cases() {
		if c.Heavy {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			b, err := c.Bytes()
			must(t, err)
			d := newDraft(t)
			dir := tree(t, "x", string(b))
			err = content.CopyInto(context.Background(), d, open(t, dir, ""), []string{"x"}, `Files\d`, true, content.Options{Extract: true})
			if err != nil {
				return
			}
			for _, line := range shown(t, d) {
				if !strings.HasPrefix(line, "d/") {
					t.Errorf("outside: %s", line)
				}
			}
		})
	}
}

// From a tree come content, streams, attributes and times; descriptors are inherited.
func TestFromTree(t *testing.T) {
	from := newDraft(t, `Files\app\Sub`)
	own := []byte("\x01\x00\x04\x80" + strings.Repeat("\x00", 16))
	must(t, from.Write(`Files\app\f`, old{}, draft.Meta{Security: own, Attributes: winfs.AttrHidden, Times: winfs.Times{LastWrite: 1e17}}))
	must(t, from.Link(`Files\app\Sub\g`, `Files\app\f`))
	junction, err := winfs.EncodeMountPoint(`C:\app\Sub`)
	must(t, err)
	must(t, from.Reparse(`Files\app\j`, true, junction, draft.Meta{}))
	must(t, from.Reparse(`Files\way`, true, junction, draft.Meta{}))
	src := content.FromTree(from, "Files")
	ctx := context.Background()
	for _, c := range []struct {
		from, want string
	}{
		{"app", `d/|d/f old x2|d/j -> C:\app\Sub dir|d/Sub/|d/Sub/g old x2`},
		{"APP/F", "d/|d/F old"},
		{"app/S*", "d/|d/g old"},
		{"A?P/*", `d/|d/f old|d/g old`},
		{"way", "d/|d/g old"},
		{"/", ""},
	} {
		d := newDraft(t)
		err := content.CopyInto(ctx, d, src, []string{c.from}, `Files\d`, true, content.Options{})
		must(t, err)
		if c.want == "" {
			continue
		}
		got := shown(t, d)
		if c.from == "A?P/*" {
			got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, "->") })
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: got %q, want %s", c.from, got, c.want)
		}
		if it, err := d.Lookup(`Files\d\f`); err == nil {
			if it.Attributes != winfs.AttrHidden || it.Times.LastWrite != 1e17 || bytes.Equal(it.Security, own) || it.Security == nil {
				t.Errorf("%s: %+v", c.from, it)
			}
		}
	}
	if err := content.CopyInto(ctx, newDraft(t), src, []string{"none"}, `Files\d`, true, content.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestInline(t *testing.T) {
	d := newDraft(t)
	must(t, content.CopyInto(context.Background(), d, content.Inline("EOF", []byte("text")), []string{"EOF"}, `Files\a`, false, content.Options{}))
	if got := shown(t, d); !slices.Equal(got, []string{"a text"}) {
		t.Errorf("%q", got)
	}
}

func TestReadFile(t *testing.T) {
	c := open(t, tree(t, "Dockerfile", "FROM x"), "*")
	if b, err := c.ReadFile("Dockerfile", 6); err != nil || string(b) != "FROM x" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := c.ReadFile("Dockerfile", 5); !errors.Is(err, layer.ErrLimit) {
		t.Errorf("too large: %v", err)
	}
	if _, err := c.ReadFile("none", 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := tree(t, "a/b", "", "x.tar", string(archive(t, entry{"a", "", 0})))
	for _, opt := range []content.Options{{}, {Extract: true}} {
		if err := content.CopyInto(ctx, newDraft(t), open(t, dir, ""), []string{"a", "x.tar"}, "Files", true, opt); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
}

func FuzzArchive(f *testing.F) {
	f.Add(archive(f, entry{"d/", "", tar.TypeDir}, entry{"d/f", "x", 0}, entry{"l", "d/f", tar.TypeLink}, entry{"s", "d", tar.TypeSymlink}))
	f.Add(packed(f, "gzip", archive(f, entry{"f", "x", 0})))
	f.Add(packed(f, "zstd", archive(f, entry{"f", "x", 0})))
	f.Add([]byte("BZh91AY&SY"))
	f.Add([]byte("\xfd7zXZ\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok, err := content.OpenArchive(context.Background(), "x", bytes.NewReader(b), layer.Limits{Entries: 1000, TotalSize: 1 << 20})
		if err != nil || !ok {
			return
		}
		defer a.Close()
		d := newDraft(t)
		var names []string
		for e, err := range a.Walk(context.Background(), ".") {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, e.Path)
			if e.Path != "." {
				if p, err := winfs.FromSlash(e.Path); err != nil || winfs.ValidatePath(p) != nil {
					t.Fatalf("%q: %v", e.Path, err)
				}
			}
			if e.Content != nil {
				r, err := e.Content.Open()
				must(t, err)
				if n, err := io.Copy(io.Discard, r); err != nil || n != e.Content.Size() {
					t.Fatalf("%s: %d bytes of %d, %v", e.Path, n, e.Content.Size(), err)
				}
			}
		}
		_ = d
		if slices.Sort(names); len(slices.Compact(names)) != len(names) {
			t.Fatalf("names twice: %q", names)
		}
	})
}
