package winfs

import (
	"errors"
	"strings"
	"testing"
)

func TestValidatePath(t *testing.T) {
	long := strings.Repeat("a", 255)
	for _, c := range []struct {
		path string
		err  error
		at   int
	}{
		{"", nil, 0},
		{`Files\Windows\System32\drivers\etc\hosts`, nil, 0},
		{`Files\$Recycle.Bin`, nil, 0},
		{`Files\.wh.x`, nil, 0},
		{`Files\...a`, nil, 0},
		{`Files\a..b`, nil, 0},
		{`Files\NUL`, nil, 0}, // CheckPath's business
		{`Files\x.`, nil, 0},
		{"Files\\\xed\xa0\x80", nil, 0}, // lone surrogate
		{"Files\\\u00e9\U00010400", nil, 0},
		{`Files\` + long, nil, 0},
		{strings.Repeat("é", 255), nil, 0},

		{`..`, ErrNameEscapes, 0},
		{`.`, ErrNameEscapes, 0},
		{`a\..\b`, ErrNameEscapes, 2},
		{`a\.. \b`, ErrNameEscapes, 2},
		{`a\...`, ErrNameEscapes, 2},
		{`a\ `, ErrNameEscapes, 2},
		{`a\.`, ErrNameEscapes, 2},
		{`\a`, ErrNameAbsolute, 0},
		{`/a`, ErrNameAbsolute, 0},
		{`\\server\share`, ErrNameAbsolute, 0},
		{`\\?\C:\a`, ErrNameAbsolute, 0},
		{`\??\C:\a`, ErrNameAbsolute, 0},
		{`\\.\PhysicalDrive0`, ErrNameAbsolute, 0},
		{`C:\a`, ErrNameAbsolute, 0},
		{`c:a`, ErrNameAbsolute, 0},
		{`Files\C:`, ErrNameColon, 7},
		{`Files\a:b`, ErrNameColon, 7},
		{`Files\a::$DATA`, ErrNameColon, 7},
		{`1:x`, ErrNameColon, 1},
		{`a\\b`, ErrNameEmpty, 2},
		{`a\`, ErrNameEmpty, 2},
		{`a/b`, ErrNameChar, 1},
		{"a\x00b", ErrNameChar, 1},
		{"a\nb", ErrNameChar, 1},
		{"a\x1f", ErrNameChar, 1},
		{`a*`, ErrNameChar, 1}, {`a?`, ErrNameChar, 1}, {`a"`, ErrNameChar, 1},
		{`a<`, ErrNameChar, 1}, {`a>`, ErrNameChar, 1}, {`a|`, ErrNameChar, 1},
		{"a\\\xff", ErrNotWTF8, 2},
		{"a\\\xc0\xae", ErrNotWTF8, 2},
		{"a\\\xed\xa0\x81\xed\xb0\xb7", ErrNotWTF8, 2}, // a pair in two halves
		{`a\` + long + "b", ErrNameTooLong, 2},
		{strings.Repeat("é", 256), ErrNameTooLong, 0},
		{strings.Repeat("\U00010400", 128), ErrNameTooLong, 0},
		{strings.Repeat("a\\", 16383) + "ab", ErrNameTooLong, 0},
		{strings.Repeat("x", 1<<20), ErrNameTooLong, 0},
	} {
		err := ValidatePath(c.path)
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("ValidatePath(%.40q) = %v, want %v", c.path, err, c.err)
			continue
		}
		if err == nil {
			continue
		}
		var ne *NameError
		if !errors.As(err, &ne) || ne.Offset != c.at || !errors.Is(err, ErrInvalidName) {
			t.Errorf("ValidatePath(%.40q) = %v, want a NameError at %d", c.path, err, c.at)
		}
		if len(err.Error()) > 1000 {
			t.Errorf("message for %.20q has %d bytes", c.path, len(err.Error()))
		}
	}
	if p := strings.Repeat("a\\", 16383) + "a"; ValidatePath(p) != nil {
		t.Errorf("path of exactly %d units is refused", len(p))
	}
}

func TestCheckPath(t *testing.T) {
	for _, c := range []struct {
		path string
		err  error
	}{
		{"", nil}, {`Files\a`, nil}, {`Files\CONSOLE`, nil}, {`Files\COM`, nil}, {`Files\COM10`, nil},
		{`Files\xNUL`, nil}, {`Files\NULL`, nil}, {`Files\com1x`, nil}, {`Files\.NUL`, nil}, {`a\LPT\b`, nil},
		{`Files\CON`, ErrNameReserved}, {`Files\nul`, ErrNameReserved}, {`nul\a`, ErrNameReserved},
		{`Files\NuL.tar.gz`, ErrNameReserved}, {`Files\AUX .txt`, ErrNameReserved}, {`Files\prn.`, ErrNameReserved},
		{`Files\COM1`, ErrNameReserved}, {`Files\com0`, ErrNameReserved}, {`Files\LPT9.x`, ErrNameReserved},
		{"Files\\COM\u00b9", ErrNameReserved}, {"Files\\lpt\u00b3.log", ErrNameReserved},
		{`CONIN$`, ErrNameReserved}, {`a\conout$.txt`, ErrNameReserved},
		{`Files\x.`, ErrNameTrailing}, {`Files\x `, ErrNameTrailing}, {`Files\x.\y`, ErrNameTrailing},
	} {
		if err := ValidatePath(c.path); err != nil {
			t.Errorf("ValidatePath(%q) = %v: the case is not about CheckPath", c.path, err)
		}
		if err := CheckPath(c.path); !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("CheckPath(%q) = %v, want %v", c.path, err, c.err)
		}
	}
}

func TestFromSlash(t *testing.T) {
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"Files", "Files", nil},
		{"Files/", "Files", nil},
		{"./Files/a", `Files\a`, nil},
		{"././Files", "Files", nil},
		{".", "", nil}, {"./", "", nil},
		{`Files\a`, `Files\a`, nil},
		{`.\Files\`, "Files", nil},
		{"Files/.wh.a", `Files\.wh.a`, nil},
		{"", "", ErrNameEmpty},
		{"/", "", ErrNameAbsolute}, {"/etc/passwd", "", ErrNameAbsolute}, {`\x`, "", ErrNameAbsolute},
		{"//server/share", "", ErrNameAbsolute}, {"C:/x", "", ErrNameAbsolute}, {".//x", "", ErrNameAbsolute},
		{"./C:/x", "", ErrNameAbsolute},
		{"..", "", ErrNameEscapes}, {"../x", "", ErrNameEscapes}, {"a/../b", "", ErrNameEscapes},
		{`a/..\b`, "", ErrNameEscapes}, {`..\x`, "", ErrNameEscapes}, {"a/..", "", ErrNameEscapes},
		{"a/./b", "", ErrNameEscapes}, {"./..", "", ErrNameEscapes},
		{"a//b", "", ErrNameEmpty}, {"a//", "", ErrNameEmpty},
		{"Files/a:s", "", ErrNameColon},
		{"Files/a\x00", "", ErrNameChar},
	} {
		got, err := FromSlash(c.name)
		if got != c.want || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("FromSlash(%q) = %q, %v, want %q, %v", c.name, got, err, c.want, c.err)
		}
		if err == nil && ToSlash(got) != strings.ReplaceAll(got, `\`, "/") {
			t.Errorf("ToSlash(%q) = %q", got, ToSlash(got))
		}
	}
	_, err := FromSlash("./Files/a/../b")
	if ne := (*NameError)(nil); !errors.As(err, &ne) || ne.Offset != 10 || ne.Name != "./Files/a/../b" {
		t.Errorf("error %v does not point at the dots in the name as given", err)
	}
}

func TestCutStream(t *testing.T) {
	for _, c := range []struct {
		name, file, stream string
		found              bool
	}{
		{"Files/a", "Files/a", "", false},
		{"Files/a:s", "Files/a", "s", true},
		{"Files/a:s:$DATA", "Files/a", "s", true},
		{"Files/a:s:$data", "Files/a", "s", true},
		{"Files/a::$DATA", "Files/a", "", true},
		{"Files/a:$DATA", "Files/a", "$DATA", true},
		{"Fi:les/a", "Fi:les/a", "", false},
		{`x\y:s:t`, `x\y`, "s:t", true},
	} {
		f, s, ok := CutStream(c.name)
		if f != c.file || s != c.stream || ok != c.found {
			t.Errorf("CutStream(%q) = %q, %q, %v", c.name, f, s, ok)
		}
	}
	for s, want := range map[string]error{
		"s": nil, "Zone.Identifier": nil, "\x05SummaryInformation": nil, "a b.": nil,
		"": ErrNameEmpty, "a:b": ErrNameColon, `a\b`: ErrNameChar, "a/b": ErrNameChar, "a\x00": ErrNameChar,
		"\xff": ErrNotWTF8, strings.Repeat("s", 256): ErrNameTooLong,
	} {
		if err := ValidateStream(s); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("ValidateStream(%.20q) = %v, want %v", s, err, want)
		}
	}
}

func TestSplitJoinUnder(t *testing.T) {
	for _, c := range []struct{ p, dir, base string }{
		{"", "", ""}, {"a", "", "a"}, {`a\b`, "a", "b"}, {`a\b\c`, `a\b`, "c"},
	} {
		if d, b := SplitPath(c.p); d != c.dir || b != c.base || JoinPath(d, b) != c.p {
			t.Errorf("SplitPath(%q) = %q, %q", c.p, d, b)
		}
	}
	for _, c := range []struct {
		p, prefix string
		want      bool
	}{
		{"Files", "Files", false}, {`Files\a`, "Files", true}, {`files\A`, "FILES", true},
		{"Filesystem", "Files", false}, {`Filesystem\a`, "Files", false}, {"File", "Files", false},
		{`Files\`, "Files", false}, {"a", "", true}, {"", "", false}, {"", "a", false},
		{"\u0250\\x", "\u2c6f", true}, // folded forms of different length in bytes
		{`UtilityVM\Files\x`, `utilityvm\files`, true}, {`UtilityVM`, `UtilityVM\Files`, false},
	} {
		if got := Under(c.p, c.prefix); got != c.want {
			t.Errorf("Under(%q, %q) = %v", c.p, c.prefix, got)
		}
	}
}
