package cimfs

import (
	"strings"

	"github.com/mullion/mullion/winfs"
)

// A fork is copied on write. Its records and link tables are those of the parent except
// for changes: a changed file gets a new record with a new FileID, and therefore so does
// every directory between it and the root.

// oldDir returns the record of a directory whose names are those of a table of the
// parent, and false for one whose names are in memory.
func (t *tree) oldDir(dir FileID) (rec record, ok bool, err error) {
	if !t.own(dir) {
		err = t.old.readRecord(dir, &rec, nil)
		return rec, true, err
	}
	rec.data, ok = t.inherited[dir]
	return rec, ok, nil
}

// findOld looks for a name in a table of the parent.
func (t *tree) findOld(rec *record, name string) (found, error) {
	table, err := t.old.directory(rec)
	if table == nil || err != nil {
		return found{}, err
	}
	folded := winfs.AppendUTF16(make([]uint16, 0, 64), name)
	if err := t.old.foldInto(folded); err != nil {
		return found{}, err
	}
	i, err := table.find(folded)
	if err == errNotExist {
		return found{}, nil
	}
	if err != nil {
		return found{}, err
	}
	e, err := table.cursor(0).entry(i)
	if err != nil {
		return found{}, err
	}
	if err := t.checkOldID(table, e.ID); err != nil {
		return found{}, err
	}
	return found{id: e.ID, name: e.Name, old: true}, nil
}

func (t *tree) checkOldID(table *linkTable, id FileID) error {
	if id == 0 || int64(id) > t.old.files {
		return t.old.where(table.at, corrupt("file %d of %d", id, t.old.files))
	}
	return nil
}

// copyOld makes a record of this image out of one of the parent's.
func (t *tree) copyOld(id FileID) (FileID, error) {
	var rec record
	if err := t.old.readRecord(id, &rec, nil); err != nil {
		return 0, err
	}
	if !t.room() {
		return 0, errTooManyFiles
	}
	dir, table := rec.isDir(), rec.data
	own, nd := t.newNode(dir)
	nd.load(&rec, nodeLive|nodeOld)
	nd.set(nodeDir, dir)
	nd.set(nodeLink, dir && winfs.IsNameSurrogate(rec.reparseTag))
	if dir && (table.offset != 0 || table.length() != 0) {
		t.inherited[own] = table
	}
	return own, nil
}

// ownFile makes a record in this image for the file that an entry names. Other names that it has in
// the parent stay with the old record.
func (t *tree) ownFile(n uint32) (FileID, error) {
	e := t.entry(n)
	if t.own(e.id) {
		return e.id, nil
	}
	id, err := t.copyOld(e.id)
	if err == nil {
		t.lastDir, t.lastDirID = "", 0
		t.attach(n, id)
	}
	return id, err
}

// load brings the names of a directory of this image into memory.
func (t *tree) load(id FileID) error {
	data, ok := t.inherited[id]
	if !ok {
		return nil
	}
	table, err := t.old.directory(&record{data: data})
	if err != nil {
		return err
	}
	if t.loaded += int64(table.count); t.loaded > t.old.limits.Entries {
		return because(ErrLimit, "more than %d names", t.old.limits.Entries)
	}
	delete(t.inherited, id)
	c := table.cursor(walkWindow)
	for i := range table.count {
		e, err := c.entry(i)
		if err == nil {
			err = t.checkOldID(table, e.ID)
		}
		if err != nil {
			return err
		}
		if f, _ := t.find(id, e.Name); f.id != 0 {
			return t.old.where(table.at, corrupt("two names are equal"))
		}
		if !t.room() {
			return errTooManyFiles
		}
		t.insert(id, e.Name, e.ID).setOld()
	}
	return nil
}

// ownRoot makes a record of the root in this image.
func (t *tree) ownRoot() (FileID, error) {
	if t.own(t.root) {
		return t.root, nil
	}
	id, err := t.copyOld(t.root)
	if err == nil {
		t.root = id
	}
	return id, err
}

// change returns the directory of path, about to be changed, and the last component.
// That directory and all above it get records in this image, and their names come into
// memory, as far as there are such directories. After an error they stay there, as on
// Windows, with the same content as before.
func (t *tree) change(path string) (FileID, string, error) {
	dir, name, err := t.parent(path)
	if t.old == nil {
		return dir, name, err
	}
	if err == nil {
		if _, ok := t.inherited[dir]; t.own(dir) && !ok {
			return dir, name, nil
		}
	}
	name = path[strings.LastIndexByte(path, '\\')+1:]
	if dir, err = t.ownRoot(); err != nil {
		return 0, "", err
	}
	if err := t.load(dir); err != nil {
		return 0, "", err
	}
	if len(path) == len(name) {
		return dir, name, nil
	}
	dirPath := path[:len(path)-len(name)-1]
	for rest, more := dirPath, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, `\`)
		f, err := t.find(dir, part)
		if err == nil && f.id == 0 {
			err = because(errNotExist, "%q", dirPath)
		}
		isDir := false
		if err == nil {
			isDir, _, err = t.isDir(f.id)
		}
		if err == nil && !isDir {
			err = because(ErrNotDirectory, "%q", part)
		}
		if err == nil {
			dir, err = t.ownFile(f.n)
		}
		if err == nil {
			err = t.load(dir)
		}
		if err != nil {
			return 0, "", err
		}
	}
	t.lastDir, t.lastDirID = strings.Clone(dirPath), dir
	return dir, name, nil
}

// changeFile returns the FileID of the file at path, which gets a record in this image.
func (t *tree) changeFile(path string) (FileID, error) {
	if path == "" {
		return t.ownRoot()
	}
	dir, name, err := t.change(path)
	if err != nil {
		return 0, err
	}
	f, err := t.find(dir, name)
	if err == nil && f.id == 0 {
		err = errNotExist
	}
	if err != nil {
		return 0, err
	}
	return t.ownFile(f.n)
}
