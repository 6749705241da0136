package winfs

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// A path that passes the door stays inside, in every spelling, and the functions
// on names agree with their plain twins.
func FuzzNames(f *testing.F) {
	for _, s := range [][2]string{
		{"./Files/a", `Files\A`}, {`a\..\b`, ".."}, {"C:x", `\\?\C:\x`}, {"Files/a:s:$DATA", "NUL.txt"}, {"a. /b", "\xed\xa0\x80"},
		{"\u0250/x", "\u2c6f"}, {"straße", "STRASSE"}, {"a//b", "a/./b"}, {"\xed\xa0\x80\xed\xb0\x80", "\U00010000"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		checkFold(t, a, b)
		p, err := FromSlash(a)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Fatalf("message of %d bytes", len(err.Error()))
			}
			return
		}
		if p == "" {
			return
		}
		if err := ValidatePath(p); err != nil {
			t.Fatalf("FromSlash(%q) = %q: %v", a, p, err)
		}
		if back, err := FromSlash(ToSlash(p)); err != nil || back != p {
			t.Fatalf("%q -> %q, %v", p, back, err)
		}
		for _, c := range strings.Split(p, `\`) {
			if strings.Trim(c, ". ") == "" || strings.ContainsAny(c, "/:\x00") || ValidateComponent(c) != nil {
				t.Fatalf("component %q of %q", c, p)
			}
		}
		dir, base := SplitPath(p)
		if JoinPath(dir, base) != p || !Under(p, "") || dir != "" && !Under(p, dir) || Under(p, p) {
			t.Fatalf("%q: split into %q and %q", p, dir, base)
		}
		if !ValidWTF8(p) || UTF16Len(p) > MaxPath {
			t.Fatalf("%q has a bad length or encoding", p)
		}
		if CheckPath(p) == nil && CheckPath(strings.ToUpper(p)) != nil && p == strings.ToLower(p) && Fold(p) == strings.ToUpper(p) {
			t.Fatalf("CheckPath depends on case: %q", p)
		}
	})
}

// Buffers that decode are encoded again with the same content, and targets survive.
func FuzzBuffers(f *testing.F) {
	f.Add(testenv.Hex(f, strings.ReplaceAll(eaVector, "\t", "")))
	for _, target := range []string{"a", `C:\d`, `\\server\share`, `\\?\Volume{0}\`} {
		b, _ := EncodeSymlink(target)
		f.Add(b)
		b, _ = EncodeMountPoint(target)
		f.Add(b)
	}
	f.Add(testenv.Hex(f, "78563412 0300 3412 33221100 5544 7766 8899aabbccddeeff 010203"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if list, err := DecodeEAs(raw); err == nil {
			b, err := EncodeEAs(list)
			if err != nil {
				t.Fatalf("% x: %v", raw, err)
			}
			// All but the padding is the same.
			back, err := DecodeEAs(b)
			if err != nil || len(back) != len(list) || len(b) < len(raw) {
				t.Fatalf("% x -> % x: %v", raw, b, err)
			}
			for i := range list {
				if back[i].Name != list[i].Name || back[i].Flags != list[i].Flags || !bytes.Equal(back[i].Value, list[i].Value) {
					t.Fatalf("% x -> % x: record %d", raw, b, i)
				}
			}
		}
		p, err := ParseReparse(raw)
		if err != nil {
			return
		}
		b, err := p.Bytes()
		link := p.Tag == ReparseTagSymlink || p.Tag == ReparseTagMountPoint
		if err != nil {
			if link { // names that overlap may need more room apart
				return
			}
			t.Fatalf("% x: %v", raw, err)
		}
		if !link && !bytes.Equal(b, raw) {
			t.Fatalf("% x -> % x", raw, b)
		}
		q, err := ParseReparse(b)
		if err != nil || q.Substitute != p.Substitute || q.Print != p.Print || q.Relative != p.Relative {
			t.Fatalf("%+v -> %+v, %v", p, q, err)
		}
		if enc, err := EncodeSymlink(p.Target()); link && err == nil {
			r, err := ParseReparse(enc)
			if err != nil || r.Target() != strings.ReplaceAll(p.Target(), "/", `\`) {
				t.Fatalf("target %q -> %q, %v", p.Target(), r.Target(), err)
			}
		}
	})
}
