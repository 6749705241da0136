package wintar_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
)

// when is the time of docs/spec/layers.md, "Vectors": 2020-06-03T00:00:00.1234567Z.
const when winfs.Filetime = 132356160001234567

var allTimes = winfs.Times{Creation: when, LastAccess: when + 1, LastWrite: when + 2, Change: when + 3}

func reparse(t testing.TB, encode func(string) ([]byte, error), target string) []byte {
	t.Helper()
	b, err := encode(target)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestHeaders holds the writer against the table of docs/spec/layers.md, "Headers of a
// layer tar".
func TestHeaders(t *testing.T) {
	sd := []byte{1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	raw := base64.StdEncoding.EncodeToString(sd)
	times := map[string]string{"LIBARCHIVE.creationtime": "1591142400.1234567", "mtime": "1591142400.1234569", "atime": "1591142400.1234568", "ctime": "1591142400.123457"}
	with := func(more ...string) map[string]string {
		m := maps.Clone(times)
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	odd, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagSymlink, Substitute: `\??\C:\real`, Print: "shown"}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	wci, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagWCI, Data: []byte{1, 2, 3, 4}}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	type header struct {
		name, link string
		kind       byte
		mode, size int64
		pax        map[string]string
	}
	for _, c := range []struct {
		name string
		item layertest.Item
		want []header
	}{
		{"directory", layertest.Item{Entry: layer.Entry{Path: `Files\Windows`, Kind: layer.Dir, Attributes: 0x10, Times: allTimes, Security: sd}},
			[]header{{"Files/Windows", "", '5', 0o40000, 0, with("MSWINDOWS.fileattr", "16", "MSWINDOWS.rawsd", raw)}}},
		{"file", layertest.Item{Entry: layer.Entry{Path: `Files\a`, Kind: layer.File, Size: 2, Attributes: 0x20, Times: allTimes, EAs: []winfs.EA{{Name: "B", Value: []byte("bar")}, {Name: "A", Value: []byte("foo")}}}, Streams: []layertest.Stream{{Data: []byte("hi")}}},
			[]header{{"Files/a", "", '0', 0o100000, 2, with("MSWINDOWS.fileattr", "32", "MSWINDOWS.xattr.A", "Zm9v", "MSWINDOWS.xattr.B", "YmFy")}}},
		{"empty file", layertest.Item{Entry: layer.Entry{Path: `Files\a`, Kind: layer.File, Attributes: 0x20, Times: allTimes}, Streams: []layertest.Stream{{}}},
			[]header{{"Files/a", "", '0', 0o100000, 0, with("MSWINDOWS.fileattr", "32")}}},
		{"file without a main stream", layertest.Item{Entry: layer.Entry{Path: `Files\a`, Kind: layer.File, NoMain: true, Attributes: 0x20, Times: allTimes}, Streams: []layertest.Stream{{}}},
			[]header{{"Files/a", "", '0', 0, 0, with("MSWINDOWS.fileattr", "32")}}},
		{"symbolic link to a file", layertest.Item{Entry: layer.Entry{Path: `Files\l`, Kind: layer.File, NoMain: true, Attributes: 0x420, Times: allTimes, Reparse: reparse(t, winfs.EncodeSymlink, `..\a`)}, Streams: []layertest.Stream{{}}},
			[]header{{"Files/l", `..\a`, '2', 0o120000, 0, with("MSWINDOWS.fileattr", "1056")}}},
		{"symbolic link to a directory", layertest.Item{Entry: layer.Entry{Path: `Files\l`, Kind: layer.Dir, Attributes: 0x410, Times: allTimes, Reparse: reparse(t, winfs.EncodeSymlink, `C:\d`)}},
			[]header{{"Files/l", `C:\d`, '2', 0o160000, 0, with("MSWINDOWS.fileattr", "1040")}}},
		{"junction", layertest.Item{Entry: layer.Entry{Path: `Files\j`, Kind: layer.Dir, Attributes: 0x410, Times: allTimes, Reparse: reparse(t, winfs.EncodeMountPoint, `C:\d`)}},
			[]header{{"Files/j", `C:\d`, '2', 0o160000, 0, with("MSWINDOWS.fileattr", "1040", "MSWINDOWS.mountpoint", "1")}}},
		{"link whose target shows another", layertest.Item{Entry: layer.Entry{Path: `Files\l`, Kind: layer.File, NoMain: true, Attributes: 0x420, Times: allTimes, Reparse: odd}, Streams: []layertest.Stream{{}}},
			[]header{{"Files/l", "shown", '2', 0o120000, 0, with("MSWINDOWS.fileattr", "1056", "MULLION.reparse", base64.StdEncoding.EncodeToString(odd))}}},
		{"link with content", layertest.Item{Entry: layer.Entry{Path: `Files\l`, Kind: layer.File, Size: 1, Attributes: 0x420, Times: allTimes, Reparse: reparse(t, winfs.EncodeSymlink, "a")}, Streams: []layertest.Stream{{Data: []byte("x")}}},
			[]header{{"Files/l", "", '0', 0o100000, 1, with("MSWINDOWS.fileattr", "1056", "MULLION.reparse", base64.StdEncoding.EncodeToString(reparse(t, winfs.EncodeSymlink, "a")))}}},
		{"other reparse point", layertest.Item{Entry: layer.Entry{Path: `Files\d`, Kind: layer.Dir, Attributes: 0x10, Times: allTimes, Reparse: wci}},
			[]header{{"Files/d", "", '5', 0o40000, 0, with("MSWINDOWS.fileattr", "1040", "MULLION.reparse", base64.StdEncoding.EncodeToString(wci))}}},
		{"hard link", layertest.Item{Entry: layer.Entry{Path: `UtilityVM\Files\b`, Kind: layer.Link, Target: `Files\a`, Attributes: 0x20, Times: allTimes}},
			[]header{{"UtilityVM/Files/b", "Files/a", '1', 0o644, 0, with("MSWINDOWS.fileattr", "32")}}},
		{"whiteout", layertest.Item{Entry: layer.Entry{Path: `Files\a\b`, Kind: layer.Whiteout}},
			[]header{{"Files/a/.wh.b", "", '0', 0, 0, nil}}},
		{"opaque whiteout", layertest.Item{Entry: layer.Entry{Path: `Files\a`, Kind: layer.Opaque}},
			[]header{{"Files/a/.wh..wh..opq", "", '0', 0, 0, nil}}},
		{"alternate streams", layertest.Item{Entry: layer.Entry{Path: `Files\d`, Kind: layer.Dir, Attributes: 0x10, Times: allTimes}, Streams: []layertest.Stream{{Name: "s", Data: []byte("hi")}, {Name: "t"}}},
			[]header{{"Files/d", "", '5', 0o40000, 0, with("MSWINDOWS.fileattr", "16")},
				{"Files/d:s", "", '0', 0o40000, 2, map[string]string{"mtime": times["mtime"], "atime": times["atime"], "ctime": times["ctime"]}},
				{"Files/d:t", "", '0', 0o40000, 0, map[string]string{"mtime": times["mtime"], "atime": times["atime"], "ctime": times["ctime"]}}}},
		{"flags of an extended attribute", layertest.Item{Entry: layer.Entry{Path: `Files\d`, Kind: layer.Dir, Attributes: 0x10, Times: allTimes, EAs: []winfs.EA{{Name: "foo", Flags: 0x80, Value: []byte("bar")}}}},
			[]header{{"Files/d", "", '5', 0o40000, 0, with("MSWINDOWS.fileattr", "16", "MSWINDOWS.xattr.foo", "YmFy",
				"MULLION.eas", base64.StdEncoding.EncodeToString([]byte{0, 0, 0, 0, 0x80, 3, 3, 0, 'f', 'o', 'o', 0, 'b', 'a', 'r', 0}))}}},
		{"unset times", layertest.Item{Entry: layer.Entry{Path: `Files\d`, Kind: layer.Dir, Attributes: 0x10}},
			[]header{{"Files/d", "", '5', 0o40000, 0, map[string]string{"LIBARCHIVE.creationtime": "-11644473600", "mtime": "-11644473600", "atime": "-11644473600", "ctime": "-11644473600", "MSWINDOWS.fileattr": "16"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := archive(t, &layertest.Layer{Items: []layertest.Item{c.item}})
			tr := tar.NewReader(bytes.NewReader(b))
			for _, want := range c.want {
				h, err := tr.Next()
				if err != nil {
					t.Fatal(err)
				}
				got := header{h.Name, h.Linkname, h.Typeflag, h.Mode, h.Size, h.PAXRecords}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("got  %v\nwant %v", got, want)
				}
				if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
					t.Errorf("owner %d %d %q %q", h.Uid, h.Gid, h.Uname, h.Gname)
				}
				if isWhiteout := strings.Contains(h.Name, ".wh."); isWhiteout != (h.Format == tar.FormatUSTAR) || isWhiteout && h.ModTime.Unix() != 0 {
					t.Errorf("format %v, time %v", h.Format, h.ModTime)
				}
			}
			if _, err := tr.Next(); err != io.EOF {
				t.Errorf("more than %d headers", len(c.want))
			}
			// And back, to the same item.
			l, err := layertest.Collect(wintar.NewReader(bytes.NewReader(b)), true)
			if err != nil {
				t.Fatal(err)
			}
			f := layertest.Format{Normalize: func(it *layertest.Item) {
				if it.IsReparsePoint() {
					it.Attributes |= winfs.AttrReparsePoint
				}
			}}
			for _, d := range f.Compare(&layertest.Layer{Items: []layertest.Item{c.item}}, l, true) {
				t.Error(d)
			}
		})
	}
}

// archive writes a layer with the writer under test.
func archive(t testing.TB, l *layertest.Layer, opts ...wintar.Option) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wintar.NewWriter(&b, opts...)
	r, _ := l.Open()
	if _, err := layer.Copy(context.Background(), w, r); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestIdentity: the output of the writer is read and written again byte for byte.
func TestIdentity(t *testing.T) {
	for seed := range uint64(20) {
		first := archive(t, layertest.Random(seed, layertest.Shape{Entries: 150}))
		var second bytes.Buffer
		w := wintar.NewWriter(&second)
		if _, err := layer.Copy(context.Background(), w, wintar.NewReader(bytes.NewReader(first))); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second.Bytes()) {
			t.Fatalf("seed %d: %d bytes became %d others", seed, len(first), second.Len())
		}
		for f, err := range wintar.Check(t.Context(), bytes.NewReader(first)) {
			if err != nil {
				t.Fatal(err)
			}
			switch f.Rule {
			case wintar.RuleBadRecord.ID, wintar.RuleInvalidName.ID, wintar.RuleBadHeader.ID, wintar.RuleStaleRecord.ID, wintar.RuleUnknownRecord.ID, layer.RuleDuplicate.ID, layer.RuleMissingParent.ID:
				t.Errorf("seed %d: the check does not like what the writer writes: %v", seed, f)
			}
		}
	}
}

// TestForeign reads headers as other tools write them.
func TestForeign(t *testing.T) {
	records := func(more ...string) map[string]string {
		m := map[string]string{"MSWINDOWS.fileattr": "32"}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	mtime := when.Time()
	for _, c := range []struct {
		name  string
		opts  []wintar.Option
		head  tar.Header
		check func(e *layer.Entry) error
	}{
		{"times default to mtime", nil, tar.Header{Name: "Files/a", ModTime: mtime, PAXRecords: records(), Format: tar.FormatPAX}, func(e *layer.Entry) error {
			if e.Times != (winfs.Times{Creation: when, LastAccess: when, LastWrite: when, Change: when}) {
				return fmt.Errorf("%v", e.Times)
			}
			return nil
		}},
		{"or to Go's zero", []wintar.Option{wintar.GoZeroTime()}, tar.Header{Name: "Files/a", ModTime: mtime, PAXRecords: records(), Format: tar.FormatPAX}, func(e *layer.Entry) error {
			if e.Times != (winfs.Times{Creation: when, LastAccess: 48491090211286549, LastWrite: when, Change: 48491090211286549}) {
				return fmt.Errorf("%v", e.Times)
			}
			return nil
		}},
		{"GNU times", nil, tar.Header{Name: "Files/a", ModTime: mtime, AccessTime: mtime, Format: tar.FormatGNU}, func(e *layer.Entry) error {
			whole := when - 1234567
			if e.Times != (winfs.Times{Creation: whole, LastAccess: whole, LastWrite: whole, Change: whole}) {
				return fmt.Errorf("%v", e.Times)
			}
			return nil
		}},
		{"SDDL", nil, tar.Header{Name: "Files/a", PAXRecords: records("MSWINDOWS.sd", "O:BAG:SYD:(A;;FA;;;BA)"), Format: tar.FormatPAX}, func(e *layer.Entry) error {
			if len(e.Security) != 80 || e.Security[0] != 1 {
				return fmt.Errorf("descriptor of %d bytes", len(e.Security))
			}
			return nil
		}},
		{"rawsd wins over SDDL", nil, tar.Header{Name: "Files/a", PAXRecords: records("MSWINDOWS.sd", "nonsense", "MSWINDOWS.rawsd", "AQID"), Format: tar.FormatPAX}, func(e *layer.Entry) error {
			if string(e.Security) != "\x01\x02\x03" {
				return fmt.Errorf("% x", e.Security)
			}
			return nil
		}},
		{"trailing slash and dot", nil, tar.Header{Name: "./Files/a/", Typeflag: tar.TypeDir}, func(e *layer.Entry) error {
			if e.Path != `Files\a` || e.Kind != layer.Dir || e.Attributes != winfs.AttrDirectory {
				return fmt.Errorf("%+v", e)
			}
			return nil
		}},
		{"link with slashes", nil, tar.Header{Name: "Files/l", Linkname: "../a/b", Typeflag: tar.TypeSymlink}, func(e *layer.Entry) error {
			p, err := winfs.ParseReparse(e.Reparse)
			if err != nil || p.Target() != `..\a\b` || !p.Relative || e.Kind != layer.File || e.Attributes != winfs.AttrReparsePoint {
				return fmt.Errorf("%+v, %v", p, err)
			}
			return nil
		}},
		{"hard link", nil, tar.Header{Name: "Files/l", Linkname: "./Files/a", Typeflag: tar.TypeLink}, func(e *layer.Entry) error {
			if e.Kind != layer.Link || e.Target != `Files\a` {
				return fmt.Errorf("%+v", e)
			}
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			tw := tar.NewWriter(&b)
			if c.head.Typeflag == 0 {
				c.head.Typeflag = tar.TypeReg
			}
			if err := errors.Join(tw.WriteHeader(&c.head), tw.Close()); err != nil {
				t.Fatal(err)
			}
			e, err := wintar.NewReader(&b, c.opts...).Next()
			if err == nil {
				err = c.check(e)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStreamForms reads alternate streams in every form that occurs.
func TestStreamForms(t *testing.T) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	put := func(name string, kind byte, data string) {
		t.Helper()
		h := &tar.Header{Name: name, Typeflag: kind, Size: int64(len(data)), Linkname: map[byte]string{tar.TypeSymlink: "x"}[kind]}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(tw, data)
	}
	put("Files/d/", tar.TypeDir, "")
	put("Files/d:one", tar.TypeReg, "1")
	put("Files/d:two:$DATA", tar.TypeReg, "22")
	put("Files/l", tar.TypeSymlink, "")
	put("./Files/l:one:$data", tar.TypeReg, "1")
	put("Files/e", tar.TypeReg, "")
	put("Files/e:one", tar.TypeReg, "")
	put("Files/f", tar.TypeReg, "main")
	put("Files/f:one", tar.TypeReg, "one")
	tw.Close()
	l, err := layertest.Collect(wintar.NewReader(&b), false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, it := range l.Items {
		s := it.Path
		for _, st := range it.Streams {
			s += fmt.Sprintf(" %s=%s", st.Name, st.Data)
		}
		got = append(got, s)
	}
	want := []string{`Files\d one=1 two=22`, `Files\l = one=1`, `Files\e = one=`, `Files\f =main one=one`}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestStaleRecords changes a standard field behind the back of our records, as
// another tool would.
func TestStaleRecords(t *testing.T) {
	odd, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagSymlink, Substitute: `\??\C:\real`, Print: "shown"}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b := archive(t, &layertest.Layer{Items: []layertest.Item{
		{Entry: layer.Entry{Path: "l", Kind: layer.File, Reparse: odd, EAs: []winfs.EA{{Name: "A", Flags: 0x80, Value: []byte("1")}}}, Streams: []layertest.Stream{{}}},
	}})
	edit := func(from, to string) *layer.Entry {
		t.Helper()
		var out bytes.Buffer
		tr, tw := tar.NewReader(bytes.NewReader(b)), tar.NewWriter(&out)
		h, err := tr.Next()
		if err != nil {
			t.Fatal(err)
		}
		h.Linkname = strings.ReplaceAll(h.Linkname, from, to)
		if h.PAXRecords["MSWINDOWS.xattr.A"] == from {
			h.PAXRecords["MSWINDOWS.xattr.A"] = to
		}
		if err := errors.Join(tw.WriteHeader(h), tw.Close()); err != nil {
			t.Fatal(err)
		}
		e, err := wintar.NewReader(&out).Next()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := edit("", ""); !bytes.Equal(e.Reparse, odd) || e.EAs[0].Flags != 0x80 {
		t.Errorf("unchanged: %+v", e)
	}
	if e := edit("shown", "else"); bytes.Equal(e.Reparse, odd) || e.EAs[0].Flags != 0x80 {
		t.Errorf("changed target: %+v", e)
	}
	if e := edit("MQ==", "Mg=="); !bytes.Equal(e.Reparse, odd) || e.EAs[0].Flags != 0 || string(e.EAs[0].Value) != "2" {
		t.Errorf("changed attribute: %+v", e)
	}
}

func TestMissingTrailer(t *testing.T) {
	b := archive(t, layertest.Random(1, layertest.Shape{Entries: 10}))
	cut := b[:len(b)-1024]
	if err := drain(wintar.NewReader(bytes.NewReader(cut))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without trailer: %v", err)
	}
	if err := drain(wintar.NewReader(bytes.NewReader(cut), wintar.AllowMissingTrailer())); err != nil {
		t.Errorf("when allowed: %v", err)
	}
	// Every cut is noticed, wherever it is.
	for n := 0; n < len(b)-1024; n += 1 + len(b)/500 {
		if err := drain(wintar.NewReader(io.MultiReader(bytes.NewReader(b[:n])))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d of %d: %v", n, len(b), err)
		}
	}
}

// TestReadsToTheEnd: a digest over the source covers the bytes after the archive.
func TestReadsToTheEnd(t *testing.T) {
	b := archive(t, layertest.Random(1, layertest.Shape{Entries: 10}))
	b = append(b, make([]byte, 200<<10)...)
	src := bytes.NewBuffer(b)
	if err := drain(wintar.NewReader(src)); err != nil || src.Len() != 0 {
		t.Errorf("%v, %d bytes are left", err, src.Len())
	}
	failing := io.MultiReader(bytes.NewReader(b), brokenReader{})
	if err := drain(wintar.NewReader(failing)); !errors.Is(err, errBroken) {
		t.Errorf("an error behind the archive is lost: %v", err)
	}
}

var errBroken = errors.New("digest does not match")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

// TestOddEntries are entries that Windows takes: they are read and written again as they
// are, and the check says something.
func TestOddEntries(t *testing.T) {
	type want struct {
		path, rule, target string
		kind               layer.Kind
		security           string
	}
	junction := map[string]string{"MSWINDOWS.mountpoint": "1", "MSWINDOWS.fileattr": "1040"}
	for _, c := range []struct {
		h    tar.Header
		want want
	}{
		{tar.Header{Name: "Files/app/aux.js"}, want{`Files\app\aux.js`, layer.RuleReserved.ID, "", layer.File, ""}},
		{tar.Header{Name: "Files/NUL", Typeflag: tar.TypeDir}, want{`Files\NUL`, layer.RuleReserved.ID, "", layer.Dir, ""}},
		{tar.Header{Name: "Files/a. "}, want{`Files\a. `, layer.RuleTrailing.ID, "", layer.File, ""}},
		{tar.Header{Name: "Files/l", Typeflag: tar.TypeLink, Linkname: "Files/con.txt"}, want{`Files\l`, layer.RuleReserved.ID, "", layer.Link, ""}},
		// PowerShell leaves the print name of a junction empty, and exporters look at nothing else.
		{tar.Header{Name: "Files/j", Typeflag: tar.TypeSymlink, PAXRecords: junction}, want{`Files\j`, layer.RuleLinkNowhere.ID, "", layer.Dir, ""}},
		{tar.Header{Name: "Files/j", Typeflag: tar.TypeSymlink, Linkname: "foo", PAXRecords: junction}, want{`Files\j`, layer.RuleLinkNowhere.ID, "foo", layer.Dir, ""}},
		{tar.Header{Name: "Files/j", Typeflag: tar.TypeSymlink, Linkname: "C:foo"}, want{`Files\j`, layer.RuleLinkNowhere.ID, "C:foo", layer.File, ""}},
		{tar.Header{Name: "Files/j", Typeflag: tar.TypeSymlink, Linkname: "a\nb"}, want{`Files\j`, layer.RuleLinkNowhere.ID, "a\nb", layer.File, ""}},
		{tar.Header{Name: "Files/.wh.x", Typeflag: tar.TypeLink, Linkname: "Files/y"}, want{`Files\x`, wintar.RuleOddWhiteout.ID, "", layer.Whiteout, ""}},
		{tar.Header{Name: "Files/.wh.x", Typeflag: tar.TypeFifo}, want{`Files\x`, wintar.RuleOddWhiteout.ID, "", layer.Whiteout, ""}},
		{tar.Header{Name: "Files/p", PAXRecords: map[string]string{"MSWINDOWS.sd": "O:LAG:DUD:(A;;FA;;;BA)"}},
			want{`Files\p`, wintar.RuleMachineAlias.ID, "", layer.File, "O:S-1-5-21-0-0-0-500G:S-1-5-21-0-0-0-513D:(A;;FA;;;BA)"}},
	} {
		b := headers(t, c.h)
		for range 2 {
			r := wintar.NewReader(bytes.NewReader(b))
			e, err := r.Next()
			if err != nil {
				t.Errorf("%s: %v", c.h.Name, err)
				break
			}
			target, security := "", ""
			if e.IsReparsePoint() {
				p, err := winfs.ParseReparse(e.Reparse)
				if err != nil {
					t.Fatal(err)
				}
				target = p.Target()
			}
			if e.Security != nil {
				d, err := winsec.Parse(e.Security)
				if err != nil {
					t.Fatal(err)
				}
				security = d.SDDL()
			}
			if e.Path != c.want.path || e.Kind != c.want.kind || target != c.want.target || security != c.want.security || e.Defect != nil {
				t.Errorf("%s: %+v leads to %q, %s", c.h.Name, e, target, security)
			}
			if got := rulesOf(b); c.want.rule != "" && !slices.Contains(got, c.want.rule) {
				t.Errorf("%s: %s is not found, but %q", c.h.Name, c.want.rule, got)
			}
			// The entries are written, and read again with the same content.
			var again bytes.Buffer
			w := wintar.NewWriter(&again)
			if _, err := layer.Copy(context.Background(), w, wintar.NewReader(bytes.NewReader(b))); err != nil {
				t.Errorf("%s: %v", c.h.Name, err)
				break
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			b = again.Bytes()
			if c.want.rule == wintar.RuleOddWhiteout.ID || c.want.rule == wintar.RuleMachineAlias.ID {
				c.want.rule = "" // it is an orderly one now
			}
		}
	}
}

// TestDefects: metadata that makes no sense is no obstacle to who reads names and content,
// and one to who writes the layer.
func TestDefects(t *testing.T) {
	for key, value := range map[string]string{
		"MSWINDOWS.fileattr": "x", "MSWINDOWS.rawsd": "!", "MSWINDOWS.sd": "O:XX(", "MSWINDOWS.xattr.A": "?",
		"LIBARCHIVE.creationtime": "never", "MULLION.reparse": "AAAA", "MULLION.objectid": "AAAA", "MULLION.future": "1",
	} {
		b := headers(t, tar.Header{Name: "Files/evil", PAXRecords: map[string]string{key: value}}, tar.Header{Name: "Files/x"})
		r := wintar.NewReader(bytes.NewReader(b))
		e, err := r.Next()
		if err != nil || e.Path != `Files\evil` || e.Defect == nil || !strings.Contains(e.Defect.Error(), key) {
			t.Errorf("%s: %+v, %v", key, e, err)
			continue
		}
		if e, err = r.Next(); err != nil || e.Defect != nil {
			t.Errorf("%s: the next entry: %+v, %v", key, e, err)
		}
		open := func() (layer.Reader, error) { return wintar.NewReader(bytes.NewReader(b)), nil }
		view, err := layer.Union(context.Background(), []layer.Source{layer.SourceFunc(open)})
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		for _, src := range []layer.Reader{wintar.NewReader(bytes.NewReader(b)), view.Reader()} {
			var placed *layer.Error
			_, err := layer.Copy(context.Background(), wintar.NewWriter(io.Discard), src)
			if !errors.As(err, &placed) || !strings.Contains(placed.Entry, "evil") {
				t.Errorf("%s: a copy gives %v", key, err)
			}
			src.Close()
		}
		told := ""
		_, err = layer.Copy(context.Background(), wintar.NewWriter(io.Discard), view.Reader(), layer.WithDefects(func(e *layer.Entry) { told += e.Path }))
		if err != nil || told != `Files\evil` {
			t.Errorf("%s: a copy that goes on: %q, %v", key, told, err)
		}
		view.Close()
	}
}

func TestWriterRefusesWhiteoutNames(t *testing.T) {
	for _, e := range []layer.Entry{
		{Path: `Files\.wh.x`, Kind: layer.File},
		{Path: `Files\.wh.x`, Kind: layer.Dir},
		{Path: `Files\.wh..wh..opq`, Kind: layer.File},
		{Path: `Files\.wh..opq`, Kind: layer.Whiteout},
	} {
		if err := wintar.NewWriter(io.Discard).Add(&e); !errors.Is(err, layer.ErrUnsupported) {
			t.Errorf("%v %q: %v", e.Kind, e.Path, err)
		}
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.tar")
	make := func(opts ...wintar.Option) error {
		w, err := wintar.Create(path, opts...)
		if err != nil {
			return err
		}
		defer w.Close()
		return w.Commit()
	}
	if err := make(); err != nil {
		t.Fatal(err)
	}
	if err := make(); !errors.Is(err, layer.ErrExists) {
		t.Errorf("an existing file: %v", err)
	}
	if err := make(wintar.Overwrite()); err != nil {
		t.Error(err)
	}
	w, err := wintar.Create(path, wintar.Overwrite())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wintar.Create(path, wintar.Overwrite()); err == nil {
		t.Error("two writers of one file")
	}
	if err := w.Commit(); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	list, _ := os.ReadDir(dir)
	if len(list) != 1 {
		t.Errorf("%d files are left", len(list))
	}
	if _, err := wintar.Create(filepath.Join(dir, "missing", "a.tar")); err == nil {
		t.Error("a folder that is not there")
	}
}
