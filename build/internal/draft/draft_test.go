package draft_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func describe(t testing.TB, sd []byte) string {
	t.Helper()
	if sd == nil {
		return "none"
	}
	d, err := winsec.Parse(sd)
	must(t, err)
	return d.SDDL()
}

// New files and directories have the metadata that Windows gives them.
func TestMetadata(t *testing.T) {
	d := draft.New(union(t, base(t)), options())
	must(t, d.MkdirAll(`Files\A\new\sub`, draft.Meta{}))
	must(t, d.Write(`Files\a\new\f`, text("x"), draft.Meta{}))
	must(t, d.Write(`Files\a\new\owned`, text("x"), draft.Meta{Owner: winsec.BuiltinUsers}))
	must(t, d.Write(`Files\a\new\explicit`, text("x"), draft.Meta{Security: winsec.NullDACL(), Attributes: winfs.AttrHidden | winfs.AttrDirectory, Times: winfs.Times{LastWrite: 7, Creation: 6}}))
	must(t, d.Write(`Hives\SYSTEM_Delta`, text("x"), draft.Meta{}))
	all := winfs.Times{Creation: now, LastAccess: now, LastWrite: now, Change: now}
	for _, c := range []struct {
		path, real, sddl string
		attributes       winfs.Attributes
		times            winfs.Times
	}{
		{`files\a\NEW`, `Files\a\new`, "O:BAG:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)", winfs.AttrDirectory, all},
		{`Files\a\new\sub`, `Files\a\new\sub`, "O:BAG:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;CO)", winfs.AttrDirectory, all},
		{`Files\a\new\f`, `Files\a\new\f`, "O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)", winfs.AttrArchive, all},
		{`Files\a\new\owned`, `Files\a\new\owned`, "O:BUG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)(A;ID;FA;;;BU)", winfs.AttrArchive, all},
		{`Files\a\new\explicit`, `Files\a\new\explicit`, "D:NO_ACCESS_CONTROL", winfs.AttrHidden, winfs.Times{Creation: 6, LastAccess: 7, LastWrite: 7, Change: 7}},
		{`Hives\System_delta`, `Hives\SYSTEM_Delta`, "none", winfs.AttrArchive, all},
	} {
		it, err := d.Lookup(c.path)
		must(t, err)
		if it.Path != c.real || it.Attributes != c.attributes || it.Times != c.times || describe(t, it.Security) != c.sddl {
			t.Errorf("%s: %+v %s", c.path, it, describe(t, it.Security))
		}
	}
	// The directories above are repeated as they are, streams included.
	l := recorded(t, d)
	for _, it := range l.Items {
		if it.Path == `Files\a` {
			if it.Times.LastWrite != 1e17+2 || len(it.Streams) != 1 || string(it.Streams[0].Data) != `dir Files\a` {
				t.Errorf("%+v", it)
			}
		}
	}
	if got, want := entries(l), `directory Files 
directory Files\a 
directory Files\a\new 
file Files\a\new\explicit 
file Files\a\new\f 
file Files\a\new\owned 
directory Files\a\new\sub 
directory Hives 
file Hives\SYSTEM_Delta 
`; got != want {
		t.Errorf("got\n%s", got)
	}
}

// A layer over nothing, and directories without descriptors and times.
func TestFromNothing(t *testing.T) {
	d := draft.New(nil, options())
	must(t, d.MkdirAll(`Files\app`, draft.Meta{}))
	must(t, d.Write(`Files\app\f`, text("x"), draft.Meta{}))
	l := recorded(t, d)
	if f := findings(t, l); len(f) > 0 {
		t.Errorf("%q", f)
	}
	files, err := d.Lookup("Files")
	must(t, err)
	if !bytes.Equal(files.Security, winsec.BuilderDirectory()) {
		t.Error(describe(t, files.Security))
	}
	// The same over a base layer that mentions no directory.
	bare := &layertest.Layer{Items: []layertest.Item{{Entry: layer.Entry{Path: `Files\a\b\f`, Kind: layer.File}}}}
	d = draft.New(union(t, bare), options())
	must(t, d.Write(`Files\A\B\g`, text("x"), draft.Meta{}))
	for _, it := range recorded(t, d).Items {
		if it.Path != "Hives" && (it.Security == nil || it.Times.LastWrite != now) {
			t.Errorf("%+v", it)
		}
	}
}

func TestErrors(t *testing.T) {
	fresh := func() *draft.Draft {
		d := draft.New(union(t, base(t)), options())
		for i, target := range []string{`D:\x`, `\\server\share`, `C:\a\out0`, `..\..\..\x`, `C:\none`} {
			b, err := winfs.EncodeSymlink(target)
			must(t, err)
			must(t, d.Reparse(fmt.Sprintf(`Files\a\out%d`, i), true, b, draft.Meta{}))
		}
		loop, err := winfs.EncodeMountPoint(`C:\loop`)
		must(t, err)
		must(t, d.Reparse(`Files\loop`, true, loop, draft.Meta{}))
		return d
	}
	write := func(path string) func(*draft.Draft) error {
		return func(d *draft.Draft) error { return d.Write(path, text("x"), draft.Meta{}) }
	}
	for _, c := range []struct {
		name string
		do   func(*draft.Draft) error
		want error
	}{
		{"no directory", write(`Files\none\f`), draft.ErrNoParent},
		{"no directory is also a missing file", write(`Files\none\f`), fs.ErrNotExist},
		{"below a file", write(`Files\f\g`), layer.ErrNotDirectory},
		{"over a directory", write(`Files\a`), draft.ErrIsDir},
		{"at the root", write(`x`), layer.ErrNotDirectory},
		{"over a root", write(`Files`), draft.ErrIsDir},
		{"bad path", write(`Files\..\x`), winfs.ErrNameEscapes},
		{"stream", write(`Files\a:b`), winfs.ErrNameColon},
		{"name of a device", write(`Files\NUL`), winfs.ErrNameReserved},
		{"last dot", write(`Files\a.`), winfs.ErrNameTrailing},
		{"whiteout", write(`Files\.WH.a`), layer.ErrInvalidName},
		{"to another drive", write(`Files\a\out0\f`), draft.ErrLinkOutside},
		{"to a share", write(`Files\a\out1\f`), draft.ErrLinkOutside},
		{"through two links", write(`Files\a\out2\f`), draft.ErrLinkOutside},
		{"above the root", write(`Files\a\out3\f`), draft.ErrLinkOutside},
		{"to nothing", write(`Files\a\out4\f`), draft.ErrNoParent},
		{"in a circle", write(`Files\loop\f`), draft.ErrLinkLoop},
		{"new root", func(d *draft.Draft) error { return d.Mkdir("Other", draft.Meta{}) }, layer.ErrInvalidName},
		{"directory exists", func(d *draft.Draft) error { return d.Mkdir(`Files\A`, draft.Meta{}) }, fs.ErrExist},
		{"directories over a file", func(d *draft.Draft) error { return d.MkdirAll(`Files\f\x`, draft.Meta{}) }, layer.ErrNotDirectory},
		{"directories over a link to nothing", func(d *draft.Draft) error { return d.MkdirAll(`Files\a\out4\x`, draft.Meta{}) }, fs.ErrNotExist},
		{"remove what is not there", func(d *draft.Draft) error { return d.Remove(`Files\none`) }, fs.ErrNotExist},
		{"remove a full directory", func(d *draft.Draft) error { return d.Remove(`Files\a`) }, draft.ErrNotEmpty},
		{"remove a root", func(d *draft.Draft) error { return d.RemoveAll(`Files`) }, layer.ErrWhiteout},
		{"hard link to a directory", func(d *draft.Draft) error { return d.Link(`Files\x`, `Files\a`) }, layer.ErrLinkTarget},
		{"hard link outside", func(d *draft.Draft) error { return d.Link(`Hives\x`, `Files\f`) }, layer.ErrLinkTarget},
		{"hard link over a file", func(d *draft.Draft) error { return d.Link(`Files\f`, `Files\h`) }, fs.ErrExist},
		{"rename over a file", func(d *draft.Draft) error { return d.Rename(`Files\f`, `Files\h`) }, fs.ErrExist},
		{"rename into itself", func(d *draft.Draft) error { return d.Rename(`Files\a`, `Files\a\b\x`) }, fs.ErrInvalid},
		{"rename a root", func(d *draft.Draft) error { return d.Rename(`Files`, `Hives\x`) }, layer.ErrWhiteout},
		{"copy a directory", func(d *draft.Draft) error { return d.Copy(`Files\a`, `Files\x`, draft.Meta{}) }, draft.ErrIsDir},
		{"copy to itself", func(d *draft.Draft) error { return d.Copy(`Files\f`, `Files\F`, draft.Meta{}) }, fs.ErrInvalid},
		{"bad reparse buffer", func(d *draft.Draft) error { return d.Reparse(`Files\x`, true, []byte{1}, draft.Meta{}) }, winfs.ErrBadReparse},
		{"bad descriptor", func(d *draft.Draft) error {
			return d.Write(`Files\x`, text(""), draft.Meta{Security: []byte{1}})
		}, winsec.ErrTruncated},
		{"too many attributes", func(d *draft.Draft) error {
			return d.Set(`Files\f`, func(e *layer.Entry) error {
				e.EAs = []winfs.EA{{Name: "A", Value: make([]byte, 60000)}, {Name: "B", Value: make([]byte, 60000)}}
				return nil
			})
		}, winfs.ErrEATooLarge},
		{"change that fails", func(d *draft.Draft) error {
			return d.Set(`Files\f`, func(e *layer.Entry) error { e.Attributes = 0xFFFF; return io.ErrNoProgress })
		}, io.ErrNoProgress},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := fresh()
			before := dump(t, d)
			if err := c.do(d); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if after := dump(t, d); !slices.Equal(before, after) {
				t.Errorf("the tree has changed:\n%s", strings.Join(after, "\n"))
			}
		})
	}
}

func TestLimits(t *testing.T) {
	lower := union(t, base(t))
	for _, c := range []struct {
		limit  string
		limits layer.Limits
		do     func(d *draft.Draft) error
	}{
		{"Entries", layer.Limits{Entries: 2}, func(d *draft.Draft) error { return d.MkdirAll(`Files\1\2\3`, draft.Meta{}) }},
		{"Depth", layer.Limits{Depth: 3}, func(d *draft.Draft) error { return d.MkdirAll(`Files\1\2\3`, draft.Meta{}) }},
		{"FileSize", layer.Limits{FileSize: 3}, func(d *draft.Draft) error { return d.Write(`Files\x`, text("long"), draft.Meta{}) }},
		{"TotalSize", layer.Limits{TotalSize: 5}, func(d *draft.Draft) error {
			// What is replaced, removed and renamed does not count.
			for _, s := range []string{"one", "two", "three"} {
				if err := d.Write(`Files\x`, text(s), draft.Meta{}); err != nil {
					return nil
				}
			}
			if d.Rename(`Files\x`, `Files\y`) != nil || d.Write(`Files\empty`, text(""), draft.Meta{}) != nil || d.Remove(`Files\y`) != nil {
				return nil
			}
			if err := d.Write(`Files\x`, text("12345"), draft.Meta{}); err != nil {
				return nil
			}
			return d.Write(`Files\z`, text("1"), draft.Meta{})
		}},
		{"MetadataLen", layer.Limits{MetadataLen: 200}, func(d *draft.Draft) error {
			return d.Set(`Files\f`, func(e *layer.Entry) error { e.ObjectID = make([]byte, 300); return nil })
		}},
	} {
		d := draft.New(lower, draft.Options{Now: now, Limits: c.limits})
		var limit *layer.LimitError
		if err := c.do(d); !errors.As(err, &limit) || limit.Limit != c.limit {
			t.Errorf("%s: %v", c.limit, err)
		}
	}
}

// A change through one name of a file that layers below made changes all names.
func TestHardLinks(t *testing.T) {
	d := draft.New(union(t, base(t)), options())
	must(t, d.Write(`Files\c\h`, text("new"), draft.Meta{}))
	l := recorded(t, d)
	if got, want := entries(l), `directory Files 
directory Files\a 
file Files\a\h 
directory Files\c 
hard link Files\c\h Files\a\h
hard link Files\h Files\a\h
directory Hives 
`; got != want {
		t.Errorf("got\n%s", got)
	}
	// A new name for a file that is as below is a link to that.
	d = draft.New(union(t, base(t)), options())
	must(t, d.Link(`Files\new`, `Files\f`))
	if got, want := entries(recorded(t, d)), "directory Files \nhard link Files\\new Files\\f\ndirectory Hives \n"; got != want {
		t.Errorf("got\n%s", got)
	}
	// What is done and undone is no change.
	must(t, d.Remove(`Files\new`))
	must(t, d.Rename(`Files\h`, `Files\h2`))
	must(t, d.Rename(`Files\h2`, `Files\h`))
	if !d.Empty() {
		t.Errorf("got\n%s", entries(recorded(t, d)))
	}
	for i := range 1023 {
		must(t, d.Link(fmt.Sprintf(`Files\f%d`, i), `Files\f`))
	}
	if err := d.Link(`Files\more`, `Files\f`); !errors.Is(err, layer.ErrUnsupported) {
		t.Errorf("1,025 names: %v", err)
	}
}

// A tree that does not know the names of its files cannot be changed through one of several.
func TestNoNames(t *testing.T) {
	type plain struct{ draft.Lower }
	d := draft.New(plain{union(t, base(t))}, options())
	if err := d.Write(`Files\h`, text("x"), draft.Meta{}); !errors.Is(err, layer.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	must(t, d.Write(`Files\f`, text("x"), draft.Meta{}))
}

// Streams, extended attributes and reparse points come along.
func TestCopyFile(t *testing.T) {
	lower := union(t, base(t))
	other := draft.New(lower, options())
	must(t, other.Set(`Files\a\s`, func(e *layer.Entry) error {
		e.EAs, e.Attributes = []winfs.EA{{Name: "EA", Value: []byte("v")}}, winfs.AttrHidden
		return nil
	}))
	d := draft.New(other, options())
	must(t, d.Copy(`Files\a\s`, `Files\c\copy`, draft.Meta{}))
	must(t, d.Copy(`Files\j`, `Files\c\j`, draft.Meta{}))
	e := draft.New(lower, options())
	must(t, e.Import(d, `Files\c\copy`, `Files\c\again`, draft.Meta{}))
	must(t, e.Copy(`Files\c\again`, `Files\c\f`, draft.Meta{Attributes: winfs.AttrSystem}))
	must(t, e.Copy(`Files\c\again`, `Files\c\j`, draft.Meta{}))
	if it, err := d.Lookup(`Files\c\j`); err != nil || it.Kind != layer.Dir || it.Reparse == nil {
		t.Errorf("%+v, %v", it, err)
	}
	for _, c := range []struct {
		d          *draft.Draft
		path       string
		attributes winfs.Attributes
	}{
		{d, `Files\c\copy`, winfs.AttrHidden}, {e, `Files\c\again`, winfs.AttrHidden}, {e, `Files\c\f`, winfs.AttrSystem},
	} {
		it, err := c.d.Lookup(c.path)
		must(t, err)
		if it.Attributes != c.attributes || it.Times.LastWrite != 1e17+2 || len(it.EAs) != 1 || it.Size != 4 {
			t.Errorf("%s: %+v", c.path, it)
		}
		r, err := c.d.Open(c.path)
		must(t, err)
		l, err := layertest.Collect(r, false)
		must(t, err)
		if s := l.Items[0].Streams; len(s) != 2 || string(s[0].Data) != "main" || s[1].Name != "alt" || string(s[1].Data) != "alternate" {
			t.Errorf("%s: %v", c.path, s)
		}
		must(t, r.Close())
	}
	// CopyFile keeps the descriptor of a file that it replaces, and its creation time.
	if it, err := e.Lookup(`Files\c\f`); err != nil || it.Times.Creation != now {
		t.Errorf("%+v, %v", it, err)
	}
	// Writing removes alternate streams.
	must(t, d.Write(`Files\c\copy`, text("only"), draft.Meta{}))
	r, err := d.Open(`Files\c\copy`)
	must(t, err)
	defer r.Close()
	if l, err := layertest.Collect(r, false); err != nil || len(l.Items[0].Streams) != 1 {
		t.Errorf("%v, %v", l, err)
	}
}

// A link that is replaced leads nowhere any more.
func TestLinkReplaced(t *testing.T) {
	d := draft.New(union(t, base(t)), options())
	link, err := winfs.EncodeSymlink(`a`)
	must(t, err)
	must(t, d.Reparse(`Files\way`, false, link, draft.Meta{}))
	must(t, d.Write(`Files\way\new`, text("x"), draft.Meta{}))
	if it, err := d.Lookup(`Files\a\new`); err != nil || it.Path != `Files\a\new` {
		t.Fatalf("%v, %v", it, err)
	}
	must(t, d.Write(`Files\way`, text("file"), draft.Meta{}))
	if err := d.Write(`Files\way\more`, text("x"), draft.Meta{}); !errors.Is(err, layer.ErrNotDirectory) {
		t.Errorf("%v", err)
	}
}

// What a lower layer has damaged is not repeated.
func TestDefect(t *testing.T) {
	b := base(t)
	for i := range b.Items {
		switch b.Items[i].Path {
		case `Files\a`:
			b.Items[i].Security = []byte{1, 2, 3}
		case `Files\f`:
			b.Items[i].Defect = errors.New("no base64")
		}
	}
	d := draft.New(union(t, b), options())
	if err := d.Write(`Files\a\new`, text("x"), draft.Meta{}); !errors.Is(err, draft.ErrDefect) || !strings.Contains(err.Error(), `Files\a`) {
		t.Errorf("%v", err)
	}
}

// A layer is the same whatever the order of the changes, and passes the check of the tar that
// it becomes.
func TestTar(t *testing.T) {
	lower := union(t, base(t))
	changes := []func(d *draft.Draft) error{
		func(d *draft.Draft) error { return d.Write(`Files\a\1`, text("1"), draft.Meta{}) },
		func(d *draft.Draft) error { return d.Write(`Files\j\2`, text("2"), draft.Meta{}) },
		func(d *draft.Draft) error { return d.Write(`Files\h`, text("3"), draft.Meta{}) },
		func(d *draft.Draft) error { return d.RemoveAll(`Files\c\d`) },
		func(d *draft.Draft) error { return d.MkdirAll(`Files\x\y\z`, draft.Meta{}) },
		func(d *draft.Draft) error { return d.Rename(`Files\a\f`, `Files\c\moved`) },
		func(d *draft.Draft) error { return d.Write(`Hives\SYSTEM_Delta`, text("hive"), draft.Meta{}) },
	}
	var first []byte
	for turn := range changes {
		d := draft.New(lower, options())
		for i := range changes {
			must(t, changes[(i+turn)%len(changes)](d))
		}
		r, err := d.Layer()
		must(t, err)
		var out bytes.Buffer
		w := wintar.NewWriter(&out)
		if _, err := layer.Convert(context.Background(), w, r); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out.Bytes()
		}
		if !bytes.Equal(first, out.Bytes()) {
			t.Errorf("turn %d: another layer", turn)
		}
	}
	for f, err := range wintar.Check(context.Background(), bytes.NewReader(first), wintar.HasParents()) {
		must(t, err)
		if !strings.HasPrefix(f.Rule, "stream") { // the directories of the fixture have streams
			t.Errorf("%v", f)
		}
	}
}
