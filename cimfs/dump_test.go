package cimfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// modelFile is what a test expects of a file or directory.
type modelFile struct {
	dir     bool
	meta    Meta
	data    string // content, or its digest if it is long
	streams map[string]string
	links   string // all names of a file, for hard links
}

// model is a file tree as a map from path; hard links share the pointer.
type model map[string]*modelFile

func shorten(b []byte) string {
	if len(b) > 64 {
		return fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b))
	}
	return string(b)
}

// dump reads a whole image back.
func dump(im *Image) (model, error) {
	m := model{}
	ids := map[FileID]*modelFile{}
	err := im.Walk(func(p string, f *File) error {
		if n, ok := ids[f.ID()]; ok {
			n.links += "|" + p
			m[p] = n
			return nil
		}
		n := &modelFile{dir: f.IsDir(), meta: Meta{Attributes: f.Attributes(), Times: f.Times()}, links: p}
		ids[f.ID()], m[p] = n, n
		var errs [3]error
		n.meta.Security, errs[0] = f.Security()
		n.meta.EAs, errs[1] = f.EAs()
		n.meta.Reparse, errs[2] = f.Reparse()
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
		if checkEAs(n.meta.EAs) == nil {
			n.meta.EAs = storedEAs(n.meta.EAs) // the hashes of executables are not given
		}
		list, err := f.Streams()
		if err != nil {
			return err
		}
		if !f.IsDir() {
			s, err := f.Data()
			if err != nil {
				return err
			}
			n.meta.Hole = s.Sparse()
			list = append(list, s)
		}
		for _, s := range list {
			if s.Size() > 64<<20 {
				return errors.New("a stream larger than any test makes")
			}
			b, err := io.ReadAll(s.Reader())
			if err != nil {
				return err
			}
			if s.Name() == "" {
				n.data = shorten(b)
				continue
			}
			if n.streams == nil {
				n.streams = map[string]string{}
			}
			n.streams[s.Name()] = shorten(b)
		}
		return nil
	})
	return m, err
}

func dumpFile(t testing.TB, dir, name string) model {
	t.Helper()
	im, err := Open(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	m, err := dump(im)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m model) diff(t testing.TB, got model) {
	t.Helper()
	for p, a := range m {
		b, ok := got[p]
		if !ok {
			t.Errorf("%q is missing", p)
		} else if !reflect.DeepEqual(a, b) {
			t.Errorf("%q is\n%+v, want\n%+v", p, b, a)
		}
	}
	for p := range got {
		if _, ok := m[p]; !ok {
			t.Errorf("%q should not be there", p)
		}
	}
}

// builder feeds a Writer and a model alike.
type builder struct {
	t testing.TB
	w *Writer
	m model
	// old are the files of the parent image.
	old map[*modelFile]bool
}

func newBuilder(t testing.TB, dir, name string, opts *Options) *builder {
	t.Helper()
	w, err := Create(dir, name, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	b := &builder{t, w, model{}, map[*modelFile]bool{}}
	if opts != nil && opts.Parent != "" {
		b.m = dumpFile(t, dir, opts.Parent)
		for _, n := range b.m {
			b.old[n] = true
		}
	} else {
		b.m[""] = &modelFile{dir: true, meta: Meta{Attributes: winfs.AttrDirectory}}
	}
	return b
}

func (b *builder) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *builder) add(p string, n *modelFile) {
	if n.meta.Reparse != nil {
		n.meta.Attributes |= winfs.AttrReparsePoint
	}
	if len(n.meta.Security) == 0 && len(b.w.opts.DefaultSecurity) > 0 {
		n.meta.Security = b.w.opts.DefaultSecurity
	}
	if n.meta.EAs != nil {
		n.meta.EAs = storedEAs(n.meta.EAs)
	}
	b.m[p] = n
}

func (b *builder) dir(p string, meta Meta) {
	b.t.Helper()
	b.ok(b.w.AddDir(p, &meta))
	n := &modelFile{dir: true, meta: meta}
	n.meta.Attributes |= winfs.AttrDirectory
	if old := b.m[p]; old != nil {
		n.streams = old.streams
	}
	b.add(p, n)
}

func (b *builder) write(data []byte) {
	b.t.Helper()
	for len(data) > 0 {
		n := min(len(data), 100_003)
		k, err := b.w.Write(data[:n])
		if err != nil || k != n {
			b.t.Fatal(k, err)
		}
		data = data[n:]
	}
}

func (b *builder) file(p string, meta Meta, data []byte) {
	b.t.Helper()
	b.ok(b.w.AddFile(p, &meta, int64(len(data))))
	n, was := &modelFile{meta: meta, data: shorten(data)}, b.m[p]
	b.add(p, n)
	if was != nil && !was.dir && !b.old[was] { // a new file shows itself under all names
		for q := range b.m {
			if b.m[q] == was {
				b.m[q] = n
			}
		}
	}
	if meta.Hole {
		return
	}
	b.write(data)
}

func (b *builder) stream(p, name string, data []byte) {
	b.t.Helper()
	b.ok(b.w.CreateStream(p, name, int64(len(data))))
	b.own(p)
	if b.m[p].streams == nil {
		b.m[p].streams = map[string]string{}
	}
	b.m[p].streams[name] = shorten(data)
	b.write(data)
}

func (b *builder) link(p, target string) {
	b.t.Helper()
	b.ok(b.w.Link(p, target))
	b.own(target)
	b.m[p] = b.m[target]
}

// own takes a name away from a file of the parent image: a change under one name leaves
// the others as they were.
func (b *builder) own(p string) {
	if n := b.m[p]; b.old[n] {
		c := *n
		c.streams = maps.Clone(n.streams)
		b.m[p] = &c
	}
}

func (b *builder) remove(p string) {
	b.t.Helper()
	b.ok(b.w.Remove(p))
	for q := range b.m {
		if q == p || strings.HasPrefix(q, p+`\`) {
			delete(b.m, q)
		}
	}
}

// commit publishes and compares what is read back.
func (b *builder) commit(dir, name string) {
	b.t.Helper()
	b.ok(b.w.Commit())
	wantClean(b.t, dir, name)
	// The links of every file follow from the map.
	byFile := map[*modelFile][]string{}
	for p, n := range b.m {
		byFile[n] = append(byFile[n], p)
	}
	for n, names := range byFile {
		// Walk order is that of folded components.
		slices.SortFunc(names, func(a, c string) int {
			return slices.CompareFunc(strings.Split(a, `\`), strings.Split(c, `\`), winfs.CompareFold)
		})
		n.links = strings.Join(names, "|")
	}
	b.m.diff(b.t, dumpFile(b.t, dir, name))
}

func bytesOf(seed int64, n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

func sampleTimes(n int64) winfs.Times {
	v := winfs.Filetime(132500000000000000 + n*1_000_003)
	return winfs.Times{Creation: v, LastAccess: v + 1, LastWrite: v + 2, Change: v + 3}
}

// sampleEA is a list of two attributes.
func sampleEA() []byte {
	one := append([]byte{20, 0, 0, 0, 0, 5, 5, 0}, "FIRST\x00value\x00"...)
	return append(one, append([]byte{0, 0, 0, 0, 0x80, 1, 2, 0}, "B\x00xy"...)...)
}

func sampleReparse() []byte {
	payload := []byte{0, 0, 4, 0, 4, 0, 4, 0, 1, 0, 0, 0, 'a', 0, 'b', 0, 'a', 0, 'b', 0}
	b := binary.LittleEndian.AppendUint32(nil, 0xA000000C)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(payload)))
	return append(append(b, 0, 0), payload...)
}

func sampleSD(n int) []byte {
	b := NullDACL()
	return append(b, bytes.Repeat([]byte{byte(n), byte(n >> 8)}, n)...)
}

// everything builds an image with all that the format has.
func everything(b *builder, v Version) {
	sizes := []int{0, 1, 23, 24, 25, 890, 1023, 1024, 1025, 4095, 4096, 4097, chunkSize - 1, chunkSize, chunkSize + 1, bufferedMax, bufferedMax + 1, 3<<20 + 5}
	b.dir("sizes", Meta{Times: sampleTimes(1), Security: sampleSD(1)})
	for i, n := range sizes {
		meta := Meta{Attributes: winfs.AttrArchive, Times: sampleTimes(int64(i)), Security: sampleSD(i % 3)}
		b.file(fmt.Sprintf(`sizes\%d.bin`, n), meta, bytesOf(int64(n), n))
		b.file(fmt.Sprintf(`sizes\%d.copy`, n), Meta{Attributes: winfs.AttrHidden | winfs.AttrSystem}, bytesOf(int64(n), n))
	}
	b.dir("empty", Meta{Attributes: winfs.AttrReadOnly})
	b.dir(`deep`, Meta{})
	p := "deep"
	for i := range 40 {
		p += fmt.Sprintf(`\level%d`, i)
		b.dir(p, Meta{})
	}
	b.file(p+`\bottom`, Meta{EAs: sampleEA()}, []byte("x"))
	b.dir("names", Meta{})
	for i, n := range []string{"ÄPFEL", "ärger", "日本語", "ﬀ", "\U0001F600", "\xed\xa0\xbd", "a\xed\xb8\x80b", "\uffff", strings.Repeat("n", 255), strings.Repeat("\U00010400", 127) + "x", "%u0025", "%uD83D", " lead", "trail.", "ı", "İ", "ß", "ẞ"} {
		b.file(`names\`+n, Meta{}, []byte{byte(i)})
	}
	b.dir("meta", Meta{EAs: sampleEA(), Security: sampleSD(9)})
	b.stream(`meta`, "of a directory", bytesOf(8, 1024))
	b.file(`meta\ea`, Meta{EAs: sampleEA()}, nil)
	b.file(`meta\link`, Meta{Reparse: sampleReparse()}, nil)
	b.dir(`meta\junction`, Meta{Reparse: sampleReparse()})
	big := sampleSD((0xFFFF - 20) / 2)
	b.file(`meta\big-sd`, Meta{Security: big}, []byte("sd"))
	b.file(`meta\streams`, Meta{}, []byte("main"))
	// Right after the file and in order, as Rewrite will write them again.
	b.stream(`meta\streams`, "Alpha", []byte("a"))
	b.stream(`meta\streams`, "none", nil)
	b.stream(`meta\streams`, "zeta", bytesOf(7, 5000))
	b.file(`names\target`, Meta{}, []byte("linked"))
	b.link(`sizes\link`, `names\target`)
	b.link(`again`, `names\target`)
	b.link(`sizes\link2`, `again`)
	b.file("app.exe", Meta{}, samplePE(3, 700))
	b.file("app2.exe", Meta{}, samplePE(3, 700))
	b.file("big.dll", Meta{}, samplePE(2000, 0))
	if v == V3 {
		b.file("hole", Meta{Attributes: winfs.AttrSparse, Hole: true}, make([]byte, 100_000))
	}
}

// samplePE makes an executable of three sections, the second of n pages and odd
// raw sizes, and an overlay.
func samplePE(n, overlay int) []byte {
	sizes := []int{0x600, n*0x1000 + 0x200, 0, 0x200}
	return buildPE(0x1000, sizes, overlay)
}

func buildPE(sectionAlign uint32, sizes []int, overlay int) []byte {
	const headers = 0x400
	b := make([]byte, headers)
	copy(b, "MZ")
	le.PutUint32(b[0x3C:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	le.PutUint16(b[0x84:], 0x8664)
	le.PutUint16(b[0x86:], uint16(len(sizes)))
	le.PutUint16(b[0x94:], 0xF0)
	opt := b[0x98:]
	le.PutUint16(opt, 0x20B)
	le.PutUint32(opt[32:], sectionAlign)
	le.PutUint32(opt[36:], 0x200)
	le.PutUint32(opt[56:], 0x12345000)
	le.PutUint32(opt[60:], headers)
	table := b[0x98+0xF0:]
	at, address := headers, 0x1000
	var data []byte
	for i, n := range sizes {
		s := table[40*i:]
		copy(s, fmt.Sprintf(".s%d", i))
		le.PutUint32(s[8:], uint32(n))
		le.PutUint32(s[12:], uint32(address))
		address += int(roundUp(int64(n), pageSize))
		le.PutUint32(s[16:], uint32(n))
		if n > 0 {
			le.PutUint32(s[20:], uint32(at))
		}
		at += n
		data = append(data, bytesOf(int64(i+n), n)...)
	}
	return append(append(b, data...), bytesOf(99, overlay)...)
}

func readSet(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	set := map[string][]byte{}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.IsDir() {
			continue
		}
		if set[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

func sameSets(t testing.TB, a, b map[string][]byte) {
	t.Helper()
	for n := range a {
		if !bytes.Equal(a[n], b[n]) {
			t.Errorf("%s differs: %d and %d bytes", n, len(a[n]), len(b[n]))
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d files and %d files", len(a), len(b))
	}
}

// memOpener serves files from memory.
type memOpener map[string][]byte

type memSource struct{ *bytes.Reader }

func (memSource) Close() error { return nil }

func (m memOpener) OpenFile(name string) (Source, error) {
	b, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return memSource{bytes.NewReader(b)}, nil
}
