package cimfs

import (
	"bufio"
	"context"
	"io"

	"github.com/mullion/mullion/winfs"
)

// inherit prepares the writer of a fork. Nothing of the parent's tree is read: the
// cost of a fork is that of its changes.
func (w *Writer) inherit() error {
	if ok, err := w.parent.StandardUpcase(); err != nil {
		return err
	} else if !ok {
		return because(ErrUnsupportedImage, "the parent has an upcase table of its own, by which names cannot be sorted")
	}
	w.parent.UseCache(parentCache)
	t := w.tree
	t.old, t.root = w.parent, w.parent.rootID
	t.base = FileID(w.parent.tableCount) * tableFiles
	t.inherited = make(map[FileID]stream)
	for i := range w.parent.regions {
		r, err := w.parent.region(i)
		if err != nil {
			return err
		}
		out := w.placer.regions[r.typ]
		out.inherited = append(out.inherited, &oldObjects{im: w.parent, index: i, typ: r.typ})
	}
	return nil
}

// parentCache is how many bytes of the parent's metadata are kept in memory while a
// fork is made.
const parentCache = 4 << 20

// loadTree fills the empty tree with the files of an image, FileIDs kept. Files
// that have no name are left out: an image can say that it has millions of them.
func (w *Writer) loadTree(ctx context.Context, im *Image) error {
	t := w.tree
	t.root = im.rootID
	cache := &blockCache{im: im}
	t.nodes.extend(int(im.files))
	t.dead = int(im.files)
	load := func(id FileID) (*node, error) {
		nd := t.nodes.ensure(int(id) - 1)
		if nd.is(nodeLive) {
			return nd, nil
		}
		var rec record
		if err := im.readRecord(id, &rec, cache); err != nil {
			return nil, im.fail("read file record", "", err)
		}
		nd.load(&rec, 0)
		nd.set(nodeDir, rec.isDir())
		nd.set(nodeLink, rec.isDir() && winfs.IsNameSurrogate(rec.reparseTag))
		t.revive(nd)
		return nd, nil
	}
	if root, err := load(t.root); err != nil {
		return err
	} else if !root.is(nodeDir) {
		return im.fail("read directory", "", because(ErrNotDirectory, "the root is a file"))
	}
	entries := int64(0)
	type level struct {
		id    FileID
		units int // of the path, so that no tree is deeper than a path can be
	}
	for stack := []level{{t.root, 0}}; len(stack) > 0; {
		id, units := stack[len(stack)-1].id, stack[len(stack)-1].units
		stack = stack[:len(stack)-1]
		dir, err := im.directory(&t.node(id).rec)
		if err != nil {
			return im.fail("read directory", "", err)
		}
		if dir == nil {
			continue
		}
		if entries += int64(dir.count); entries > im.limits.Entries {
			return im.fail("read directory", "", because(ErrLimit, "more than %d names", im.limits.Entries))
		}
		c := dir.cursor(walkWindow)
		for i := range dir.count {
			if err := ctx.Err(); err != nil {
				return err
			}
			e, err := c.anyEntry(i)
			if err != nil {
				return im.fail("read directory", "", err)
			}
			if e.ID == 0 || int64(e.ID) > im.files {
				return im.fail("read directory", e.Name, im.where(dir.at, corrupt("file %d of %d", e.ID, im.files)))
			}
			if f, _ := t.find(id, e.Name); f.id != 0 {
				return im.fail("read directory", e.Name, im.where(dir.at, corrupt("two names are equal")))
			}
			nd, err := load(e.ID)
			if err != nil {
				return err
			}
			if nd.is(nodeDir) {
				if nd.names() != 0 || e.ID == t.root {
					return im.fail("read directory", e.Name, im.where(dir.at, corrupt("directory %d is reached twice", e.ID)))
				}
				n := units + 1 + winfs.UTF16Len(e.Name)
				if n > maxPath {
					return im.fail("read directory", e.Name, im.where(dir.at, corrupt("a path is longer than %d units", maxPath)))
				}
				stack = append(stack, level{e.ID, n})
			}
			if !t.room() {
				return errTooManyFiles
			}
			t.insert(id, e.Name, e.ID).setOld()
		}
	}
	return nil
}

// loadStreams makes the alternate streams that a file has from the parent image
// changeable.
func (w *Writer) loadStreams(id FileID) error {
	nd := w.tree.node(id)
	if _, ok := w.streams[id]; ok || nd.rec.streams == 0 || w.parent == nil {
		return nil
	}
	list, err := (&File{im: w.parent, id: id, rec: nd.rec}).Streams()
	if err != nil {
		return err
	}
	out := make([]*altStream, 0, len(list))
	for _, s := range list {
		out = append(out, &altStream{s.name, s.s})
	}
	w.streams[id] = out
	return nil
}

// objectsIn opens the object table of a region. The caller closes src.
func (im *Image) objectsIn(index int) (src Source, off, count int64, err error) {
	r := &im.regions[index]
	name := objectIDName(r.set.GUID, r.n)
	if src, err = im.opener.OpenFile(name); err != nil {
		return nil, 0, 0, err
	}
	bad := func(off int64, err error) (Source, int64, int64, error) {
		src.Close()
		return nil, 0, 0, &place{name, off, err}
	}
	var h [objectHeaderSize]byte
	if src.Size() < objectHeaderSize {
		return bad(0, corrupt("%d bytes are too few for a header", src.Size()))
	}
	if err := readFull(src, h[:], 0); err != nil {
		return bad(0, err)
	}
	if err := checkCommon(h[:], kindObjectID, objectHeaderSize); err != nil {
		return bad(0, because(ErrCorrupt, "%v", err))
	}
	off, count = int64(le.Uint32(h[objectTableAt:])), int64(le.Uint32(h[objectCountAt:]))
	if off < objectHeaderSize || off > src.Size() || count > (src.Size()-off)/objectEntrySize {
		return bad(objectTableAt, corrupt("%d entries at %#x do not fit the file of %d bytes", count, off, src.Size()))
	}
	if count > im.limits.Objects {
		return bad(objectCountAt, because(ErrLimit, "%d objects", count))
	}
	return src, off, count, nil
}

// objects reads the object table of a region in stored order.
func (im *Image) objects(index int, fn func(o object) bool) error {
	src, off, count, err := im.objectsIn(index)
	if err != nil {
		return err
	}
	defer src.Close()
	in := bufio.NewReaderSize(io.NewSectionReader(src, off, count*objectEntrySize), 64<<10)
	var b [objectEntrySize]byte
	for range count {
		if _, err := io.ReadFull(in, b[:]); err != nil {
			r := &im.regions[index]
			return &place{objectIDName(r.set.GUID, r.n), off, err}
		}
		if !fn(decodeObject(b[:], index)) {
			return nil
		}
	}
	return nil
}
