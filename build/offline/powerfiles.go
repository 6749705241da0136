package offline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// psNewItem is New-Item.
func psNewItem(p *power, c *cmdletCall) ([]value, error) {
	v, ok := c.args["path"]
	if !ok {
		return nil, syntax(c.name, "-Path is missing")
	}
	list, err := p.paths(v, true)
	if err != nil {
		return nil, err
	}
	typ := strings.ToLower(c.args["itemtype"].String())
	if strings.EqualFold(c.row.Name, "mkdir") {
		typ = "directory"
	}
	for _, q := range list {
		if name, ok := c.args["name"]; ok {
			if strings.ContainsAny(name.t.s, `*?[]`) || name.t.s == "" {
				return nil, notOffline(name.t, "")
			}
			q.t = joinText(q.t, name.t)
			if q.key != "" {
				q.key = strings.TrimRight(q.key, `\`) + `\` + name.t.s
			}
		}
		if q.key != "" {
			err = p.newKey(c, q)
		} else {
			err = p.newFile(c, q, typ)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// joinText joins two parts of a path.
func joinText(dir, name text) text {
	var b builder
	b.add(dir)
	if !strings.HasSuffix(dir.s, `\`) && !strings.HasSuffix(dir.s, "/") {
		b.put(`\`, int32(name.from()))
	}
	b.add(name)
	return b.text()
}

func (p *power) newFile(c *cmdletCall, q powerPath, typ string) error {
	s := p.s
	path, err := p.file(q.t, false)
	if err != nil {
		return err
	}
	old, err := s.find(path)
	if err != nil && !missing(err) {
		return placed(q.t, err)
	}
	if err != nil {
		old = nil
	}
	force := c.has("force")
	content, hasValue := c.args["value"]
	exists := func() error { return failf("An item with the specified name %s already exists.", winPath(path)) }
	switch typ {
	case "directory", "container":
		if hasValue {
			return notOffline(content.t, "")
		}
		if old != nil && (!force || !old.dir()) {
			return exists()
		}
		_, err := s.makeDir(path)
		return placedFailure(q.t, err)
	case "file":
		if old != nil && !force {
			return failf("The file '%s' already exists.", winPath(path))
		}
		if old != nil && old.reparse() {
			return notOffline(q.t, "it is a link")
		}
		dir, _ := winfs.SplitPath(path)
		if force {
			if _, err := s.makeDir(dir); err != nil {
				return placedFailure(q.t, err)
			}
		}
		if err := p.prepare(path, force); err != nil {
			return placedFailure(q.t, err)
		}
		text := ""
		if hasValue {
			if content.kind == kindList {
				return notOffline(content.t, "one text")
			}
			text = content.String()
		}
		return placed(q.t, s.c.Files.Write(path, bytesContent(text), Meta{}))
	case "symboliclink", "junction", "hardlink":
		if !hasValue {
			return syntax(c.name, "-Target is missing")
		}
		if old != nil {
			if force {
				return notOffline(q.t, "it exists; remove it first")
			}
			return exists()
		}
		target, err := p.onePath(content)
		if err != nil {
			return err
		}
		if target.key != "" || !hasDrive(strings.ReplaceAll(target.t.s, "/", `\`)) {
			return notOffline(target.t, "versions of PowerShell differ in what they make of a relative target; use mklink")
		}
		to, err := p.file(target.t, true)
		if err != nil {
			return err
		}
		it, err := s.find(to)
		if missing(err) {
			return cannotFind(target.t)
		}
		if err != nil {
			return placed(target.t, err)
		}
		kind := linkFile
		switch {
		case typ == "junction" && !it.dir(), typ == "hardlink" && it.dir():
			return failf("The target %s is of the wrong kind.", target.t.s)
		case typ == "junction":
			kind = linkJunction
		case typ == "hardlink":
			kind = linkHard
		case it.dir():
			kind = linkDir
		}
		err = s.link(kind, q.t, target.t)
		if missing(err) {
			err = codeError(3)
		}
		return err
	case "":
		return &wordError{at: c.name.from(), word: c.name.s, err: fmt.Errorf("%w: it asks for the type", ErrNotOffline), advice: "add -ItemType"}
	}
	return notOffline(c.args["itemtype"].t, "")
}

// prepare makes sure that a file can be written: with force one that is read-only, too. What
// Windows refuses is a failure.
func (p *power) prepare(path string, force bool) error {
	it, err := p.s.writable(path)
	var code codeError
	if !errors.As(err, &code) {
		return err
	}
	if code == 3 {
		return failf("Could not find a part of the path '%s'.", winPath(path))
	}
	if it != nil && !it.dir() && force && !it.has(winfs.AttrHidden|winfs.AttrSystem) {
		return p.s.setAttributes(it, 0, winfs.AttrReadOnly)
	}
	if it != nil && !it.dir() && force {
		return fmt.Errorf("%w: %s is hidden or a system file", ErrNotOffline, winPath(path))
	}
	return failf("Access to the path '%s' is denied.", winPath(path))
}

// psRemoveItem is Remove-Item.
func psRemoveItem(p *power, c *cmdletCall) ([]value, error) {
	list, err := p.pathArgument(c)
	if err != nil {
		return nil, err
	}
	recurse, force := c.has("recurse"), c.has("force")
	for _, q := range list {
		if q.key != "" {
			err = p.removeKey(c, q, recurse)
		} else {
			err = p.removeFiles(c, q, recurse, force)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (p *power) removeFiles(c *cmdletCall, q powerPath, recurse, force bool) error {
	list, _, err := p.found(q, force)
	if err != nil {
		return err
	}
	for _, it := range list {
		// Everything is looked at before anything is removed.
		check := func(e *item) error {
			if err := p.s.step(); err != nil {
				return err
			}
			if e.dir() && e.reparse() {
				return fmt.Errorf("%w: %s is a link to a directory; versions of PowerShell differ in what they remove", ErrNotOffline, winPath(e.Path))
			}
			if !force && e.has(winfs.AttrReadOnly|winfs.AttrHidden|winfs.AttrSystem) {
				return failf("Cannot remove item %s: You do not have sufficient access rights to perform this operation.", winPath(e.Path))
			}
			if hivesFile(e.Path) {
				return guard(e.Path)
			}
			return nil
		}
		if err := p.s.walk(it, check); err != nil {
			return placedFailure(q.t, err)
		}
		err := p.s.remove(it, recurse)
		if code, ok := err.(codeError); ok && code == 145 {
			return asks(c.name, "whether to remove a directory with everything in it", "add -Recurse")
		}
		if err != nil {
			return placedFailure(q.t, err)
		}
	}
	return nil
}

// psCopyItem is Copy-Item.
func psCopyItem(p *power, c *cmdletCall) ([]value, error) {
	return nil, p.transfer(c, func(it *item, to string, exists bool) error {
		if !it.dir() {
			if err := p.prepare(to, c.has("force")); err != nil {
				return err
			}
			return p.s.copyFile(it, to, it.Attributes|winfs.AttrArchive)
		}
		return p.copyTree(it, to, c.has("recurse"), c.has("force"), 0)
	})
}

// psMoveItem is Move-Item.
func psMoveItem(p *power, c *cmdletCall) ([]value, error) {
	return nil, p.transfer(c, func(it *item, to string, exists bool) error {
		if exists && (it.dir() || !c.has("force")) {
			return failf("Cannot create a file when that file already exists.")
		}
		return p.s.moveItem(it, to, c.has("force"))
	})
}

// transfer calls f with each item and its target, for Copy-Item and Move-Item.
func (p *power) transfer(c *cmdletCall, f func(it *item, to string, exists bool) error) error {
	list, err := p.pathArgument(c)
	if err != nil {
		return err
	}
	dest, ok := c.args["destination"]
	if !ok {
		return notOffline(c.name, "give a -Destination")
	}
	d, err := p.onePath(dest)
	if err != nil {
		return err
	}
	if d.key != "" {
		return notOffline(d.t, "use reg copy")
	}
	to, err := p.file(d.t, true)
	if err != nil {
		return err
	}
	old, err := p.s.find(to)
	if err != nil && !missing(err) {
		return placed(d.t, err)
	}
	isDir := err == nil && old.dir()
	exists := err == nil
	slash := strings.HasSuffix(d.t.s, `\`) || strings.HasSuffix(d.t.s, "/")
	for _, q := range list {
		if q.key != "" {
			return notOffline(q.t, "use reg copy")
		}
		items, wild, err := p.found(q, c.has("force"))
		if err != nil {
			return err
		}
		if !isDir && (wild || len(list) > 1) {
			return notOffline(d.t, "what several files become where there is no directory depends on their order; make the directory first")
		}
		if !isDir && slash {
			return notOffline(d.t, "the directory does not exist; make it first")
		}
		for _, it := range items {
			target, there := to, exists
			if isDir {
				target = winfs.JoinPath(to, it.name())
				e, err := p.s.find(target)
				if err != nil && !missing(err) {
					return placed(d.t, err)
				}
				if there = err == nil; there && e.dir() && !it.dir() {
					return failf("Cannot overwrite the directory %s.", winPath(target))
				}
			} else if dir, _ := winfs.SplitPath(to); dir != "" {
				if _, err := p.s.directory(dir); missing(err) {
					return failf("Could not find a part of the path '%s'.", d.t.s)
				} else if err != nil {
					return placed(d.t, err)
				}
			}
			if it.dir() && it.reparse() {
				return notOffline(q.t, "it is a link to a directory")
			}
			err := f(it, target, there)
			if errors.Is(err, errSame) {
				err = failf("Cannot overwrite the item %s with itself.", winPath(it.Path))
			}
			if err != nil {
				return placedFailure(q.t, err)
			}
		}
	}
	return nil
}

// copyTree copies a directory, alone or with what is in it.
func (p *power) copyTree(it *item, to string, recurse, force bool, level int) error {
	s := p.s
	if level > maxTree {
		return fmt.Errorf("%w of %d directories in a path", ErrLimit, maxTree)
	}
	if winfs.EqualFold(to, it.Path) || winfs.Under(to, it.Path) {
		return fmt.Errorf("%w: %s is copied into itself", ErrNotOffline, winPath(it.Path))
	}
	made, err := s.makeDir(to)
	if err != nil {
		return err
	}
	if !made && !force {
		return fmt.Errorf("%w: %s exists, and without -Force its files are not all copied", ErrNotOffline, winPath(to))
	}
	if !recurse {
		return nil
	}
	list, err := s.children(it.Path)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.has(winfs.AttrHidden) && !force {
			continue
		}
		target := winfs.JoinPath(to, e.name())
		switch {
		case e.dir() && e.reparse():
			return fmt.Errorf("%w: %s is a link to a directory", ErrNotOffline, winPath(e.Path))
		case e.dir():
			err = p.copyTree(e, target, true, force, level+1)
		default:
			if err = p.prepare(target, force); err == nil {
				err = s.copyFile(e, target, e.Attributes|winfs.AttrArchive)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// psRenameItem is Rename-Item.
func psRenameItem(p *power, c *cmdletCall) ([]value, error) {
	list, err := p.pathArgument(c)
	if err != nil {
		return nil, err
	}
	name, ok := c.args["newname"]
	if !ok || len(list) != 1 || list[0].key != "" || hasPattern(list[0].t.s) {
		return nil, notOffline(c.name, "one file and a -NewName")
	}
	items, _, err := p.found(list[0], true)
	if err != nil {
		return nil, err
	}
	dir, _ := winfs.SplitPath(items[0].Path)
	var last string
	if strings.ContainsAny(name.t.s, `\/:`) {
		// A path is accepted if it is that of the same directory.
		to, err := p.file(name.t, false)
		if err != nil {
			return nil, err
		}
		var same string
		if same, last = winfs.SplitPath(to); !winfs.EqualFold(same, dir) {
			return nil, failf("Cannot rename the specified target, because it represents a path or device name.")
		}
	} else {
		last = name.t.s
	}
	if err := winfs.CheckName(last); err != nil {
		return nil, notOffline(name.t, err.Error())
	}
	err = p.s.moveItem(items[0], winfs.JoinPath(dir, last), false)
	return nil, placedFailure(list[0].t, err)
}

// psTestPath is Test-Path, as a condition.
func psTestPath(p *power, c *cmdletCall) ([]value, error) {
	list, err := p.pathArgument(c)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, notOffline(c.name, "one path")
	}
	want := strings.ToLower(c.args["pathtype"].String())
	q := list[0]
	yes := false
	switch {
	case q.key != "":
		if want != "" && want != "any" {
			return nil, notOffline(c.args["pathtype"].t, "")
		}
		k, err := p.key(q)
		if err != nil {
			return nil, err
		}
		if _, yes, err = p.s.lookup(k, false); err != nil {
			return nil, placed(q.t, err)
		}
	case hasPattern(q.t.s):
		items, _, err := p.found(q, true)
		if _, none := err.(powerError); err != nil && !none {
			return nil, err
		}
		yes = len(items) > 0
		if want != "" && want != "any" {
			return nil, notOffline(c.args["pathtype"].t, "")
		}
	default:
		path, err := p.file(q.t, true)
		var it *item
		if err == nil {
			it, err = p.s.find(path)
		}
		var none powerError
		if err != nil && !missing(err) && !errors.As(err, &none) {
			return nil, placed(q.t, err)
		}
		if err == nil {
			switch want {
			case "", "any":
				yes = true
			case "container":
				yes = it.dir()
			case "leaf":
				yes = !it.dir()
			default:
				return nil, notOffline(c.args["pathtype"].t, "")
			}
		}
	}
	v := value{kind: kindBool, t: c.name}
	if yes {
		v.n = 1
	}
	return []value{v}, nil
}

// psSetLocation is Set-Location.
func psSetLocation(p *power, c *cmdletCall) ([]value, error) {
	list, err := p.pathArgument(c)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 || list[0].key != "" || hasPattern(list[0].t.s) {
		return nil, notOffline(c.name, "one directory")
	}
	path, err := p.file(list[0].t, true)
	if err != nil {
		return nil, err
	}
	it, err := p.s.find(path)
	if missing(err) || err == nil && !it.dir() {
		return nil, cannotFind(list[0].t)
	}
	if err != nil {
		return nil, placed(list[0].t, err)
	}
	p.s.cwd = path
	return nil, nil
}

// writeOptions are those of Set-Content and its siblings.
type writeOptions struct {
	append, noNewline, force bool
	encoding                 string
}

// outDefault is the encoding of > and Out-File.
func (p *power) outDefault() string {
	if p.pwsh {
		return "utf8nobom"
	}
	return "unicode"
}

// knows reports whether the shell has an encoding, and encode, too.
func (p *power) knows(encoding string) bool {
	switch strings.ToLower(encoding) {
	case "ascii", "utf8", "unicode", "default", "oem":
		return true
	case "utf8nobom", "utf8bom", "ansi":
		return p.pwsh
	}
	return false
}

// encode writes text in an encoding; start is set for the start of a file.
func (p *power) encode(t text, s, encoding string, start bool) ([]byte, error) {
	bom := func(mark string, b []byte) []byte {
		if start {
			return append([]byte(mark), b...)
		}
		return b
	}
	switch strings.ToLower(encoding) {
	case "ascii":
		if !ascii(s) {
			return nil, notOffline(t, "it has characters that are not ASCII")
		}
		return []byte(s), nil
	case "": // of Set-Content
		if !ascii(s) && !p.pwsh {
			return nil, notOffline(t, "its bytes depend on the code page of the system; add -Encoding")
		}
		return []byte(s), nil
	case "default", "oem", "ansi":
		if !ascii(s) {
			return nil, notOffline(t, "its bytes depend on the code page of the system")
		}
		return []byte(s), nil
	case "utf8":
		if p.pwsh {
			return []byte(s), nil
		}
		return bom("\xEF\xBB\xBF", []byte(s)), nil
	case "utf8nobom":
		return []byte(s), nil
	case "utf8bom":
		return bom("\xEF\xBB\xBF", []byte(s)), nil
	case "unicode":
		return bom("\xFF\xFE", winfs.AppendUTF16LE(nil, s)), nil
	}
	return nil, notOffline(t, "the encoding "+encoding)
}

// writeText writes values, one a line, to a file.
func (p *power) writeText(to value, list []value, o writeOptions) error {
	q, err := p.onePath(to)
	if err != nil {
		return err
	}
	if q.key != "" {
		return notOffline(q.t, "")
	}
	path, err := p.file(q.t, true)
	if err != nil {
		return err
	}
	if err := p.prepare(path, o.force); err != nil {
		return placedFailure(q.t, err)
	}
	var text strings.Builder
	for _, v := range list {
		if v.kind == kindList {
			return notOffline(v.t, "")
		}
		text.WriteString(v.String())
		if !o.noNewline {
			text.WriteString("\r\n")
		}
		if text.Len() > maxOutput {
			return fmt.Errorf("%w of output, %d bytes", ErrLimit, maxOutput)
		}
	}
	var old []byte
	if o.append {
		if old, err = p.s.readFile(path, maxOutput); err != nil && !missing(err) {
			return placed(q.t, err)
		}
		if len(old) >= 2 && (old[0] == 0xFF && old[1] == 0xFE) != strings.EqualFold(o.encoding, "unicode") || strings.HasPrefix(string(old), "\xEF\xBB\xBF") && !strings.HasPrefix(strings.ToLower(o.encoding), "utf8") {
			return notOffline(q.t, "the file begins with the mark of another encoding")
		}
	}
	b, err := p.encode(q.t, text.String(), o.encoding, len(old) == 0)
	if err != nil {
		return err
	}
	if len(old)+len(b) > maxOutput {
		return fmt.Errorf("%w of output, %d bytes", ErrLimit, maxOutput)
	}
	return placed(q.t, p.s.c.Files.Write(path, bytesContent(append(old, b...)), Meta{}))
}

func psSetContent(p *power, c *cmdletCall) ([]value, error) {
	return nil, p.content(c, "path", strings.EqualFold(c.row.Name, "Add-Content"), c.args["encoding"].String())
}

func psOutFile(p *power, c *cmdletCall) ([]value, error) {
	encoding := c.args["encoding"].String()
	if encoding == "" {
		encoding = p.outDefault()
	}
	for _, v := range c.input {
		if len(v.String()) >= 80 {
			return nil, notOffline(v.t, "Out-File breaks lines at the width of the console; use Set-Content")
		}
	}
	return nil, p.content(c, "filepath", c.has("append"), encoding)
}

func (p *power) content(c *cmdletCall, path string, add bool, encoding string) error {
	to, ok := c.args[path]
	if !ok {
		return syntax(c.name, "-%s is missing", path)
	}
	if v, ok := c.args["encoding"]; ok && !p.knows(v.String()) {
		return notOffline(v.t, "")
	}
	list := c.input
	if v, ok := c.args["value"]; ok {
		if c.piped {
			return syntax(c.name, "-Value and a pipe exclude each other")
		}
		list = v.items()
	} else if !c.piped {
		return &wordError{at: c.name.from(), word: c.name.s, err: fmt.Errorf("%w: it asks for the value", ErrNotOffline), advice: "add -Value"}
	}
	return p.writeText(to, list, writeOptions{append: add, noNewline: c.has("nonewline"), force: c.has("force"), encoding: encoding})
}

func psOutNull(*power, *cmdletCall) ([]value, error) { return nil, nil }

// psWrite is Write-Host and Write-Output.
func psWrite(p *power, c *cmdletCall) ([]value, error) {
	v, ok := c.args["object"]
	if !ok {
		return nil, nil
	}
	return nil, p.s.printf("%s", v.String())
}
