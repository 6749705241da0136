package cimfs

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/winfs"
)

// Limits bound the cost of opening and walking an image. A zero field means its
// default.
type Limits struct {
	// Files is the largest number of file records; default 1<<24. A walk keeps one
	// bit for each, a check five bytes.
	Files int64
	// Entries is the largest number of names in all directories that a walk, a check,
	// a fork or Rewrite goes through; default 1<<24. It is not bounded by the size of
	// an image, for directories may share a link table.
	Entries int64
	// Objects is the largest number of entries of all object tables that Check
	// reads; default 1<<24. Check keeps about 48 bytes for each.
	Objects int64
}

func (l Limits) withDefaults() Limits {
	if l.Files <= 0 {
		l.Files = 1 << 24
	}
	if l.Entries <= 0 {
		l.Entries = 1 << 24
	}
	if l.Objects <= 0 {
		l.Objects = 1 << 24
	}
	return l
}

// Image is an open image. All methods may be called from several goroutines at
// once, except Close.
type Image struct {
	name   string
	opener Opener
	root   io.Closer // the directory handle that Open made, or nil
	limits Limits
	// oneReader promises that one goroutine uses the image, so that reads of metadata
	// may go through a cache without locks.
	oneReader bool
	shared    atomic.Pointer[sharedCache]
	version   Version
	minor     uint32
	guid      winfs.GUID
	header    []byte
	parents   []RegionSet
	own       RegionSet
	regions   []region

	odd atomic.Bool // see ListOddNames

	fileSystem RegionOffset
	upcaseAt   RegionOffset
	tablesAt   RegionOffset
	tableCount uint32
	files      int64
	rootID     FileID

	upcase upcasePages
	closed atomic.Bool
}

// RegionSet is the name and size of the region files of one image.
type RegionSet struct {
	GUID  winfs.GUID
	Count int
}

// region is one region file, opened when first used.
type region struct {
	set   RegionSet
	n     int // index in its set
	once  sync.Once
	src   Source
	typ   RegionType
	err   error
	major uint32
}

func (r *region) name() string { return regionName(r.set.GUID, r.n) }

// Open opens the image file name, which has no slashes, in the directory dir. The
// files of the image and of its parents are read where they are, when they are
// needed. Close releases them.
//
// A file that is no image is [ErrNotImage], a version other than 1, 2 and 3
// [ErrVersion], a broken one [ErrCorrupt].
func Open(dir, name string) (*Image, error) { return OpenLimits(dir, name, Limits{}) }

// OpenLimits is [Open] with limits of the caller's choice.
func OpenLimits(dir, name string, limits Limits) (*Image, error) {
	root, err := openfile.Root(dir)
	if err != nil {
		return nil, &Error{Op: "open", Image: name, Offset: -1, Err: err}
	}
	im, err := OpenFiles(rootOpener{root}, name, limits)
	if err != nil {
		root.Close()
		return nil, err
	}
	im.root = root
	return im, nil
}

// OpenFiles opens the image file name through an opener of the caller's, for
// images that are not files of one directory.
func OpenFiles(o Opener, name string, limits Limits) (*Image, error) {
	return openFiles(&Image{name: name, opener: o, limits: limits.withDefaults()})
}

func openFiles(im *Image) (*Image, error) {
	if err := im.readHeader(); err != nil {
		return nil, im.fail("open", "", err)
	}
	if err := im.readFileSystem(); err != nil {
		im.Close()
		return nil, im.fail("open", "", err)
	}
	return im, nil
}

// place adds to an error the file and offset where it arose.
type place struct {
	file   string
	offset int64
	err    error
}

func (p *place) Error() string { return p.err.Error() }
func (p *place) Unwrap() error { return p.err }

// fail wraps err as an *Error of this image.
func (im *Image) fail(op, path string, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	out := &Error{Op: op, Image: im.name, Path: path, Offset: -1, Err: err}
	if p := (*place)(nil); errors.As(err, &p) {
		out.File, out.Offset = p.file, p.offset
		if err == error(p) {
			out.Err = p.err
		}
	}
	return out
}

// checkCommon verifies the 32-byte header at the start of every file of a set.
func checkCommon(b []byte, kind byte, length uint32) error {
	if string(b[:8]) != magic {
		return because(ErrNotImage, "no %q at its start (block and verified images have another, unpublished form)", magic)
	}
	if b[headerTypeAt] != kind {
		return because(ErrNotImage, "file type is %d, want %d", b[headerTypeAt], kind)
	}
	if n := le.Uint32(b[headerLengthAt:]); n < length {
		return corrupt("header length is %#x, want %#x", n, length)
	}
	return nil
}

func (im *Image) readHeader() error {
	src, err := im.opener.OpenFile(im.name)
	if err != nil {
		return err
	}
	defer src.Close()
	bad := func(off int64, err error) error { return &place{im.name, off, err} }
	b := make([]byte, imageSize)
	if src.Size() < int64(len(b)) {
		return bad(0, because(ErrNotImage, "%d bytes are too few for a header", src.Size()))
	}
	if err := readFull(src, b, 0); err != nil {
		return bad(0, err)
	}
	if err := checkCommon(b, kindImage, imageSize); err != nil {
		return bad(0, err)
	}
	im.version, im.minor = Version(le.Uint32(b[headerMajorAt:])), le.Uint32(b[headerMinorAt:])
	if im.version < V1 || im.version > V3 || im.minor != 0 {
		return bad(headerMajorAt, because(ErrVersion, "it is %d.%d", im.version, im.minor))
	}
	im.guid = winfs.GUIDFromWindows([16]byte(b[imageGUIDAt:]))
	im.own = RegionSet{im.guid, int(le.Uint16(b[imageRegionsAt:]))}
	im.fileSystem = RegionOffset(le.Uint64(b[imageRootAt:]))
	// Whether the parent sets count as header is not known, so both header lengths
	// are taken: 0x48 and 0x48 + 24 for each parent.
	parents := int(le.Uint16(b[imageParentsAt:]))
	full := int64(imageSize + parents*parentSetSize)
	if n := int64(le.Uint32(b[headerLengthAt:])); n != imageSize && n != full {
		return bad(headerLengthAt, corrupt("header length is %#x with %d parents", n, parents))
	}
	if src.Size() < full {
		return bad(imageParentsAt, corrupt("%d parents do not fit the file of %d bytes", parents, src.Size()))
	}
	im.header = make([]byte, full)
	if err := readFull(src, im.header, 0); err != nil {
		return bad(0, err)
	}
	total := im.own.Count
	seen := map[winfs.GUID]bool{im.guid: true}
	for i := range parents {
		p := im.header[imageSize+i*parentSetSize:]
		set := RegionSet{winfs.GUIDFromWindows([16]byte(p)), int(le.Uint16(p[16:]))}
		im.parents = append(im.parents, set)
		if seen[set.GUID] {
			return bad(imageSize+int64(i)*parentSetSize, corrupt("the set %v is its own parent, or a parent twice", set.GUID))
		}
		seen[set.GUID] = true
		total += set.Count
		if total > 1<<16 {
			return bad(imageSize+int64(i)*parentSetSize, corrupt("more than 65,536 regions"))
		}
	}
	im.regions = make([]region, 0, total)
	for _, set := range append(im.parents[:len(im.parents):len(im.parents)], im.own) {
		for n := range set.Count {
			im.regions = append(im.regions, region{set: set, n: n})
		}
	}
	return nil
}

// ownBase is the index of the first region of the image itself.
func (im *Image) ownBase() int { return len(im.regions) - im.own.Count }

func readFull(src io.ReaderAt, b []byte, off int64) error {
	n, err := src.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// region opens region i and verifies its header.
func (im *Image) region(i int) (*region, error) {
	if i >= len(im.regions) {
		return nil, corrupt("region %d of %d", i, len(im.regions))
	}
	r := &im.regions[i]
	r.once.Do(func() { r.err = im.openRegion(r) })
	return r, r.err
}

func (im *Image) openRegion(r *region) error {
	if im.closed.Load() {
		return ErrClosed
	}
	src, err := im.opener.OpenFile(r.name())
	if err != nil {
		return err
	}
	err = func() error {
		if src.Size() < regionHeaderSize {
			return corrupt("%d bytes are too few for a region header", src.Size())
		}
		var b [regionHeaderSize]byte
		if err := readFull(src, b[:], 0); err != nil {
			return err
		}
		if err := checkCommon(b[:], kindRegion, regionHeaderSize); err != nil {
			return because(ErrCorrupt, "%v", err)
		}
		r.major = le.Uint32(b[headerMajorAt:])
		if r.major < uint32(V1) || r.major > uint32(V3) {
			return because(ErrVersion, "region has %d", r.major)
		}
		r.typ = RegionType(b[regionTypeAt])
		if r.typ > SmallRegion {
			return corrupt("region %v", r.typ)
		}
		return nil
	}()
	if err != nil {
		src.Close()
		return &place{r.name(), 0, err}
	}
	if im.oneReader && r.typ == MetadataRegion {
		src = &cachedSource{Source: src}
	}
	r.src = src
	return nil
}

// span checks that length bytes at o are inside a region and past its header.
func (im *Image) span(o RegionOffset, length int64) (*region, error) {
	if o.Offset() == 0 {
		return nil, corrupt("null offset")
	}
	r, err := im.region(o.Region())
	if err != nil {
		return nil, im.where(o, err)
	}
	if length < 0 || o.Offset() < regionHeaderSize || length > r.src.Size()-o.Offset() {
		return nil, &place{r.name(), o.Offset(), corrupt("%d bytes at %v are not inside the region of %d bytes", length, o, r.src.Size())}
	}
	return r, nil
}

// read fills b from o.
func (im *Image) read(o RegionOffset, b []byte) error {
	r, err := im.span(o, int64(len(b)))
	if err != nil {
		return err
	}
	if err := im.readAt(r, b, o.Offset()); err != nil {
		return &place{r.name(), o.Offset(), err}
	}
	return nil
}

// where makes an error of the object at o.
func (im *Image) where(o RegionOffset, err error) error {
	if p := (*place)(nil); errors.As(err, &p) {
		return err
	}
	name := "region " + o.String()
	if i := o.Region(); i < len(im.regions) {
		name = im.regions[i].name()
	}
	return &place{name, o.Offset(), err}
}

func (im *Image) readFileSystem() error {
	var b [fileSystemSize]byte
	if err := im.read(im.fileSystem, b[:]); err != nil {
		return err
	}
	im.upcaseAt, im.tablesAt = RegionOffset(le.Uint64(b[0:])), RegionOffset(le.Uint64(b[8:]))
	im.tableCount, im.rootID = le.Uint32(b[16:]), FileID(le.Uint32(b[20:]))
	if _, err := im.span(im.upcaseAt, winfs.UpcaseTableSize); err != nil {
		return err
	}
	if im.tableCount == 0 {
		return im.where(im.fileSystem, corrupt("no file tables"))
	}
	if int64(im.tableCount) > (im.limits.Files+tableFiles-1)/tableFiles {
		return im.where(im.fileSystem, because(ErrLimit, "%d file tables", im.tableCount))
	}
	if _, err := im.span(im.tablesAt, int64(im.tableCount)*tableEntrySize); err != nil {
		return err
	}
	last, err := im.fileTable(im.tableCount - 1)
	if err != nil {
		return err
	}
	im.files = int64(im.tableCount-1)*tableFiles + int64(last.count)
	_, err = im.File(im.rootID)
	return err
}

// fileTable is one entry of the file-table directory.
type fileTable struct {
	offset RegionOffset
	count  int
}

func (im *Image) fileTable(n uint32) (fileTable, error) {
	var b [tableEntrySize]byte
	at := im.tablesAt + RegionOffset(n)*tableEntrySize
	if err := im.read(at, b[:]); err != nil {
		return fileTable{}, err
	}
	t, err := im.decodeFileTable(b[:])
	if err != nil {
		return fileTable{}, im.where(at, err)
	}
	return t, nil
}

// fileTables returns the whole file-table directory as it is stored.
func (im *Image) fileTables() ([]byte, error) {
	b := make([]byte, int64(im.tableCount)*tableEntrySize)
	return b, im.read(im.tablesAt, b)
}

func (im *Image) decodeFileTable(b []byte) (fileTable, error) {
	t := fileTable{RegionOffset(le.Uint64(b)), int(le.Uint16(b[8:]))}
	size := int(le.Uint16(b[10:]))
	if t.count == 0 || t.count > tableFiles {
		return t, corrupt("file table of %d records", t.count)
	}
	if size != recordSize(im.version) {
		return t, corrupt("records of %#x bytes, want %#x for version %d", size, recordSize(im.version), im.version)
	}
	_, err := im.span(t.offset, int64(t.count*size))
	return t, err
}

// Name returns the name of the .cim file.
func (im *Image) Name() string { return im.name }

// Version returns the major version of the format.
func (im *Image) Version() Version { return im.version }

// GUID returns the GUID that the names of the image's own region files carry.
func (im *Image) GUID() winfs.GUID { return im.guid }

// Parents returns the region sets of the images that this one was forked from,
// oldest first; it is empty for an image that is no fork.
func (im *Image) Parents() []RegionSet { return append([]RegionSet(nil), im.parents...) }

// NumFiles returns the largest FileID there can be. In a fork, whose records start with
// a table of their own, and in an image that was changed in place not every number up to
// it is one.
func (im *Image) NumFiles() int64 { return im.files }

// RootID returns the FileID of the root directory.
func (im *Image) RootID() FileID { return im.rootID }

// FileNames returns the names of all files that belong to the image itself: the
// .cim file, regions and object tables, but not those of parents.
func (im *Image) FileNames() []string {
	names := []string{im.name}
	for n := range im.own.Count {
		names = append(names, regionName(im.guid, n), objectIDName(im.guid, n))
	}
	return names
}

// RegionInfo describes one region file.
type RegionInfo struct {
	Index int // in RegionOffset
	Name  string
	Own   bool // belongs to this image, not to a parent
	Type  RegionType
	Size  int64
}

// Regions opens all region files and describes them, in index order.
func (im *Image) Regions() ([]RegionInfo, error) {
	var out []RegionInfo
	for i := range im.regions {
		r, err := im.region(i)
		if err != nil {
			return nil, im.fail("open", "", err)
		}
		out = append(out, RegionInfo{i, r.name(), i >= im.ownBase(), r.typ, r.src.Size()})
	}
	return out, nil
}

// OwnRegions is [Image.Regions] without those of the parents.
func (im *Image) OwnRegions() ([]RegionInfo, error) {
	var out []RegionInfo
	for i := im.ownBase(); i < len(im.regions); i++ {
		r, err := im.region(i)
		if err != nil {
			return nil, im.fail("open", "", err)
		}
		out = append(out, RegionInfo{i, r.name(), true, r.typ, r.src.Size()})
	}
	return out, nil
}

// RegionFiles returns the names of all region files, those of the parents too, in index
// order, without opening them.
func (im *Image) RegionFiles() []string {
	out := make([]string, len(im.regions))
	for i := range im.regions {
		out[i] = im.regions[i].name()
	}
	return out
}

// Close closes the files that were opened. The image and the files and readers from it
// must not be used afterwards.
func (im *Image) Close() error {
	if im.closed.Swap(true) {
		return nil
	}
	var errs []error
	for i := range im.regions {
		r := &im.regions[i]
		r.once.Do(func() { r.err = ErrClosed })
		if r.src != nil {
			errs = append(errs, r.src.Close())
		}
	}
	if im.root != nil {
		errs = append(errs, im.root.Close())
	}
	return errors.Join(errs...)
}
