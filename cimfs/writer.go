package cimfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/winfs"
)

// Writer makes one image. It is used by one goroutine at a time.
//
//	w, err := cimfs.Create(dir, "layer.cim", nil)
//	if err != nil { ... }
//	defer w.Close()
//	err = w.AddFile(`Files\hello.txt`, &meta, 12)
//	_, err = w.Write([]byte("Hello world!"))
//	...
//	err = w.Commit()
//
// Paths are relative, backslash-separated WTF-8; "" is the root. Parents must
// exist. A call that fails because of its arguments leaves the writer as it
// was; after an error of a stream or of the file system every further call fails
// with it.
type Writer struct {
	name     string
	opts     Options
	staging  *staging
	ownRoot  *os.Root // its directory, if it was opened for this writer
	tree     *tree
	placer   *placer
	parent   *Image
	streams  map[FileID][]*altStream
	lost     map[FileID]FileID // records that LinkParent has made of files of the parent
	unhashed bool              // executables get no hashes, in tests
	compact  bool              // files without a name get no record

	security []byte // the last descriptor, never changed

	// the open stream
	open    bool
	path    string
	size    int64 // announced
	written int64
	fed     int64 // bytes of a PE image that are stored
	pending item
	head    []byte // first bytes of a possible PE image, empty when decided
	plan    *pePlan
	planned bool
	nextMap int
	chunk   *chunk
	last    segment // piece of a streamed file that is being filled

	guid   winfs.GUID
	err    error
	closed bool
}

// altStream is an alternate stream. The placer fills s.
type altStream struct {
	name string
	s    stream
}

// Create starts an image in the existing directory dir under a name that must not
// exist there yet (fs.ErrExist). Nothing is visible before Commit. A nil opts is
// the zero Options.
//
// Leftovers of killed runs in the directory are removed first.
// Several images may be written in one directory at the same time.
func Create(dir, name string, opts *Options) (*Writer, error) {
	root, err := openfile.Root(dir)
	if err != nil {
		return nil, &Error{Op: "create", Image: name, Offset: -1, Err: err}
	}
	w, err := CreateIn(root, name, opts)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	w.ownRoot = root
	return w, nil
}

// CreateIn is [Create] in an open directory. root stays the caller's, who closes it
// after the writer.
func CreateIn(root *os.Root, name string, opts *Options) (*Writer, error) {
	w := &Writer{name: name, streams: make(map[FileID][]*altStream)}
	if opts != nil {
		w.opts = *opts
	}
	fail := func(err error) (*Writer, error) {
		w.release()
		return nil, &Error{Op: "create", Image: name, Offset: -1, Err: err}
	}
	if err := w.checkOptions(root); err != nil {
		return fail(err)
	}
	s, err := newStaging(root, name)
	if err != nil {
		return fail(err)
	}
	w.staging = s
	w.tree = newTree()
	w.placer = newPlacer(s, w.opts.Version, w.parent, max(2, runtime.GOMAXPROCS(0)))
	if w.parent != nil {
		if err := w.inherit(); err != nil {
			return fail(err)
		}
		return w, nil
	}
	w.tree.root, _ = w.tree.newNode(true)
	return w, nil
}

func (w *Writer) checkOptions(dir *os.Root) error {
	o := &w.opts
	if o.Parent != "" {
		im, err := OpenFiles(rootOpener{dir}, o.Parent, Limits{})
		if err != nil {
			return err
		}
		w.parent = im
		if o.Version == 0 {
			o.Version = im.version
		}
		if o.Version != im.version {
			return because(ErrVersion, "a fork of a version %d image is of the same version", im.version)
		}
		if err := w.unproven("forks"); err != nil {
			return err
		}
	}
	switch o.Version {
	case 0:
		o.Version = V3
	case V1, V3:
	case V2:
		return because(ErrVersion, "version 2 is read only: no genuine image of it is known, and drivers of version 3 read past its records")
	default:
		return because(ErrVersion, "%d", o.Version)
	}
	if len(o.DefaultSecurity) > 0 {
		if err := checkSecurity(o.DefaultSecurity); err != nil {
			return err
		}
		o.DefaultSecurity = bytes.Clone(o.DefaultSecurity)
	}
	return nil
}

// unproven refuses features that genuine images show in version 1 alone if the writer is for
// another version and writes proven forms only.
func (w *Writer) unproven(what string) error {
	if w.opts.ProvenOnly && w.opts.Version != V1 {
		return because(ErrUnproven, "%s in version %d", what, w.opts.Version)
	}
	return nil
}

// provenEAs refuses extended attributes of a directory or of a file without content if
// only proven forms are written: Microsoft's writer has none.
func (w *Writer) provenEAs(m *recordMeta, content bool) error {
	if w.opts.ProvenOnly && len(m.ea) > 0 && !content {
		return because(ErrUnproven, "extended attributes of a directory or an empty file")
	}
	return nil
}

// release frees everything; the staging area is removed unless the image was
// published.
func (w *Writer) release() error {
	w.closed = true
	var errs []error
	if w.placer != nil {
		w.placer.fail(ErrClosed)
		w.abandonStream()
		w.placer.finish()
		w.placer.closeOld()
		for _, r := range w.placer.regions {
			if r.f != nil {
				errs = append(errs, r.f.close())
			}
		}
		w.placer = nil
	}
	if w.parent != nil {
		errs = append(errs, w.parent.Close())
		w.parent = nil
	}
	if w.staging != nil {
		errs = append(errs, w.staging.discard())
		w.staging = nil
	}
	if w.ownRoot != nil {
		errs = append(errs, w.ownRoot.Close())
		w.ownRoot = nil
	}
	w.tree = nil
	return errors.Join(errs...)
}

// Close releases everything. Without a Commit that returned nil before, it removes
// everything that was written. Closing twice is allowed.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	if err := w.release(); err != nil {
		return &Error{Op: "close", Image: w.name, Offset: -1, Err: err}
	}
	return nil
}

func (w *Writer) fault(op, path string, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	return &Error{Op: op, Image: w.name, Path: path, Offset: -1, Err: err}
}

// ready ends the open stream before another call.
func (w *Writer) ready() error {
	if w.closed {
		return ErrClosed
	}
	if w.err == nil && w.open {
		w.err = w.endStream()
	}
	if w.err == nil {
		w.err = w.placer.failed()
	}
	return w.err
}

// checkPath refuses paths that no lookup would find again. Every exported method that
// accepts a path calls it once; the others rely on that.
func checkPath(path string) error {
	if path == "" {
		return nil
	}
	if !winfs.ValidWTF8(path) {
		return because(ErrName, "%q is not valid UTF-8", path)
	}
	if len(path) > maxPath && winfs.UTF16Len(path) > maxPath {
		return because(ErrName, "path of more than %d units", maxPath)
	}
	for part, rest, more := "", path, true; more; {
		part, rest, more = strings.Cut(rest, `\`)
		if err := checkName(part); err != nil {
			return err
		}
	}
	return nil
}

func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return because(ErrName, "a component is %q", name)
	case len(name) > maxComponent && winfs.UTF16Len(name) > maxComponent:
		return because(ErrName, "%q has more than %d units", name, maxComponent)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c < 0x20, c == '/', c == '\\', c == ':', c == '*', c == '?', c == '"', c == '<', c == '>', c == '|':
			return because(ErrName, "%q has the character %q", name, c)
		}
	}
	return nil
}

func checkSecurity(sd []byte) error {
	if len(sd) < 20 || len(sd) > 0xFFFF {
		return because(ErrMetadata, "security descriptor of %d bytes", len(sd))
	}
	if sd[0] != 1 || le.Uint16(sd[2:])&0x8000 == 0 {
		return because(ErrMetadata, "security descriptor is not self-relative")
	}
	return nil
}

// checkEAs walks a list of FILE_FULL_EA_INFORMATION (MS-FSCC 2.4.16).
func checkEAs(b []byte) error {
	if len(b) > 0xFFFF {
		return because(ErrMetadata, "extended attributes of %d bytes", len(b))
	}
	for off := 0; ; {
		rest := b[off:]
		if len(rest) < 9 {
			return because(ErrMetadata, "extended attribute at %#x is cut off", off)
		}
		next, name, value := le.Uint32(rest), int(rest[5]), int(le.Uint16(rest[6:]))
		need := 8 + name + 1 + value
		switch {
		case name == 0 || name > 254:
			return because(ErrMetadata, "name of %d bytes of the extended attribute at %#x", name, off)
		case need > len(rest) || rest[8+name] != 0:
			return because(ErrMetadata, "extended attribute at %#x is cut off", off)
		case next == 0:
			return nil
		case int64(next) < int64(need) || int64(next) >= int64(len(rest)) || next%4 != 0:
			return because(ErrMetadata, "next offset %#x of the extended attribute at %#x", next, off)
		}
		off += int(next)
	}
}

// checkReparse refuses the same data as Microsoft's writer. The length inside a buffer and
// the data after it are left to the driver that the tag belongs to.
func checkReparse(b []byte) error {
	if len(b) < 8 || len(b) > 0xFFFF {
		return because(ErrMetadata, "reparse data of %d bytes", len(b))
	}
	if le.Uint32(b) == 0 {
		return because(ErrMetadata, "reparse data with the tag 0")
	}
	return nil
}

// encodeMeta checks and copies metadata.
func (w *Writer) encodeMeta(m *Meta) (recordMeta, error) {
	var out recordMeta
	if m == nil {
		m = &Meta{}
	}
	out.flags = flagsOf(m.Attributes)
	out.rec.setTimes(m.Times)
	out.security = w.opts.DefaultSecurity
	if len(m.Security) > 0 {
		if err := checkSecurity(m.Security); err != nil {
			return out, err
		}
		// Files that follow each other mostly have the same.
		if !bytes.Equal(w.security, m.Security) {
			w.security = bytes.Clone(m.Security)
		}
		out.security = w.security
	}
	if len(m.EAs) > 0 {
		if err := checkEAs(m.EAs); err != nil {
			return out, err
		}
		out.ea = storedEAs(m.EAs)
	}
	if len(m.Reparse) > 0 {
		if err := checkReparse(m.Reparse); err != nil {
			return out, err
		}
		if err := w.unproven("reparse points"); err != nil {
			return out, err
		}
		out.rep, out.tag = bytes.Clone(m.Reparse), le.Uint32(m.Reparse)
	}
	if out.flags&flagSparse != 0 {
		if err := w.unproven("sparse files"); err != nil {
			return out, err
		}
	}
	if m.Hole && w.opts.ProvenOnly && out.flags&flagSparse == 0 {
		return out, because(ErrUnproven, "a hole in a file without the attribute SPARSE")
	}
	return out, nil
}

// CreateFile makes a new, empty file, or a directory if m has the attribute DIRECTORY,
// as Microsoft's CimCreateFile does. An existing entry keeps only its name, as it is
// spelled: content, streams and extended attributes are gone, and so is everything below
// a directory. A file that this image has made shows its new
// content under all its names; one of the parent image keeps the old one under its
// other names. The path "" sets the metadata of the root and nothing else.
//
// The size is that of the main stream, which is then open for Write; for a directory
// it does not count.
func (w *Writer) CreateFile(path string, m *Meta, size int64) error {
	var err error
	dir := path == "" || m != nil && m.Attributes&winfs.AttrDirectory != 0
	if dir {
		err = w.addDir(path, m, path == "")
	} else {
		err = w.addFile(path, m, size, true)
	}
	if err != nil {
		return w.fault("create", path, err)
	}
	return nil
}

// AddDir adds a directory. If one exists at path already its metadata is replaced
// and its children and streams stay, as layers have it; a file is
// replaced. A second spelling of a name that was added is ErrCaseConflict. The path
// "" sets the metadata of the root.
func (w *Writer) AddDir(path string, m *Meta) error {
	if err := w.addDir(path, m, true); err != nil {
		return w.fault("add directory", path, err)
	}
	return nil
}

// addDir is AddDir, or with keep false CreateFile.
func (w *Writer) addDir(path string, m *Meta, keep bool) error {
	if err := w.ready(); err != nil {
		return err
	}
	meta, err := w.encodeMeta(m)
	if err == nil {
		err = w.provenEAs(&meta, false)
	}
	if err != nil {
		return err
	}
	if m != nil && m.Hole {
		return because(ErrMetadata, "a directory has no main stream")
	}
	var id FileID
	if path == "" {
		id, err = w.tree.ownRoot()
	} else {
		err = checkPath(path)
		if err == nil && keep {
			err = w.checkCase(path)
		}
		if err == nil {
			id, err = w.put(path, true, keep)
		}
	}
	if err != nil {
		return err
	}
	nd := w.tree.node(id)
	nd.set(nodeLink, winfs.IsNameSurrogate(meta.tag))
	w.placer.add(item{rec: &nd.rec, dir: true, meta: meta})
	return nil
}

// AddFile adds a file of exactly size bytes, replacing a file or an empty
// directory of that name, and opens its main stream for Write. A second spelling of a
// name that was added is ErrCaseConflict. Otherwise it is like [Writer.CreateFile].
func (w *Writer) AddFile(path string, m *Meta, size int64) error {
	if err := w.addFile(path, m, size, false); err != nil {
		return w.fault("add file", path, err)
	}
	return nil
}

// addFile is AddFile, or with full CreateFile, which replaces directories that are not
// empty.
func (w *Writer) addFile(path string, m *Meta, size int64, full bool) error {
	if err := w.ready(); err != nil {
		return err
	}
	if size < 0 || size > maxOffset {
		return because(ErrStreamSize, "%d bytes", size)
	}
	meta, err := w.encodeMeta(m)
	if err == nil {
		err = w.provenEAs(&meta, size > 0)
	}
	if err != nil {
		return err
	}
	if path == "" {
		return ErrIsDirectory
	}
	if err := checkPath(path); err != nil {
		return err
	}
	if !full {
		if err := errors.Join(w.checkCase(path), w.checkEmpty(path)); err != nil {
			return err
		}
	}
	id, err := w.put(path, false, false)
	if err != nil {
		return err
	}
	w.beginFile(w.tree.node(id), path, meta, m != nil && m.Hole, size, nil)
	return nil
}

// checkCase refuses a second spelling of a name that this writer has added: two files
// of the source would become one. A file of a parent image may be replaced under
// another spelling; its name stays as it is.
func (w *Writer) checkCase(path string) error {
	f, err := w.tree.lookup(path)
	if err != nil {
		return nil // put will say it
	}
	if name := path[strings.LastIndexByte(path, '\\')+1:]; !f.old && f.name != name {
		return because(ErrCaseConflict, "%q and %q", f.name, name)
	}
	return nil
}

// checkEmpty refuses a path at which there is a directory that is not empty.
func (w *Writer) checkEmpty(path string) error {
	f, err := w.tree.lookup(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // or the directory, as put will say
	}
	if err != nil {
		return err
	}
	dir, _, err := w.tree.isDir(f.id)
	if err != nil || !dir {
		return err
	}
	empty, err := w.tree.empty(f.id)
	if err == nil && !empty {
		err = ErrNotEmpty
	}
	return err
}

// put returns the record of path, which the caller is about to fill: the one that is there
// if this image has made it, otherwise a new one. With keep, which is for directories, a directory
// keeps its streams and everything below it.
func (w *Writer) put(path string, dir, keep bool) (FileID, error) {
	t := w.tree
	in, name, err := t.change(path)
	if err != nil {
		return 0, err
	}
	f, err := t.find(in, name)
	if err != nil {
		return 0, err
	}
	if f.id == 0 {
		if !t.room() {
			return 0, errTooManyFiles
		}
		id, _ := t.newNode(dir)
		t.insert(in, name, id)
		return id, nil
	}
	wasDir, _, err := t.isDir(f.id)
	if err != nil {
		return 0, err
	}
	if keep && dir && wasDir {
		return t.ownFile(f.n)
	}
	// No reader accepts a directory with several names.
	if !t.own(f.id) || dir && !wasDir && t.entry(t.node(f.id).names()).nextName != 0 {
		if !t.room() {
			return 0, errTooManyFiles
		}
		id, _ := t.newNode(dir)
		t.rename(f.n, id)
		return id, nil
	}
	if wasDir {
		t.clear(f.id)
	}
	nd := t.node(f.id)
	nd.set(nodeDir, dir)
	nd.set(nodeLink|nodeOld, false)
	nd.rec.streams = 0
	delete(w.streams, f.id)
	return f.id, nil
}

// room reports whether there is room for one more file and name in the fields that
// number them.
func (t *tree) room() bool {
	return t.nodes.len() < 1<<31 && t.entries.len() < 1<<31 && !t.names.full() && uint64(t.base)+uint64(t.nodes.len()) < 1<<32-2
}

var errTooManyFiles = because(ErrLimit, "too many files")

// beginFile opens the main stream of a new file. A forced form replaces the
// writer's own decision.
func (w *Writer) beginFile(nd *node, path string, meta recordMeta, hole bool, size int64, forced *form) {
	it := item{rec: &nd.rec, meta: meta}
	if hole {
		it.hole = size
		w.placer.add(it)
		w.open, w.path, w.size, w.written = true, path, 0, 0
		w.pending = item{}
		return
	}
	w.begin(it, &nd.rec.data, path, size, forced)
}

// CreateStream adds an alternate stream, or replaces the one of that name, to an
// existing file or directory and opens it for Write. The name has no colons.
func (w *Writer) CreateStream(path, stream string, size int64) error {
	if err := w.createStream(path, stream, size); err != nil {
		return w.fault("create stream "+stream, path, err)
	}
	return nil
}

func (w *Writer) createStream(path, name string, size int64) error {
	id, err := w.owner(path, name)
	if err != nil {
		return err
	}
	if size < 0 || size > maxOffset {
		return because(ErrStreamSize, "%d bytes", size)
	}
	if err := w.unproven("alternate streams"); err != nil {
		return err
	}
	list := w.streams[id]
	i := slices.IndexFunc(list, func(s *altStream) bool { return winfs.EqualFold(s.name, name) })
	if i < 0 && len(list) >= maxListed {
		return because(ErrLimit, "more than %d alternate streams", maxListed)
	}
	a := &altStream{name: name}
	if i >= 0 {
		a.name = list[i].name // the spelling stays
		list = slices.Delete(list, i, i+1)
	}
	w.streams[id] = append(list, a)
	w.begin(item{}, &a.s, path, size, nil)
	return nil
}

// owner finds the file that a stream belongs to, makes a record of it in this image, and
// loads its streams.
func (w *Writer) owner(path, name string) (FileID, error) {
	if err := w.ready(); err != nil {
		return 0, err
	}
	if err := errors.Join(checkPath(path), checkName(name)); err != nil {
		return 0, err
	}
	if !winfs.ValidWTF8(name) {
		return 0, because(ErrName, "%q is not valid UTF-8", name)
	}
	id, err := w.tree.changeFile(path)
	if err != nil {
		return 0, err
	}
	return id, w.loadStreams(id)
}

// RemoveStreams deletes all alternate streams of a file or directory.
func (w *Writer) RemoveStreams(path string) error {
	if err := w.removeStreams(path); err != nil {
		return w.fault("remove streams", path, err)
	}
	return nil
}

func (w *Writer) removeStreams(path string) error {
	if err := w.ready(); err != nil {
		return err
	}
	if err := checkPath(path); err != nil {
		return err
	}
	f, err := w.tree.lookup(path)
	if err != nil {
		return err
	}
	if !w.tree.own(f.id) {
		if old, err := w.parent.File(f.id); err != nil || !old.HasStreams() {
			return err
		}
		if f.id, err = w.tree.changeFile(path); err != nil {
			return err
		}
	}
	delete(w.streams, f.id)
	w.tree.node(f.id).rec.streams = 0
	return nil
}

// RemoveStream deletes an alternate stream.
func (w *Writer) RemoveStream(path, stream string) error {
	id, err := w.owner(path, stream)
	if err == nil {
		list := w.streams[id]
		i := slices.IndexFunc(list, func(s *altStream) bool { return winfs.EqualFold(s.name, stream) })
		if i >= 0 {
			w.streams[id] = slices.Delete(list, i, i+1)
			return nil
		}
		err = errNotExist
	}
	return w.fault("remove stream "+stream, path, err)
}

// Link makes newPath a further name of the file at existing, which is no directory
// (ErrIsDirectory). It replaces an existing entry at newPath, a directory with everything below
// it. A file of the parent image gets a new record with the two names; its other names
// stay with the old one.
func (w *Writer) Link(newPath, existing string) error {
	if err := w.link(newPath, existing); err != nil {
		return w.fault("link to "+existing, newPath, err)
	}
	return nil
}

func (w *Writer) link(newPath, existing string) error {
	if err := w.ready(); err != nil {
		return err
	}
	if err := w.unproven("hard links"); err != nil {
		return err
	}
	if err := errors.Join(checkPath(newPath), checkPath(existing)); err != nil {
		return err
	}
	t := w.tree
	if newPath == "" {
		return ErrIsDirectory
	}
	if f, err := t.lookup(existing); err == nil {
		if dir, _, err := t.isDir(f.id); err != nil {
			return err
		} else if dir {
			return ErrIsDirectory
		}
	}
	id, err := t.changeFile(existing)
	if err != nil {
		return because(err, "link target")
	}
	return w.addName(newPath, id)
}

// addName makes newPath a name of a file that has a record in this image, in place of
// the file that is there.
func (w *Writer) addName(newPath string, id FileID) error {
	t := w.tree
	dir, name, err := t.change(newPath)
	if err != nil {
		return err
	}
	f, err := t.find(dir, name)
	if err != nil {
		return err
	}
	if !t.room() {
		return errTooManyFiles
	}
	if f.id == 0 {
		t.insert(dir, name, id)
		return nil
	}
	t.rename(f.n, id) // the file may be below the directory that it replaces
	return nil
}

// LinkParent makes newPath a name of a file of the parent image, even where all names
// that the parent has for it are gone. Otherwise it is like Link.
func (w *Writer) LinkParent(newPath string, id FileID) error {
	if err := w.linkParent(newPath, id); err != nil {
		return w.fault(fmt.Sprintf("link to file %d of the parent", id), newPath, err)
	}
	return nil
}

func (w *Writer) linkParent(newPath string, id FileID) error {
	if err := w.ready(); err != nil {
		return err
	}
	if w.parent == nil || id == 0 || int64(id) > w.parent.files {
		return errNotExist
	}
	if err := checkPath(newPath); err != nil {
		return err
	}
	if newPath == "" {
		return ErrIsDirectory
	}
	if dir, _, err := w.tree.isDir(id); err != nil {
		return err
	} else if dir {
		return ErrIsDirectory
	}
	if _, _, err := w.tree.parent(newPath); err != nil {
		return err
	}
	own, ok := w.lost[id]
	if !ok {
		var err error
		if own, err = w.tree.copyOld(id); err != nil {
			return err
		}
		w.tree.node(own).set(nodeLive, false) // until it has its name
		w.tree.dead++
		if w.lost == nil {
			w.lost = map[FileID]FileID{}
		}
		w.lost[id] = own
	}
	return w.addName(newPath, own)
}

// Remove deletes a name: a file, or a directory with everything below it. A path that is
// not there is fs.ErrNotExist.
func (w *Writer) Remove(path string) error {
	if err := w.remove(path); err != nil {
		return w.fault("remove", path, err)
	}
	return nil
}

func (w *Writer) remove(path string) error {
	if err := w.ready(); err != nil {
		return err
	}
	if path == "" {
		return because(ErrName, "the root cannot be removed")
	}
	if err := checkPath(path); err != nil {
		return err
	}
	dir, name, err := w.tree.change(path)
	if err != nil {
		return err
	}
	f, err := w.tree.find(dir, name)
	if err == nil && f.id == 0 {
		err = errNotExist
	}
	if err != nil {
		return err
	}
	w.tree.remove(f.n)
	return nil
}

// Status is the result of [Writer.Stat].
type Status struct {
	Exists bool
	Dir    bool
	Link   bool   // a directory that is a symbolic link or junction
	Old    bool   // the name is that of the parent image, even if the directory has changed
	Name   string // the last component, as it is spelled in the image
}

// Stat describes the file or directory at path, in a fork also those of the parent. If
// the parent cannot be read, nothing is there, and every call that changes something
// fails.
func (w *Writer) Stat(path string) Status {
	if w.closed || path != w.tree.lastDir && checkPath(path) != nil {
		return Status{}
	}
	if path == "" {
		return Status{Exists: true, Dir: true}
	}
	f, err := w.tree.lookup(path)
	if err == nil {
		var dir, link bool
		if dir, link, err = w.tree.isDir(f.id); err == nil {
			return Status{Exists: true, Dir: dir, Link: link, Old: f.old, Name: f.name}
		}
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNotDirectory) {
		if w.err == nil {
			w.err = err
		}
	}
	return Status{}
}
