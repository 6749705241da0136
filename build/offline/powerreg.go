package offline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// newKey is New-Item of a key. With force its parents are made, and one that exists is
// replaced by an empty one.
func (p *power) newKey(c *cmdletCall, q powerPath) error {
	if t, ok := c.args["itemtype"]; ok && !strings.EqualFold(t.String(), "key") && !strings.EqualFold(t.String(), "directory") {
		return notOffline(t.t, "a key has no type")
	}
	k, err := p.key(q)
	if err != nil {
		return err
	}
	if len(k.names) == 0 {
		return failf("A key in this path already exists.")
	}
	force := c.has("force")
	_, ok, err := p.s.lookup(k, false)
	if err != nil {
		return placed(q.t, err)
	}
	if ok && !force {
		return failf("A key in this path already exists.")
	}
	if !ok && !force {
		parent := k
		parent.names = k.names[:len(k.names)-1]
		if _, there, err := p.s.lookup(parent, false); err != nil {
			return placed(q.t, err)
		} else if !there {
			return failf("The registry key at the specified path does not exist.")
		}
	}
	if ok {
		old, _, err := p.s.lookup(k, true)
		if err == nil {
			err = p.s.deleteKey(old)
		}
		if err != nil {
			return placed(q.t, err)
		}
	}
	key, _, err := p.s.create(k)
	if err != nil {
		return placed(q.t, err)
	}
	if v, ok := c.args["value"]; ok {
		if v.kind != kindText {
			return notOffline(v.t, "one text")
		}
		err = p.s.setValue(key, "", regf.RegSZ, regf.StringData(v.String()))
	}
	return placed(q.t, err)
}

// removeKey is Remove-Item of a key.
func (p *power) removeKey(c *cmdletCall, q powerPath, recurse bool) error {
	k, err := p.key(q)
	if err != nil {
		return err
	}
	if len(k.names) == 0 {
		return notOffline(q.t, "the root of a hive cannot be deleted")
	}
	key, ok, err := p.s.lookup(k, false)
	if err != nil {
		return placed(q.t, err)
	}
	if !ok {
		return cannotFind(q.t)
	}
	if key.SubkeyCount() > 0 && !recurse {
		return asks(c.name, "whether to remove a key with its subkeys", "add -Recurse")
	}
	if key, _, err = p.s.lookup(k, true); err == nil {
		err = p.s.deleteKey(key)
	}
	return placed(q.t, err)
}

// propertyTypes are the names of -PropertyType.
var propertyTypes = map[string]regf.Type{
	"string": regf.RegSZ, "expandstring": regf.RegExpandSZ, "multistring": regf.RegMultiSZ, "binary": regf.RegBinary,
	"dword": regf.RegDword, "qword": regf.RegQword,
}

// property returns the data of a value of the registry.
func property(v value, typ regf.Type) ([]byte, error) {
	switch typ {
	case regf.RegSZ, regf.RegExpandSZ:
		if v.kind == kindList {
			return nil, notOffline(v.t, "one text")
		}
		return regf.StringData(v.String()), nil
	case regf.RegMultiSZ:
		var list []string
		for _, e := range v.items() {
			list = append(list, e.String())
		}
		b, err := regf.StringsData(list)
		return b, placed(v.t, err)
	case regf.RegBinary:
		var b []byte
		for _, e := range v.items() {
			if e.kind != kindNumber || e.n < 0 || e.n > 255 {
				return nil, notOffline(e.t, "not a byte")
			}
			b = append(b, byte(e.n))
		}
		return b, nil
	}
	n := v
	if v.kind == kindText {
		if numberWord.FindString(strings.TrimPrefix(v.t.s, "-")) != strings.TrimPrefix(v.t.s, "-") || v.t.s == "" {
			return nil, notOffline(v.t, "not a whole number")
		}
		var err error
		if n, err = whole(v.t); err != nil {
			return nil, err
		}
	}
	switch {
	case n.kind == kindBool, n.kind == kindNumber:
	default:
		return nil, notOffline(v.t, "not a number")
	}
	if typ == regf.RegDword {
		if n.n < -1<<31 || n.n > 1<<32-1 {
			return nil, notOffline(v.t, "the number does not fit")
		}
		return regf.Uint32Data(uint32(n.n)), nil
	}
	return binary.LittleEndian.AppendUint64(nil, uint64(n.n)), nil
}

// psItemProperty is New-ItemProperty and Set-ItemProperty.
func psItemProperty(p *power, c *cmdletCall) ([]value, error) {
	list, err := p.pathArgument(c)
	if err != nil {
		return nil, err
	}
	name, hasName := c.args["name"]
	v, hasValue := c.args["value"]
	if !hasName || !hasValue || name.kind == kindList {
		return nil, syntax(c.name, "one -Name and a -Value are needed")
	}
	isNew := c.row.Name == "New-ItemProperty"
	for _, q := range list {
		if q.key == "" {
			if isNew {
				return nil, notOffline(q.t, "only keys of the registry have new properties")
			}
			if err := p.fileProperty(q, name, v, c.has("force")); err != nil {
				return nil, err
			}
			continue
		}
		k, err := p.key(q)
		if err != nil {
			return nil, err
		}
		key, ok, err := p.s.lookup(k, false)
		if err != nil {
			return nil, placed(q.t, err)
		}
		if !ok {
			return nil, cannotFind(q.t)
		}
		valueName := name.t.s
		if strings.EqualFold(valueName, "(default)") {
			valueName = ""
		}
		old, err := key.Value(valueName)
		exists := err == nil
		if err != nil && !errors.Is(err, regf.ErrNotFound) {
			return nil, placed(q.t, err)
		}
		if isNew && exists && !c.has("force") {
			return nil, failf("The property already exists.")
		}
		typ, err := p.propertyType(c, v, isNew, exists, old)
		if err != nil {
			return nil, err
		}
		data, err := property(v, typ)
		if err != nil {
			return nil, err
		}
		if key, _, err = p.s.lookup(k, true); err == nil {
			err = p.s.setValue(key, valueName, typ, data)
		}
		if err != nil {
			return nil, placed(q.t, err)
		}
	}
	return nil, nil
}

// propertyType returns the type that is given, or that of the value that exists, or the one
// that fits the new value.
func (p *power) propertyType(c *cmdletCall, v value, isNew, exists bool, old regf.Value) (regf.Type, error) {
	if t, ok := c.args["propertytype"]; ok {
		typ, ok := propertyTypes[strings.ToLower(t.String())]
		if !ok {
			return 0, notOffline(t.t, "")
		}
		return typ, nil
	}
	if exists && !isNew {
		for _, t := range propertyTypes {
			if t == old.Type() {
				return t, nil
			}
		}
		return 0, notOffline(c.name, "the value has another type; add -Type")
	}
	switch {
	case v.kind == kindText:
		return regf.RegSZ, nil
	case v.kind == kindNumber && !isNew && v.n == int64(int32(v.n)):
		return regf.RegDword, nil
	}
	return 0, notOffline(v.t, "give the type, -PropertyType of New-ItemProperty and -Type of Set-ItemProperty")
}

// fileProperty sets IsReadOnly, the one property of files here.
func (p *power) fileProperty(q powerPath, name, v value, force bool) error {
	if !strings.EqualFold(name.t.s, "IsReadOnly") || v.kind != kindBool {
		return notOffline(name.t, "of files only -Name IsReadOnly -Value $true or $false; use attrib")
	}
	list, _, err := p.found(q, force)
	if err != nil {
		return err
	}
	for _, it := range list {
		if it.dir() {
			return failf("The property IsReadOnly cannot be found on the object.")
		}
		set, clear := winfs.AttrReadOnly, winfs.Attributes(0)
		if v.n == 0 {
			set, clear = clear, set
		}
		if err := p.s.setAttributes(it, set, clear); err != nil {
			return placed(q.t, err)
		}
	}
	return nil
}

// psRemoveItemProperty is Remove-ItemProperty.
func psRemoveItemProperty(p *power, c *cmdletCall) ([]value, error) {
	list, err := p.pathArgument(c)
	if err != nil {
		return nil, err
	}
	names, ok := c.args["name"]
	if !ok {
		return nil, syntax(c.name, "-Name is missing")
	}
	for _, q := range list {
		if q.key == "" {
			return nil, notOffline(q.t, "only keys of the registry have properties that can be removed")
		}
		k, err := p.key(q)
		if err != nil {
			return nil, err
		}
		key, ok, err := p.s.lookup(k, false)
		if err != nil {
			return nil, placed(q.t, err)
		}
		if !ok {
			return nil, cannotFind(q.t)
		}
		for _, n := range names.items() {
			name := n.String()
			if hasPattern(name) {
				return nil, notOffline(n.t, "")
			}
			if strings.EqualFold(name, "(default)") {
				name = ""
			}
			if _, err := key.Value(name); errors.Is(err, regf.ErrNotFound) {
				return nil, failf("Property %s does not exist at path %s.", n.String(), q.t.s)
			}
			if key, _, err = p.s.lookup(k, true); err == nil {
				err = p.s.deleteValue(key, name)
			}
			if err != nil {
				return nil, placed(q.t, err)
			}
		}
	}
	return nil, nil
}

// variableTarget returns where a variable is: "" for the process, else the path of its key.
func variableTarget(args []value, i int) (string, error) {
	if len(args) <= i {
		return "", nil
	}
	switch strings.ToLower(args[i].String()) {
	case "process":
		return "", nil
	case "machine":
		return machineEnvironment, nil
	case "user":
		return `HKCU\Environment`, nil
	}
	return "", notOffline(args[i].t, "Machine, User or Process")
}

// psSetVariable is [Environment]::SetEnvironmentVariable.
func psSetVariable(p *power, name text, args []value) (value, error) {
	none := value{kind: kindNull, t: name.sub(0, 0)}
	if len(args) < 2 || len(args) > 3 || args[0].kind != kindText || args[1].kind == kindList {
		return none, syntax(name, "a name, a value and a target are needed")
	}
	key, err := variableTarget(args, 2)
	if err != nil {
		return none, err
	}
	variable, text := args[0].String(), args[1].String()
	if variable == "" || strings.ContainsAny(variable, "=\x00") || winfs.UTF16Len(variable) > 254 {
		return none, syntax(args[0].t, "not the name of a variable")
	}
	if strings.Contains(text, "\x00") || winfs.UTF16Len(text) > 32766 {
		return none, syntax(args[1].t, "not the value of a variable")
	}
	if key == "" {
		return none, p.s.setenv(variable, text, text == "")
	}
	if text != "" {
		return none, p.s.setRegistry(key, variable, regf.RegSZ, regf.StringData(text))
	}
	// Without a value the variable is deleted.
	k, err := p.s.parseKey(key)
	if err != nil {
		return none, err
	}
	at, ok, err := p.s.lookup(k, true)
	if err != nil || !ok {
		return none, err
	}
	if err := p.s.deleteValue(at, variable); err != nil && !errors.Is(err, regf.ErrNotFound) {
		return none, err
	}
	return none, nil
}

// psGetVariable is [Environment]::GetEnvironmentVariable.
func psGetVariable(p *power, name text, args []value) (value, error) {
	none := value{kind: kindNull, t: name.sub(0, 0)}
	if len(args) < 1 || len(args) > 2 || args[0].kind != kindText {
		return none, syntax(name, "a name and a target are needed")
	}
	key, err := variableTarget(args, 1)
	if err != nil {
		return none, err
	}
	if key == "" {
		v, ok, err := p.s.getenv(args[0].String())
		if err != nil || !ok {
			return none, err
		}
		return value{t: standIn(v, name)}, nil
	}
	k, err := p.s.parseKey(key)
	if err != nil {
		return none, err
	}
	at, ok, err := p.s.lookup(k, false)
	if err != nil || !ok {
		return none, err
	}
	v, err := at.Value(args[0].String())
	if errors.Is(err, regf.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	var fail error
	s, err := v.Expand(func(n string) (string, bool) {
		value, ok, err := p.s.getenv(n)
		fail = errors.Join(fail, err)
		return value, ok
	})
	if errors.Is(err, regf.ErrType) {
		return none, fmt.Errorf("%w: the variable %s is no text in the registry", ErrNotOffline, args[0].String())
	}
	return value{t: standIn(s, name)}, errors.Join(err, fail)
}
