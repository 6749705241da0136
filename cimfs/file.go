package cimfs

import (
	"iter"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// File is a file or directory of an image: its record, decoded. It is read-only
// and may be used from several goroutines at once.
type File struct {
	im  *Image
	id  FileID
	rec record
}

// File returns the record of a FileID. An ID that the image does not have is
// fs.ErrNotExist.
func (im *Image) File(id FileID) (*File, error) {
	f := &File{im: im, id: id}
	if err := im.readRecord(id, &f.rec, nil); err != nil {
		return nil, im.fail("read file record", "", err)
	}
	return f, nil
}

// readRecord reads and verifies one record, through the cache if there is one.
func (im *Image) readRecord(id FileID, rec *record, cache *blockCache) error {
	if id == 0 || int64(id) > int64(im.tableCount)*tableFiles {
		return because(errNotExist, "file %d of %d", id, im.files)
	}
	n := uint32(id-1) / tableFiles
	var t fileTable
	var err error
	if cache != nil {
		t, err = cache.fileTable(n)
	} else {
		t, err = im.fileTable(n)
	}
	if err != nil {
		return err
	}
	slot := int(id-1) % tableFiles
	if slot >= t.count {
		return because(errNotExist, "file %d: its table has %d records", id, t.count)
	}
	size := recordSize(im.version)
	at := t.offset + RegionOffset(slot*size)
	var b []byte
	if cache != nil {
		b, err = cache.read(at, size)
	} else {
		b = make([]byte, size)
		err = im.read(at, b)
	}
	if err != nil {
		return err
	}
	*rec = decodeRecord(b, im.version)
	if err := rec.check(); err != nil {
		return im.where(at, err)
	}
	return nil
}

// check refuses records without a defined meaning.
func (r *record) check() error {
	if k := r.data.kind(); k > ImageStream {
		return corrupt("stream type %d", k)
	}
	if r.data.packed&streamReserved != 0 {
		return corrupt("reserved bits of the stream word are set: %#x", r.data.packed)
	}
	if r.baseRegion != 0 {
		return because(ErrUnsupportedImage, "base region index is %d: part of a merged image", r.baseRegion)
	}
	return nil
}

// Root returns the root directory. For an image whose root is a file the error is [ErrNotDirectory],
// unless [Image.ListOddNames] was called.
func (im *Image) Root() (*File, error) {
	f, err := im.File(im.rootID)
	if err == nil && !f.IsDir() && !im.odd.Load() {
		return nil, im.fail("open root", "", im.where(im.fileSystem, because(ErrNotDirectory, "root file %d", im.rootID)))
	}
	return f, err
}

// ListOddNames makes the image yield all that Microsoft's library can put into one, in
// Walk, Entries and Streams: names that no path leads to, which are "", "." and "..", an
// alternate stream without a name, and a root that is a file. Otherwise these are
// [ErrName] and [ErrNotDirectory], so that callers who make paths of names never see
// them. Call it before the image is used.
func (im *Image) ListOddNames() { im.odd.Store(true) }

// Lookup returns the file at path: components separated by backslashes, without a
// leading one, "" for the root. Names are compared by the image's own upcase
// table. The error is fs.ErrNotExist if there is no such file, and
// [ErrNotDirectory] if a file is on the way. Reparse points are not followed.
func (im *Image) Lookup(path string) (*File, error) {
	f, err := im.Root()
	if err != nil {
		return nil, err
	}
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, `\`)
		if f, err = f.child(name); err != nil {
			return nil, im.fail("lookup", path, err)
		}
	}
	return f, nil
}

// Child returns the file with a name in the directory f.
func (f *File) Child(name string) (*File, error) {
	c, err := f.child(name)
	if err != nil {
		return nil, f.im.fail("lookup", name, err)
	}
	return c, nil
}

func (f *File) child(name string) (*File, error) {
	if name == "" || !winfs.ValidWTF8(name) {
		return nil, because(errNotExist, "no component can be %q", name)
	}
	t, err := f.table()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, errNotExist
	}
	folded := winfs.AppendUTF16(make([]uint16, 0, 64), name)
	if err := f.im.foldInto(folded); err != nil {
		return nil, err
	}
	i, err := t.find(folded)
	if err != nil {
		return nil, err
	}
	v, err := t.cursor(0).value(i)
	if err != nil {
		return nil, err
	}
	id := FileID(le.Uint32(v))
	c := &File{im: f.im, id: id}
	if err := f.im.readRecord(id, &c.rec, nil); err != nil {
		return nil, f.im.where(t.at, because(ErrCorrupt, "%v", err))
	}
	return c, nil
}

// table opens the link table of a directory, nil if it is empty.
func (f *File) table() (*linkTable, error) {
	if !f.IsDir() {
		return nil, ErrNotDirectory
	}
	return f.im.directory(&f.rec)
}

func (im *Image) directory(rec *record) (*linkTable, error) {
	if rec.data.offset == 0 && rec.data.length() == 0 {
		return nil, nil
	}
	if rec.data.sparse() {
		return nil, corrupt("a directory's stream is sparse")
	}
	return im.linkTable(RegionOffset(rec.data.offset), rec.data.length(), idValueSize)
}

// DirEntry is one name in a directory.
type DirEntry struct {
	Name string // WTF-8
	ID   FileID
}

// Entries yields the names of a directory in stored order, which is that of the
// upcase table. An error ends the sequence: [ErrName] for a name that no path leads to,
// see [Image.ListOddNames].
func (f *File) Entries() iter.Seq2[DirEntry, error] {
	return func(yield func(DirEntry, error) bool) {
		t, err := f.table()
		if err != nil {
			yield(DirEntry{}, f.im.fail("read directory", "", err))
			return
		}
		if t == nil {
			return
		}
		c := t.cursor(walkWindow)
		for i := range t.count {
			e, err := c.entry(i)
			if err != nil {
				yield(DirEntry{}, f.im.fail("read directory", "", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// entry reads entry i of a directory. One that no path leads to is an error unless
// ListOddNames was called.
func (c *linkCursor) entry(i int) (DirEntry, error) {
	e, err := c.anyEntry(i)
	if err == nil && (e.Name == "" || e.Name == "." || e.Name == "..") && !c.t.im.odd.Load() {
		return DirEntry{}, c.t.im.where(c.t.at, because(ErrName, "no path leads to the name %q", e.Name))
	}
	return e, err
}

// anyEntry is entry for every name that an image can have.
func (c *linkCursor) anyEntry(i int) (DirEntry, error) {
	v, err := c.value(i)
	if err != nil {
		return DirEntry{}, err
	}
	id := FileID(le.Uint32(v))
	name, err := c.name(i)
	if err != nil {
		return DirEntry{}, err
	}
	if err := checkComponent(name); err != nil {
		return DirEntry{}, c.t.im.where(c.t.at, err)
	}
	return DirEntry{decodeName(name), id}, nil
}

// NumEntries returns the number of names in a directory, 0 for a file.
func (f *File) NumEntries() (int, error) {
	if !f.IsDir() {
		return 0, nil
	}
	t, err := f.table()
	if err != nil {
		return 0, f.im.fail("read directory", "", err)
	}
	if t == nil {
		return 0, nil
	}
	return t.count, nil
}

// ID returns the FileID.
func (f *File) ID() FileID { return f.id }

// IsDir reports whether f is a directory.
func (f *File) IsDir() bool { return f.rec.isDir() }

// Attributes returns the Win32 attributes. The format keeps READONLY, HIDDEN,
// SYSTEM, ARCHIVE and SPARSE; DIRECTORY and REPARSE_POINT follow from the record.
func (f *File) Attributes() winfs.Attributes { return f.rec.attributes() }

// Times returns the four times.
func (f *File) Times() winfs.Times { return f.rec.times() }

// Size returns the length of the main stream in bytes, 0 for a directory.
func (f *File) Size() int64 {
	if f.IsDir() {
		return 0
	}
	return f.rec.data.length()
}

// StreamType returns how the main stream is stored.
func (f *File) StreamType() StreamType { return f.rec.data.kind() }

// ReparseTag returns the tag of the record, 0 without reparse data.
func (f *File) ReparseTag() uint32 { return f.rec.reparseTag }

// ParentID returns the parent directory that the record names, 0 in version 1,
// which does not keep it.
func (f *File) ParentID() FileID { return f.rec.parent }

// counted reads an object with a 2-byte count before it.
func (im *Image) counted(o uint64) ([]byte, error) {
	if o == 0 {
		return nil, nil
	}
	var n [2]byte
	if err := im.read(RegionOffset(o), n[:]); err != nil {
		return nil, err
	}
	b := make([]byte, le.Uint16(n[:]))
	if len(b) == 0 {
		return nil, im.where(RegionOffset(o), corrupt("object of no bytes"))
	}
	return b, im.read(RegionOffset(o)+2, b)
}

// Security returns the self-relative security descriptor, nil if there is none.
func (f *File) Security() ([]byte, error) {
	b, err := f.im.counted(f.rec.security)
	if err != nil {
		return nil, f.im.fail("read security descriptor", "", err)
	}
	return b, nil
}

// Reparse returns the complete REPARSE_DATA_BUFFER, nil if there is none.
func (f *File) Reparse() ([]byte, error) {
	b, err := f.im.counted(f.rec.reparse)
	if err != nil {
		return nil, f.im.fail("read reparse data", "", err)
	}
	return b, nil
}

// EAs returns the list of extended attributes as it is stored, a sequence of
// FILE_FULL_EA_INFORMATION; nil if there is none.
func (f *File) EAs() ([]byte, error) {
	if f.rec.eaLength == 0 {
		return nil, nil
	}
	b := make([]byte, f.rec.eaLength)
	if err := f.im.read(RegionOffset(f.rec.ea), b); err != nil {
		return nil, f.im.fail("read extended attributes", "", err)
	}
	return b, nil
}

// GivenEAs is [File.EAs] without the hashes of an executable, see [IsImageHash]: the
// attributes that the file had before it came into the image. A malformed list is returned as it is stored.
func (f *File) GivenEAs() ([]byte, error) {
	b, err := f.EAs()
	if err != nil || len(b) == 0 || checkEAs(b) != nil {
		return b, err
	}
	return storedEAs(b), nil
}

// Link is a name of a file and the directory that has it.
type Link struct {
	Parent FileID
	Name   string
}

// Links returns all names of the file, as a version 3 record lists them; the root
// has the one name "." in itself. Versions 1 and 2 keep no list: nil.
func (f *File) Links() ([]Link, error) {
	if f.rec.links == 0 {
		return nil, nil
	}
	out, err := f.readLinks()
	if err != nil {
		return nil, f.im.fail("read parent links", "", err)
	}
	return out, nil
}

// NumNames returns how many names the record lists, without reading them; 0 in
// versions 1 and 2, which keep no list.
func (f *File) NumNames() (int, error) {
	if f.rec.links == 0 {
		return 0, nil
	}
	var b [linkHeaderSize]byte
	if err := f.im.read(RegionOffset(f.rec.links), b[:]); err != nil {
		return 0, f.im.fail("read parent links", "", err)
	}
	if n := le.Uint32(b[4:]); n <= maxListed {
		return int(n), nil
	}
	return 0, f.im.fail("read parent links", "", f.im.where(RegionOffset(f.rec.links), because(ErrLimit, "%d names", le.Uint32(b[4:]))))
}

// maxListed bounds the entries of a list that is returned as a slice.
const maxListed = 1 << 16

func (f *File) readLinks() ([]Link, error) {
	t, err := f.im.linkTable(RegionOffset(f.rec.links), -1, idValueSize)
	if err != nil {
		return nil, err
	}
	if t.count > maxListed {
		return nil, f.im.where(t.at, because(ErrLimit, "%d names", t.count))
	}
	var out []Link
	c := t.cursor(smallWindow)
	for i := range t.count {
		v, err := c.value(i)
		if err != nil {
			return nil, err
		}
		id := FileID(le.Uint32(v))
		name, err := c.name(i)
		if err != nil {
			return nil, err
		}
		out = append(out, Link{id, decodeName(name)})
	}
	return out, nil
}
