package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// nameError is an impossible name, with the reason.
type nameError struct{ err error }

func (e *nameError) Error() string   { return ErrName.Error() + ": " + e.err.Error() }
func (e *nameError) Unwrap() []error { return []error{ErrName, e.err} }

// checkName returns an error for names that Windows cannot hold or open.
func checkName(name string) error {
	err := winfs.ValidateComponent(name)
	if err == nil {
		err = winfs.CheckName(name)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, winfs.ErrNameTooLong):
		return fmt.Errorf("%w: %w", ErrNameTooLong, err)
	}
	return &nameError{err}
}

// found is the result of looking up a name in a directory.
type found struct {
	id    uint64 // 0: nothing
	name  string // its spelling, or the requested name in the lower tree
	below uint64 // its object in the lower tree
	file  File   // of the lower tree, if it was looked up
}

// find looks a name up in a directory.
func (t *Tree) find(d *object, name string) (found, error) {
	if !d.dir {
		return found{}, ErrNotDirectory
	}
	if r, ok := d.names[winfs.Fold(name)]; ok {
		return found{id: r.id, name: r.name, below: r.below}, nil
	}
	if d.lower == nil {
		return found{}, nil
	}
	f, err := d.lower.Child(name)
	if errors.Is(err, fs.ErrNotExist) {
		return found{}, nil
	}
	if err != nil {
		return found{}, err
	}
	return found{f.ID(), name, f.ID(), f}, nil
}

// child returns the object of a name, or fs.ErrNotExist if there is none.
func (t *Tree) child(d *object, name string) (*object, found, error) {
	n, err := t.find(d, name)
	if err != nil {
		return nil, n, err
	}
	if n.id == 0 {
		return nil, n, fs.ErrNotExist
	}
	var o *object
	if n.file != nil {
		o, err = t.enter(n.file)
	} else {
		o, err = t.load(n.id)
	}
	if err != nil {
		return nil, n, err
	}
	if o.place.dir == 0 && o.id != t.root {
		t.setPlace(o, d.id, n.name)
	}
	return o, n, nil
}

// adopt appends operations that record an object of the lower tree and the directories
// above it in the journal, so that a replay can find its place.
func (t *Tree) adopt(ops []op, o *object) ([]op, error) {
	var chain []op
	for n := 0; !o.adopted; n++ {
		up := t.objects[o.place.dir]
		if up == nil || n > winfs.MaxPath {
			return ops, fs.ErrNotExist
		}
		chain = append(chain, op{code: opAdopt, id: o.id, dir: up.id, name: o.place.name})
		o = up
	}
	slices.Reverse(chain)
	return append(ops, chain...), nil
}

// touched appends the times of an object whose metadata (content == false) or content
// (content == true) changes now.
func (t *Tree) touched(ops []op, o *object, content bool) []op {
	times := o.times()
	times.Change = t.now()
	if content {
		times.LastWrite = times.Change
	}
	return append(ops, op{code: opSet, id: o.id, set: overrides{mask: setTimes, times: times}})
}

// change commits a change of an object's metadata or alternate streams.
func (t *Tree) change(o *object, edit func(ops []op) []op) error {
	ops, err := t.adopt(nil, o)
	if err != nil {
		return err
	}
	return t.commit(t.touched(edit(ops), o, false))
}

// writable returns a directory in which names can be changed.
func (t *Tree) writable(id uint64) (*object, error) {
	d, err := t.load(id)
	switch {
	case err != nil:
		return nil, err
	case !d.dir:
		return nil, ErrNotDirectory
	case d.links() == 0:
		return nil, fs.ErrNotExist // it was removed
	}
	return d, nil
}

// pathUnits counts the path of an object in UTF-16 units.
func (t *Tree) pathUnits(o *object) int {
	n := 0
	for i := 0; o != nil && o.id != t.root && i <= winfs.MaxPath; i++ {
		n += winfs.UTF16Len(o.place.name) + 1
		o = t.objects[o.place.dir]
	}
	return n
}

// vacant checks that a name may be created in a directory, and does not exist.
func (t *Tree) vacant(d *object, name string) (found, error) {
	if err := checkName(name); err != nil {
		return found{}, err
	}
	if t.pathUnits(d)+winfs.UTF16Len(name) > winfs.MaxPath {
		return found{}, ErrNameTooLong
	}
	n, err := t.find(d, name)
	if err == nil && n.id != 0 {
		err = fs.ErrExist
	}
	return n, err
}

// New describes an object to be created.
type New struct {
	Dir        bool
	Attributes winfs.Attributes // in addition to those that follow from the kind
	EAs        []byte           // FILE_FULL_EA_INFORMATION
	Reparse    []byte           // nil: none
}

// Create creates a file or directory and returns it. If the name exists, the error is
// fs.ErrExist. The new object has the current time and the descriptor that image builders
// use for new files (package winsec).
func (t *Tree) Create(dir uint64, name string, spec New) (Info, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := t.writable(dir)
	if err != nil {
		return Info{}, err
	}
	n, err := t.vacant(d, name)
	if err != nil {
		return Info{}, err
	}
	ops, err := t.adopt(nil, d)
	if err != nil {
		return Info{}, err
	}
	id, now := t.nextID, t.now()
	set := overrides{
		mask:       allFields &^ (setEAs | setReparse),
		times:      winfs.Times{Creation: now, LastAccess: now, LastWrite: now, Change: now},
		attributes: spec.Attributes &^ (winfs.AttrDirectory | winfs.AttrReparsePoint),
		security:   fileSecurity,
		eas:        spec.EAs,
		reparse:    spec.Reparse,
	}
	kind := uint64(0)
	if spec.Dir {
		kind, set.security = 1, dirSecurity
	} else {
		set.attributes |= winfs.AttrArchive
	}
	if len(spec.EAs) > 0 {
		set.mask |= setEAs
	}
	if len(spec.Reparse) > 0 {
		set.mask |= setReparse
	}
	ops = append(ops, op{code: opNew, id: id, n: kind}, op{code: opSet, id: id, set: set},
		op{code: opName, dir: d.id, name: name, id: id, below: n.below})
	if err := t.commit(t.touched(ops, d, true)); err != nil {
		return Info{}, err
	}
	o := t.objects[id]
	return t.hold(o)
}

var fileSecurity, dirSecurity = winsec.BuilderFile(), winsec.BuilderDirectory()

// Link creates a further name of a file.
func (t *Tree) Link(id, dir uint64, name string) (Info, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.load(id)
	if err != nil {
		return Info{}, err
	}
	d, err := t.writable(dir)
	if err != nil {
		return Info{}, err
	}
	switch {
	case o.dir:
		return Info{}, ErrIsDirectory
	case o.links() == 0:
		return Info{}, fs.ErrNotExist
	case o.links() >= MaxLinks:
		return Info{}, ErrTooManyLinks
	}
	n, err := t.vacant(d, name)
	if err != nil {
		return Info{}, err
	}
	ops, err := t.adopt(nil, d)
	if err == nil {
		ops, err = t.adopt(ops, o)
	}
	if err != nil {
		return Info{}, err
	}
	ops = append(ops, op{code: opName, dir: d.id, name: name, id: o.id, below: n.below})
	if err := t.commit(t.touched(t.touched(ops, o, false), d, true)); err != nil {
		return Info{}, err
	}
	return t.hold(o)
}

// MaxLinks is the maximum number of names of a file on NTFS.
const MaxLinks = 1024

// Unlink removes a name of an object that is not a directory.
func (t *Tree) Unlink(dir uint64, name string) error { return t.remove(dir, name, false) }

// Rmdir removes a directory, which must be empty.
func (t *Tree) Rmdir(dir uint64, name string) error { return t.remove(dir, name, true) }

func (t *Tree) remove(dir uint64, name string, wantDir bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := t.writable(dir)
	if err != nil {
		return err
	}
	o, n, err := t.child(d, name)
	if err != nil {
		return err
	}
	isDir, err := o.isDir()
	switch {
	case err != nil:
		return err
	case isDir && !wantDir:
		return ErrIsDirectory
	case !isDir && wantDir:
		return ErrNotDirectory
	case isDir:
		if err := t.checkEmpty(o); err != nil {
			return err
		}
	}
	ops, err := t.adopt(nil, d)
	if err == nil {
		ops, err = t.adopt(ops, o)
	}
	if err != nil {
		return err
	}
	ops = append(ops, op{code: opName, dir: d.id, name: n.name, n: o.id, below: n.below})
	if err := t.commit(t.touched(t.touched(ops, o, false), d, true)); err != nil {
		return err
	}
	t.drop(o)
	return nil
}

func (t *Tree) checkEmpty(o *object) error {
	for _, r := range o.names {
		if r.id != 0 {
			return ErrNotEmpty
		}
	}
	if o.lower == nil {
		return nil
	}
	for e, err := range o.lower.Entries() {
		if err != nil {
			return err
		}
		if _, ok := o.names[winfs.Fold(e.Name)]; !ok {
			return ErrNotEmpty
		}
	}
	return nil
}

// RenameFlag is an option of Rename.
type RenameFlag uint8

// The flags of renameat2.
const (
	NoReplace RenameFlag = 1 << iota // fail if the new name exists
	Exchange                         // swap the two
)

// Rename moves a name. The target of the new name is replaced, according to POSIX: a file
// by a file, an empty directory by a directory.
func (t *Tree) Rename(dir uint64, name string, toDir uint64, toName string, flags RenameFlag) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if flags&^(NoReplace|Exchange) != 0 || flags == NoReplace|Exchange {
		return ErrInvalid
	}
	from, err := t.writable(dir)
	if err != nil {
		return err
	}
	to, err := t.writable(toDir)
	if err != nil {
		return err
	}
	o, n, err := t.child(from, name)
	if err != nil {
		return err
	}
	if err := checkName(toName); err != nil {
		return err
	}
	if t.pathUnits(to)+winfs.UTF16Len(toName) > winfs.MaxPath {
		return ErrNameTooLong
	}
	old, m, err := t.child(to, toName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if o.dir && t.isBelow(to, o) {
		return ErrMoved
	}
	same := from == to && winfs.EqualFold(name, toName)
	if old != nil && !same {
		switch {
		case flags == NoReplace:
			return fs.ErrExist
		case flags == Exchange:
			return t.exchange(from, o, n, to, old, m)
		case old == o:
			return nil // two names of one file: POSIX keeps both
		}
		if err := t.replaceable(o, old); err != nil {
			return err
		}
	}
	switch {
	case same && flags == NoReplace:
		return fs.ErrExist
	case flags == Exchange && old == nil:
		return fs.ErrNotExist
	case flags == Exchange:
		return nil
	}
	ops, err := t.adoptAll(from, to, o, old)
	if err != nil {
		return err
	}
	if same {
		ops = append(ops, op{code: opName, dir: to.id, name: toName, id: o.id, n: o.id, below: n.below})
	} else {
		gone := uint64(0)
		if old != nil {
			gone = old.id
			ops = t.touched(ops, old, false)
		}
		ops = append(ops,
			op{code: opName, dir: from.id, name: n.name, n: o.id, below: n.below},
			op{code: opName, dir: to.id, name: toName, id: o.id, n: gone, below: m.below})
	}
	ops = t.touched(t.touched(ops, o, false), from, true)
	if to != from {
		ops = t.touched(ops, to, true)
	}
	if err := t.commit(ops); err != nil {
		return err
	}
	if old != nil {
		t.drop(old)
	}
	return nil
}

// adoptAll adopts several objects, of which the last may be nil.
func (t *Tree) adoptAll(list ...*object) ([]op, error) {
	var ops []op
	var err error
	for _, o := range list {
		if o == nil {
			continue
		}
		if ops, err = t.adopt(ops, o); err != nil {
			return nil, err
		}
	}
	return ops, nil
}

// isBelow reports whether a directory is o or below o.
func (t *Tree) isBelow(d, o *object) bool {
	for i := 0; d != nil && i <= winfs.MaxPath; i++ {
		if d == o {
			return true
		}
		if d.id == t.root {
			return false
		}
		d = t.objects[d.place.dir]
	}
	return false
}

// replaceable returns an error unless o may replace old.
func (t *Tree) replaceable(o, old *object) error {
	a, err := o.isDir()
	if err != nil {
		return err
	}
	b, err := old.isDir()
	switch {
	case err != nil:
		return err
	case a && !b:
		return ErrNotDirectory
	case !a && b:
		return ErrIsDirectory
	case b:
		return t.checkEmpty(old)
	}
	return nil
}

// exchange swaps the objects of two names.
func (t *Tree) exchange(from, o *object, n found, to, old *object, m found) error {
	switch {
	case old == o:
		return nil
	case old.dir && t.isBelow(from, old):
		return ErrMoved
	}
	ops, err := t.adoptAll(from, to, o, old)
	if err != nil {
		return err
	}
	name, err := t.spelling(from, n)
	if err != nil {
		return err
	}
	toName, err := t.spelling(to, m)
	if err != nil {
		return err
	}
	ops = append(ops,
		op{code: opName, dir: from.id, name: name, id: old.id, n: o.id, below: n.below},
		op{code: opName, dir: to.id, name: toName, id: o.id, n: old.id, below: m.below})
	ops = t.touched(t.touched(t.touched(ops, o, false), old, false), from, true)
	if to != from {
		ops = t.touched(ops, to, true)
	}
	return t.commit(ops)
}

// spelling returns the spelling of a name that was found.
func (t *Tree) spelling(d *object, n found) (string, error) {
	if n.file == nil {
		return n.name, nil
	}
	for e, err := range d.lower.Entries() {
		if err != nil {
			return "", err
		}
		if winfs.EqualFold(e.Name, n.name) {
			return e.Name, nil
		}
	}
	return n.name, nil
}
