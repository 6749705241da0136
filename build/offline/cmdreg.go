package offline

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
	"github.com/mullion/mullion/winfs"
)

// options reads the options of a program: those that take a value, and those that do not.
// Words without a slash are the operands. All names are in lower case.
func options(args []text, flags, valued string) (operands []text, set map[string]text, err error) {
	set = map[string]text{}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a.s, "/") {
			operands = append(operands, a)
			continue
		}
		name := strings.ToLower(a.s[1:])
		has := func(list string) bool { return strings.Contains(" "+list+" ", " "+name+" ") && name != "" }
		if _, twice := set[name]; twice {
			return nil, nil, &wordError{at: a.from(), word: a.s, err: fmt.Errorf("%w: the option is given twice", ErrSyntax)}
		}
		switch {
		case has(flags):
			set[name] = a
		case has(valued):
			if i++; i == len(args) {
				return nil, nil, &wordError{at: a.from(), word: a.s, err: fmt.Errorf("%w: its value is missing", ErrSyntax)}
			}
			set[name] = args[i]
		default:
			return nil, nil, notOffline(a, "")
		}
	}
	return operands, set, nil
}

func syntax(t text, format string, args ...any) error {
	return &wordError{at: t.from(), word: t.s, err: fmt.Errorf("%w: "+format, append([]any{ErrSyntax}, args...)...)}
}

// regProgram is reg.exe.
func regProgram(s *session, name text, args []text) (int, error) {
	if len(args) == 0 {
		return 0, syntax(name, "an operation is missing")
	}
	op, rest := args[0], args[1:]
	switch strings.ToLower(op.s) {
	case "add":
		return regAdd(s, op, rest)
	case "delete":
		return regDelete(s, op, rest)
	case "copy":
		return regCopy(s, op, rest)
	case "import":
		return regImport(s, op, rest)
	case "query":
		return regQuery(s, op, rest)
	}
	return 0, notOffline(op, "")
}

const (
	regDone    = "The operation completed successfully."
	regMissing = "ERROR: The system was unable to find the specified registry key or value."
)

// maxValueName and maxKeyName are in UTF-16 units (MS Learn, "Registry element size limits").
func oneKey(s *session, op text, operands []text) (keyPath, error) {
	if len(operands) != 1 {
		return keyPath{}, syntax(op, "one key is needed, not %d", len(operands))
	}
	return s.key(operands[0])
}

func regAdd(s *session, op text, args []text) (int, error) {
	operands, set, err := options(args, "ve f reg:64", "v t s d")
	if err != nil {
		return 0, err
	}
	k, err := oneKey(s, op, operands)
	if err != nil {
		return 0, err
	}
	value, hasValue := set["v"]
	_, isDefault := set["ve"]
	_, force := set["f"]
	if hasValue && isDefault {
		return 0, syntax(op, "/v and /ve exclude each other")
	}
	if isDefault {
		value.s = ""
	}
	key, _, err := s.create(k)
	if err != nil {
		return 0, placed(operands[0], err)
	}
	if !hasValue && !isDefault {
		for _, o := range []string{"t", "d", "s"} {
			if _, ok := set[o]; ok {
				return 0, syntax(op, "/%s needs /v or /ve", o)
			}
		}
		return 0, s.printf(regDone)
	}
	typ := regf.RegSZ
	if t, ok := set["t"]; ok {
		if typ, err = regType(t); err != nil {
			return 0, err
		}
	}
	data, hasData := set["d"]
	sep := `\0`
	if t, ok := set["s"]; ok {
		if sep = t.s; typ != regf.RegMultiSZ || len(sep) != 1 {
			return 0, syntax(t, "/s is one character, and only for REG_MULTI_SZ")
		}
	}
	b, err := regData(op, data, hasData, typ, sep)
	if err != nil {
		return 0, err
	}
	if v, err := key.Value(value.s); err == nil && !v.Tombstone() && !force {
		return 0, asks(op, "whether to overwrite the value "+value.s, "add /f")
	}
	if err := s.setValue(key, value.s, typ, b); err != nil {
		return 0, placed(op, err)
	}
	return 0, s.printf(regDone)
}

// regType reads a type that reg add takes.
func regType(t text) (regf.Type, error) {
	switch strings.ToUpper(t.s) {
	case "REG_SZ", "REG_MULTI_SZ", "REG_EXPAND_SZ", "REG_DWORD", "REG_QWORD", "REG_BINARY", "REG_NONE",
		"REG_DWORD_LITTLE_ENDIAN", "REG_DWORD_BIG_ENDIAN":
		return regf.ParseType(t.s)
	}
	return 0, syntax(t, "not a type that reg add takes")
}

func regData(op, data text, given bool, typ regf.Type, sep string) ([]byte, error) {
	text := data.s
	switch typ {
	case regf.RegDword, regf.RegDwordBigEndian, regf.RegQword:
		if !given {
			return nil, syntax(op, "a value of type %s needs /d", typ)
		}
		// Numbers are decimal or 0x, whatever zeros they begin with.
		if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok && isDigits(hex, "0123456789abcdef") {
			text = "0x" + hex
		} else if isDigits(text, "0123456789") {
			if text = strings.TrimLeft(text, "0"); text == "" {
				text = "0"
			}
		} else {
			return nil, syntax(data, "not a number")
		}
	}
	b, err := regf.ParseData(typ, text, sep)
	if err != nil {
		return nil, placed(data, err)
	}
	return b, nil
}

func isDigits(s, digits string) bool { return s != "" && strings.Trim(s, digits) == "" }

func regDelete(s *session, op text, args []text) (int, error) {
	operands, set, err := options(args, "ve va f reg:64", "v")
	if err != nil {
		return 0, err
	}
	k, err := oneKey(s, op, operands)
	if err != nil {
		return 0, err
	}
	value, hasValue := set["v"]
	_, isDefault := set["ve"]
	_, all := set["va"]
	if n := count(hasValue, isDefault, all); n > 1 {
		return 0, syntax(op, "/v, /ve and /va exclude each other")
	}
	if _, ok := set["f"]; !ok {
		return 0, asks(op, "whether to delete", "add /f")
	}
	key, ok, err := s.lookup(k, false)
	if err != nil {
		return 0, placed(operands[0], err)
	}
	if !ok {
		return s.fail(1, regMissing)
	}
	if len(k.names) == 0 && !hasValue && !isDefault && !all {
		return 0, &wordError{at: operands[0].from(), word: operands[0].s, err: fmt.Errorf("%w: the root of a hive cannot be deleted", ErrNotOffline)}
	}
	if hasValue || isDefault {
		if isDefault {
			value.s = ""
		}
		if _, err := key.Value(value.s); errors.Is(err, regf.ErrNotFound) {
			return s.fail(1, regMissing)
		}
	}
	// Only what changes something makes the hive one that changed.
	if key, _, err = s.lookup(k, true); err != nil {
		return 0, placed(operands[0], err)
	}
	switch {
	case hasValue, isDefault:
		err = s.deleteValue(key, value.s)
	case all:
		var names []string
		for v, err := range key.Values() {
			if err != nil {
				return 0, placed(op, err)
			}
			names = append(names, v.Name())
		}
		for _, n := range names {
			if err = s.deleteValue(key, n); err != nil {
				break
			}
		}
	default:
		err = s.deleteKey(key)
	}
	if err != nil {
		return 0, placed(op, err)
	}
	return 0, s.printf(regDone)
}

func count(list ...bool) (n int) {
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}

func regCopy(s *session, op text, args []text) (int, error) {
	operands, set, err := options(args, "s f reg:64", "")
	if err != nil {
		return 0, err
	}
	if len(operands) != 2 {
		return 0, syntax(op, "two keys are needed, not %d", len(operands))
	}
	from, err := s.key(operands[0])
	if err != nil {
		return 0, err
	}
	to, err := s.key(operands[1])
	if err != nil {
		return 0, err
	}
	if from.user == to.user && from.hive == to.hive && within(from.names, to.names) {
		return 0, &wordError{at: operands[1].from(), word: operands[1].s, err: fmt.Errorf("%w: a key is copied into itself", ErrNotOffline)}
	}
	src, ok, err := s.lookup(from, false)
	if err != nil {
		return 0, placed(operands[0], err)
	}
	if !ok {
		return s.fail(1, regMissing)
	}
	_, deep := set["s"]
	_, force := set["f"]
	// The copy is read before the first change, which may move the source.
	tree, err := s.readTree(src, deep, 0)
	if err != nil {
		return 0, placed(operands[0], err)
	}
	dst, _, err := s.create(to)
	if err != nil {
		return 0, placed(operands[1], err)
	}
	if err := s.writeTree(dst, tree, force); err != nil {
		if errors.Is(err, errOverwrite) {
			return 0, asks(op, "whether to overwrite a value", "add /f")
		}
		return 0, placed(op, err)
	}
	return 0, s.printf(regDone)
}

// within reports whether the path b is a or below it.
func within(a, b []string) bool {
	if len(b) < len(a) {
		return false
	}
	for i := range a {
		if !winfs.EqualFold(a[i], b[i]) {
			return false
		}
	}
	return true
}

var errOverwrite = errors.New("value exists")

// keyTree is a copy of a key.
type keyTree struct {
	name   string
	values []keyValue
	keys   []keyTree
}

type keyValue struct {
	name string
	typ  regf.Type
	data []byte
}

func (s *session) readTree(k regf.Key, deep bool, level int) (keyTree, error) {
	t := keyTree{name: k.Name()}
	if level > regf.MaxDepth {
		return t, fmt.Errorf("%w of %d keys in a path", ErrLimit, regf.MaxDepth)
	}
	if k.Symlink() {
		return t, fmt.Errorf("%w: the key %s is a link", ErrNotOffline, k.Path())
	}
	if level == 0 {
		k = k.Traverse()
	}
	for v, err := range k.Values() {
		if err == nil {
			err = s.step()
		}
		if err != nil {
			return t, err
		}
		data, err := v.AppendData(nil)
		if err != nil {
			return t, err
		}
		t.values = append(t.values, keyValue{v.Name(), v.Type(), data})
	}
	if !deep {
		return t, nil
	}
	for sub, err := range k.Subkeys() {
		if err == nil {
			err = s.step()
		}
		if err != nil {
			return t, err
		}
		st, err := s.readTree(sub, deep, level+1)
		if err != nil {
			return t, err
		}
		t.keys = append(t.keys, st)
	}
	return t, nil
}

func (s *session) writeTree(k regf.Key, t keyTree, force bool) error {
	for _, v := range t.values {
		if _, err := k.Value(v.name); err == nil && !force {
			return errOverwrite
		}
		if err := s.setValue(k, v.name, v.typ, v.data); err != nil {
			return err
		}
	}
	for _, sub := range t.keys {
		if err := s.step(); err != nil {
			return err
		}
		n, _, err := k.Create(sub.name)
		if err == nil {
			err = s.writeTree(n, sub, force)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxImported bounds a .reg file.
const maxImported = 256 << 20

// regImport applies a .reg file of the image. A line that regedit would skip is an error.
func regImport(s *session, op text, args []text) (int, error) {
	operands, _, err := options(args, "reg:64", "")
	if err != nil {
		return 0, err
	}
	if len(operands) != 1 {
		return 0, syntax(op, "one file is needed, not %d", len(operands))
	}
	p, err := s.locate(operands[0], true)
	if err != nil {
		return 0, err
	}
	if p.null {
		return 0, notOffline(operands[0], "")
	}
	f, size, err := s.openFile(p.layer)
	if missing(err) {
		return s.fail(1, "ERROR: Error opening the file. There may be a disk or file system error.")
	}
	if err != nil {
		return 0, placed(operands[0], err)
	}
	if size > maxImported {
		return 0, placed(operands[0], errors.Join(fmt.Errorf("%w: the file has more than %d bytes", ErrLimit, maxImported), f.Close()))
	}
	err = errors.Join(s.importText(io.LimitReader(f, maxImported)), f.Close())
	if err != nil {
		return 0, placed(operands[0], err)
	}
	return 0, s.printf(regDone)
}

func (s *session) importText(r io.Reader) error {
	rd := regtext.NewReader(r)
	var key regf.Key
	for {
		op, err := rd.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = s.step()
		}
		if err != nil {
			return err
		}
		switch op.Kind {
		case regtext.MakeKey, regtext.DeleteKey:
			var k keyPath
			if k, err = s.parseKey(op.Key); err != nil {
				break
			}
			if op.Kind == regtext.MakeKey {
				key, _, err = s.create(k)
				break
			}
			key = regf.Key{}
			if len(k.names) == 0 {
				err = fmt.Errorf("%w: the root of a hive cannot be deleted", ErrNotOffline)
				break
			}
			old, ok, lookErr := s.lookup(k, true)
			if err = lookErr; err == nil && ok {
				err = s.deleteKey(old)
			}
		case regtext.SetValue:
			err = s.setValue(key, op.Name, regf.Type(op.Type), op.Data)
		case regtext.DeleteValue:
			if err = s.deleteValue(key, op.Name); errors.Is(err, regf.ErrNotFound) {
				err = nil
			}
		}
		if err != nil {
			return &regtext.LineError{Line: op.Line, Err: err}
		}
	}
}

// regQuery tells by its exit status whether a key or a value exists.
func regQuery(s *session, op text, args []text) (int, error) {
	operands, set, err := options(args, "ve reg:64", "v")
	if err != nil {
		return 0, err
	}
	k, err := oneKey(s, op, operands)
	if err != nil {
		return 0, err
	}
	if s.out.exact() {
		return 0, notOffline(op, "it is a condition here: redirect its output to nul")
	}
	value, hasValue := set["v"]
	_, isDefault := set["ve"]
	key, ok, err := s.lookup(k, false)
	if err != nil {
		return 0, placed(operands[0], err)
	}
	if ok && (hasValue || isDefault) {
		if isDefault {
			return 0, notOffline(set["ve"], "reg query /ve answers for values that are not set, too")
		}
		_, err := key.Value(value.s)
		if ok = err == nil; err != nil && !errors.Is(err, regf.ErrNotFound) {
			return 0, placed(op, err)
		}
	}
	if !ok {
		return s.fail(1, regMissing)
	}
	return 0, nil
}

// maxSetx is the length beyond which setx cuts a value off.
const maxSetx = 1024

const machineEnvironment = `HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment`

// setxProgram is setx.exe: it sets a variable of the machine, with /m, or of the user.
func setxProgram(s *session, name text, args []text) (int, error) {
	operands, set, err := options(args, "m", "")
	if err != nil {
		return 0, err
	}
	if len(operands) != 2 {
		return 0, syntax(name, "a name and a value are needed, not %d words", len(operands))
	}
	variable, value := operands[0], operands[1]
	if variable.s == "" || strings.Contains(variable.s, "=") {
		return 0, syntax(variable, "not the name of a variable")
	}
	if winfs.UTF16Len(value.s) > maxSetx {
		return 0, &wordError{at: value.from(), word: value.s, err: fmt.Errorf("%w: setx cuts values off after %d characters", ErrNotOffline, maxSetx),
			advice: "use reg add, or ENV"}
	}
	// A value with a percent sign is one to be expanded.
	typ := regf.RegSZ
	if strings.Contains(value.s, "%") {
		typ = regf.RegExpandSZ
	}
	place := `HKCU\Environment`
	if _, ok := set["m"]; ok {
		place = machineEnvironment
	}
	if err := s.setRegistry(place, variable.s, typ, regf.StringData(value.s)); err != nil {
		return 0, placed(name, err)
	}
	return 0, s.printf("SUCCESS: Specified value was saved.")
}

func (s *session) setRegistry(path, name string, typ regf.Type, data []byte) error {
	k, err := s.parseKey(path)
	if err != nil {
		return err
	}
	key, _, err := s.create(k)
	if err != nil {
		return err
	}
	return s.setValue(key, name, typ, data)
}
