package wintar

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/layer"
)

// walked is one header with its data, or the end of the walk.
type walked struct {
	header
	data  string
	block int64
	err   string
}

// walkArchive reads an archive as the Reader does. With plain archive/tar does all
// of it. Of data it reads as much as half says: all, half, or none.
func walkArchive(r io.Reader, plain bool, part int) []walked {
	s := &source{r: r, buf: make([]byte, 4<<10)} // a small one, for all kinds of ends
	if k, ok := r.(io.Seeker); ok {
		s.seeker = k
	}
	a := newArchive(s)
	a.plain = plain
	var all []walked
	fail := func(err error) []walked {
		text := err.Error()
		if err == io.EOF && s.ended && !s.blockZero {
			text = "no trailer"
		}
		return append(all, walked{err: text, block: s.block})
	}
	for n := 0; ; n++ {
		h, err := a.next()
		if err != nil {
			return fail(err)
		}
		w := walked{header: *h, block: s.block}
		w.records = append(records(nil), h.records...)
		var data bytes.Buffer
		switch (n + part) % 3 {
		case 0:
			_, err = io.Copy(&data, io.LimitReader(a, 1<<20))
		case 1:
			_, err = io.CopyN(&data, a, min(h.size, 1<<20)/2)
		}
		if err != nil {
			return fail(err)
		}
		w.data = data.String()
		all = append(all, w)
	}
}

// alike makes a header comparable: the order of records is the archive's or alphabetical,
// and a time in a record is read from there.
func (h *header) alike() map[string]any {
	m := map[string]any{
		"type": h.typeflag, "name": h.name, "link": h.linkname, "size": h.size, "announced": h.announced, "mode": h.mode,
	}
	for _, f := range []struct {
		key   string
		field time.Time
	}{{recMtime, h.mtime}, {recAtime, h.atime}, {recCtime, h.ctime}} {
		if h.records.get(f.key) == "" {
			m[f.key+" field"] = f.field
		}
	}
	for _, r := range h.records {
		m["record "+r.key] = r.value
	}
	return m
}

// sameWalk holds the quick reading of an archive against that of archive/tar, in all
// the ways in which it can be read.
func sameWalk(t *testing.T, data []byte) (headers int) {
	t.Helper()
	for way := range 6 {
		headers = sameWay(t, data, way)
	}
	return headers
}

// sameWay reads in one of six ways: each entry wholly, half or not at all, able to seek
// or not.
func sameWay(t *testing.T, data []byte, way int) (headers int) {
	t.Helper()
	source := func() io.Reader {
		if way%2 == 0 {
			return bytes.NewReader(data)
		}
		return io.MultiReader(bytes.NewReader(data))
	}
	quick, plain := walkArchive(source(), false, way/2), walkArchive(source(), true, way/2)
	for i := range max(len(quick), len(plain)) {
		if i >= len(quick) || i >= len(plain) {
			t.Fatalf("%d headers, archive/tar finds %d: %v and %v", len(quick), len(plain), quick[len(quick)-1], plain[len(plain)-1])
		}
		q, p := quick[i], plain[i]
		if !reflect.DeepEqual(q.alike(), p.alike()) || q.data != p.data || q.err != p.err {
			t.Fatalf("header %d is %v %q %s, to archive/tar %v %q %s", i, q.alike(), q.data, q.err, p.alike(), p.data, p.err)
		}
		if q.err == "" && q.block != p.block {
			t.Fatalf("header %d stands at %#x, to archive/tar at %#x", i, q.block, p.block)
		}
	}
	return len(quick) - 1
}

// pack makes an archive of headers with the given data.
func pack(t testing.TB, list ...tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range list {
		if err := w.WriteHeader(&list[i]); err != nil {
			t.Fatal(err)
		}
		if list[i].Typeflag == tar.TypeReg {
			if _, err := w.Write(bytes.Repeat([]byte{'x'}, int(list[i].Size))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mixture has ordinary headers among all kinds of others.
func mixture(t testing.TB) []byte {
	at := time.Unix(1_600_000_000, 123_456_700)
	pax := func(h tar.Header, pairs ...string) tar.Header {
		h.Format, h.ModTime = tar.FormatPAX, at
		for i := 0; i < len(pairs); i += 2 {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords[pairs[i]] = pairs[i+1]
		}
		return h
	}
	long := strings.Repeat("directory/", 30)
	return pack(t,
		pax(tar.Header{Name: "Files", Typeflag: tar.TypeDir}, recAttributes, "16"),
		tar.Header{Name: "Files/plain", Typeflag: tar.TypeReg, Size: 511, Mode: 0o644, Format: tar.FormatUSTAR},
		tar.Header{Name: strings.Repeat("d/", 60) + "prefixed", Typeflag: tar.TypeReg, Size: 512, Format: tar.FormatUSTAR},
		pax(tar.Header{Name: "Files/" + long + "pax", Typeflag: tar.TypeReg, Size: 5000}, recAttributes, "32", recRawSD, strings.Repeat("A", 700)),
		tar.Header{Name: "Files/" + long + "gnu", Typeflag: tar.TypeReg, Size: 3, Format: tar.FormatGNU, AccessTime: time.Unix(5, 0)},
		pax(tar.Header{Name: "Files/empty", Typeflag: tar.TypeReg}),
		tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "global"}},
		pax(tar.Header{Name: "Files/link", Linkname: "Files/plain", Typeflag: tar.TypeLink, AccessTime: at, ChangeTime: at}),
		pax(tar.Header{Name: "Files/many", Typeflag: tar.TypeReg, Size: 1}, recAttributes, strings.Repeat("x", 40_000)),
		pax(tar.Header{Name: "Files/sym", Linkname: `C:\` + strings.Repeat(`long\`, 40), Typeflag: tar.TypeSymlink}),
		pax(tar.Header{Name: "Files/old", Typeflag: tar.TypeReg, Size: 600, Uid: 1 << 30}),
		tar.Header{Name: "Files/fifo", Typeflag: tar.TypeFifo},
		pax(tar.Header{Name: "Files/last", Typeflag: tar.TypeReg, Size: 9000}),
	)
}

// TestOrdinaryHeaders: the quick way and archive/tar agree on an archive of all
// kinds of headers, on each of its truncations near a header, and with each byte of
// its headers changed.
func TestOrdinaryHeaders(t *testing.T) {
	data := mixture(t)
	if n := sameWalk(t, data); n != 13 {
		t.Fatalf("%d headers", n)
	}
	quick := 0
	s := newSource(bytes.NewReader(data))
	a := newArchive(s)
	for {
		if _, err := a.next(); err != nil {
			break
		}
		if a.tr == nil {
			quick++
		}
	}
	if quick < 8 {
		t.Errorf("only %d headers of 13 went the quick way", quick)
	}
	for _, w := range walkArchive(bytes.NewReader(data), true, 0) {
		for at := max(w.block-900, 0); at < min(w.block+1200, int64(len(data))); at += 383 {
			sameWalk(t, data[:at])
		}
	}
	small := pack(t, tar.Header{Name: "a", Typeflag: tar.TypeDir, Format: tar.FormatUSTAR},
		tar.Header{Name: "b", Typeflag: tar.TypeReg, Size: 5, Format: tar.FormatPAX, ModTime: time.Unix(1, 5), PAXRecords: map[string]string{recAttributes: "32", "comment": "c"}})
	for i := range small[:len(small)-1024] {
		for _, c := range []byte{0, '7', small[i] ^ 1} {
			b := bytes.Clone(small)
			b[i] = c
			mend(b)
			sameWalk(t, b)
		}
	}
}

// mend corrects the checksums of blocks that look like a header.
func mend(b []byte) {
	for i := 0; i+blockSize <= len(b); i += blockSize {
		if h := b[i:][:blockSize]; string(h[atMagic:][:5]) == "ustar" {
			copy(h[atSum:], fmt.Sprintf("%06o\x00 ", checksum(h)))
		}
	}
}

// TestOrdinaryRecords: records that only just are, or are not, in order.
func TestOrdinaryRecords(t *testing.T) {
	block := func(typeflag byte, name string, size int) []byte {
		b := make([]byte, blockSize)
		copy(b[atName:], name)
		copy(b[atMode:], "0000644\x000000000\x000000000\x00")
		copy(b[atSize:], fmt.Sprintf("%011o\x00%011o\x00", size, 77))
		copy(b[atMagic:], "ustar\x0000")
		b[atType] = typeflag
		mend(b)
		return b
	}
	for _, text := range []string{
		"", "13 path=a/bc\n", "5 a=\n", "4 a=\n", "6 a=b\n", "06 a=b\n", "7 a=b\n", "6 a=b ", "6  =b\n", "5 =b\n", "6 abc\n",
		"+6 a=b\n", "-6 a=b\n", "11 size=12\n", "12 size=+12\n", "11 size=-1\n", "8 size=\n", "30 size=99999999999999999999\n",
		"10 mtime=\n", "13 mtime=1.5\n", "14 mtime=-1.5\n", "14 mtime=+1.5\n", "13 mtime=.55\n", "13 mtime=1..\n", "12 mtime=1.\n",
		"13 mtime=0x1\n", "12 atime=ab\n", "30 ctime=1.0000000000000000\n", "32 ctime=100000000000000000000\n",
		"8 uid=7\n", "8 uid=x\n", "7 gid=\n", "9 path=\x00\n", "10 a\x00=bcd\n", "10 ab=\x00cd\n", "12 uname=a\x00\n",
		"6 a=b\n6 a=c\n", "8 a=b=c\n", "22 GNU.sparse.major=1\n", "22 GNU.sparse.offset=5\n", "16 linkpath=abc\n",
		"9999999999999999999999 a=b\n", "6 a=b\n\n", "6 a=b", "27 SCHILY.xattr.user.a=bcde\n", "7 path=", "8 path=\n\n",
	} {
		body := make([]byte, (len(text)+511)/512*512)
		copy(body, text)
		b := block(tar.TypeXHeader, "x", len(text))
		b = append(b, body...)
		b = append(b, block(tar.TypeReg, "name", 3)...)
		b = append(b, make([]byte, 512)...)
		b = append(b, block(tar.TypeDir, "after", 9)...)
		sameWalk(t, append(b, make([]byte, 1024)...))
	}
}

func TestChecksum(t *testing.T) {
	b := bytes.Repeat([]byte{0xFF}, blockSize)
	if n := checksum(b); n != (blockSize-8)*255+8*' ' {
		t.Errorf("%d", n)
	}
}

// FuzzHeaders: for any archive, the quick reading of headers and archive/tar return the
// same headers, data and end.
func FuzzHeaders(f *testing.F) {
	small := []tar.Header{
		{Name: "a", Typeflag: tar.TypeDir, Format: tar.FormatUSTAR},
		{Name: "b", Typeflag: tar.TypeReg, Size: 5, Format: tar.FormatPAX, PAXRecords: map[string]string{recAttributes: "32", recCreation: "1.5"}, ModTime: time.Unix(3, 7)},
		{Name: strings.Repeat("long/", 30) + "c", Linkname: "b", Typeflag: tar.TypeLink, Format: tar.FormatPAX},
		{Name: strings.Repeat("gnu", 40), Typeflag: tar.TypeReg, Size: 1, Format: tar.FormatGNU},
	}
	for i := range small {
		f.Add(pack(f, small[i:]...), uint8(i))
	}
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, way uint8) {
		if len(data) > 64<<10 {
			return
		}
		if way >= 128 { // so that changed headers are still headers
			data = bytes.Clone(data)
			mend(data)
		}
		sameWay(t, data, int(way)%6)
	})
}

// TestCutAfterZeros: an archive that is truncated after a file of zeros has no trailer,
// although the last bytes look like half of one.
func TestCutAfterZeros(t *testing.T) {
	whole := pack(t, tar.Header{Name: "Files/a", Typeflag: tar.TypeReg, Size: 512, Format: tar.FormatPAX, PAXRecords: map[string]string{recAttributes: "32"}})
	b := whole[:len(whole)-1024]
	clear(b[len(b)-512:])
	r := NewReader(bytes.NewReader(b))
	for {
		_, err := r.Next()
		if err == nil {
			_, err = r.NextStream()
		}
		if err == nil {
			_, err = io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, 4096))
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, layer.ErrCorrupt) {
			t.Errorf("%v", err)
		}
		return
	}
}
