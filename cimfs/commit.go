package cimfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/nametree"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/winfs"
)

// Commit finishes the image, checks it, makes it durable and publishes its files under
// their names, the .cim file last. After an error nothing is published.
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
	w.release() // leftovers are removed by the next run
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
	if w.parent == nil {
		w.tree.index = nametree.Index{} // no name is looked up any more, and the tables need room
	}
	root, err := (&committer{w: w, t: w.tree, p: p, old: w.parent}).finish()
	<-sorted
	if err != nil {
		return err
	}
	p.regions[MetadataRegion].objects.sort()
	// The check needs memory of its own.
	w.tree, w.streams, p.counted, p.free = nil, nil, nil, nil
	p.closeOld()
	set := []*regionOut{} // in index order
	for _, r := range p.regions {
		if r.index >= 0 {
			set = append(set, r)
		}
	}
	slices.SortFunc(set, func(a, b *regionOut) int { return a.index - b.index })
	content := sha256.New() // hashes everything that determines the image
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
		if err := r.writeObjects(f, p.ownBase, content); err != nil {
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
		if len(order) > 0 { // a fork that changes nothing has no files of its own
			ok, err := w.staging.reserve(g, order)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
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
		if err := w.staging.syncDir(); err != nil {
			return err
		}
		if _, err := w.staging.root.Lstat(w.name); err == nil {
			return &fs.PathError{Op: "create", Path: w.name, Err: fs.ErrExist}
		}
		if err := w.staging.rename(image.name, w.name); err != nil {
			return err
		}
		w.guid = g
		if err := w.staging.syncDir(); err != nil {
			return errors.Join(err, publish.Remove(w.staging.root, w.name))
		}
		return nil
	}
}

// contentGUID makes a GUID of version 8 (RFC 9562) of a digest. Each attempt
// has another GUID, for an image of the same content in the same directory.
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
	staged rootOpener
	names  map[string]string // those in staged
}

func (o stagedOpener) OpenFile(name string) (Source, error) {
	if temp, ok := o.names[name]; ok {
		return o.staged.OpenFile(temp)
	}
	return o.rootOpener.OpenFile(name)
}

// checkStaged is the last gate: an image that does not pass is not published. The
// digests of content are left out, for they were just computed from these bytes, and so
// are the objects that a fork shares with its parent.
func (w *Writer) checkStaged(g winfs.GUID, set []*regionOut) error {
	names := map[string]string{w.name: "image"}
	for _, r := range set {
		names[regionName(g, r.index)] = r.f.name
		names[objectIDName(g, r.index)] = r.objectOut.name
	}
	im, err := OpenFiles(stagedOpener{rootOpener{w.staging.root}, rootOpener{w.staging.set.Root()}, names}, w.name, Limits{Files: 1 << 31, Entries: 1 << 32, Objects: 1 << 32})
	if err != nil {
		return because(ErrCheck, "%v", err)
	}
	defer im.Close()
	for f, err := range im.Check(context.Background(), CheckOptions{SkipContent: true, Severity: finding.Error, MaxFindings: 10, changes: true}) {
		if err != nil {
			return because(ErrCheck, "%v", err)
		}
		return because(ErrCheck, "%v", f)
	}
	return nil
}

// committer writes the tables at the end of the metadata region.
type committer struct {
	w     *Writer
	t     *tree
	p     *placer
	old   *Image   // the parent of a fork
	ids   []FileID // new number of each node, nil if none changes
	files int      // records

	kids   []child // of the directories that are being written
	values []byte
	names  []string
}

// finish writes all tables and returns the place of the file system object.
func (c *committer) finish() (RegionOffset, error) {
	if !c.t.own(c.t.root) { // nothing has changed
		return c.old.fileSystem, nil
	}
	c.number()
	return c.tables()
}

// number closes the gaps that files without a name leave in the FileIDs of a rewritten
// image. A new image keeps their records, as Windows does.
func (c *committer) number() {
	c.files = c.t.nodes.len()
	if !c.w.compact || c.t.dead == 0 {
		return
	}
	c.ids = make([]FileID, c.files)
	next := FileID(0)
	for i, nd := range c.t.nodes.all() {
		if nd.is(nodeLive) {
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

// each calls fn for every file that gets a record, in the order of FileIDs.
func (c *committer) each(fn func(id FileID, nd *node) error) error {
	for i, nd := range c.t.nodes.all() {
		if nd.is(nodeLive) || !c.w.compact {
			if err := fn(c.t.base+FileID(i+1), nd); err != nil {
				return err
			}
		}
	}
	return nil
}

// tables writes, in Microsoft's order: upcase table, link tables, tables of alternate
// streams, parent links, file tables, their directory, and the file system object,
// whose place it returns. That parent links come after the tables of streams is
// inferred: version 1, which shows the order, has none.
func (c *committer) tables() (RegionOffset, error) {
	var dir []byte
	upcase, err := RegionOffset(0), error(nil)
	if c.old == nil {
		upcase, err = c.p.put(winfs.AppendUpcaseTable(nil))
	} else {
		upcase = c.old.upcaseAt
		dir, err = c.old.fileTables()
	}
	if err != nil {
		return 0, err
	}
	if err := c.p.putAll(0, func(out *objectPipe) error { return c.directory(c.t.root, out) }); err != nil {
		return 0, err
	}
	stored := map[*altStream]RegionOffset{} // by the first of a list, which files may share
	err = c.each(func(id FileID, nd *node) error {
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
		table, err := appendLinkTable(nil, values, names)
		if err != nil {
			return err
		}
		at, err := c.p.put(table)
		nd.rec.streams, stored[first] = uint64(at), at
		return err
	})
	if err != nil {
		return 0, err
	}
	err = c.p.putAll(0, func(out *objectPipe) error {
		return c.each(func(id FileID, nd *node) error { return c.finishRecord(id, nd, out) })
	})
	if err != nil {
		return 0, err
	}
	places := make([]uint64, (c.files+tableFiles-1)/tableFiles)
	size := recordSize(c.w.opts.Version)
	room := min(c.files*size, pipeBytes+tableFiles*size)
	if err := c.p.putAll(room, func(out *objectPipe) error { return c.fileTables(places, out) }); err != nil {
		return 0, err
	}
	for i, at := range places {
		dir = le.AppendUint64(dir, at)
		dir = le.AppendUint16(dir, uint16(min(tableFiles, c.files-i*tableFiles)))
		dir = le.AppendUint16(dir, uint16(size))
		dir = le.AppendUint32(dir, 0)
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

// emptyDirectory is the stream of a directory without names.
var emptyDirectory = stream{0, uint64(TableStream) << streamTypeShift}

type child struct {
	name string
	id   FileID
}

// directory makes the link tables below a directory and then its own.
func (c *committer) directory(id FileID, out *objectPipe) error {
	nd := c.t.node(id)
	if table, ok := c.t.inherited[id]; ok { // its names are the parent's
		nd.rec.data = table
		return nil
	}
	first := len(c.kids)
	for k := nd.kids(); k != 0; k = c.t.entry(k).nextKid() {
		if e := c.t.entry(k); e.id != 0 {
			c.kids = append(c.kids, child{c.t.names.get(e.name), e.id})
		}
	}
	last := len(c.kids)
	defer func() { c.kids = c.kids[:first] }()
	slices.SortFunc(c.kids[first:], func(a, b child) int { return winfs.CompareFold(a.name, b.name) })
	for i := first; i < last; i++ {
		if id := c.kids[i].id; c.t.own(id) && c.t.node(id).is(nodeDir) {
			if err := c.directory(id, out); err != nil {
				return err
			}
		}
	}
	nd.rec.data = emptyDirectory
	if first == last {
		return nil
	}
	values, names := c.values[:0], c.names[:0]
	for _, k := range c.kids[first:last] {
		values, names = le.AppendUint32(values, uint32(c.id(k.id))), append(names, k.name)
	}
	n, err := c.linkTable(values, names, &nd.rec.data.offset, out)
	nd.rec.data.packed |= uint64(n)
	return err
}

// linkTable makes one table, whose place goes to at, and returns its length. values
// and names become c's again.
func (c *committer) linkTable(values []byte, names []string, at *uint64, out *objectPipe) (int, error) {
	c.values, c.names = values, names
	b := out.begin()
	table, err := appendLinkTable(b, values, names)
	if err != nil {
		return 0, err
	}
	out.end(table, at)
	return len(table) - len(b), nil
}

// fileTables makes the tables of all records, whose places go to places.
func (c *committer) fileTables(places []uint64, out *objectPipe) error {
	var table []byte
	n := 0
	return c.each(func(_ FileID, nd *node) error {
		if n%tableFiles == 0 {
			table = out.begin()
		}
		rec := nd.rec
		rec.reserved = 0
		table = rec.append(table, c.w.opts.Version)
		if n++; n%tableFiles == 0 || n == c.files {
			out.end(table, &places[(n-1)/tableFiles])
		}
		return nil
	})
}

// finishRecord sets the parent of a record and makes the list of its names, which
// version 3 has: by upper-cased name, then by FileID of the directory. That order is
// inferred, as is which of several directories counts as the parent: the one of the
// first name.
func (c *committer) finishRecord(id FileID, nd *node, out *objectPipe) error {
	if !nd.is(nodeLive) && nd.is(nodeDir) && !nd.is(nodeOld) { // a copy keeps the table that it came with, as Windows has it
		nd.rec.data = emptyDirectory
	}
	if c.w.opts.Version < V3 || !nd.is(nodeLive) {
		nd.rec.parent, nd.rec.links = 0, 0
		return nil
	}
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
	for n := nd.names(); n != 0; {
		e := c.t.entry(n)
		oldest = c.id(e.dir)
		if e.dir == nd.rec.parent {
			keep = oldest
		}
		links = append(links, link{oldest, c.t.names.get(e.name)})
		next := e.nextName
		c.t.drop(n)
		n = next
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
	_, err := c.linkTable(values, names, &nd.rec.links, out)
	return err
}
