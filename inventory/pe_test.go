package inventory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"
)

// le formats numbers in little-endian order.
func le(values ...any) []byte {
	var b bytes.Buffer
	for _, v := range values {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func utf16le(s string) []byte { return le(utf16.Encode([]rune(s + "\x00"))) }

func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// node makes a node of a version resource.
func node(key string, length int, text bool, value []byte, children ...[]byte) []byte {
	b := append(make([]byte, 6), utf16le(key)...)
	b = append(pad4(b), value...)
	for _, c := range children {
		b = append(pad4(b), c...)
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	binary.LittleEndian.PutUint16(b[2:], uint16(length))
	if text {
		b[4] = 1
	}
	return b
}

// versionResource makes a version resource with numbers and pairs of name and text.
func versionResource(file, product [4]uint16, texts ...string) []byte {
	fixed := le(uint32(0xfeef04bd), uint32(0x10000), file[1], file[0], file[3], file[2], product[1], product[0], product[3], product[2])
	fixed = append(fixed, make([]byte, 52-len(fixed))...)
	var strs [][]byte
	for p := range slices.Chunk(texts, 2) {
		strs = append(strs, node(p[0], len(p[1])+1, true, utf16le(p[1])))
	}
	return node("VS_VERSION_INFO", 52, false, fixed,
		node("VarFileInfo", 0, true, nil, node("Translation", 4, false, le(uint16(0x407), uint16(1200)))),
		node("StringFileInfo", 0, true, nil, node("040704b0", 0, true, nil, strs...)))
}

// peOptions describe a PE file that makePE makes.
type peOptions struct {
	machine uint16
	version []byte // resource
	code    []byte
	change  func(file []byte)
}

// Offsets in the files of makePE.
const (
	testDirs      = 64 + 24 + 112
	testSections  = testDirs + 16*8
	testResources = 1024
)

// makePE makes a PE32+ file with a section of code at offset 512 and one of resources at 1024.
func makePE(o peOptions) []byte {
	if o.machine == 0 {
		o.machine = 0x8664
	}
	b := make([]byte, testResources)
	copy(b, "MZ")
	b[60] = 64
	copy(b[64:], "PE\x00\x00")
	copy(b[68:], le(o.machine, uint16(2), make([]byte, 12), uint16(112+16*8), uint16(0x22)))
	opt := b[88:]
	binary.LittleEndian.PutUint16(opt, 0x20b)
	binary.LittleEndian.PutUint32(opt[60:], 512) // SizeOfHeaders
	binary.LittleEndian.PutUint32(opt[64:], 0x12345)
	binary.LittleEndian.PutUint32(opt[108:], 16)
	copy(b[512:], o.code)
	// Three directories, a data entry, the data.
	rsrc := le(make([]byte, 12), uint16(0), uint16(2), uint32(3), uint32(0x80000020), uint32(16), uint32(0x80000020),
		make([]byte, 12), uint16(0), uint16(1), uint32(1), uint32(0x80000038),
		make([]byte, 12), uint16(0), uint16(1), uint32(0x407), uint32(0x50),
		uint32(0x2000+0x60), uint32(len(o.version)), uint32(0), uint32(0))
	rsrc = append(rsrc, o.version...)
	for len(rsrc)%512 != 0 {
		rsrc = append(rsrc, 0)
	}
	if o.version != nil {
		copy(b[testDirs+2*8:], le(uint32(0x2000), uint32(len(rsrc))))
	}
	copy(b[testSections:], le([]byte(".text\x00\x00\x00"), uint32(512), uint32(0x1000), uint32(512), uint32(512), make([]byte, 16)))
	copy(b[testSections+40:], le([]byte(".rsrc\x00\x00\x00"), uint32(len(rsrc)), uint32(0x2000), uint32(len(rsrc)), uint32(testResources), make([]byte, 16)))
	b = append(b, rsrc...)
	if o.change != nil {
		o.change(b)
	}
	return b
}

// sampleVersion is a version resource with a title outside ASCII.
func sampleVersion() []byte {
	return versionResource([4]uint16{1, 2, 3, 4}, [4]uint16{5, 6, 0, 0}, "CompanyName", "Contoso, Ltd.", "FileDescription", "Prüfer",
		"FileVersion", "1.2 beta", "ProductName", "Tools", "OriginalFilename", "TOOL.EXE", "Comments", "left out")
}

func versionOf(t *testing.T, file []byte) (peVersion, error) {
	t.Helper()
	p, err := openPE(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return p.version()
}

func TestVersionResource(t *testing.T) {
	v, err := versionOf(t, makePE(peOptions{version: sampleVersion()}))
	if err != nil {
		t.Fatal(err)
	}
	if v.fileVersion() != "1.2.3.4" || v.productVersion() != "5.6.0.0" || v.language != 0x407 ||
		v.texts["CompanyName"] != "Contoso, Ltd." || v.texts["FileDescription"] != "Prüfer" || v.texts["OriginalFilename"] != "TOOL.EXE" || len(v.texts) != 5 {
		t.Errorf("%+v", v)
	}
	// Without a number the text counts.
	v, err = versionOf(t, makePE(peOptions{version: versionResource([4]uint16{}, [4]uint16{}, "FileVersion", " 2\nbeta ", "CompanyName", strings.Repeat("ü", 400))}))
	if err != nil || v.fileVersion() != "2 beta" || v.productVersion() != "" || len(v.texts["CompanyName"]) != maxVersionText {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err = versionOf(t, makePE(peOptions{})); err != nil || v.texts != nil {
		t.Errorf("without a resource: %+v, %v", v, err)
	}
}

// A fault of the resource is an error, and what comes before it is kept.
func TestVersionResourceFaults(t *testing.T) {
	at := func(off int, v ...any) func([]byte) { return func(b []byte) { copy(b[off:], le(v...)) } }
	const res, data = testResources, testResources + 0x60
	for name, c := range map[string]struct {
		change func([]byte)
		want   string
		file   string
	}{
		"a directory beyond the section": {at(testDirs+16, uint32(0x2000+10000)), "is in no section", ""},
		"a directory across its end":     {at(testDirs+16, uint32(0x2000+1016)), "beyond its section", ""},
		"entries without end":            {at(res+14, uint16(0xffff)), "beyond its section", ""},
		"a circle":                       {at(res+0x20+20, uint32(0x80000000)), "wrong level", ""},
		"data that is a directory":       {at(res+0x38+20, uint32(0x80000000)), "wrong level", ""},
		"a type that is no directory":    {at(res+16+8+4, uint32(0x50)), "wrong level", ""},
		"a gigabyte":                     {at(res+0x54, uint32(1<<30)), "1073741824 bytes: is too large", ""},
		"data beyond the section":        {at(res+0x54, uint32(60000)), "beyond its section", ""},
		"data at the end of addresses":   {at(res+0x50, uint32(0xffffffff)), "is in no section", ""},
		"a length above the data":        {at(data, uint16(0xfff0)), "it says 65520 bytes", ""},
		"another name":                   {at(data+6, uint16('X')), "its name is", ""},
		"a child above its parent":       {at(data+0x5c, uint16(0x7000)), "the node at 0x5c has 28672 bytes", "1.2.3.4"},
		"a child of 5 bytes":             {at(data+0x5c, uint16(5)), "the node at 0x5c has 5 bytes", "1.2.3.4"},
		"a section beyond the file":      {at(testSections+40+20, uint32(1<<30)), "beyond the end of the file", ""},
	} {
		v, err := versionOf(t, makePE(peOptions{version: sampleVersion(), change: c.change}))
		if err == nil || !strings.Contains(err.Error(), c.want) || v.file != c.file {
			t.Errorf("%s: %q, %v, want an error with %q", name, v.file, err, c.want)
		}
		if _, ok := errors.AsType[*peError](err); !ok {
			t.Errorf("%s: %T", name, err)
		}
	}
}

func TestOpenPE(t *testing.T) {
	good := makePE(peOptions{version: sampleVersion()})
	set := func(off int, v ...any) []byte {
		b := bytes.Clone(good)
		copy(b[off:], le(v...))
		return b
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":              {nil, "no PE file"},
		"a text":             {[]byte(strings.Repeat("MZ", 100)), "no PE file"},
		"a program of DOS":   {set(60, uint32(0xfffffff0)), "no PE file"},
		"16-bit Windows":     {set(64, []byte("NE")), "no PE file"},
		"cut in the header":  {good[:80], "file header at offset 0x44: reaches beyond"},
		"cut in the option":  {good[:150], "optional header at offset 0x58: reaches beyond"},
		"cut in directories": {good[:testDirs+20], "data directories at offset 0xc8: reaches beyond"},
		"cut in sections":    {good[:testSections+50], "section table at offset 0x148: reaches beyond"},
		"65535 sections":     {set(70, uint16(0xffff)), "section table at offset 0x148: reaches beyond"},
		"an unknown magic":   {set(88, uint16(0x107)), "unknown magic number 0x107"},
	} {
		_, err := openPE(bytes.NewReader(c.file), int64(len(c.file)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for machine, want := range map[uint16][2]string{0x14c: {"386"}, 0x8664: {"amd64"}, 0xaa64: {"arm64"}, 0x1c4: {"arm"}, 0x200: {"", "0x0200"}} {
		file := makePE(peOptions{machine: machine})
		p, err := openPE(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if arch, property := p.architecture(); arch != want[0] || property != want[1] {
			t.Errorf("machine %#x: %q, %q", machine, arch, property)
		}
	}
	// Managed code for any architecture, and such that must run as 32-bit.
	for flags, want := range map[uint32]string{1: "", 3: "386", 0: "386"} {
		file := makePE(peOptions{machine: 0x14c, code: le(uint32(72), make([]byte, 12), flags), change: func(b []byte) {
			copy(b[testDirs+14*8:], le(uint32(0x1000), uint32(72)))
		}})
		p, err := openPE(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if arch, _ := p.architecture(); arch != want {
			t.Errorf("flags %d: %q, want %q", flags, arch, want)
		}
	}
}

// The digest of a hand-cut file: all but the checksum and the certificate entry, filled to 8.
func TestAuthenticodeDigest(t *testing.T) {
	file := append(makePE(peOptions{code: []byte("code")}), 'o', 'v', 'r')
	signed := slices.Concat(file[:88+64], file[88+68:testDirs+32], file[testDirs+40:], make([]byte, 5))
	want := sha256.Sum256(signed)
	p, err := openPE(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.digests(t.Context())
	if err != nil || d.sha256 != want {
		t.Errorf("%x, %v, want %x", d.sha256, err, want)
	}
}

// The version of one file is read from a system.
func TestExecutableVersion(t *testing.T) {
	fsys := fstest.MapFS{"Files/a.exe": {Data: makePE(peOptions{version: sampleVersion()})}, "Files/b.exe": {Data: []byte("text")}, "Files/d": {Mode: fs.ModeDir}}
	s := NewSystem(fsys, nil)
	if v, err := executableVersion(t.Context(), s, "Files/a.exe"); err != nil || v.fileVersion() != "1.2.3.4" {
		t.Errorf("%+v, %v", v, err)
	}
	for name, want := range map[string]error{"Files/b.exe": errNoPE, "Files/c.exe": fs.ErrNotExist, "Files/d": fs.ErrInvalid} {
		if _, err := executableVersion(t.Context(), s, name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

func FuzzPE(f *testing.F) {
	for _, file := range [][]byte{
		makePE(peOptions{version: sampleVersion()}),
		makePE(peOptions{machine: 0x14c}),
		makePE(peOptions{version: sampleVersion(), change: func(b []byte) { copy(b[testDirs+32:], le(uint32(1536), uint32(512))) }}),
	} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x := newExecutables(AllExecutables)
		sum := sha256.Sum256(b)
		for c, err := range x.CatalogFile(t.Context(), &File{Path: `Files\a.exe`, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]), Content: bytes.NewReader(b)}) {
			if err == nil && (c.Name == "" || c.SHA256 == "" || len(c.Evidence) != 1) {
				t.Errorf("%+v", c)
			}
		}
	})
}

func FuzzVersionResource(f *testing.F) {
	f.Add(sampleVersion())
	f.Add(versionResource([4]uint16{}, [4]uint16{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxVersionResource {
			return
		}
		v, _ := parseVersion(b)
		for _, s := range v.texts {
			if len(s) > maxVersionText {
				t.Errorf("%d bytes of text", len(s))
			}
		}
	})
}
