package cimfs

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/winfs"
)

// CheckOptions bound the work of a check.
type CheckOptions struct {
	// SkipContent omits the checks that read the bytes of files: digests and padding
	// in the data regions.
	SkipContent bool
	// changes leaves out, in a fork, the records and tables that are the parent's.
	changes bool
	// Severity is the least severity that is reported; 0 means all.
	Severity finding.Severity
	// MaxFindings ends the check after that many findings; 0 means 1,000.
	MaxFindings int
}

// Check opens an image and checks it as [Image.Check] does. An image that is too
// broken to be opened has one finding, of the rule "open".
func Check(ctx context.Context, dir, name string, opts CheckOptions) iter.Seq2[finding.Finding, error] {
	return checkOpened(ctx, func() (*Image, error) { return Open(dir, name) }, opts)
}

// CheckFiles is [Check] of an image whose files an Opener opens, within the limits.
func CheckFiles(ctx context.Context, o Opener, name string, limits Limits, opts CheckOptions) iter.Seq2[finding.Finding, error] {
	return checkOpened(ctx, func() (*Image, error) { return OpenFiles(o, name, limits) }, opts)
}

func checkOpened(ctx context.Context, open func() (*Image, error), opts CheckOptions) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		im, err := open()
		if err != nil {
			f, ok := findingOf(ruleOpen, "", err)
			if ok {
				err = nil
			}
			yield(f, err)
			return
		}
		defer im.Close()
		im.Check(ctx, opts)(yield)
	}
}

// Check verifies everything that is known about the format: the bounds that the
// driver insists on, for a read past a region stops the whole Windows kernel, and
// the properties that all genuine images have in common. Objects that nothing refers
// to, such as the content of a file that was replaced, are not mentioned, nor are
// records that have no name: genuine images have both. Such records are checked all the
// same, for a file can be opened by its number.
//
// The regions of parents are checked as far as this image refers to them; a check of
// the parent verifies the rest. Memory is about 48 bytes for each object and 9 for each
// file, bounded by the limits given to Open.
//
// Layer is the file of the set in which Offset counts, Path is inside the image. The
// findings come after the whole image was read, ordered by file and offset. Infos are
// peculiarities of Microsoft's own library that no other writer should have. The error
// is the reason why the check could not go on, such as a failing disk or the end of ctx;
// the findings until then come before it.
func (im *Image) Check(ctx context.Context, opts CheckOptions) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		found, err := im.check(ctx, opts)
		for _, f := range found {
			if !yield(f, nil) {
				return
			}
		}
		if err != nil {
			yield(finding.Finding{}, im.fail("check", "", err))
		}
	}
}

func (im *Image) check(ctx context.Context, opts CheckOptions) ([]finding.Finding, error) {
	if opts.MaxFindings <= 0 {
		opts.MaxFindings = 1000
	}
	// The check has a view of its own, whose reads of metadata go through a cache.
	own, err := openFiles(&Image{name: im.name, opener: im.opener, limits: im.limits, oneReader: true})
	if err != nil {
		return nil, err
	}
	defer own.Close()
	c := &checker{ctx: ctx, im: own, raw: im, opts: opts, cache: &blockCache{im: own}, checked: make(map[reference]bool), total: new(atomic.Int64)}
	err = c.run()
	slices.SortStableFunc(c.findings, func(a, b finding.Finding) int {
		return cmp.Or(cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Offset, b.Offset))
	})
	if err == errEnough {
		err = nil
	}
	return c.findings, err
}

// errEnough ends a check that has found MaxFindings.
var errEnough = errors.New("enough findings")

// findingOf turns an error that blames the image into a finding.
func findingOf(rule *finding.Rule, path string, err error) (finding.Finding, bool) {
	switch {
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrUnsupportedImage), errors.Is(err, ErrNotImage),
		errors.Is(err, ErrVersion), errors.Is(err, errNotExist), errors.Is(err, ErrMetadata):
	default:
		return finding.Finding{}, false
	}
	f := rule.At(path, -1, "%v", err)
	if e := (*Error)(nil); errors.As(err, &e) {
		f.Layer, f.Offset, f.Message = e.File, e.Offset, e.Err.Error()
	}
	if p := (*place)(nil); errors.As(err, &p) {
		f.Layer, f.Offset = p.file, p.offset
		if err == error(p) {
			f.Message = p.err.Error()
		}
	}
	return f, true
}

type checker struct {
	ctx      context.Context
	im       *Image
	raw      *Image // the same, for several goroutines
	opts     CheckOptions
	findings []finding.Finding
	cache    *blockCache
	objects  [][]object    // of each own region, by offset
	total    *atomic.Int64 // objects

	nextObject []int // in each list of objects, where the last reference was, plus 1
	entries    int64
	base       FileID // of a fork: the records up to here are in tables of the parents
	upcase     []uint16

	reached  idSet    // files with at least one name
	dirs     idSet    // directories whose table was read
	parentOK idSet    // files whose parent field names a directory that has them
	names    []uint32 // names of each file, in version 3
	listed   []uint32 // parent links that the file says it has
	checked  map[reference]bool

	dir  string // of the file being checked
	name []byte // its name as it is stored in the table

	// The parent links that are being checked.
	links     linkTable
	linksAt   linkCursor
	linkOrder nameOrder
}

// add keeps a finding.
func (c *checker) add(f finding.Finding) error {
	if len(c.findings) >= c.opts.MaxFindings {
		return errEnough
	}
	if f.Severity < c.opts.Severity {
		return nil
	}
	c.findings = append(c.findings, f)
	if len(c.findings) >= c.opts.MaxFindings {
		return errEnough
	}
	return nil
}

func (c *checker) path() string {
	if len(c.name) == 0 {
		return c.dir
	}
	return joinPath(c.dir, decodeName(c.name))
}

// blame makes a finding of an error; an error that does not blame the image is
// returned.
func (c *checker) blame(rule *finding.Rule, err error) error {
	if err == nil || err == errEnough {
		return err
	}
	f, ok := findingOf(rule, c.path(), err)
	if !ok {
		return err
	}
	return c.add(f)
}

// wrong makes a finding about the bytes at o.
func (c *checker) wrong(rule *finding.Rule, o RegionOffset, format string, args ...any) error {
	return c.blame(rule, c.im.where(o, corrupt(format, args...)))
}

// unusual makes a finding that is no error about the bytes at o.
func (c *checker) unusual(rule *finding.Rule, o RegionOffset, format string, args ...any) error {
	f := rule.At(c.path(), o.Offset(), format, args...)
	if i := o.Region(); i < len(c.im.regions) {
		f.Layer = c.im.regions[i].name()
	}
	return c.add(f)
}

// inFile makes a finding about a file of the set.
func (c *checker) inFile(rule *finding.Rule, file string, off int64, format string, args ...any) error {
	return c.add(rule.At("", off, format, args...).In(file))
}

func (c *checker) run() error {
	im := c.im
	for i := range im.regions {
		if err := c.region(i); err != nil {
			return err
		}
	}
	if err := c.objectTables(); err != nil {
		return err
	}
	// The content does not need the tree, nor the tree the content.
	content := c.part()
	var contentErr error
	var wg sync.WaitGroup
	wg.Go(func() { contentErr = content.contents() })
	tree := c.part()
	tree.nextObject = make([]int, c.im.own.Count)
	treeErr := tree.fileSystem()
	if treeErr == nil {
		treeErr = tree.files()
	}
	wg.Wait()
	if err := c.join(content, contentErr); err != nil {
		return err
	}
	return c.join(tree, treeErr)
}

// part returns a checker with findings of its own, for another goroutine. At most one
// of those at work at a time may use im and cache.
func (c *checker) part() *checker {
	p := *c
	p.findings = nil
	return &p
}

// join takes over the findings of a part that came to its end with err, as if c had
// made them itself.
func (c *checker) join(p *checker, err error) error {
	for _, f := range p.findings {
		if err := c.add(f); err != nil {
			return err
		}
	}
	return err
}

// objectTables checks all object tables, two at a time where there are processors.
func (c *checker) objectTables() error {
	n := c.im.own.Count
	c.objects = make([][]object, n)
	parts, errs := make([]*checker, n), make([]error, n)
	var next, stop atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for stop.Load() == 0 {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				parts[i] = c.part()
				if errs[i] = parts[i].objectTable(i); errs[i] != nil {
					stop.Store(1)
				}
			}
		})
	}
	wg.Wait()
	for i, p := range parts {
		if p == nil {
			break
		}
		if err := c.join(p, errs[i]); err != nil {
			return err
		}
	}
	return nil
}

// region checks a region file as a whole.
func (c *checker) region(i int) error {
	r, err := c.im.region(i)
	if err != nil {
		if p := (*place)(nil); !errors.As(err, &p) {
			err = &place{c.im.regions[i].name(), -1, err} // it could not be opened at all
		}
		return c.blame(ruleRegionOpen, err)
	}
	if i < c.im.ownBase() {
		return nil
	}
	if r.major != uint32(c.im.version) {
		if err := c.inFile(ruleRegionVersion, r.name(), headerMajorAt, "version is %d, that of the image %d", r.major, c.im.version); err != nil {
			return err
		}
	}
	var b [regionHeaderSize]byte
	if err := readFull(r.src, b[:], 0); err != nil {
		return err
	}
	if n := le.Uint32(b[headerLengthAt:]); n != regionHeaderSize {
		if err := c.inFile(ruleHeaderLength, r.name(), headerLengthAt, "header length is %#x", n); err != nil {
			return err
		}
	}
	if le.Uint32(b[headerMinorAt:]) != 0 {
		if err := c.inFile(ruleRegionVersion, r.name(), headerMinorAt, "minor version is not 0"); err != nil {
			return err
		}
	}
	if r.src.Size()%r.typ.align() != 0 {
		return c.inFile(ruleRegionSize, r.name(), r.src.Size(), "size is not a multiple of %d", r.typ.align())
	}
	return nil
}

// objectTable checks an object table by itself and keeps its entries by offset.
func (c *checker) objectTable(n int) error {
	index := c.im.ownBase() + n
	r, err := c.im.region(index)
	if err != nil {
		return nil // reported already
	}
	name := objectIDName(r.set.GUID, n)
	count, err := c.objectHeader(name, r)
	if err != nil {
		return err
	}
	list := make([]object, 0, min(count, c.im.limits.Objects, 1<<18)) // more, when they are seen
	var stop error
	var last object
	i := int64(0)
	err = c.im.objects(index, func(o object) bool {
		at := objectHeaderSize + i*objectEntrySize
		say := func(rule *finding.Rule, format string, args ...any) {
			if stop == nil {
				stop = c.inFile(rule, name, at, format, args...)
			}
		}
		if c.total.Add(1) > c.im.limits.Objects {
			stop = because(ErrLimit, "more than %d objects", c.im.limits.Objects)
			return false
		}
		if i > 0 {
			switch k := last.compare(&o); {
			case k > 0:
				say(ruleObjectOrder, "entry %d is not in the order of length and digest", i)
			case k == 0:
				say(ruleObjectDuplicate, "entry %d has the length and digest of the one before", i)
			}
		}
		last = o
		i++
		off := o.at.Offset()
		switch {
		case o.at>>48 != RegionOffset(index) || off < r.typ.start() || off%r.typ.align() != 0:
			say(ruleObjectOffset, "an object at %#x", off)
			return stop == nil
		case o.length == 0 || o.length > uint64(r.src.Size()) || off > r.src.Size()-int64(o.length):
			say(ruleObjectBounds, "an object of %d bytes at %#x in a region of %d", o.length, off, r.src.Size())
			return stop == nil
		case o.length <= digestSize && o.digest != zeroTail(o.digest, o.length):
			say(ruleObjectDigest, "a short object's digest has bytes after the object")
		}
		list = append(list, o)
		return stop == nil
	})
	if err != nil {
		return c.blame(ruleObjectTable, err)
	}
	if stop != nil {
		return stop
	}
	sortByOffset(list)
	c.objects[n] = list
	end := r.typ.start()
	for i := range list {
		if o := &list[i]; o.at.Offset() < end {
			if err := c.inFile(ruleObjectOverlap, r.name(), o.at.Offset(), "two objects overlap"); err != nil {
				return err
			}
		}
		end = max(end, list[i].at.Offset()+int64(list[i].length))
	}
	return nil
}

// zeroTail clears the bytes of a digest after those of an object of n bytes.
func zeroTail(d digest, n uint64) digest {
	clear(d[n:])
	return d
}

// objectHeader checks the header of an object table and returns how many entries there
// are, at most as many as the file has room for.
func (c *checker) objectHeader(name string, r *region) (int64, error) {
	src, err := c.im.opener.OpenFile(name)
	if err != nil {
		return 0, c.blame(ruleObjectTableMissing, &place{name, -1, err})
	}
	defer src.Close()
	var b [objectHeaderSize]byte
	if src.Size() < objectHeaderSize {
		return 0, nil // reported by the reading of it
	}
	if err := readFull(src, b[:], 0); err != nil {
		return 0, err
	}
	count := int64(le.Uint32(b[objectCountAt:]))
	for _, f := range []struct {
		at        int64
		got, want uint64
		what      string
	}{
		{headerLengthAt, uint64(le.Uint32(b[headerLengthAt:])), objectHeaderSize, "header length"},
		{headerMajorAt, uint64(le.Uint32(b[headerMajorAt:])), uint64(c.im.version), "version"},
		{headerMinorAt, uint64(le.Uint32(b[headerMinorAt:])), 0, "minor version"},
		{objectIndexAt, uint64(le.Uint16(b[objectIndexAt:])), uint64(c.im.ownBase() + r.n), "region index"},
		{objectTypeAt, uint64(b[objectTypeAt]), uint64(r.typ), "region type"},
		{objectTableAt, uint64(le.Uint32(b[objectTableAt:])), objectHeaderSize, "table offset"},
		{objectCountAt, uint64(src.Size()), uint64(objectHeaderSize + count*objectEntrySize), "file size"},
	} {
		if f.at == objectIndexAt && f.got == uint64(r.n) && f.got != f.want {
			if err := c.inFile(ruleObjectHeader.Lesser(), name, f.at, "%s is %d, which counts the regions of this image alone", f.what, f.got); err != nil {
				return 0, err
			}
			continue
		}
		if f.got != f.want {
			if err := c.inFile(ruleObjectHeader, name, f.at, "%s is %#x, want %#x", f.what, f.got, f.want); err != nil {
				return 0, err
			}
		}
	}
	return min(count, src.Size()/objectEntrySize), nil
}

// isObject checks that a reference is to exactly one object of the table. In the
// region of a parent only the bounds are checked.
func (c *checker) isObject(rule *finding.Rule, o RegionOffset, length int64, data bool) error {
	r, err := c.im.span(o, length)
	if err != nil {
		return c.blame(rule, err)
	}
	if o.Offset()%r.typ.align() != 0 {
		return c.wrong(rule, o, "object is not aligned to %d", r.typ.align())
	}
	if data != (r.typ != MetadataRegion) {
		return c.wrong(rule, o, "object is in a %v region", r.typ)
	}
	n := o.Region() - c.im.ownBase()
	if n < 0 {
		return nil
	}
	list := c.objects[n]
	// Mostly it is the one behind the last.
	i := c.nextObject[n]
	if i >= len(list) || list[i].at != o {
		var ok bool
		if i, ok = slices.BinarySearchFunc(list, o, func(e object, o RegionOffset) int { return cmp.Compare(e.at, o) }); !ok {
			return c.wrong(rule, o, "object is not in the object table")
		}
	}
	c.nextObject[n] = i + 1
	if list[i].length != uint64(length) {
		return c.wrong(rule, o, "object has %d bytes, in the object table %d", length, list[i].length)
	}
	return nil
}

// reference is a reference to an object from a record or a table.
type reference struct {
	rule   *finding.Rule // by the kind of object that is expected
	at     RegionOffset
	length int64
}

// once reports whether a reference is looked at for the first time. Many files may
// share one object, and a hostile image makes it a large one. The memory of it is
// bounded: a reference that was forgotten is looked at again.
func (c *checker) once(rule *finding.Rule, at RegionOffset, length int64) bool {
	key := reference{rule, at, length}
	if c.checked[key] {
		return false
	}
	if len(c.checked) >= 1<<16 {
		clear(c.checked)
	}
	c.checked[key] = true
	return true
}

// fileSystem checks the objects at the top.
func (c *checker) fileSystem() error {
	im := c.im
	if err := c.isObject(ruleFileSystem, im.fileSystem, fileSystemSize, false); err != nil {
		return err
	}
	// A fork that changes nothing has no region, and the top of its parent.
	if im.fileSystem.Region() < im.ownBase() && im.own.Count > 0 {
		if err := c.wrong(ruleFileSystem, im.fileSystem, "file system object is in a parent's region"); err != nil {
			return err
		}
	}
	if err := c.isObject(ruleUpcase, im.upcaseAt, winfs.UpcaseTableSize, false); err != nil {
		return err
	}
	raw := make([]byte, winfs.UpcaseTableSize)
	if err := im.read(im.upcaseAt, raw); err != nil {
		return c.blame(ruleUpcase, err)
	}
	c.upcase = make([]uint16, 65536)
	standard := true
	for u := range c.upcase {
		c.upcase[u] = le.Uint16(raw[2*u:])
		standard = standard && c.upcase[u] == winfs.Upcase(uint16(u))
	}
	if !standard {
		if err := c.unusual(ruleUpcase.Lesser(), im.upcaseAt, "table differs from that of all genuine images"); err != nil {
			return err
		}
	}
	if err := c.isObject(ruleFileTables, im.tablesAt, int64(im.tableCount)*tableEntrySize, false); err != nil {
		return err
	}
	for n := range im.tableCount {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		at := im.tablesAt + RegionOffset(n)*tableEntrySize
		t, err := im.fileTable(n)
		if err != nil {
			if err := c.blame(ruleFileTable, err); err != nil {
				return err
			}
			continue
		}
		if inherited := t.offset.Region() < im.ownBase(); inherited && c.base == FileID(n)*tableFiles {
			c.base += tableFiles
		} else if inherited {
			if err := c.wrong(ruleFileTable, at, "table %d is a parent's and follows one of the image's own", n); err != nil {
				return err
			}
		}
		if err := c.isObject(ruleFileTable, t.offset, int64(t.count*recordSize(im.version)), false); err != nil {
			return err
		}
		var b [tableEntrySize]byte
		if err := im.read(at, b[:]); err != nil {
			return err
		}
		if le.Uint32(b[12:]) != 0 {
			if err := c.wrong(ruleReserved, at+12, "reserved field of a file-table entry is not 0"); err != nil {
				return err
			}
		}
	}
	return nil
}
