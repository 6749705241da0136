package wclayer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// TransportReader reads a transport directory. It implements layer.Reader and
// layer.ExtentReader.
//
// Entries come in the order of docs/spec/layers.md, "Order of a transport directory": a
// walk that sorts the names of each directory by their bytes; after a directory the
// tombstones in it. Tombstones in directories that are not there come at the end. The
// directory Files\$Recycle.Bin is left out.
//
// A utility VM is read where it is kept as [TransportWriter] keeps it; Windows has
// none in such a directory.
//
// Times follow the rules of docs/spec/layers.md, "Times", which make exports
// reproducible: Files and Hives have those of Hives\System_Delta, if it is there, and
// they and all files in Hives were created and accessed when they were last written.
type TransportReader struct {
	walker
	tombs *tombstones
	delta *winfs.Times // of Hives\System_Delta
	vm    bool         // UtilityVM is kept as Files is
}

var (
	_ layer.Reader       = (*TransportReader)(nil)
	_ layer.ExtentReader = (*TransportReader)(nil)
)

// What can be wrong with the metadata files of directories.
var (
	errOrphan     = fmt.Errorf("%w: metadata file without a directory", layer.ErrCorrupt)
	errNoMetaFile = fmt.Errorf("%w: directory without its metadata file", layer.ErrCorrupt)
)

// deltaName is the file whose times Files and Hives take.
const deltaName = "System_Delta"

func openTransport(path string, root directory, o options) (*TransportReader, error) {
	r := &TransportReader{walker: walker{path: path, o: o, root: root, op: "read transport directory"}}
	r.h.root = root
	if err := r.openStore(); err != nil {
		return nil, err
	}
	if r.index != nil && r.index.flags&indexTransport == 0 {
		return nil, r.giveUp(fmt.Errorf("%w: index of a final directory", ErrMetadata))
	}
	err := r.begin()
	if err != nil {
		return nil, r.giveUp(err)
	}
	return r, nil
}

func (r *TransportReader) begin() (err error) {
	if r.tombs, err = loadTombstones(r.root, r.o.limits); err != nil {
		return err
	}
	items, err := r.items(r.root, "")
	if err != nil {
		return err
	}
	r.frames = []frame{{known: true, items: items}}
	for _, it := range items {
		if it.dir && rootTree(it.name) == hivesName {
			return r.findDelta(it)
		}
	}
	return nil
}

// findDelta takes the times of Hives\System_Delta.
func (r *TransportReader) findDelta(hives item) error {
	d, err := r.root.enter(hives.host)
	if err != nil {
		return err
	}
	defer d.close()
	list, err := d.list()
	if err != nil {
		return err
	}
	for _, e := range list {
		if !winfs.EqualFold(e.Name(), deltaName) || !e.Type().IsRegular() {
			continue
		}
		f, err := d.open(e.Name())
		if err != nil {
			return err
		}
		defer f.close()
		id, known := noNode, false
		if r.index != nil {
			id, known = r.index.tree.findPath(hivesName + `\` + deltaName)
		}
		t, err := r.times(f, f.stat, id, known)
		r.delta = &t
		return err
	}
	return nil
}

// times are those that were kept with a file, or its modification time.
func (r *TransportReader) times(k keptRecord, stat func() (fs.FileInfo, error), id nodeID, known bool) (winfs.Times, error) {
	if nativeObjects {
		return nativeTimes(k)
	}
	rec, have, err := r.transportRecord(k, id, known)
	if err != nil || have {
		return rec.times, err
	}
	fi, err := stat()
	if err != nil {
		return winfs.Times{}, err
	}
	return hostTimes(fi), nil
}

// transportRecord differs from record in that a directory without an index, the
// usual one, may have records as extended attributes.
func (r *TransportReader) transportRecord(k keptRecord, id nodeID, known bool) (record, bool, error) {
	if r.index != nil && r.index.flags&indexXattr == 0 {
		return r.record(k, id, known)
	}
	b, err := k.record()
	if err != nil || b == nil {
		return record{}, false, err
	}
	rec, err := parseRecord(b)
	return rec, err == nil, err
}

// items lists a directory without the metadata files of other directories, each of
// which must have its directory.
func (r *TransportReader) items(d directory, path string) ([]item, error) {
	list, err := d.list()
	if err != nil {
		return nil, err
	}
	plain := list[:0:0]
	meta := make(map[string]bool)
	dirs := make(map[string]bool)
	for _, e := range list {
		switch {
		case e.Name() == storeName && path == "", e.Name() == tombstoneName && path == "":
			continue
		case hasMetaSuffix(e.Name()):
			if !e.Type().IsRegular() {
				return nil, fmt.Errorf("%q: %w", e.Name(), ErrHostFile)
			}
			meta[winfs.Fold(e.Name()[:len(e.Name())-len(metaSuffix)])] = true
			continue
		}
		plain = append(plain, e)
		if e.IsDir() {
			dirs[winfs.Fold(e.Name())] = true
		}
	}
	for _, e := range list {
		if !hasMetaSuffix(e.Name()) {
			continue
		}
		name := e.Name()[:len(e.Name())-len(metaSuffix)]
		if dirs[winfs.Fold(name)] {
			continue
		}
		err := fmt.Errorf("%w: %q has no directory beside it", errOrphan, e.Name())
		if r.o.tolerate == nil || !r.o.tolerate(err) {
			return nil, err
		}
	}
	items, err := r.sorted(plain, r.names())
	for i := range items {
		items[i].meta = meta[winfs.Fold(items[i].host)]
	}
	return items, err
}

// Next implements layer.Reader.
func (r *TransportReader) Next() (*layer.Entry, error) { return r.step(r) }

func (r *TransportReader) end() error {
	r.hide(r.tombs.rest())
	if r.index != nil {
		r.hide(r.index.takeWhiteouts())
	}
	if len(r.queue) > 0 {
		return nil
	}
	if err := r.lostLink(); err != nil {
		return err
	}
	return io.EOF
}

func (r *TransportReader) hide(paths []string) {
	for _, p := range paths {
		r.queue = append(r.queue, func(e *layer.Entry) error {
			e.Path, e.Kind = p, layer.Whiteout
			return nil
		})
	}
}

func (r *TransportReader) visit(f *frame, it item) (bool, error) {
	if len(r.frames) == 1 {
		if t := rootTree(it.name); t != "" {
			it.name = t
		}
	}
	if it.dir && f.path == filesName && winfs.EqualFold(it.name, recycleName) {
		return false, nil
	}
	r.entry.Path = winfs.JoinPath(f.path, it.name)
	id, known := r.node(f, it.name)
	if known && r.index.tree.at(id).flags&nodeLink != 0 {
		return r.link(id)
	}
	d, err := r.h.dir(len(r.frames) - 1)
	if err != nil {
		return false, err
	}
	encoded := winfs.Under(r.entry.Path, filesName) || r.vm && winfs.Under(r.entry.Path, utilityName)
	if !it.dir {
		if !it.regular {
			return false, ErrHostFile
		}
		r.entry.Kind = layer.File
		return r.file(d, it.host, encoded, id, known)
	}
	path := r.entry.Path
	r.h.push(id, it.host)
	self, err := r.h.dir(r.h.depth())
	if err != nil {
		return false, err
	}
	items, err := r.items(self, path)
	if err != nil {
		return false, err
	}
	parent := len(r.frames) - 1
	r.frames = append(r.frames, frame{path: path, node: id, known: known || r.index == nil, items: items})
	r.hide(r.tombs.in(path))
	r.entry.Kind = layer.Dir
	if it.meta {
		r.vm = r.vm || path == utilityName
		if d, err = r.h.dir(parent); err != nil {
			return false, err
		}
		return r.file(d, it.host+metaSuffix, true, id, known)
	}
	if encoded {
		return false, fmt.Errorf("%w: %s", errNoMetaFile, it.name+metaSuffix)
	}
	return r.raw(self, nil, func() (fs.FileInfo, error) { return self.stat(".") }, id, known)
}

// file opens what stands for an entry: with attributes and backup stream, or in
// Hives as it is.
func (r *TransportReader) file(d directory, host string, encoded bool, id nodeID, known bool) (bool, error) {
	f, err := d.open(host)
	if err != nil {
		return false, err
	}
	if r.entry.Kind == layer.File && r.index == nil {
		if first, err := r.sameFile(f); err != nil {
			return false, errors.Join(err, f.close())
		} else if first != "" {
			r.entry.Kind, r.entry.Target = layer.Link, first
			err := r.linkMetadata(f, encoded, id, known)
			return err == nil, errors.Join(err, f.close())
		}
	}
	if !encoded {
		return r.raw(f, f, f.stat, id, known)
	}
	c, err := readTransportFile(f, &r.entry, r.o.limits)
	if err == nil {
		r.entry.Times, err = r.times(f, f.stat, id, known)
	}
	if err != nil {
		return false, errors.Join(err, f.close())
	}
	c.closer = f.close
	r.src = c
	r.arrived(id, known)
	return true, nil
}

// linkMetadata takes the attributes and times of the file that an entry is a further
// name of.
func (r *TransportReader) linkMetadata(f file, encoded bool, id nodeID, known bool) (err error) {
	e := &r.entry
	var prefix [prefixSize]byte
	switch {
	case encoded:
		if _, err := f.ReadAt(prefix[:], 0); err != nil {
			return noEOF(err)
		}
		e.Attributes = winfs.Attributes(binary.LittleEndian.Uint32(prefix[:]))
	case nativeObjects:
		if e.Attributes, err = nativeAttributes(f); err != nil {
			return err
		}
	default:
		e.Attributes = winfs.AttrArchive
	}
	e.Times, err = r.times(f, f.stat, id, known)
	if err == nil {
		r.arrived(id, known)
	}
	return err
}

// raw is an entry outside of Files: the host has its attributes and times, or the
// record that was kept with it. f is nil for a directory.
func (r *TransportReader) raw(k keptRecord, f file, stat func() (fs.FileInfo, error), id nodeID, known bool) (bool, error) {
	e := &r.entry
	c := &content{}
	fail := func(err error) (bool, error) {
		if f != nil {
			err = errors.Join(err, f.close())
		}
		return false, err
	}
	if f != nil {
		fi, err := f.stat()
		if err != nil {
			return fail(err)
		}
		e.Size = fi.Size()
		c.streams = append(c.streams, storedStream{size: e.Size, segments: whole(e.Size, 0), src: f})
		c.closer = f.close
	}
	if nativeObjects {
		var err error
		if e.Attributes, err = nativeAttributes(k); err != nil {
			return fail(err)
		}
	}
	if rec, have, err := r.transportRecord(k, id, known); err != nil {
		return fail(err)
	} else if have {
		if err := r.blobs.entry(&rec, e); err != nil {
			return fail(err)
		}
		if err := r.storedStreams(&rec, c); err != nil {
			return fail(err)
		}
	}
	switch {
	case e.Kind == layer.Dir:
		e.Attributes |= winfs.AttrDirectory
	case e.Attributes == 0:
		e.Attributes = winfs.AttrArchive // what NTFS gives a new file
	}
	var err error
	if e.Times, err = r.times(k, stat, id, known); err != nil {
		return fail(err)
	}
	r.src = c
	r.arrived(id, known)
	return true, nil
}

// arrived finishes the entry.
func (r *TransportReader) arrived(id nodeID, known bool) {
	e := &r.entry
	root := !strings.Contains(e.Path, `\`)
	vm := r.vm && inUtility(e.Path)
	if root && !vm && r.delta != nil && rootTree(e.Path) != "" {
		e.Times = *r.delta
	}
	if !vm && (root || !winfs.Under(e.Path, filesName)) {
		e.Times.Creation, e.Times.LastAccess = e.Times.LastWrite, e.Times.LastWrite
	}
	if known {
		r.returned(id)
	}
}

// Close implements layer.Reader.
func (r *TransportReader) Close() error { return r.walker.close() }
