package cimfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mullion/mullion/winfs"
)

// Rewrite decodes an image and encodes it again in dir under name, file IDs kept.
// What no file uses any more is left out, and parents are no longer needed. Should
// the image have records that nothing names, the IDs after them move up. A zero
// Version or GUID in opts keeps that of src; opts.Parent must be empty.
//
// Of a genuine image this gives the same region and object files, byte for byte.
// Streams keep their form: what src has expanded as a PE image is expanded in the
// same way, what it has plain stays plain, and what it has as small data stays that.
//
// A sparse stream becomes zeros in version 1, as far as [Limits].Zeros allows.
func Rewrite(dir, name string, src *Image, opts *Options) error {
	return RewriteContext(context.Background(), dir, name, src, opts)
}

// RewriteContext is [Rewrite] that ends with the error of ctx when that is done.
func RewriteContext(ctx context.Context, dir, name string, src *Image, opts *Options) error {
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
	w, err := create(dir, name, &o, nil)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := (&rewriter{ctx: ctx, w: w, src: src, buf: make([]byte, 256<<10), tables: map[uint64][]*altStream{}}).run(); err != nil {
		return fail(err)
	}
	return w.Commit()
}

type rewriter struct {
	ctx    context.Context
	w      *Writer
	src    *Image
	buf    []byte
	zeros  int64                   // of sparse streams, that version 1 cannot hold
	tables map[uint64][]*altStream // by place in src: many files may share one
}

// run copies every file that has a name, in the order of FileIDs, which is that of
// creation.
func (r *rewriter) run() error {
	w := r.w
	w.tree = newTree()
	if err := w.loadTree(r.ctx, r.src); err != nil {
		return err
	}
	for i, nd := range w.tree.nodes.all() {
		id := FileID(i + 1)
		if !nd.live {
			continue
		}
		f := &File{im: r.src, id: id, rec: nd.rec}
		if err := r.file(f, nd); err != nil {
			return fmt.Errorf("file %d: %w", id, err)
		}
	}
	return nil
}

func (r *rewriter) file(f *File, nd *node) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	w := r.w
	nd.rec = record{parent: f.rec.parent}
	meta, hole, err := w.metaOf(f)
	if err != nil {
		return err
	}
	if w.opts.ProvenOnly && nd.names != 0 && w.tree.entry(nd.names).nextName != 0 {
		return because(ErrUnproven, "hard links")
	}
	if f.IsDir() {
		w.placer.add(item{rec: &nd.rec, meta: meta})
	} else {
		s, err := f.Data()
		if err != nil {
			return err
		}
		w.beginFile(nd, "", meta, hole, s.Size(), w.keepForm(s))
		if err := r.copyStream(s, hole); err != nil {
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

// streams copies the alternate streams of a file.
func (r *rewriter) streams(f *File) error {
	w := r.w
	list, err := f.Streams()
	if err != nil {
		return err
	}
	out := make([]*altStream, 0, len(list))
	for _, s := range list {
		if w.opts.ProvenOnly {
			return because(ErrUnproven, "alternate streams")
		}
		a := &altStream{name: s.name}
		out = append(out, a)
		if s.Sparse() && w.opts.Version >= V2 {
			a.s = s.s
			continue
		}
		w.begin(item{}, &a.s, "", s.Size(), w.keepForm(s))
		if err := r.copyStream(s, false); err != nil {
			return err
		}
	}
	r.tables[f.rec.streams] = out
	return nil
}

// metaOf reads back what encodeMeta makes.
func (w *Writer) metaOf(f *File) (m recordMeta, hole bool, err error) {
	in := Meta{Attributes: f.Attributes(), Times: f.Times(), Hole: f.rec.data.sparse()}
	var err1, err2, err3 error
	in.Security, err1 = f.Security()
	in.EAs, err2 = f.EAs()
	in.Reparse, err3 = f.Reparse()
	if err := errors.Join(err1, err2, err3); err != nil {
		return m, false, err
	}
	if in.Hole && w.opts.Version < V2 {
		in.Hole = false // the zeros are written out
	}
	m, err = w.encodeMeta(&in)
	if err != nil {
		return m, false, err
	}
	m.flags = f.rec.flags // what is not understood is kept
	if w.opts.Version < V2 && f.im.version >= V2 {
		m.flags &^= flagSparse
	}
	m.tag = f.rec.reparseTag
	return m, in.Hole, nil
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

func (r *rewriter) copyStream(s *Stream, hole bool) error {
	if hole {
		return r.w.ready()
	}
	if s.Sparse() {
		if r.zeros += s.Size(); r.zeros > r.src.limits.Zeros {
			return because(ErrLimit, "sparse streams of more than %d bytes, which version %d has as zeros", r.src.limits.Zeros, r.w.opts.Version)
		}
	}
	for off := int64(0); off < s.Size(); {
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
	root, err := os.OpenRoot(dir)
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
	if err := root.Remove(name); err != nil {
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
