package regf

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mullion/mullion/winfs"
)

// FS presents the keys from k down as a read-only file system: keys are directories, values
// are files whose content is the data. A FileInfo's Sys returns the Key or Value.
//
// File names must be UTF-8 without slashes and not . or .., so other names are escaped: %XX
// is a byte of the WTF-8 form that cannot be in a file name, or the percent sign itself.
// The default value, which has no name, is "@"; a value that is really named @, or a value
// with the name of a subkey of the same key, ends in %@. Opening a name without regard to
// case finds the entry that Windows would find; listing shows the stored spelling.
func (k Key) FS() fs.FS { return keyFS{k} }

type keyFS struct{ root Key }

const hexDigits = "0123456789ABCDEF"

// escapeName writes a name as an element of a path.
func escapeName(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	plain := utf8.ValidString(name) && !strings.ContainsAny(name, "/%\\\x00")
	if plain && name != "" {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 || strings.ContainsRune("/%\\\x00", r) {
			for _, c := range []byte(name[i : i+n]) {
				b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
			}
		} else {
			b.WriteString(name[i : i+n])
		}
		i += n
	}
	return b.String()
}

// unescapeName is the inverse; value reports that the name ended in %@.
func unescapeName(s string) (name string, value, ok bool) {
	s, value = cutSuffix(s, "%@")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false, false
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false, false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	name = b.String()
	return name, value, winfs.ValidWTF8(name) && (value || escapeName(name) == s)
}

func cutSuffix(s, suffix string) (string, bool) { return strings.CutSuffix(s, suffix) }

// fileName returns the name of a value as a file of its key.
func (k Key) fileName(v Value) string {
	name := v.Name()
	if name == "" {
		if _, err := k.Subkey("@"); err == nil {
			return "%@"
		}
		return "@"
	}
	if name == "@" {
		return "@%@"
	}
	if _, err := k.Subkey(name); err == nil {
		return escapeName(name) + "%@"
	}
	return escapeName(name)
}

// Open implements fs.FS.
func (f keyFS) Open(name string) (fs.File, error) {
	fail := func(err error) (fs.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	if !fs.ValidPath(name) {
		return fail(fs.ErrInvalid)
	}
	k := f.root
	if name == "." {
		if !k.Valid() {
			return fail(fs.ErrNotExist)
		}
		return &keyDir{info: keyInfo{k, "."}}, nil
	}
	dir, base := path.Split(name)
	for _, part := range strings.Split(strings.Trim(dir, "/"), "/") {
		if part == "" {
			continue
		}
		n, value, ok := unescapeName(part)
		if !ok || value {
			return fail(fs.ErrNotExist)
		}
		next, err := k.Subkey(n)
		if err != nil {
			return fail(err)
		}
		k = next
	}
	n, value, ok := unescapeName(base)
	if !ok {
		return fail(fs.ErrNotExist)
	}
	if !value {
		if s, err := k.Subkey(n); err == nil {
			return &keyDir{info: keyInfo{s, base}}, nil
		} else if !errors.Is(err, ErrNotFound) {
			return fail(err)
		}
	}
	if n == "@" && !value {
		n = ""
	}
	v, err := k.Value(n)
	if err != nil {
		return fail(err)
	}
	if !strings.EqualFold(k.fileName(v), base) && !winfs.EqualFold(k.fileName(v), base) {
		return fail(fs.ErrNotExist) // another spelling of the escapes
	}
	data, err := v.AppendData(nil)
	if err != nil {
		return fail(err)
	}
	return &valueFile{info: valueInfo{k, v, base, int64(len(data))}, Reader: strings.NewReader(string(data))}, nil
}

type keyInfo struct {
	k    Key
	name string
}

func (i keyInfo) Name() string               { return i.name }
func (i keyInfo) Size() int64                { return 0 }
func (i keyInfo) Mode() fs.FileMode          { return fs.ModeDir | 0o555 }
func (i keyInfo) ModTime() time.Time         { return i.k.LastWrite().Time() }
func (i keyInfo) IsDir() bool                { return true }
func (i keyInfo) Sys() any                   { return i.k }
func (i keyInfo) Type() fs.FileMode          { return fs.ModeDir }
func (i keyInfo) Info() (fs.FileInfo, error) { return i, nil }

type valueInfo struct {
	k    Key
	v    Value
	name string
	size int64
}

func (i valueInfo) Name() string               { return i.name }
func (i valueInfo) Size() int64                { return i.size }
func (i valueInfo) Mode() fs.FileMode          { return 0o444 }
func (i valueInfo) ModTime() time.Time         { return i.k.LastWrite().Time() }
func (i valueInfo) IsDir() bool                { return false }
func (i valueInfo) Sys() any                   { return i.v }
func (i valueInfo) Type() fs.FileMode          { return 0 }
func (i valueInfo) Info() (fs.FileInfo, error) { return i, nil }

type valueFile struct {
	info valueInfo
	*strings.Reader
}

func (f *valueFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *valueFile) Close() error               { return nil }

// keyDir lists subkeys and then values.
type keyDir struct {
	info keyInfo
	list []fs.DirEntry
	read bool
}

func (d *keyDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *keyDir) Close() error               { return nil }

func (d *keyDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errors.New("is a key")}
}

func (d *keyDir) fill() error {
	k := d.info.k
	for s, err := range k.Subkeys() {
		if err != nil {
			return err
		}
		d.list = append(d.list, keyInfo{s, escapeName(s.Name())})
	}
	for v, err := range k.Values() {
		if err != nil {
			return err
		}
		d.list = append(d.list, valueInfo{k, v, k.fileName(v), int64(v.Size())})
	}
	return nil
}

// ReadDir implements fs.ReadDirFile.
func (d *keyDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		if err := d.fill(); err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: d.info.name, Err: err}
		}
		d.read = true
	}
	if n <= 0 {
		list := d.list
		d.list = nil
		return list, nil
	}
	if len(d.list) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.list))
	list := d.list[:n]
	d.list = d.list[n:]
	return list, nil
}
