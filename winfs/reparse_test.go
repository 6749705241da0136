package winfs

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

func utf16Hex(s string) string {
	const digits = "0123456789abcdef"
	var out []byte
	for _, b := range AppendUTF16LE(nil, s) {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return string(out)
}

// The vectors of docs/spec/layers.md, "Vectors", and others.
func TestReparseVectors(t *testing.T) {
	nt, win := utf16Hex(`\??\C:\d`), utf16Hex(`C:\d`)
	for _, c := range []struct {
		encode func(string) ([]byte, error)
		target string
		raw    string
		point  ReparsePoint
	}{
		{EncodeSymlink, "a", "0c0000a014000000 | 0000020004000200 | 01000000 | 61000000 61000000",
			ReparsePoint{Tag: ReparseTagSymlink, Substitute: "a", Print: "a", Relative: true}},
		{EncodeSymlink, `C:\d`, "0c0000a028000000 | 0000100012000800 | 00000000 |" + nt + "0000" + win + "0000",
			ReparsePoint{Tag: ReparseTagSymlink, Substitute: `\??\C:\d`, Print: `C:\d`}},
		{EncodeMountPoint, `C:\d`, "030000a024000000 | 0000100012000800 |" + nt + "0000" + win + "0000",
			ReparsePoint{Tag: ReparseTagMountPoint, Substitute: `\??\C:\d`, Print: `C:\d`}},
	} {
		raw := testenv.Hex(t, c.raw)
		got, err := c.encode(c.target)
		if err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s: % x, %v\nwant % x", c.target, got, err, raw)
			continue
		}
		p, err := ParseReparse(raw)
		if err != nil {
			t.Errorf("%s: %v", c.target, err)
			continue
		}
		c.point.Data = raw[8:]
		if !reflect.DeepEqual(*p, c.point) || p.Target() != c.target {
			t.Errorf("%s: parsed %+v, target %q", c.target, p, p.Target())
		}
		if back, err := p.Bytes(); err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%s: written again % x, %v", c.target, back, err)
		}
		for n := range raw {
			if _, err := ParseReparse(raw[:n]); !errors.Is(err, ErrBadReparse) {
				t.Errorf("%s cut to %d bytes: %v", c.target, n, err)
			}
		}
		if _, err := ParseReparse(append(raw, 0)); !errors.Is(err, ErrBadReparse) {
			t.Errorf("%s with a byte too many: %v", c.target, err)
		}
	}
}

func TestLinkTargets(t *testing.T) {
	for _, c := range []struct {
		target, nt string
		relative   bool
		shown      string
	}{
		{`a\b`, `a\b`, true, `a\b`},
		{`..\x`, `..\x`, true, `..\x`},
		{`\dir`, `\dir`, true, `\dir`},
		{`a/b`, `a\b`, true, `a\b`},
		{`c:\x`, `\??\c:\x`, false, `c:\x`},
		{`C:`, `\??\C:`, false, `C:`},
		{`C:/x/y`, `\??\C:\x\y`, false, `C:\x\y`},
		{`\\server\share\x`, `\??\UNC\server\share\x`, false, `\\server\share\x`},
		{`//server/share`, `\??\UNC\server\share`, false, `\\server\share`},
		{`\\?\C:\x`, `\??\C:\x`, false, `\\?\C:\x`},
		{`\\?\UNC\s\h`, `\??\UNC\s\h`, false, `\\?\UNC\s\h`},
		{`\\.\pipe\x`, `\??\pipe\x`, false, `\\.\pipe\x`},
		{`\\?\Volume{01234567-89ab-cdef-0123-456789abcdef}\`, `\??\Volume{01234567-89ab-cdef-0123-456789abcdef}\`,
			false, `\\?\Volume{01234567-89ab-cdef-0123-456789abcdef}\`},
		{`\??\C:\x`, `\??\C:\x`, false, `\??\C:\x`},
		{"x\U00010400\xed\xa0\x80", "x\U00010400\xed\xa0\x80", true, "x\U00010400\xed\xa0\x80"},
	} {
		b, err := EncodeSymlink(c.target)
		if err != nil {
			t.Errorf("%q: %v", c.target, err)
			continue
		}
		p, err := ParseReparse(b)
		if err != nil || p.Substitute != c.nt || p.Relative != c.relative || p.Target() != c.shown {
			t.Errorf("%q: %+v, %v", c.target, p, err)
		}
		m, err := EncodeMountPoint(c.target)
		if c.relative {
			if !errors.Is(err, ErrLinkTarget) {
				t.Errorf("mount point to relative %q: %v", c.target, err)
			}
		} else if p, _ := ParseReparse(m); p == nil || p.Substitute != c.nt {
			t.Errorf("mount point to %q: %+v, %v", c.target, p, err)
		}
	}
	for _, bad := range []string{"", "C:x", "c:..\\x", `\\?\C:x`, `\??\C:x`, "a\x00b", "a\nb", "\xff"} {
		if _, err := EncodeSymlink(bad); !errors.Is(err, ErrLinkTarget) {
			t.Errorf("EncodeSymlink(%q): %v", bad, err)
		}
	}
}

func TestReparseSizeLimit(t *testing.T) {
	// A relative target is stored twice: 20 + 2*(2n+2) bytes.
	fits := strings.Repeat("a", (MaxReparseSize-20-4)/4)
	b, err := EncodeSymlink(fits)
	if err != nil || len(b) != MaxReparseSize {
		t.Fatalf("target of %d units: %d bytes, %v", len(fits), len(b), err)
	}
	if _, err := ParseReparse(b); err != nil {
		t.Error(err)
	}
	for _, n := range []int{len(fits) + 1, 16384, 32767, 32768, 40000} {
		if _, err := EncodeSymlink(strings.Repeat("a", n)); !errors.Is(err, ErrReparseTooLarge) {
			t.Errorf("target of %d units: %v", n, err)
		}
	}
	if _, err := ParseReparse(append(b, 0)); !errors.Is(err, ErrReparseTooLarge) {
		t.Error(err)
	}
}

// mountvol leaves the print name of a volume empty.
func TestEmptyPrintName(t *testing.T) {
	for sub, want := range map[string]string{
		`\??\C:\x`:          `C:\x`,
		`\??\UNC\srv\share`: `\\srv\share`,
		`\??\Volume{00000000-0000-0000-0000-000000000001}\`: `\\?\Volume{00000000-0000-0000-0000-000000000001}\`,
		`\Device\X`: `\Device\X`,
		``:          ``,
	} {
		b, err := (&ReparsePoint{Tag: ReparseTagMountPoint, Substitute: sub}).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParseReparse(b)
		if err != nil || p.Target() != want {
			t.Errorf("%q: target %q, %v", sub, p.Target(), err)
			continue
		}
		if strings.HasPrefix(sub, `\??\`) {
			again, err := EncodeMountPoint(p.Target())
			if q, _ := ParseReparse(again); err != nil || q.Substitute != sub {
				t.Errorf("%q does not survive its target: %v", sub, err)
			}
		}
	}
}

func TestReparseNamesOutside(t *testing.T) {
	base, err := EncodeSymlink("abcd")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []int{8, 10, 12, 14} {
		for _, v := range []byte{1, 0x7e, 0xff} {
			b := bytes.Clone(base)
			b[field], b[field+1] = v, v
			if _, err := ParseReparse(b); !errors.Is(err, ErrBadReparse) {
				t.Errorf("field %#x set to %#x: %v", field, v, err)
			}
		}
	}
}

func TestForeignReparse(t *testing.T) {
	g, _ := ParseGUID("00112233-4455-6677-8899-aabbccddeeff")
	for _, raw := range []string{
		"17000080 0400 0000 01020304",                                   // WOF
		"78563412 0300 3412 33221100 5544 7766 8899aabbccddeeff 010203", // third party
		"78563412 0000 0000 33221100 5544 7766 8899aabbccddeeff",        // without data
		"1d0000a0 0600 0000 02000000 2f78",                              // WSL
		"030000a0 0800 0000 0000 0000 0000 0000", "0c0000a0 0c00 0000 0000 0000 0000 0000 00000000",
	} {
		b := testenv.Hex(t, raw)
		p, err := ParseReparse(b)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if IsMicrosoftTag(p.Tag) != (p.GUID == GUID{}) || !IsMicrosoftTag(p.Tag) && p.GUID != g {
			t.Errorf("%s: GUID %v", raw, p.GUID)
		}
		if p.Tag == ReparseTagSymlink || p.Tag == ReparseTagMountPoint {
			continue // not in the form that Windows writes
		}
		if back, err := p.Bytes(); err != nil || !bytes.Equal(back, b) {
			t.Errorf("%s: written again % x, %v", raw, back, err)
		}
	}
	if _, err := ParseReparse(testenv.Hex(t, "7856341200000000 33221100")); !errors.Is(err, ErrBadReparse) {
		t.Errorf("third-party buffer without GUID: %v", err)
	}
}

func TestReparseTagName(t *testing.T) {
	for tag, want := range map[uint32]string{
		ReparseTagSymlink: "SYMLINK", ReparseTagWCI1: "WCI_1", 0x9000001A: "CLOUD", 0x9000F01A: "CLOUD_F",
		0x9000101A: "CLOUD_1", 0x12345678: "0x12345678",
	} {
		if got := ReparseTagName(tag); got != want {
			t.Errorf("%#x: %s", tag, got)
		}
	}
	if IsNameSurrogate(ReparseTagWOF) || !IsNameSurrogate(ReparseTagSymlink) {
		t.Error("name surrogate bit")
	}
}
