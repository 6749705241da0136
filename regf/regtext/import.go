package regtext

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// ImportOptions are the options of [Import].
type ImportOptions struct {
	// Prefix is the path in the file of the root of the hive. If it is "", it is taken from
	// the first key of the file: two parts after HKEY_LOCAL_MACHINE or HKEY_USERS (HKLM,
	// HKU), one after the other HKEY_ names, and none if the path does not start with one.
	// A key without a name, [], is the root if there is no prefix.
	Prefix string
	// Locate, if it is set, is called for the key of each change and returns its path in
	// the hive. Root is the path of the root of the hive as the file names it, "" if it
	// names none, and path that of the key below it. An error ends the import.
	Locate func(root, path string) (string, error)
	// Key applies only the changes to this key of the file, such as
	// HKEY_LOCAL_MACHINE\SOFTWARE, and to those below it, so that a file may contain
	// several hives. If Prefix is "", it is taken from Key. "" applies all.
	Key string
	// Raw is [Reader.Raw]: text without a NUL at its end does not get one.
	Raw bool
	// Skip is [Reader.Skip]: it is called for lines that are skipped because regedit skips
	// them. If it is nil, the first of them is an error.
	Skip func(*LineError)
	// Size is the number of bytes that the text has, 0 if it is not known. The hive is then
	// given room for the text at once.
	Size int64
}

// Stats counts the changes of an import.
type Stats struct {
	KeysMade, KeysDeleted, ValuesSet, ValuesDeleted int
	// Keys counts the keys in the file that ImportOptions.Key selects, Outside those that
	// it does not.
	Keys, Outside int
}

// Import applies a .reg file to a hive in memory. Missing keys are created together with
// their parents; deleting a missing key or value is no error. After an error the changes
// before it remain, so save the hive only if there was none.
//
// Errors are those of [Reader], ErrOtherHive for a key outside the prefix, and
// those of editing, all with the line.
func Import(h *regf.Hive, r io.Reader, opt ImportOptions) (Stats, error) {
	im := &importer{h: h, place: opt.Locate, prefix: opt.Prefix, known: opt.Prefix != "", only: longForm(strings.TrimRight(opt.Key, `\`))}
	if !im.known && im.only != "" {
		im.prefix, im.known = FindPrefix(im.only), true
	}
	rd := NewReader(r)
	rd.Raw, rd.Skip = opt.Raw, opt.Skip
	for first := true; ; first = false {
		op, err := rd.Next()
		if first {
			h.Grow(hiveSize(opt.Size, rd.enc))
		}
		if err == io.EOF {
			return im.stats, nil
		}
		if err == nil {
			if err = im.apply(op); err != nil {
				err = &LineError{Line: op.Line, Err: err}
			}
		}
		if err != nil {
			return im.stats, fmt.Errorf("regtext: import: %w", err)
		}
	}
}

// hiveSize estimates what a text adds to a hive: exported hives of Windows have 0.4 bytes
// for each byte of text in UTF-16, and 0.85 for one in UTF-8.
func hiveSize(text int64, enc Encoding) int64 {
	if enc == UTF16 {
		return text / 2
	}
	return text
}

type importer struct {
	h      *regf.Hive
	place  func(root, path string) (string, error) // ImportOptions.Locate
	prefix string
	long   string // prefix without abbreviation
	known  bool
	only   string // ImportOptions.Key without abbreviation
	out    bool   // the key is outside it
	key    regf.Key
	stats  Stats

	// The keys on the path of the previous key, so that the next one, which is nearly
	// always close to it, is not looked up from the root.
	path string
	way  []regf.Key
	ends []int // of the names in path
}

func (im *importer) apply(op Op) error {
	if op.Kind == MakeKey || op.Kind == DeleteKey {
		if im.only != "" {
			if _, inside := cutFold(longForm(op.Key), im.only); !inside {
				im.out = true
				im.stats.Outside++
				return nil
			}
			im.out = false
		}
		im.stats.Keys++
		path, err := im.below(op.Key)
		if err != nil {
			return err
		}
		im.key = regf.Key{}
		if op.Kind == DeleteKey {
			return im.deleteKey(path)
		}
		return im.makeKey(path)
	}
	if im.out {
		return nil
	}
	if op.Kind == DeleteValue {
		err := im.key.DeleteValue(op.Name)
		if errors.Is(err, regf.ErrNotFound) {
			return nil
		}
		if err == nil {
			im.stats.ValuesDeleted++
		}
		return err
	}
	im.stats.ValuesSet++
	return im.key.SetValue(op.Name, regf.Type(op.Type), op.Data)
}

func (im *importer) makeKey(path string) error {
	k := im.h.Root()
	level := im.common(path)
	rest := path
	if level > 0 {
		k, rest = im.way[level-1], path[im.ends[level-1]:]
	}
	im.path, im.way, im.ends = path, im.way[:level], im.ends[:level]
	made := false
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, `\`)
		if part == "" {
			continue
		}
		next, created, err := k.Create(part)
		if errors.Is(err, regf.ErrInvalid) { // an existing name may be longer than a new one may be
			if there, missing := k.Subkey(part); missing == nil {
				next, err = there, nil
			}
		}
		if err != nil {
			return err
		}
		k, made = next, made || created
		end := len(path) - len(rest)
		if rest != "" || path[end-1] == '\\' {
			end-- // the backslash that was cut off
		}
		im.way, im.ends = append(im.way, k), append(im.ends, end)
	}
	if made {
		im.stats.KeysMade++
	}
	im.key = k
	return nil
}

// common returns the number of levels that a path shares with the previous one.
func (im *importer) common(path string) int {
	n := 0
	for n < len(path) && n < len(im.path) && path[n] == im.path[n] {
		n++
	}
	level := len(im.ends)
	for level > 0 && (im.ends[level-1] > n || im.ends[level-1] < len(path) && path[im.ends[level-1]] != '\\') {
		level--
	}
	return level
}

func (im *importer) deleteKey(path string) error {
	if path == "" {
		return fmt.Errorf("the root cannot be deleted: %w", regf.ErrInvalid)
	}
	k, err := im.h.Key(path)
	if errors.Is(err, regf.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	im.stats.KeysDeleted++
	im.way, im.ends = im.way[:0], im.ends[:0]
	return k.DeleteTree()
}

// below returns the path below the root of the hive.
func (im *importer) below(path string) (string, error) {
	if !im.known && path != "" { // [] does not determine the prefix of later keys
		im.prefix, im.known = FindPrefix(path), true
	}
	if im.prefix == "" {
		return im.locate(strings.TrimPrefix(path, `\`))
	}
	if im.long == "" {
		im.long = longForm(im.prefix)
	}
	rest, ok := cutFold(longForm(path), im.long)
	if !ok {
		return "", fmt.Errorf("key %q is not below %q: %w", path, im.prefix, ErrOtherHive)
	}
	return im.locate(rest)
}

func (im *importer) locate(path string) (string, error) {
	if im.place == nil {
		return path, nil
	}
	return im.place(im.prefix, path)
}

// cutFold removes a prefix of whole parts without regard to case.
func cutFold(path, prefix string) (string, bool) {
	for {
		p, prefixRest, more := strings.Cut(prefix, `\`)
		s, rest, _ := strings.Cut(path, `\`)
		if !winfs.EqualFold(p, s) {
			return "", false
		}
		path, prefix = rest, prefixRest
		if !more {
			return path, true
		}
	}
}

// shortForms are the abbreviations that reg.exe accepts.
var shortForms = map[string]string{
	"HKLM": "HKEY_LOCAL_MACHINE", "HKU": "HKEY_USERS", "HKCU": "HKEY_CURRENT_USER",
	"HKCR": "HKEY_CLASSES_ROOT", "HKCC": "HKEY_CURRENT_CONFIG",
}

// longForm expands the first part of a path.
func longForm(path string) string {
	first, rest, more := strings.Cut(path, `\`)
	long, ok := shortForms[strings.ToUpper(first)]
	switch {
	case !ok:
		return path
	case more:
		return long + `\` + rest
	}
	return long
}

// FindPrefix returns the part of a key's path that is the root of a hive, by the rule in
// [ImportOptions].
func FindPrefix(path string) string {
	first, rest, _ := strings.Cut(path, `\`)
	parts := 0
	switch strings.ToUpper(first) {
	case "HKEY_LOCAL_MACHINE", "HKLM", "HKEY_USERS", "HKU":
		parts = 2
	case "HKEY_CURRENT_USER", "HKCU", "HKEY_CLASSES_ROOT", "HKCR", "HKEY_CURRENT_CONFIG", "HKCC":
		parts = 1
	}
	switch parts {
	case 0:
		return ""
	case 1:
		return first
	}
	second, _, _ := strings.Cut(rest, `\`)
	if second == "" {
		return first
	}
	return first + `\` + second
}
