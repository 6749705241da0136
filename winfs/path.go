package winfs

import "strings"

// Limits of names on NTFS, in UTF-16 units.
const (
	MaxComponent = 255
	MaxPath      = 32767
)

// ValidatePath is the only check that turns a foreign path into a trusted one. It refuses
// paths that could leave the layer, name something other than a file, or not exist on NTFS
// at all. A valid path is empty (the root), or one or more components that satisfy
// [ValidateComponent], joined by single backslashes, of at most [MaxPath] units together.
//
// It follows that no valid path is absolute, names a drive, a share or a device
// namespace (\\?\, \??\, \\.\), or addresses an alternate stream. Names that
// NTFS holds but Win32 treats in a special way, such as NUL, are valid here;
// [CheckPath] finds those.
//
// The error is a [NameError]. Rules: docs/spec/layers.md, "Names"; Windows "Naming
// Files, Paths, and Namespaces".
func ValidatePath(p string) error {
	if p == "" {
		return nil
	}
	if isAbsolute(p) {
		return &NameError{p, 0, ErrNameAbsolute}
	}
	// The byte length is an upper bound of the number of units, so that the units of an
	// ordinary path need not be counted.
	if len(p) > MaxPath && (len(p) > 3*MaxPath || UTF16Len(p) > MaxPath) {
		return &NameError{p, 0, ErrNameTooLong}
	}
	for start := 0; ; {
		end := len(p)
		if i := strings.IndexByte(p[start:], '\\'); i >= 0 {
			end = start + i
		}
		if at, err := componentProblem(p[start:end]); err != nil {
			return &NameError{p, start + at, err}
		}
		if end == len(p) {
			return nil
		}
		start = end + 1
	}
}

// ValidateComponent applies the rules of [ValidatePath] to one file name: valid WTF-8, 1 to
// [MaxComponent] units, no control character below U+0020, none of " * / : < > ? \ |, and
// not made of dots and spaces alone, because Win32 strips those at the end, which turns "..
// " into "..". NTFS itself refuses all of these characters, so no genuine layer has them.
func ValidateComponent(c string) error {
	if at, err := componentProblem(c); err != nil {
		return &NameError{c, at, err}
	}
	return nil
}

// Classes of the bytes of a component, as bits to be combined.
const (
	byteRefused uint8 = 0
	byteDot     uint8 = 1 // dots and spaces
	byteASCII   uint8 = 2
	byteOther   uint8 = 4
)

var byteClasses = func() (t [256]uint8) {
	for b := range t {
		switch {
		case b < 0x20 || strings.IndexByte(`"*/:<>?\|`, byte(b)) >= 0:
			t[b] = byteRefused
		case b == '.' || b == ' ':
			t[b] = byteDot
		case b < 0x80:
			t[b] = byteASCII
		default:
			t[b] = byteOther
		}
	}
	return t
}()

func componentProblem(c string) (at int, err error) {
	if c == "" {
		return 0, ErrNameEmpty
	}
	seen := byteDot
	for i := range len(c) {
		class := byteClasses[c[i]]
		if class == byteRefused {
			if c[i] == ':' {
				return i, ErrNameColon
			}
			return i, ErrNameChar
		}
		seen |= class
	}
	if seen == byteDot {
		return 0, ErrNameEscapes
	}
	if seen&byteOther != 0 && !ValidWTF8(c) {
		return 0, ErrNotWTF8
	}
	if len(c) > MaxComponent && UTF16Len(c) > MaxComponent {
		return 0, ErrNameTooLong
	}
	return 0, nil
}

// isAbsolute reports whether a path starts with a separator, which covers \dir,
// \\server\share, \\?\ and \??\ in either slash, or with a drive letter.
func isAbsolute(p string) bool {
	if p[0] == '\\' || p[0] == '/' {
		return true
	}
	return hasDrive(p)
}

// hasDrive reports whether s starts with a letter and a colon.
func hasDrive(s string) bool {
	return len(s) >= 2 && s[1] == ':' && isLetter(s[0])
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// CheckPath returns the first portability problem of a valid path; see
// [CheckName].
func CheckPath(p string) error {
	for start := 0; start < len(p); {
		end := len(p)
		if i := strings.IndexByte(p[start:], '\\'); i >= 0 {
			end = start + i
		}
		if err := nameProblem(p[start:end]); err != nil {
			return &NameError{p, start, err}
		}
		start = end + 1
	}
	return nil
}

// CheckName reports whether the ordinary Win32 functions of some version of Windows cannot
// use a valid component: [ErrNameReserved] for the names of devices (CON, PRN, AUX, NUL,
// COM0 to COM9, LPT0 to LPT9, the digits also as superscript one to three, CONIN$, CONOUT$;
// in any case and with any extension), [ErrNameTrailing] for a last dot or space.
//
// NTFS holds all of them, and the tools that unpack layers on Windows create files by
// handle, where no name is special; since Windows 11, device names with an extension are
// ordinary names for Win32 too. So layers may have them, and only code that opens a file by
// its path on a Windows host has to refuse them.
func CheckName(c string) error {
	if err := nameProblem(c); err != nil {
		return &NameError{c, 0, err}
	}
	return nil
}

func nameProblem(c string) error {
	if isDevice(c) {
		return ErrNameReserved
	}
	if n := len(c); n > 0 && (c[n-1] == '.' || c[n-1] == ' ') {
		return ErrNameTrailing
	}
	return nil
}

// isDevice reports whether Win32 maps the name to a device: the part before the
// first dot, without trailing spaces, is that of a device.
func isDevice(c string) bool {
	if i := strings.IndexByte(c, '.'); i >= 0 {
		c = c[:i]
	}
	c = strings.TrimRight(c, " ")
	switch len(c) {
	case 3:
		return asciiFold(c, "CON") || asciiFold(c, "PRN") || asciiFold(c, "AUX") || asciiFold(c, "NUL")
	case 4:
		return (asciiFold(c[:3], "COM") || asciiFold(c[:3], "LPT")) && c[3] >= '0' && c[3] <= '9'
	case 5: // superscript one, two, three
		return (asciiFold(c[:3], "COM") || asciiFold(c[:3], "LPT")) &&
			(c[3:] == "\u00b9" || c[3:] == "\u00b2" || c[3:] == "\u00b3")
	case 6:
		return asciiFold(c, "CONIN$")
	case 7:
		return asciiFold(c, "CONOUT$")
	}
	return false
}

// asciiFold reports whether s equals an upper-case ASCII text of the same length, ignoring
// case.
func asciiFold(s, upper string) bool {
	for i := range len(s) {
		b := s[i]
		if b >= 'a' && b <= 'z' {
			b -= 'a' - 'A'
		}
		if b != upper[i] {
			return false
		}
	}
	return true
}

// FromSlash turns the name of a tar entry into a validated path. It drops leading "./" and
// one trailing separator; "." and "./" are the root, "".
//
// A backslash in the name is a separator as well, because the Windows tools that import
// such archives treat it as one; the resulting components must satisfy [ValidatePath], so
// that ..\..\x and a/..\x are refused. Nothing else is cleaned: a//b and a/./b are errors,
// not second spellings of a path. The name of an alternate stream is refused because of its
// colon; see [CutStream].
func FromSlash(name string) (string, error) {
	if name == "" {
		return "", &NameError{name, 0, ErrNameEmpty}
	}
	if isAbsolute(name) {
		return "", &NameError{name, 0, ErrNameAbsolute}
	}
	p := strings.ReplaceAll(name, "/", `\`)
	for strings.HasPrefix(p, `.\`) {
		p = p[2:]
	}
	p = strings.TrimSuffix(p, `\`)
	if p == "" || p == "." {
		return "", nil
	}
	if err := ValidatePath(p); err != nil {
		ne := err.(*NameError)
		skipped := strings.Index(strings.ReplaceAll(name, "/", `\`), p)
		return "", &NameError{name, skipped + ne.Offset, ne.Err}
	}
	return p, nil
}

// ToSlash returns a path with forward slashes, as tar archives spell it.
func ToSlash(p string) string { return strings.ReplaceAll(p, `\`, "/") }

// CutStream splits the name of a tar entry or path that addresses an alternate
// stream, "dir/file:stream" or "dir/file:stream:$DATA", at the first colon of its
// last component. It validates neither part; [FromSlash] and [ValidateStream] do.
// Without such a colon it returns name, "", false.
func CutStream(name string) (file, stream string, found bool) {
	base := strings.LastIndexAny(name, `/\`) + 1
	i := strings.IndexByte(name[base:], ':')
	if i < 0 {
		return name, "", false
	}
	file, stream = name[:base+i], name[base+i+1:]
	if j := len(stream) - len(":$DATA"); j >= 0 && asciiFold(stream[j:], ":$DATA") {
		stream = stream[:j]
	}
	return file, stream, true
}

// ValidateStream checks the bare name of an alternate stream: valid WTF-8, 1 to
// [MaxComponent] units, no NUL, colon, slash or backslash. Unlike in file names, control
// characters are allowed.
func ValidateStream(name string) error {
	if name == "" {
		return &NameError{name, 0, ErrNameEmpty}
	}
	if i := strings.IndexByte(name, ':'); i >= 0 {
		return &NameError{name, i, ErrNameColon}
	}
	if i := strings.IndexAny(name, "\x00/\\"); i >= 0 {
		return &NameError{name, i, ErrNameChar}
	}
	if !ValidWTF8(name) {
		return &NameError{name, 0, ErrNotWTF8}
	}
	if UTF16Len(name) > MaxComponent {
		return &NameError{name, 0, ErrNameTooLong}
	}
	return nil
}

// SplitPath splits a path into the path of the parent and the last component.
// The parent of a single component is the root, "".
func SplitPath(p string) (dir, base string) {
	if i := strings.LastIndexByte(p, '\\'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return "", p
}

// JoinPath appends a component or relative path to a path; either may be empty.
func JoinPath(dir, base string) string {
	if dir == "" || base == "" {
		return dir + base
	}
	return dir + `\` + base
}

// Under reports whether p is strictly below prefix, without regard to case: Files\a is
// under FILES; Files and Filesystem\a are not. Every path except the root is under the
// root.
func Under(p, prefix string) bool {
	if prefix == "" {
		return p != ""
	}
	// ASCII needs no decoding; the loop ends at the first other byte.
	i := 0
	for ; i < len(prefix) && i < len(p) && p[i]|prefix[i] < 0x80; i++ {
		if upcaseTable[p[i]] != upcaseTable[prefix[i]] {
			return false
		}
	}
	if i == len(prefix) {
		return len(p) > i+1 && p[i] == '\\'
	}
	return underUnits(p[i:], prefix[i:])
}

// underUnits is Under for a prefix that is not empty, one unit at a time.
func underUnits(p, prefix string) bool {
	rp, rx := unitReader{s: p}, unitReader{s: prefix}
	for {
		x, okX := rx.next()
		u, okP := rp.next()
		if !okX {
			return okP && u == '\\' && rp.s != ""
		}
		if !okP || upcaseTable[u] != upcaseTable[x] {
			return false
		}
	}
}
