package backup

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// The vectors of docs/spec/layers.md, "Vectors".
const (
	helloVector  = `01000000 00000000 0500000000000000 00000000 | 68656c6c6f`
	streamVector = `04000000 00000000 0200000000000000 10000000 | 3a0073003a00240044004100540041 00 | 6869`
	sparseVector = `01000000 08000000 0000000000000000 00000000
		09000000 08000000 0b00000000000000 00000000 | 0000000000000000 | 616263
		09000000 08000000 0800000000000000 00000000 | 40420f0000000000`
)

type part struct {
	Header
	data string
}

func readAll(r *Reader) (parts []part, err error) {
	for {
		h, err := r.Next()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return parts, err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return parts, err
		}
		parts = append(parts, part{*h, string(b)})
	}
}

func writeAll(parts []part) ([]byte, error) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	for i := range parts {
		if err := w.WriteHeader(&parts[i].Header); err != nil {
			return buf.Bytes(), err
		}
		if _, err := io.WriteString(w, parts[i].data); err != nil {
			return buf.Bytes(), err
		}
	}
	return buf.Bytes(), w.Close()
}

var vectors = map[string]struct {
	raw   string
	parts []part
}{
	"empty":  {"", nil},
	"hello":  {helloVector, []part{{Header{ID: Data, Size: 5}, "hello"}}},
	"stream": {streamVector, []part{{Header{ID: AlternateData, Size: 2, Name: ":s:$DATA"}, "hi"}}},
	"sparse": {sparseVector, []part{
		{Header{ID: Data, Attributes: AttrSparse}, ""},
		{Header{ID: SparseBlock, Attributes: AttrSparse, Size: 3}, "abc"},
		{Header{ID: SparseBlock, Attributes: AttrSparse, Offset: 1000000}, ""},
	}},
	"every kind": {`03000000 02000000 0100000000000000 00000000 53
		02000000 00000000 0100000000000000 00000000 45
		01000000 00000000 0100000000000000 00000000 44
		05000000 00000000 0000000000000000 00000000
		06000000 04000000 0100000000000000 00000000 50
		07000000 00000000 0100000000000000 00000000 4f
		08000000 00000000 0100000000000000 00000000 52
		0a000000 00000000 0100000000000000 00000000 54
		0b000000 10000000 0100000000000000 00000000 47
		09000000 00000000 0800000000000000 00000000 0100000000000000`, []part{
		{Header{ID: Security, Attributes: AttrContainsSecurity, Size: 1}, "S"},
		{Header{ID: EAData, Size: 1}, "E"},
		{Header{ID: Data, Size: 1}, "D"},
		{Header{ID: Link}, ""},
		{Header{ID: Property, Attributes: AttrContainsProperties, Size: 1}, "P"},
		{Header{ID: ObjectID, Size: 1}, "O"},
		{Header{ID: ReparseData, Size: 1}, "R"},
		{Header{ID: TxfsData, Size: 1}, "T"},
		{Header{ID: GhostedExtent, Attributes: AttrContainsGhosted, Size: 1}, "G"},
		{Header{ID: SparseBlock, Offset: 1}, ""}, // a terminator late and after full data
	}},
	"lone surrogate": {`04000000 00000000 0000000000000000 06000000 3a00 00d8 7a00`,
		[]part{{Header{ID: AlternateData, Name: ":\xed\xa0\x80z"}, ""}}},
}

func TestVectors(t *testing.T) {
	for name, v := range vectors {
		t.Run(name, func(t *testing.T) {
			raw := testenv.Hex(t, v.raw)
			sources := map[string]io.Reader{
				"seeker":   bytes.NewReader(raw),
				"buffer":   bytes.NewBuffer(bytes.Clone(raw)),
				"one byte": iotest.OneByteReader(bytes.NewReader(raw)),
				"data+EOF": iotest.DataErrReader(bytes.NewReader(raw)),
			}
			for kind, src := range sources {
				r := NewReader(src)
				parts, err := readAll(r)
				if err != nil || !reflect.DeepEqual(parts, v.parts) {
					t.Errorf("%s: read %+v, %v", kind, parts, err)
				}
				if r.Offset() != int64(len(raw)) {
					t.Errorf("%s: offset %d of %d", kind, r.Offset(), len(raw))
				}
				if _, err := r.Next(); err != io.EOF {
					t.Errorf("%s: Next after the end: %v", kind, err)
				}
			}
			got, err := writeAll(v.parts)
			if err != nil || !bytes.Equal(got, raw) {
				t.Errorf("written % x, %v\nwant % x", got, err, raw)
			}
			boundary := map[int]bool{}
			at := 0
			for _, p := range v.parts {
				boundary[at] = true
				one, _ := writeAll([]part{p})
				if p.ID == SparseBlock {
					one = make([]byte, headerSize+sparseOffsetSize+p.Size)
				}
				at += len(one)
			}
			for n := range raw {
				for kind, src := range map[string]io.Reader{
					"seeker": bytes.NewReader(raw[:n]), "stream": iotest.OneByteReader(bytes.NewReader(raw[:n])),
				} {
					_, err := readAll(NewReader(src))
					if boundary[n] && err != nil || !boundary[n] && !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("%s cut to %d bytes (boundary %v): %v", kind, n, boundary[n], err)
					}
				}
			}
		})
	}
}

func TestCorruptHeaders(t *testing.T) {
	data := `01000000 00000000 0000000000000000 00000000 `
	for name, c := range map[string]struct {
		raw string
		err error
	}{
		"ID 0":                 {`00000000 00000000 0000000000000000 00000000`, ErrUnknownID},
		"ID 12":                {`0c000000 00000000 0000000000000000 00000000`, ErrUnknownID},
		"size over int64":      {`01000000 00000000 0000000000000080 00000000`, ErrCorrupt},
		"size all ones":        {`01000000 00000000 ffffffffffffffff 00000000`, ErrCorrupt},
		"odd name":             {`04000000 00000000 0000000000000000 03000000 3a0073`, ErrCorrupt},
		"huge name":            {`04000000 00000000 0000000000000000 feffffff`, ErrCorrupt},
		"name over the limit":  {`04000000 00000000 0000000000000000 02000100`, ErrCorrupt},
		"block before data":    {`09000000 00000000 0800000000000000 00000000 0000000000000000`, ErrCorrupt},
		"block without offset": {data + `09000000 00000000 0700000000000000 00000000 0000000000000000`, ErrCorrupt},
		"negative offset":      {data + `09000000 00000000 0800000000000000 00000000 ffffffffffffffff`, ErrCorrupt},
		"end past int64":       {data + `09000000 00000000 0900000000000000 00000000 ffffffffffffff7f 00`, ErrCorrupt},
		"block goes back": {data + `09000000 00000000 0a00000000000000 00000000 0500000000000000 0000
			09000000 00000000 0900000000000000 00000000 0600000000000000 00`, ErrCorrupt},
		"block after terminator": {data + `09000000 00000000 0800000000000000 00000000 0500000000000000
			09000000 00000000 0900000000000000 00000000 0600000000000000 00`, ErrCorrupt},
		"block within data": {`01000000 00000000 0200000000000000 00000000 0000
			09000000 00000000 0900000000000000 00000000 0100000000000000 00`, ErrCorrupt},
	} {
		r := NewReader(bytes.NewReader(testenv.Hex(t, c.raw)))
		_, err := readAll(r)
		var be *Error
		if !errors.Is(err, c.err) || !errors.As(err, &be) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
			continue
		}
		if _, again := r.Next(); again != err {
			t.Errorf("%s: the second error is %v", name, again)
		}
	}
}

// A declared size of 2^62 must neither allocate nor be believed by seeking.
func TestHugeSizes(t *testing.T) {
	raw := testenv.Hex(t, `01000000 00000000 0000000000000040 00000000 6869`)
	for kind, src := range map[string]io.Reader{
		"seeker": bytes.NewReader(raw), "stream": bytes.NewBuffer(bytes.Clone(raw)),
	} {
		r := NewReader(src)
		h, err := r.Next()
		if err != nil || h.Size != 1<<62 {
			t.Fatalf("%s: %v, %v", kind, h, err)
		}
		if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	raw[0] = byte(Security)
	if _, err := Probe(bytes.NewReader(raw), Limits{Metadata: -1}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("probe: %v", err)
	}
	if _, err := Probe(bytes.NewReader(raw), Limits{}); !errors.Is(err, ErrLimit) {
		t.Errorf("probe with limit: %v", err)
	}
}

type countingSeeker struct {
	*bytes.Reader
	seeks int
	read  int
}

func (c *countingSeeker) Seek(o int64, w int) (int64, error) { c.seeks++; return c.Reader.Seek(o, w) }
func (c *countingSeeker) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}
func (c *countingSeeker) WriteTo(io.Writer) (int64, error) { panic("not wanted") }

type falseSeeker struct{ io.Reader }

func (falseSeeker) Seek(int64, int) (int64, error) { return 0, errors.New("illegal seek") }

func TestSkip(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	raw, err := writeAll([]part{{Header{ID: Data, Size: int64(len(big))}, big}, {Header{ID: EAData, Size: 1}, "E"}})
	if err != nil {
		t.Fatal(err)
	}
	want := func(r *Reader) {
		t.Helper()
		for _, id := range []ID{Data, EAData} {
			if h, err := r.Next(); err != nil || h.ID != id {
				t.Fatalf("%v, %v", h, err)
			}
		}
		if b, err := io.ReadAll(r); string(b) != "E" || err != nil {
			t.Fatalf("%q, %v", b, err)
		}
	}
	c := &countingSeeker{Reader: bytes.NewReader(raw)}
	want(NewReader(c))
	if c.seeks == 0 || c.read > 4096 {
		t.Errorf("%d seeks, %d bytes read", c.seeks, c.read)
	}
	want(NewReader(falseSeeker{bytes.NewReader(raw)}))

	pr, pw, err := os.Pipe() // has a Seek method that fails
	if err != nil {
		t.Fatal(err)
	}
	go func() { pw.Write(raw); pw.Close() }()
	want(NewReader(pr))
	pr.Close()

	for n := 21; n < len(raw)-21; n += 99_991 { // truncate inside a skipped part
		r := NewReader(bytes.NewReader(raw[:n]))
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func TestReaderSourceError(t *testing.T) {
	broken := errors.New("disk on fire")
	raw := testenv.Hex(t, helloVector)
	for n := range raw {
		r := NewReader(io.MultiReader(bytes.NewReader(raw[:n]), iotest.ErrReader(broken)))
		if _, err := readAll(r); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func TestWriterErrors(t *testing.T) {
	data := func(n int64) *Header { return &Header{ID: Data, Size: n} }
	for name, c := range map[string]struct {
		do  func(w *Writer) error
		err error
	}{
		"incomplete at header": {func(w *Writer) error {
			w.WriteHeader(data(5))
			io.WriteString(w, "hel")
			return w.WriteHeader(data(0))
		}, ErrMissing},
		"incomplete at close": {func(w *Writer) error { w.WriteHeader(data(5)); return w.Close() }, ErrMissing},
		"too many":            {func(w *Writer) error { w.WriteHeader(data(1)); _, err := io.WriteString(w, "ab"); return err }, ErrTooMany},
		"no header":           {func(w *Writer) error { _, err := io.WriteString(w, "a"); return err }, ErrTooMany},
		"unknown ID":          {func(w *Writer) error { return w.WriteHeader(&Header{ID: 12}) }, ErrUnknownID},
		"negative size":       {func(w *Writer) error { return w.WriteHeader(data(-1)) }, ErrCorrupt},
		"negative block size": {func(w *Writer) error {
			w.WriteHeader(data(0))
			return w.WriteHeader(&Header{ID: SparseBlock, Size: -1})
		}, ErrCorrupt},
		"negative offset": {func(w *Writer) error {
			w.WriteHeader(data(0))
			return w.WriteHeader(&Header{ID: SparseBlock, Offset: -1})
		}, ErrCorrupt},
		"offset of data":  {func(w *Writer) error { return w.WriteHeader(&Header{ID: Data, Offset: 1}) }, ErrCorrupt},
		"block first":     {func(w *Writer) error { return w.WriteHeader(&Header{ID: SparseBlock}) }, ErrCorrupt},
		"block too large": {func(w *Writer) error { return w.WriteHeader(&Header{ID: SparseBlock, Size: math.MaxInt64}) }, ErrCorrupt},
		"invalid name":    {func(w *Writer) error { return w.WriteHeader(&Header{ID: AlternateData, Name: "\xff"}) }, ErrCorrupt},
		"name too long": {func(w *Writer) error {
			return w.WriteHeader(&Header{ID: AlternateData, Name: strings.Repeat("x", 32769)})
		}, ErrCorrupt},
		"header after end": {func(w *Writer) error { w.Close(); return w.WriteHeader(data(0)) }, ErrClosed},
		"write after end":  {func(w *Writer) error { w.Close(); _, err := w.Write(nil); return err }, ErrClosed},
	} {
		w := NewWriter(io.Discard)
		err := c.do(w)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if c.err != ErrClosed && w.WriteHeader(data(0)) == nil {
			t.Errorf("%s: the writer went on", name)
		}
	}
	w := NewWriter(io.Discard)
	w.WriteHeader(data(5))
	if _, err := io.WriteString(w, "hel"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "missing 2 bytes") {
		t.Error(err)
	}
	if first, second := w.Close(), w.Close(); first == nil || first != second {
		t.Errorf("closing again: %v, %v", first, second)
	}
}

type limitedWriter struct{ left int }

func (l *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > l.left {
		n := l.left
		l.left = 0
		return n, errors.New("disk full")
	}
	l.left -= len(p)
	return len(p), nil
}

func TestWriterFaults(t *testing.T) {
	parts := vectors["sparse"].parts
	whole, err := writeAll(parts)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		w := NewWriter(&limitedWriter{n})
		var err error
		for i := range parts {
			if err = w.WriteHeader(&parts[i].Header); err != nil {
				break
			}
			if _, err = io.WriteString(w, parts[i].data); err != nil {
				break
			}
		}
		if err == nil || w.Close() == nil {
			t.Errorf("room for %d of %d bytes: no error", n, len(whole))
		}
	}
}

func TestParseStreamName(t *testing.T) {
	for stored, want := range map[string]string{":s:$DATA": "s", ":s:$data": "s", ":s": "s", ":$DATA": "$DATA",
		":\x05Summary:$DATA": "\x05Summary"} {
		if got, err := ParseStreamName(stored); got != want || err != nil {
			t.Errorf("%q: %q, %v", stored, got, err)
		}
	}
	for _, stored := range []string{"", "s", "s:$DATA", "::$DATA", ":", ":s:$INDEX_ALLOCATION", ":s:t:$DATA", `:a\b:$DATA`,
		":a/b:$DATA", ":a\x00:$DATA", ":" + strings.Repeat("s", 256) + ":$DATA"} {
		if got, err := ParseStreamName(stored); !errors.Is(err, ErrName) {
			t.Errorf("%q: %q, %v", stored, got, err)
		}
	}
	if s, err := ParseStreamName(StreamName("x")); s != "x" || err != nil {
		t.Error(s, err)
	}
}

func TestProbe(t *testing.T) {
	raw, err := writeAll([]part{
		{Header{ID: Security, Size: 2}, "sd"},
		{Header{ID: AlternateData, Attributes: AttrSparse, Name: ":Hole:$DATA"}, ""},
		{Header{ID: SparseBlock, Attributes: AttrSparse, Offset: 4, Size: 2}, "xy"},
		{Header{ID: EAData, Size: 2}, "ea"},
		{Header{ID: SparseBlock, Attributes: AttrSparse, Offset: 10, Size: 1}, "z"},
		{Header{ID: Data, Size: 5}, "hello"},
		{Header{ID: SparseBlock, Offset: 5}, ""},
		{Header{ID: Link, Size: 3}, "lnk"},
		{Header{ID: ObjectID, Size: 3}, "oid"},
		{Header{ID: ReparseData}, ""},
		{Header{ID: AlternateData, Name: ":e:$DATA"}, ""},
	})
	if err != nil {
		t.Fatal(err)
	}
	src := bytes.NewReader(append([]byte("\x20\x00\x00\x00"), raw...)) // as in a transport file
	src.Seek(4, io.SeekStart)
	info, err := Probe(src, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) int64 { return int64(4 + bytes.Index(raw, []byte(s))) }
	want := &Info{
		Security: []byte("sd"), EA: []byte("ea"), ObjectID: []byte("oid"), Reparse: []byte{},
		HasData: true, Size: 5, Dropped: []ID{Link},
		Streams: []DataStream{
			{Size: 5, Extents: []Extent{{0, 5, at("hello")}}},
			{Name: "Hole", Attributes: AttrSparse, Size: 11, Extents: []Extent{{4, 2, at("xy")}, {10, 1, at("z")}}},
			{Name: "e"},
		},
	}
	if !reflect.DeepEqual(info, want) {
		t.Errorf("got  %+v\nwant %+v", info, want)
	}
	for i, want := range []struct {
		data   string
		sparse bool
	}{{"hello", false}, {"\x00\x00\x00\x00xy\x00\x00\x00\x00z", true}, {"", false}} {
		s := &info.Streams[i]
		if err := iotest.TestReader(s.Reader(src), []byte(want.data)); err != nil || s.Sparse() != want.sparse {
			t.Errorf("stream %d: sparse %v, %v", i, s.Sparse(), err)
		}
	}
	short := bytes.NewReader([]byte("\x20\x00\x00\x00"))
	if _, err := io.ReadAll(info.Streams[0].Reader(short)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("shorter source: %v", err)
	}
}

// The cases of docs/spec/layers.md, "Sparse streams".
func TestProbeSparseForms(t *testing.T) {
	sparse := Header{ID: Data, Attributes: AttrSparse}
	block := func(off int64, data string) part {
		return part{Header{ID: SparseBlock, Attributes: AttrSparse, Offset: off, Size: int64(len(data))}, data}
	}
	for name, c := range map[string]struct {
		parts   []part
		hasData bool
		size    int64
		want    string
	}{
		"empty on an old system":         {nil, false, 0, ""},
		"empty":                          {[]part{{sparse, ""}}, true, 0, ""},
		"empty with terminator":          {[]part{{sparse, ""}, block(0, "")}, true, 0, ""},
		"hole alone":                     {[]part{{sparse, ""}, block(9, "")}, true, 9, strings.Repeat("\x00", 9)},
		"one range":                      {[]part{{Header{ID: Data, Attributes: AttrSparse, Size: 3}, "abc"}}, true, 3, "abc"},
		"one range and terminator":       {[]part{{Header{ID: Data, Attributes: AttrSparse, Size: 3}, "abc"}, block(3, "")}, true, 3, "abc"},
		"two ranges":                     {[]part{{sparse, ""}, block(1, "a"), block(4, "b"), block(6, "")}, true, 6, "\x00a\x00\x00b\x00"},
		"terminator missing":             {[]part{{sparse, ""}, block(1, "a")}, true, 2, "\x00a"},
		"adjacent ranges":                {[]part{{sparse, ""}, block(0, "a"), block(1, "b"), block(2, "")}, true, 2, "ab"},
		"terminator behind written data": {[]part{{Header{ID: Data, Size: 1}, "a"}, block(3, "")}, true, 3, "a\x00\x00"},
	} {
		raw, err := writeAll(c.parts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		src := bytes.NewReader(raw)
		info, err := Probe(src, Limits{})
		if err != nil || info.HasData != c.hasData || info.Size != c.size {
			t.Errorf("%s: %+v, %v", name, info, err)
			continue
		}
		if c.hasData {
			if got, err := io.ReadAll(info.Streams[0].Reader(src)); string(got) != c.want || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}

func TestProbeRefuses(t *testing.T) {
	ads := func(name string) part { return part{Header{ID: AlternateData, Name: name}, ""} }
	var many []part
	many = append(many, part{Header{ID: Data}, ""})
	for i := range int64(5) {
		many = append(many, part{Header{ID: SparseBlock, Offset: 2 * i, Size: 1}, "x"})
	}
	for name, c := range map[string]struct {
		parts []part
		lim   Limits
		err   error
	}{
		"two main streams":    {[]part{{Header{ID: Data}, ""}, {Header{ID: Data}, ""}}, Limits{}, ErrDuplicate},
		"two descriptors":     {[]part{{Header{ID: Security}, ""}, {Header{ID: Security}, ""}}, Limits{}, ErrDuplicate},
		"two names in case":   {[]part{ads(":s:$DATA"), ads(":S:$DATA")}, Limits{}, ErrDuplicate},
		"name without colon":  {[]part{ads("s")}, Limits{}, ErrName},
		"name with separator": {[]part{ads(`:..\x:$DATA`)}, Limits{}, winfs.ErrNameChar},
		"no name":             {[]part{ads("")}, Limits{}, ErrName},
		"too many streams":    {[]part{ads(":a"), ads(":b"), ads(":c")}, Limits{Streams: 2}, ErrLimit},
		"too many unknowns":   {[]part{{Header{ID: Link}, ""}, {Header{ID: Link}, ""}}, Limits{Streams: 1}, ErrLimit},
		"too many extents":    {many, Limits{Extents: 4}, ErrLimit},
		"too much metadata":   {[]part{{Header{ID: Security, Size: 3}, "abc"}, {Header{ID: EAData, Size: 3}, "abc"}}, Limits{Metadata: 5}, ErrLimit},
	} {
		raw, err := writeAll(c.parts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if info, err := Probe(bytes.NewReader(raw), c.lim); !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
	raw, _ := writeAll(many)
	if _, err := Probe(bytes.NewReader(raw), Limits{-1, -1, -1}); err != nil {
		t.Errorf("without limits: %v", err)
	}
	if _, err := Probe(falseReadSeeker{}, Limits{}); err == nil {
		t.Error("a source that cannot seek was taken")
	}
}

type falseReadSeeker struct{ falseSeeker }

// A stream that was read is written again byte for byte, unless a reserved field was set.
func FuzzReader(f *testing.F) {
	for _, v := range vectors {
		f.Add(testenv.Hex(f, v.raw))
	}
	f.Add(testenv.Hex(f, `01000000 00000000 0000000000000040 00000000 6869`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		parts, err := readAll(NewReader(bytes.NewReader(raw)))
		streamed, serr := readAll(NewReader(iotest.HalfReader(bytes.NewBuffer(raw))))
		if !reflect.DeepEqual(parts, streamed) || (err == nil) != (serr == nil) {
			t.Fatalf("seeking and streaming differ: %v, %v", err, serr)
		}
		// Skipping everything must come to the same verdict.
		skip := NewReader(bytes.NewReader(raw))
		n := 0
		var skipErr error
		for skipErr == nil {
			if _, skipErr = skip.Next(); skipErr == nil {
				n++
			}
		}
		if (skipErr == io.EOF) != (err == nil) || err == nil && n != len(parts) {
			t.Fatalf("skipping: %d streams, %v; reading: %d, %v", n, skipErr, len(parts), err)
		}
		info, perr := Probe(bytes.NewReader(raw), Limits{})
		if perr == nil && err != nil {
			t.Fatalf("probe accepts %+v, reader says %v", info, err)
		}
		if err != nil {
			return
		}
		got, err := writeAll(parts)
		if err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("% x\nwritten again as % x: %v", raw, got, err)
		}
		if perr != nil {
			return
		}
		for i := range info.Streams {
			s := &info.Streams[i]
			if s.Size > 1<<20 {
				continue
			}
			b, err := io.ReadAll(s.Reader(bytes.NewReader(raw)))
			if err != nil || int64(len(b)) != s.Size {
				t.Fatalf("stream %d of %d bytes: %d, %v", i, s.Size, len(b), err)
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	var parts []part
	for range 1000 {
		parts = append(parts, part{Header{ID: Security, Size: 216}, strings.Repeat("s", 216)},
			part{Header{ID: Data, Size: 32768}, strings.Repeat("d", 32768)},
			part{Header{ID: AlternateData, Name: ":Zone.Identifier:$DATA", Size: 26}, strings.Repeat("z", 26)})
	}
	raw, err := writeAll(parts)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		buf := make([]byte, 64<<10)
		for b.Loop() {
			r := NewReader(bytes.NewReader(raw))
			for {
				if _, err := r.Next(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
				for {
					if _, err := r.Read(buf); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	})
	b.Run("skip", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := NewReader(bytes.NewReader(raw))
			for {
				if _, err := r.Next(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
