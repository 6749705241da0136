package regf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// Vectors of docs/spec/registry.md, "Subkey lists".
func TestNameHash(t *testing.T) {
	for name, want := range map[string]uint32{
		"Microsoft": 0x7f00cd26, "Windows": 0x2f7de68b, "CurrentVersion": 0x7e25f69d, "Café": 0x352f57, "": 0,
		"mICROSOFT": 0x7f00cd26, "CAFÉ": 0x352f57,
	} {
		if got := NameHash(name); got != want {
			t.Errorf("NameHash(%q) = %#x, want %#x", name, got, want)
		}
	}
}

func TestHeaderChecksum(t *testing.T) {
	b := make([]byte, 512)
	if got := HeaderChecksum(b); got != 1 {
		t.Errorf("zeros: %#x", got)
	}
	put32(b, 0xFFFFFFFF)
	if got := HeaderChecksum(b); got != 0xFFFFFFFE {
		t.Errorf("ones: %#x", got)
	}
	put32(b[4:], 0x12345678)
	if got := HeaderChecksum(b); got != 0xFFFFFFFF^0x12345678 {
		t.Errorf("%#x", got)
	}
}

func is(t *testing.T, what string, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%s: %v is not %v", what, err, target)
		}
	}
	var e *Error
	if err != nil && !errors.As(err, &e) {
		t.Errorf("%s: %v is no *Error", what, err)
	}
}

// The results of offreg, docs/spec/registry.md, "Edits".
func TestOffregResults(t *testing.T) {
	h := New(nil)
	root := h.Root()
	_, _, err := root.Create(`missing\child`)
	is(t, "create below a missing parent", err, ErrorFileNotFound, fs.ErrNotExist)
	k, created, err := root.Create(`key\`)
	if err != nil || !created {
		t.Error("trailing backslash", err)
	}
	_, _, err = root.Create(`\key`)
	is(t, "leading backslash", err, ErrorFileNotFound)
	_, _, err = root.Create("")
	is(t, "empty name", err, ErrorInvalidParameter)
	_, _, err = root.Create(`key\\inner`)
	is(t, "doubled backslash", err, ErrorFileNotFound)
	_, err = root.Open(`key\\inner`)
	is(t, "doubled backslash", err, ErrorFileNotFound)
	if _, _, err = root.Create(`key\inner`); err != nil {
		t.Error("backslash", err)
	}
	for _, path := range []string{`\`, `\\`} {
		_, _, err = root.Create(path)
		is(t, "backslashes alone", err, ErrorInvalidParameter)
		_, err = root.Open(path)
		is(t, "backslashes alone", err, ErrorInvalidParameter)
	}
	if _, _, err = root.Create(`a/b`); err != nil {
		t.Error("slash", err)
	}
	_, _, err = root.CreateWith("v", CreateOptions{Options: CreateVolatile})
	is(t, "volatile", err, ErrorInvalidParameter)
	_, _, err = root.CreateWith("v", CreateOptions{Options: CreateBackup})
	is(t, "backup", err, ErrorInvalidParameter)
	l, _, err := root.CreateWith("link", CreateOptions{Options: CreateLink})
	if err != nil || !l.Symlink() {
		t.Error("link", err)
	}
	_, _, err = l.Create("below")
	is(t, "below a link", err, ErrorAccessDenied, ErrSymlink)
	_, _, err = root.CreateWith("class", CreateOptions{Class: make([]byte, 65536)})
	is(t, "long class", err, ErrorOverflow, ErrClassSize, ErrInvalid)
	_, _, err = root.CreateWith("sd", CreateOptions{Security: make([]byte, 20)})
	is(t, "bad descriptor", err, ErrorInvalidSecurity, ErrDescriptor, ErrInvalid)
	is(t, "bad descriptor", k.SetSecurity(make([]byte, 20)), ErrorInvalidSecurity)
	is(t, "bad descriptor", k.UpdateSecurity(SecurityDACL, make([]byte, 20)), ErrorInvalidSecurity)
	is(t, "no descriptor", k.UpdateSecurity(SecurityDACL, nil), ErrorInvalidParameter)
	_, err = k.Rename("KEY")
	is(t, "own name in another case", err, ErrorAlreadyExists)
	is(t, "delete with children", root.DeleteSubkey("key"), ErrorKeyHasChildren)
	is(t, "delete missing", root.DeleteSubkey("nothing"), ErrorFileNotFound)
	is(t, "delete the root by no name", root.DeleteSubkey(""), ErrorInvalidParameter)
	is(t, "delete with a backslash", root.DeleteSubkey(`link\`), ErrorFileNotFound)
	if err := l.DeleteSubkey(""); err != nil || l.Valid() {
		t.Error("delete the key itself", err)
	}
	is(t, "delete it again", l.Delete(), ErrDeleted, ErrorKeyDeleted)
	is(t, "delete the root", root.Delete(), ErrorInvalidParameter)
	_, err = root.Open("")
	is(t, "open nothing", err, ErrorInvalidParameter)

	if err := k.SetValue("v", 0xFFFF0011, []byte("12345")); err != nil {
		t.Fatal(err)
	}
	typ, n, err := root.QueryValue("KEY", "V", make([]byte, 2))
	is(t, "small buffer", err, ErrorMoreData)
	if typ != 0xFFFF0011 || n != 5 {
		t.Error(typ, n)
	}
	if _, n, err := k.QueryValue("", "v", nil); err != nil || n != 5 {
		t.Error("nil buffer", n, err)
	}
	buf := make([]byte, 8)
	if _, n, err := k.QueryValue("", "v", buf); err != nil || string(buf[:n]) != "12345" {
		t.Error(n, err)
	}
	_, _, err = k.QueryValue("", "w", nil)
	is(t, "missing value", err, ErrorFileNotFound)
	is(t, "delete missing value", k.DeleteValue("w"), ErrorFileNotFound)
	for f, ok := range map[uint32]bool{0: true, 2: true, 4: true, 8: true, 10: true, 14: true, 1: false, 3: false, 16: false, 0x10002: false} {
		if err := k.SetVirtualFlags(f); ok != (err == nil) {
			t.Errorf("virtual flags %d: %v", f, err)
		} else if err != nil {
			is(t, "virtual flags", err, ErrorInvalidParameter)
		}
	}
	if err := errors.Join(k.SetVirtualFlags(10), k.SetUserFlags(1)); err != nil {
		t.Fatal(err)
	}
	if b, err := k.node(); err != nil || b[nkVirtual] != 0xA1 {
		t.Errorf("flags are stored as %#x", b[nkVirtual])
	}
	if c, _, err := k.Create("heir"); err != nil || c.VirtualFlags() != 0 {
		t.Error("virtual flags were inherited", err)
	}
	n, err = k.CopySecurity(nil)
	is(t, "small buffer", err, ErrorMoreData)
	if n != 144 {
		t.Error(n)
	}
	_, err = k.SubkeyAt(2)
	is(t, "key past the end", err, ErrorNoMoreItems)
	_, err = k.ValueAt(1)
	is(t, "value past the end", err, ErrorNoMoreItems)
	_, err = k.ValueAt(-1)
	is(t, "negative index", err, ErrorNoMoreItems)

	for length, ok := range map[int]bool{1: true, 255: true, 256: true, 257: false} {
		if _, _, err := root.Create(strings.Repeat("n", length)); ok != (err == nil) {
			t.Errorf("key name of %d: %v", length, err)
		}
	}
	for length, ok := range map[int]bool{16383: true, 16384: false} {
		if err := k.SetValue(strings.Repeat("n", length), RegNone, nil); ok != (err == nil) {
			t.Errorf("value name of %d: %v", length, err)
		}
	}
	deep := root
	for i := range 508 {
		if deep, _, err = deep.Create("d"); err != nil {
			t.Fatal(i, err)
		}
	}
	_, _, err = deep.Create("d")
	is(t, "too deep", err, ErrorInvalidParameter)
	for version, minor := range map[[2]int]int{{5, 0}: 3, {5, 1}: 5, {5, 2}: 5, {6, 0}: 5, {6, 1}: 5, {6, 2}: 5, {6, 3}: 5, {10, 0}: 5,
		{3, 51}: 0, {4, 0}: 0, {6, 4}: 0, {11, 0}: 0} {
		got, err := MinorForWindows(version[0], version[1])
		if got != minor || (err == nil) != (minor != 0) {
			t.Errorf("version %v: %d %v", version, got, err)
		}
	}
	if info, err := k.Info(); err != nil || info.Subkeys != 2 || info.Values != 2 || info.MaxSubkeyName != 10 || info.MaxValueName != 2*16383 || info.MaxValueData != 5 {
		t.Errorf("%+v %v", info, err)
	}
	requireClean(t, h)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	is(t, "closed", func() error { _, err := h.Key("key"); return err }(), ErrClosed)
	is(t, "edit of a closed hive", k.SetValue("v", 0, nil), ErrClosed, ErrorInvalidHandle)

	open := func(file ...string) error {
		_, err := Open(testenv.Corpus(t, append([]string{"hives"}, file...)...), nil)
		return err
	}
	is(t, "dirty", open("mkorman90_regipy", "SECURITY"), ErrorNotRegistryFile, ErrDirty)
	is(t, "log", open("mkorman90_regipy", "SYSTEM_B.LOG1"), ErrorBadDB, ErrLogFile)
	is(t, "no hive", open("manifest.tsv"), ErrorNotRegistryFile, ErrNotHive)
	_, err = Open(t.TempDir(), nil)
	is(t, "directory", err, ErrNotHive)
	b, err := os.ReadFile(testenv.Corpus(t, "hives", "mkorman90_regipy", "BCD"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenBytes(b[:len(b)-4096], nil)
	is(t, "truncated", err, ErrorBadDB, ErrTruncated)
	h, err = OpenBytes(b[:len(b)-4096], &Options{Mode: Report})
	if err != nil {
		t.Fatal(err)
	}
	if f := h.Findings(); len(f) == 0 || f[0].Rule != "hive-truncated" || f[0].Offset != -1 {
		t.Errorf("truncated, reported: %v", f)
	}
}

func TestTypedGetters(t *testing.T) {
	h := New(nil)
	k := h.Root()
	set := func(name string, typ Type, data []byte) Value {
		t.Helper()
		if err := k.SetValue(name, typ, data); err != nil {
			t.Fatal(err)
		}
		v, err := k.Value(name)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	str := func(s string, err error) string {
		if err != nil {
			return "error " + err.Error()
		}
		return s
	}
	if got := str(set("a", RegSZ, StringData("text")).AsString()); got != "text" {
		t.Error(got)
	}
	if got := str(set("b", RegSZ, []byte("u\x00n\x00t\x00x")).AsString()); got != "unt" {
		t.Error("odd and unterminated:", got)
	}
	if got := str(set("c", RegSZ, append(StringData("one"), StringData("two")...)).AsString()); got != "one" {
		t.Error("text after the NUL:", got)
	}
	multi, err := StringsData([]string{"x", "yz", "\u0436"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := set("d", RegMultiSZ, multi).AsStrings(); fmt.Sprint(got) != "[x yz \u0436]" || err != nil {
		t.Error(got, err)
	}
	if got, err := set("d", RegMultiSZ, multi[:len(multi)-4]).AsStrings(); fmt.Sprint(got) != "[x yz \u0436]" || err != nil {
		t.Error("unterminated:", got, err)
	}
	if got, err := set("d", RegMultiSZ, nil).AsStrings(); len(got) != 0 || err != nil {
		t.Error(got, err)
	}
	if _, err := StringsData([]string{"a", ""}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if got, err := set("e", RegDword, []byte{1, 2, 3, 4}).AsUint32(); got != 0x04030201 || err != nil {
		t.Error(got, err)
	}
	if got, err := set("e", RegDwordBigEndian, []byte{1, 2, 3, 4}).AsUint64(); got != 0x01020304 || err != nil {
		t.Error(got, err)
	}
	if got, err := set("f", RegQword, []byte{8, 7, 6, 5, 4, 3, 2, 1}).AsUint64(); got != 0x0102030405060708 || err != nil {
		t.Error(got, err)
	}
	v := set("g", RegDword, []byte{1})
	if _, err := v.AsUint32(); !errors.Is(err, ErrType) {
		t.Error(err)
	}
	if _, err := v.AsString(); !errors.Is(err, ErrType) {
		t.Error(err)
	}
	env := func(name string) (string, bool) {
		s, ok := map[string]string{"ROOT": `C:\Windows`, "EMPTY": ""}[strings.ToUpper(name)]
		return s, ok
	}
	for in, want := range map[string]string{
		`%root%\x`: `C:\Windows\x`, `%none%\x%ROOT%`: `%none%\xC:\Windows`, `100%`: `100%`, `%%root%%`: `%C:\Windows%`,
		`a%EMPTY%b`: "ab", `%a%root%`: `%aC:\Windows`, ``: ``,
	} {
		if got := str(set("h", RegExpandSZ, StringData(in)).Expand(env)); got != want {
			t.Errorf("Expand(%q) = %q, want %q", in, got, want)
		}
	}
	if got := str(set("h", RegSZ, StringData("%ROOT%")).Expand(env)); got != "%ROOT%" {
		t.Error(got)
	}
	if s := fmt.Sprint(RegSZ, RegQword, Type(0xFFFF0011)); s != "REG_SZ REG_QWORD 0xffff0011" {
		t.Error(s)
	}
}

func TestFS(t *testing.T) {
	h := New(&Options{Clock: func() winfs.Filetime { return 133000000000000000 }})
	for _, p := range []string{`a\b`, `a\c/d`, `a\lone` + "\xed\xa0\x80", `a\..`, `a\.`, `a\100%`, `@`, "a\\nul\x00"} {
		if _, err := h.CreatePath(p); err != nil {
			t.Fatal(err)
		}
	}
	a, err := h.Key("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []Key{h.Root(), a} {
		for name, data := range map[string]string{"": "default", "b": "beside a key", "@": "at", "v/w": "slash", "large": strings.Repeat("x", 40000), "%": "", "B%@": "trick"} {
			if err := k.SetValue(name, RegBinary, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	fsys := h.Root().FS()
	if err := fstest.TestFS(fsys, "a/b", "a/b%@", "a/@", "%@", "@%@", "a/@%@", "a/v%2Fw", "a/c%2Fd", "a/lone%ED%A0%80", "a/%2E%2E", "a/%2E", "a/100%25", "a/nul%00", "a/B%25@"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"a/b%@": "beside a key", "A/@": "default", "a/@%@": "at", "%@": "default", "a/v%2Fw": "slash"} {
		if b, err := fs.ReadFile(fsys, name); err != nil || string(b) != want {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	for _, name := range []string{"a/%41", "a/v%2fw", "none", "a/b/c", "a/large/x"} {
		if _, err := fsys.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, err := Open(testenv.Corpus(t, "hives", "mkorman90_regipy", "BCD"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := fstest.TestFS(g.Root().FS(), "Objects"); err != nil {
		t.Error(err)
	}
}

// countingReader counts the bytes that are read.
type countingReader struct {
	r     io.ReaderAt
	bytes int64
	calls int
}

func (c *countingReader) ReadAt(b []byte, off int64) (int, error) {
	c.calls++
	n, err := c.r.ReadAt(b, off)
	c.bytes += int64(n)
	return n, err
}

// One value of a hive of 100 MB costs at most 64 KiB of reads.
func TestLazyReads(t *testing.T) {
	h := New(nil)
	blob := bytes.Repeat([]byte{0xA5}, 16000)
	for i := range 100 {
		k, _, err := h.Root().Create(fmt.Sprintf("branch%03d", i))
		if err != nil {
			t.Fatal(err)
		}
		for j := range 66 {
			s, _, err := k.Create(fmt.Sprintf("leaf%03d", j))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SetValue("blob", RegBinary, blob); err != nil {
				t.Fatal(err)
			}
			if err := s.SetValue("number", RegDword, []byte{byte(i), byte(j), 0, 0}); err != nil {
				t.Fatal(err)
			}
		}
	}
	image, err := h.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(image) < 100_000_000 {
		t.Fatalf("hive has %d bytes only", len(image))
	}
	c := &countingReader{r: bytes.NewReader(image)}
	l, err := OpenReaderAt(c, int64(len(image)), nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := l.Key(`Branch077\LEAF033`)
	if err != nil {
		t.Fatal(err)
	}
	v, err := k.Value("number")
	if err != nil {
		t.Fatal(err)
	}
	n, err := v.AsUint32()
	if err != nil || n != 77+33<<8 {
		t.Fatal(n, err)
	}
	if c.bytes > 64<<10 {
		t.Errorf("%d bytes were read in %d calls", c.bytes, c.calls)
	}
	t.Logf("%d bytes in %d calls of %d", c.bytes, c.calls, len(image))
	if err := k.SetValue("new", RegDword, []byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	requireClean(t, l)
	if _, err := OpenReaderAt(bytes.NewReader(image[:8192]), int64(len(image)), nil); err != nil {
		t.Fatal(err) // the base block and the root are there
	}
}

// Opening a file does not depend on its size: the tables of a gigabyte of bins would be
// 17 MB.
func TestOpenIsConstant(t *testing.T) {
	if !canRelease {
		t.Skip("files are not mapped here")
	}
	b, err := New(nil).Image()
	if err != nil {
		t.Fatal(err)
	}
	put32(b[hdrBins:], 1<<30)
	put32(b[hdrChecksum:], HeaderChecksum(b))
	name := filepath.Join(t.TempDir(), "sparse")
	if err := errors.Join(os.WriteFile(name, b, 0o600), os.Truncate(name, baseSize+1<<30)); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h, err := Open(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
		t.Errorf("%d bytes were allocated", n)
	}
	if h.Root().Name() != "ROOT" {
		t.Error(h.Root().Name())
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

func TestIterationAllocatesNothing(t *testing.T) {
	h, err := Open(testenv.Corpus(t, "hives", "mkorman90_regipy", "NTUSER.DAT"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	k, err := h.Key(`Software\Microsoft\Windows\CurrentVersion`)
	if err != nil {
		t.Fatal(err)
	}
	var buf [512]byte
	n := testing.AllocsPerRun(20, func() {
		for s, err := range k.Subkeys() {
			if err != nil {
				t.Fatal(err)
			}
			s.AppendName(buf[:0])
			s.NameEqualFold("Explorer")
			for v, err := range s.Values() {
				if err != nil {
					t.Fatal(err)
				}
				v.AppendName(buf[:0])
				if _, err := v.Data(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := k.Subkey("explorer"); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	all := testing.AllocsPerRun(3, func() {
		for _, err := range h.Root().Walk() {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if all > 10 {
		t.Errorf("a walk over the whole hive makes %v allocations", all)
	}
}
