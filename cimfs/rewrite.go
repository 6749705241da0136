package cimfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/winfs"
)

// Rewrite decodes an image and encodes it again in dir under name, file IDs kept.
// Objects that no file uses are left out, and parents are no longer needed. If the
// image has records without a name, the IDs after them move up. A zero
// Version or GUID in opts keeps that of src; opts.Parent must be empty.
//
// The region and object files of a genuine image of which nothing is left out are the
// same again, byte for byte. Streams keep their form: a stream that src has expanded as a
// PE image is expanded in the same way and keeps its hashes, and plain streams and small
// data stay so. With opts.PlainExecutables nothing is
// expanded, and the hashes go. Metadata is not judged.
//
// Rewrite ends soon after ctx does, with its error, and leaves no image.
func Rewrite(ctx context.Context, dir, name string, src *Image, opts *Options) error {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if o.Version == 0 {
		o.Version = src.version
		if o.Version == V2 {
			o.Version = V3
		}
	}
	if o.GUID == (winfs.GUID{}) {
		o.GUID = src.guid
	}
	fail := func(err error) error {
		if e := (*Error)(nil); errors.As(err, &e) {
			return err
		}
		return &Error{Op: "rewrite", Image: src.name, Offset: -1, Err: err}
	}
	if o.Parent != "" {
		return fail(because(ErrSequence, "a rewritten image has no parent"))
	}
	if ok, err := src.StandardUpcase(); err != nil {
		return fail(err)
	} else if !ok {
		return fail(because(ErrUnsupportedImage, "the image has an upcase table of its own, by which names cannot be sorted"))
	}
	w, err := Create(dir, name, &o)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := (&rewriter{ctx: ctx, w: w, src: src, buf: make([]byte, 256<<10), tables: map[uint64][]*altStream{}, late: newLateCalls()}).run(); err != nil {
		return fail(err)
	}
	return w.Commit()
}

type rewriter struct {
	ctx    context.Context
	w      *Writer
	src    *Image
	buf    []byte
	tables map[uint64][]*altStream // by place in src: many files may share one
	late   *lateCalls
}

// run copies every file that has a name, in the order of FileIDs, which is that of
// creation.
func (r *rewriter) run() error {
	w := r.w
	w.tree, w.compact = newTree(), true
	if err := w.loadTree(r.ctx, r.src); err != nil {
		return err
	}
	for i, nd := range w.tree.nodes.all() {
		id := FileID(i + 1)
		if !nd.is(nodeLive) {
			continue
		}
		f := &File{im: r.src, id: id, rec: nd.rec}
		make := func() error {
			if err := r.file(f, nd); err != nil {
				return fmt.Errorf("file %d: %w", id, err)
			}
			return nil
		}
		if first := firstObject(&f.rec); id == w.tree.root && first != 0 {
			r.late.add(lateCall{first, make})
		} else if err := make(); err != nil {
			return err
		}
	}
	return r.late.rest()
}

// firstObject returns the place of the first of the objects that describe a directory.
func firstObject(rec *record) (first RegionOffset) {
	for _, o := range []uint64{rec.security, rec.reparse, rec.ea} {
		if at := RegionOffset(o); at != 0 && (first == 0 || at < first) {
			first = at
		}
	}
	return first
}

// before makes the calls that come before a file.
func (r *rewriter) before(f *File, main *Stream) error {
	objects := []RegionOffset{RegionOffset(f.rec.security), RegionOffset(f.rec.reparse)}
	if main != nil && main.pe != nil {
		objects = append(objects, main.pe.data)
	}
	if main != nil {
		objects = append(objects, RegionOffset(main.s.offset))
	}
	for _, at := range append(objects, RegionOffset(f.rec.ea)) {
		if err := r.late.before(at); err != nil {
			return err
		}
	}
	return nil
}

func (r *rewriter) file(f *File, nd *node) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	w := r.w
	nd.rec = record{parent: nd.rec.parent, links: nd.rec.links, reserved: nd.rec.reserved}
	meta, hole, err := w.metaOf(f)
	if err != nil {
		return err
	}
	if nd.names() != 0 && w.tree.entry(nd.names()).nextName != 0 {
		if err := w.unproven("hard links"); err != nil {
			return err
		}
	}
	var main *Stream
	if !f.IsDir() {
		if main, err = f.Data(); err != nil {
			return err
		}
	}
	if err := r.before(f, main); err != nil {
		return err
	}
	if main == nil {
		w.placer.add(item{rec: &nd.rec, dir: true, meta: meta})
	} else {
		w.beginFile(nd, "", meta, hole, main.Size(), w.keepForm(main))
		if err := r.copyStream(main); err != nil {
			return err
		}
	}
	if f.rec.streams == 0 {
		return nil
	}
	if _, ok := r.tables[f.rec.streams]; !ok {
		if err := r.streams(f); err != nil {
			return err
		}
	}
	w.streams[f.id] = r.tables[f.rec.streams]
	return nil
}

// streams lets the alternate streams of a file be copied in their time.
func (r *rewriter) streams(f *File) error {
	w := r.w
	list, err := f.readStreams(true)
	if err != nil {
		return err
	}
	out := make([]*altStream, 0, len(list))
	for _, s := range list {
		if err := w.unproven("alternate streams"); err != nil {
			return err
		}
		a := &altStream{name: s.name}
		out = append(out, a)
		if s.Sparse() || s.Size() == 0 {
			a.s = stream{0, s.s.packed}
			continue
		}
		first := RegionOffset(s.s.offset)
		if s.pe != nil {
			first = s.pe.data
		}
		r.late.add(lateCall{first, func() error {
			w.begin(item{}, &a.s, "", s.Size(), w.keepForm(s))
			return r.copyStream(s)
		}})
	}
	r.tables[f.rec.streams] = out
	return nil
}

// metaOf is the inverse of encodeMeta. Nothing is checked: an image is encoded
// again as it is. The hashes of an executable go where its expansion goes.
func (w *Writer) metaOf(f *File) (m recordMeta, hole bool, err error) {
	hole = f.rec.data.sparse()
	if f.rec.reparse != 0 {
		err = w.unproven("reparse points")
	}
	if err == nil && (hole || f.rec.flags&flagSparse != 0) {
		err = w.unproven("sparse files")
	}
	if err != nil {
		return m, false, err
	}
	var err1, err2, err3 error
	m.security, err1 = f.Security()
	m.rep, err3 = f.Reparse()
	if w.opts.PlainExecutables && f.StreamType() == ImageStream {
		m.ea, err2 = f.GivenEAs()
	} else {
		m.ea, err2 = f.EAs()
	}
	if len(m.security) == 0 {
		m.security = w.opts.DefaultSecurity
	}
	m.rec.setTimes(f.Times())
	m.flags, m.tag = f.rec.flags, f.rec.reparseTag
	return m, hole, errors.Join(err1, err2, err3)
}

// keepForm returns the form in which the source has a stream. Where exactly Windows
// draws the line between small and other content is inferred; the source knows.
func (w *Writer) keepForm(s *Stream) *form {
	f := formOf(nil, s.Size())
	switch {
	case s.pe != nil && !w.opts.PlainExecutables:
		p := &pePlan{sizeOfImage: s.pe.sizeOfImage, flags: s.pe.flags, stored: s.pe.length}
		for _, m := range s.pe.mappings {
			if int64(m.offset) < s.Size() {
				p.mappings = append(p.mappings, m)
			}
		}
		f = formOf(p, s.Size())
	case s.pe == nil && !s.Sparse() && s.Size() > 0:
		if r, err := s.im.region(RegionOffset(s.s.offset).Region()); err == nil && r.typ != MetadataRegion {
			f.region = r.typ
		}
	}
	return &f
}

// copyStream copies the bytes of a stream, of which a sparse one has none.
func (r *rewriter) copyStream(s *Stream) error {
	for off := int64(0); off < s.Size() && !s.Sparse(); {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		n := min(int64(len(r.buf)), s.Size()-off)
		if _, err := s.ReadAt(r.buf[:n], off); err != nil {
			return err
		}
		if _, err := r.w.Write(r.buf[:n]); err != nil {
			return err
		}
		off += n
	}
	return r.w.ready()
}

// Delete removes an image and the region and object files that belong to it alone;
// those of its parents stay. Images forked from it become unusable. The .cim file
// goes first, so that no image without its regions is ever seen.
func Delete(dir, name string) error {
	root, err := openfile.Root(dir)
	if err != nil {
		return &Error{Op: "delete", Image: name, Offset: -1, Err: err}
	}
	return errors.Join(DeleteIn(root, name), root.Close())
}

// DeleteIn is [Delete] in an open directory, which stays the caller's.
func DeleteIn(root *os.Root, name string) error {
	fail := func(err error) error { return &Error{Op: "delete", Image: name, Offset: -1, Err: err} }
	if err := checkImageName(name); err != nil {
		return fail(err)
	}
	im := &Image{name: name, opener: rootOpener{root}, limits: Limits{}.withDefaults()}
	if err := im.readHeader(); err != nil {
		return im.fail("delete", "", err)
	}
	if err := publish.Remove(root, name); err != nil {
		return fail(err)
	}
	// Other images may have been given the same region set.
	names, err := dirNames(root)
	if err != nil {
		return fail(err)
	}
	for _, n := range names {
		other := &Image{name: n, opener: rootOpener{root}, limits: Limits{}.withDefaults()}
		if checkImageName(n) == nil && other.readHeader() == nil && other.guid == im.guid {
			return nil
		}
	}
	if err := removeSet(root, im.guid); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	return nil
}
