package cimfs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mullion/mullion/cimfs/internal/sha512x8"
	"github.com/mullion/mullion/winfs"
)

// Commit finishes the image, checks it, makes it durable and gives its files their
// names, the .cim file last. After an error nothing is published.
func (w *Writer) Commit() error {
	err := w.ready()
	if err == nil {
		w.err = w.commit()
		err = w.err
	}
	if err != nil {
		if !w.closed {
			err = errors.Join(err, w.release())
		}
		return w.fault("commit", "", err)
	}
	w.release() // what it cannot clear away, the next run will
	return nil
}

// GUID returns the GUID of the image after a Commit that returned nil.
func (w *Writer) GUID() winfs.GUID { return w.guid }

func (w *Writer) commit() error {
	p := w.placer
	p.finish()
	if err := p.failed(); err != nil {
		return err
	}
	// Only the metadata region gets more objects now.
	sorted := make(chan struct{})
	go func() {
		defer close(sorted)
		p.regions[DataRegion].objects.sort()
		p.regions[SmallRegion].objects.sort()
	}()
	root, err := (&committer{w: w, t: w.tree, p: p}).finish()
	<-sorted
	if err != nil {
		return err
	}
	p.regions[MetadataRegion].objects.sort()
	// The check needs memory of its own.
	w.tree, w.streams, p.counted, p.free = nil, nil, nil, nil
	for _, r := range p.regions {
		r.inherited = nil
	}
	set := []*regionOut{} // in index order
	for _, r := range p.regions {
		if r.index >= 0 {
			set = append(set, r)
		}
	}
	slices.SortFunc(set, func(a, b *regionOut) int { return a.index - b.index })
	content := sha256.New() // of what determines the image
	fmt.Fprintf(content, "CimFS version %d root %v\n", w.opts.Version, root)
	if w.parent != nil {
		for _, s := range w.parentSets() {
			fmt.Fprintf(content, "parent %v %d\n", s.GUID, s.Count)
		}
	}
	var files []*outFile
	for _, r := range set {
		if err := r.finish(); err != nil {
			return err
		}
		f, err := w.staging.create(fmt.Sprintf("objectid-%d", r.index))
		if err != nil {
			return err
		}
		r.objectOut = f
		if err := r.writeObjects(f, content); err != nil {
			return err
		}
		files = append(files, r.f, f)
	}
	image, err := w.staging.create("image")
	if err != nil {
		return err
	}
	files = append(files, image)
	defer func() {
		for _, r := range set {
			if r.objectOut != nil {
				r.objectOut.close()
			}
		}
		image.close()
	}()
	sum := content.Sum(nil)
	for attempt := 0; ; attempt++ {
		g := w.opts.GUID
		if g == (winfs.GUID{}) {
			g = contentGUID(sum, attempt)
		} else if attempt > 0 {
			return because(fs.ErrExist, "files of GUID %v", g)
		}
		if err := image.writeAt(w.header(g, len(set), root), 0); err != nil {
			return err
		}
		if attempt == 0 {
			// A disk is slow to make things durable; meanwhile the check can run.
			synced := make(chan error, 1)
			go func() {
				var err error
				for _, f := range files {
					if err == nil {
						err = f.sync()
					}
				}
				synced <- err
			}()
			checked := w.checkStaged(g, set)
			if err := errors.Join(checked, <-synced); err != nil {
				return err
			}
		} else if err := image.sync(); err != nil {
			return err
		}
		names := map[string]string{} // final to temporary
		var order []string
		for _, r := range slices.Backward(set) {
			for _, n := range [][2]string{{objectIDName(g, r.index), r.objectOut.name}, {regionName(g, r.index), r.f.name}} {
				names[n[0]] = n[1]
				order = append(order, n[0])
			}
		}
		ok, err := w.staging.reserve(g, order)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		// Windows renames no open file.
		for _, f := range files {
			if err := f.close(); err != nil {
				return err
			}
		}
		for _, n := range order {
			if err := w.staging.rename(names[n], n); err != nil {
				return err
			}
		}
		if err := w.staging.syncDir("."); err != nil {
			return err
		}
		if _, err := w.staging.root.Lstat(w.name); err == nil {
			return &fs.PathError{Op: "create", Path: w.name, Err: fs.ErrExist}
		}
		if err := w.staging.rename(image.name, w.name); err != nil {
			return err
		}
		w.guid = g
		if err := w.staging.syncDir("."); err != nil {
			return errors.Join(err, w.staging.root.Remove(w.name))
		}
		return nil
	}
}

// contentGUID makes a GUID of version 8 (RFC 9562) of a digest. A further attempt
// gives another one, for an image of the same content in the same directory.
func contentGUID(sum []byte, attempt int) winfs.GUID {
	if attempt > 0 {
		s := sha256.Sum256(le.AppendUint32(bytes.Clone(sum), uint32(attempt)))
		sum = s[:]
	}
	g := winfs.GUID(sum[:16])
	g[6] = g[6]&0x0F | 0x80
	g[8] = g[8]&0x3F | 0x80
	return g
}

func (w *Writer) parentSets() []RegionSet {
	return append(w.parent.Parents(), w.parent.own)
}

// header encodes the .cim file. That the parent sets count as header is inferred.
func (w *Writer) header(g winfs.GUID, regions int, root RegionOffset) []byte {
	var parents []RegionSet
	if w.parent != nil {
		parents = w.parentSets()
	}
	b := appendCommon(nil, kindImage, imageSize+parentSetSize*len(parents), w.opts.Version)
	own := g.Windows()
	b = append(b, own[:]...)
	b = le.AppendUint16(b, uint16(regions))
	b = append(b, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint64(b, uint64(root))
	b = append(b, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint16(b, uint16(len(parents)))
	for _, s := range parents {
		sg := s.GUID.Windows()
		b = append(b, sg[:]...)
		b = le.AppendUint16(b, uint16(s.Count))
		b = append(b, 0, 0, 0, 0, 0, 0)
	}
	return b
}

// stagedOpener opens files under the names that they will have.
type stagedOpener struct {
	rootOpener
	names map[string]string
}

func (o stagedOpener) OpenFile(name string) (Source, error) {
	if temp, ok := o.names[name]; ok {
		name = temp
	}
	return o.rootOpener.OpenFile(name)
}

// checkStaged is the last gate: an image that does not pass is not published. The
// digests of content are left out, for they were just computed from these bytes.
func (w *Writer) checkStaged(g winfs.GUID, set []*regionOut) error {
	names := map[string]string{w.name: w.staging.path("image")}
	for _, r := range set {
		names[regionName(g, r.index)] = w.staging.path(r.f.name)
		names[objectIDName(g, r.index)] = w.staging.path(r.objectOut.name)
	}
	im, err := OpenFiles(stagedOpener{rootOpener{w.staging.root}, names}, w.name, Limits{Files: 1 << 31, Entries: 1 << 32, Objects: 1 << 32})
	if err != nil {
		return because(ErrCheck, "%v", err)
	}
	defer im.Close()
	found, err := im.Check(CheckOptions{SkipContent: true, MaxFindings: 10})
	if err != nil {
		return because(ErrCheck, "%v", err)
	}
	for _, f := range found {
		if f.Severity == SevereError {
			return because(ErrCheck, "%v", f)
		}
	}
	return nil
}

// committer writes the tables at the end of the metadata region.
type committer struct {
	w     *Writer
	t     *tree
	p     *placer
	ids   []FileID // new number of each node, nil if none changes
	files int
	buf   []byte

	values []byte
	names  []string
}

// finish writes all tables and returns the place of the file system object.
func (c *committer) finish() (RegionOffset, error) {
	c.number()
	return c.tables()
}

// number closes the gaps that removed files left in the FileIDs.
func (c *committer) number() {
	c.files = c.t.nodes.len()
	if c.t.dead == 0 {
		return
	}
	c.ids = make([]FileID, c.files)
	next := FileID(0)
	for i, nd := range c.t.nodes.all() {
		if nd.live {
			next++
			c.ids[i] = next
		}
	}
	c.files = int(next)
}

func (c *committer) id(id FileID) FileID {
	if c.ids == nil {
		return id
	}
	return c.ids[id-1]
}

// live calls fn for every file in the order of FileIDs.
func (c *committer) live(fn func(id FileID, nd *node) error) error {
	for i, nd := range c.t.nodes.all() {
		if nd.live {
			if err := fn(FileID(i+1), nd); err != nil {
				return err
			}
		}
	}
	return nil
}

// tables writes, in Microsoft's order: upcase table, link tables, parent links,
// file tables, their directory, and the file system object, whose place it
// returns. Where alternate streams' tables stand in that order is not known.
func (c *committer) tables() (RegionOffset, error) {
	upcase, err := c.p.put(winfs.AppendUpcaseTable(nil))
	if err != nil {
		return 0, err
	}
	stored := map[*altStream]RegionOffset{} // by the first of a list, which files may share
	err = c.live(func(id FileID, nd *node) error {
		list, ok := c.w.streams[id]
		if !ok {
			return nil // none, or those of the parent image
		}
		nd.rec.streams = 0
		if len(list) == 0 {
			return nil
		}
		first := list[0]
		if at, ok := stored[first]; ok {
			nd.rec.streams = uint64(at)
			return nil
		}
		list = slices.SortedFunc(slices.Values(list), func(a, b *altStream) int { return winfs.CompareFold(a.name, b.name) })
		var values []byte
		var names []string
		for _, a := range list {
			values, names = a.s.append(values), append(names, a.name)
		}
		at, err := c.putTable(values, names)
		nd.rec.streams, stored[first] = uint64(at), at
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := c.directory(c.t.root); err != nil {
		return 0, err
	}
	if err := c.finishRecords(); err != nil {
		return 0, err
	}
	size := recordSize(c.w.opts.Version)
	var dir, table []byte
	count := 0
	flush := func() error {
		if count == 0 {
			return nil
		}
		at, err := c.p.put(table)
		dir = le.AppendUint64(dir, uint64(at))
		dir = le.AppendUint16(dir, uint16(count))
		dir = le.AppendUint16(dir, uint16(size))
		dir = le.AppendUint32(dir, 0)
		table, count = table[:0], 0
		return err
	}
	err = c.live(func(_ FileID, nd *node) error {
		table = nd.rec.append(table, c.w.opts.Version)
		if count++; count == tableFiles {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return 0, err
	}
	tables, err := c.p.put(dir)
	if err != nil {
		return 0, err
	}
	b := le.AppendUint64(nil, uint64(upcase))
	b = le.AppendUint64(b, uint64(tables))
	b = le.AppendUint32(b, uint32(len(dir)/tableEntrySize))
	b = le.AppendUint32(b, uint32(c.id(c.t.root)))
	return c.p.put(b)
}

func (c *committer) putTable(values []byte, names []string) (RegionOffset, error) {
	var err error
	if c.buf, err = appendLinkTable(c.buf[:0], values, names); err != nil {
		return 0, err
	}
	return c.p.put(c.buf)
}

type child struct {
	name string
	id   FileID
}

// directory writes the link tables below a directory and then its own.
func (c *committer) directory(id FileID) error {
	nd := c.t.node(id)
	var kids []child
	for k := nd.kids; k != 0; k = c.t.entry(k).nextKid {
		if e := c.t.entry(k); e.id != 0 {
			kids = append(kids, child{c.t.names.get(e.name), e.id})
		}
	}
	slices.SortFunc(kids, func(a, b child) int { return winfs.CompareFold(a.name, b.name) })
	for _, k := range kids {
		if c.t.node(k.id).dir {
			if err := c.directory(k.id); err != nil {
				return err
			}
		}
	}
	nd.rec.data = stream{0, uint64(TableStream) << streamTypeShift}
	if len(kids) == 0 {
		return nil
	}
	values := make([]byte, 0, 4*len(kids))
	names := make([]string, 0, len(kids))
	for _, k := range kids {
		values, names = le.AppendUint32(values, uint32(c.id(k.id))), append(names, k.name)
	}
	at, err := c.putTable(values, names)
	nd.rec.data.offset = uint64(at)
	nd.rec.data.packed |= uint64(len(c.buf))
	return err
}

// linkBatch is how many link tables of files are hashed together, linkAhead how many
// such batches are on their way.
const (
	linkBatch = 64
	linkAhead = 4
)

// linkTables are the link tables of some files, in the order of FileIDs.
type linkTables struct {
	n    int
	list [linkBatch]linkTableOut
	err  error // why there are no more
}

type linkTableOut struct {
	node    *node
	table   []byte
	digest  digest
	message sha512x8.Message
}

// finishRecords gives all records their parents and link tables. One goroutine makes
// the tables and their digests, the other stores them.
func (c *committer) finishRecords() error {
	full, free := make(chan *linkTables, linkAhead), make(chan *linkTables, linkAhead)
	for range linkAhead {
		free <- new(linkTables)
	}
	go func() {
		defer close(full)
		b := <-free
		var hasher sha512x8.Hasher
		err := c.live(func(id FileID, nd *node) error {
			if c.w.opts.Version < V3 {
				nd.rec.parent, nd.rec.links = 0, 0
				return nil
			}
			o := &b.list[b.n]
			o.node = nd
			if err := c.finishRecord(id, nd, o); err != nil {
				return err
			}
			if b.n++; b.n == linkBatch {
				b.hash(&hasher)
				full <- b
				b = <-free
			}
			return nil
		})
		b.hash(&hasher)
		b.err = err
		full <- b
	}()
	var failed error
	for b := range full { // to the end, whatever happens
		for i := range b.list[:b.n] {
			o := &b.list[i]
			if failed != nil {
				break
			}
			var at RegionOffset
			if at, failed = c.p.putDigest(o.table, o.digest); failed == nil {
				o.node.rec.links = uint64(at)
			}
		}
		if failed == nil {
			failed = b.err
		}
		b.n = 0
		free <- b
	}
	return failed
}

// hash computes the digests of the tables.
func (b *linkTables) hash(h *sha512x8.Hasher) {
	var buf [linkBatch]*sha512x8.Message
	long := buf[:0]
	for i := range b.list[:b.n] {
		if o := &b.list[i]; len(o.table) > digestSize {
			o.message.Pieces = append(o.message.Pieces[:0], o.table)
			long = append(long, &o.message)
		}
	}
	h.Sum(long)
	for i := range b.list[:b.n] {
		if o := &b.list[i]; len(o.table) > digestSize {
			copy(o.digest[:], o.message.Sum[:])
		} else {
			o.digest = digestOf(o.table)
		}
	}
}

// finishRecord gives a record its parent and makes the list of its names, which
// version 3 has: by upper-cased name, then by FileID of the directory. That order is
// inferred, as is which of several directories counts as the parent: the one of the
// first name.
func (c *committer) finishRecord(id FileID, nd *node, out *linkTableOut) error {
	type link struct {
		dir  FileID
		name string
	}
	var one [1]link
	links := one[:0]
	var keep, oldest FileID
	if id == c.t.root {
		links, oldest = append(links, link{c.id(id), "."}), c.id(id)
	}
	for n := nd.names; n != 0; n = c.t.entry(n).nextName {
		e := c.t.entry(n)
		oldest = c.id(e.dir)
		if e.dir == nd.rec.parent {
			keep = oldest
		}
		links = append(links, link{oldest, c.t.names.get(e.name)})
	}
	nd.rec.parent = oldest
	if keep != 0 {
		nd.rec.parent = keep
	}
	if len(links) > maxListed {
		return because(ErrLimit, "a file has %d names", len(links))
	}
	slices.SortFunc(links, func(a, b link) int {
		if d := winfs.CompareFold(a.name, b.name); d != 0 {
			return d
		}
		return int(a.dir) - int(b.dir)
	})
	values, names := c.values[:0], c.names[:0]
	for _, l := range links {
		values, names = le.AppendUint32(values, uint32(l.dir)), append(names, l.name)
	}
	c.values, c.names = values, names
	var err error
	out.table, err = appendLinkTable(out.table[:0], values, names)
	return err
}
