package wctransport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Reader reads a transport directory. It implements layer.Reader and
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
// Times follow the rules of section 1.9, which make exports reproducible: Files
// and Hives have those of Hives\System_Delta, if it is there, and they and all
// files in Hives were created and accessed when they were last written.
type Reader struct{ r reader }

var (
	_ layer.Reader       = (*Reader)(nil)
	_ layer.ExtentReader = (*Reader)(nil)
)

// reader is a walker of transport directories.
type reader struct {
	layerdir.Walker
	tombs *tombstones
	delta *winfs.Times // of Hives\System_Delta
	vm    bool         // UtilityVM is kept as Files is
}

// Faults of the metadata files of directories.
var (
	errOrphan     = fmt.Errorf("%w: metadata file without a directory", layer.ErrCorrupt)
	errNoMetaFile = fmt.Errorf("%w: directory without its metadata file", layer.ErrCorrupt)
)

// deltaName is the file whose times Files and Hives take.
const deltaName = "System_Delta"

func newReader(path string, root hostfs.Directory, o layerdir.Options) (*Reader, error) {
	public := &Reader{reader{Walker: layerdir.Walker{Path: path, Options: o, Root: root, Op: "read transport directory"}}}
	r := &public.r
	r.Handles.Root = root
	if err := r.OpenStore(); err != nil {
		return nil, err
	}
	if r.Index != nil && r.Index.Flags&layerdir.IndexTransport == 0 {
		return nil, r.GiveUp(fmt.Errorf("%w: index of a final directory", ErrMetadata))
	}
	if err := r.begin(); err != nil {
		return nil, r.GiveUp(err)
	}
	return public, nil
}

// Next implements layer.Reader.
func (r *Reader) Next() (*layer.Entry, error) { return r.r.Step(&r.r) }

// NextStream implements layer.Reader.
func (r *Reader) NextStream() (*layer.Stream, error) { return r.r.NextStream() }

// Read implements layer.Reader.
func (r *Reader) Read(p []byte) (int, error) { return r.r.Read(p) }

// NextExtent implements layer.ExtentReader.
func (r *Reader) NextExtent() (layer.Extent, error) { return r.r.NextExtent() }

// Close implements layer.Reader.
func (r *Reader) Close() error { return r.r.Close() }

func (r *reader) begin() (err error) {
	if r.tombs, err = loadTombstones(r.Root, r.Options.Limits); err != nil {
		return err
	}
	items, err := r.items(r.Root, "")
	if err != nil {
		return err
	}
	r.Frames = []layerdir.Frame{{Known: true, Items: items}}
	for _, it := range items {
		if it.Dir && layerdir.RootTree(it.Name) == layerdir.HivesName {
			return r.findDelta(it)
		}
	}
	return nil
}

// findDelta takes the times of Hives\System_Delta.
func (r *reader) findDelta(hives layerdir.Item) error {
	d, err := r.Root.Enter(hives.Host)
	if err != nil {
		return err
	}
	defer d.Close()
	list, err := d.List()
	if err != nil {
		return err
	}
	for _, e := range list {
		if !winfs.EqualFold(e.Name(), deltaName) || !e.Type().IsRegular() {
			continue
		}
		f, err := d.Open(e.Name())
		if err != nil {
			return err
		}
		defer f.Close()
		id, known := layerdir.NoNode, false
		if r.Index != nil {
			id, known = r.Index.Tree.FindPath(layerdir.HivesName + `\` + deltaName)
		}
		t, err := r.times(f, f.Stat, id, known)
		r.delta = &t
		return err
	}
	return nil
}

// times are those that were kept with a file, or its modification time.
func (r *reader) times(k hostfs.KeptRecord, stat func() (fs.FileInfo, error), id layerdir.NodeID, known bool) (winfs.Times, error) {
	if hostfs.NativeObjects {
		return hostfs.NativeTimes(k)
	}
	rec, have, err := r.transportRecord(k, id, known)
	if err != nil || have {
		return rec.Times, err
	}
	fi, err := stat()
	if err != nil {
		return winfs.Times{}, err
	}
	return layerdir.HostTimes(fi), nil
}

// transportRecord differs from record in that a directory without an index, the
// usual one, may have records as extended attributes.
func (r *reader) transportRecord(k hostfs.KeptRecord, id layerdir.NodeID, known bool) (layerdir.Record, bool, error) {
	if r.Index != nil && r.Index.Flags&layerdir.IndexXattr == 0 {
		return r.Record(k, id, known)
	}
	b, err := k.Record()
	if err != nil || b == nil {
		return layerdir.Record{}, false, err
	}
	rec, err := layerdir.ParseRecord(b)
	return rec, err == nil, err
}

// items lists a directory without the metadata files of other directories, each of
// which must have its directory.
func (r *reader) items(d hostfs.Directory, path string) ([]layerdir.Item, error) {
	list, err := d.List()
	if err != nil {
		return nil, err
	}
	plain := list[:0:0]
	meta := make(map[string]bool)
	dirs := make(map[string]bool)
	for _, e := range list {
		switch {
		case e.Name() == layerdir.StoreName && path == "", e.Name() == layerdir.TombstoneName && path == "":
			continue
		case layerdir.HasMetaSuffix(e.Name()):
			if !e.Type().IsRegular() {
				return nil, fmt.Errorf("%q: %w", e.Name(), ErrHostFile)
			}
			meta[winfs.Fold(e.Name()[:len(e.Name())-len(layerdir.MetaSuffix)])] = true
			continue
		}
		plain = append(plain, e)
		if e.IsDir() {
			dirs[winfs.Fold(e.Name())] = true
		}
	}
	for _, e := range list {
		if !layerdir.HasMetaSuffix(e.Name()) {
			continue
		}
		name := e.Name()[:len(e.Name())-len(layerdir.MetaSuffix)]
		if dirs[winfs.Fold(name)] {
			continue
		}
		err := fmt.Errorf("%w: %q has no directory beside it", errOrphan, e.Name())
		if r.Options.Tolerate == nil || !r.Options.Tolerate(err) {
			return nil, err
		}
	}
	items, err := r.Sorted(plain, r.Names())
	for i := range items {
		items[i].Meta = meta[winfs.Fold(items[i].Host)]
	}
	return items, err
}

func (r *reader) End() error {
	r.hide(r.tombs.rest())
	if r.Index != nil {
		r.hide(r.Index.TakeWhiteouts())
	}
	if len(r.Queue) > 0 {
		return nil
	}
	if err := r.LostLink(); err != nil {
		return err
	}
	return io.EOF
}

func (r *reader) hide(paths []string) {
	for _, p := range paths {
		r.Queue = append(r.Queue, func(e *layer.Entry) error {
			e.Path, e.Kind = p, layer.Whiteout
			return nil
		})
	}
}

func (r *reader) Visit(f *layerdir.Frame, it layerdir.Item) (bool, error) {
	if len(r.Frames) == 1 {
		if t := layerdir.RootTree(it.Name); t != "" {
			it.Name = t
		}
	}
	if it.Dir && f.Path == layerdir.FilesName && winfs.EqualFold(it.Name, layerdir.RecycleName) {
		return false, nil
	}
	r.Entry.Path = winfs.JoinPath(f.Path, it.Name)
	id, known := r.Node(f, it.Name)
	if known && r.Index.Tree.At(id).Flags&layerdir.NodeLink != 0 {
		return r.Link(id)
	}
	d, err := r.Handles.Dir(len(r.Frames) - 1)
	if err != nil {
		return false, err
	}
	encoded := winfs.Under(r.Entry.Path, layerdir.FilesName) || r.vm && winfs.Under(r.Entry.Path, layerdir.UtilityName)
	if !it.Dir {
		if !it.Regular {
			return false, ErrHostFile
		}
		r.Entry.Kind = layer.File
		return r.file(d, it.Host, encoded, id, known)
	}
	path := r.Entry.Path
	r.Handles.Push(id, it.Host)
	self, err := r.Handles.Dir(r.Handles.Depth())
	if err != nil {
		return false, err
	}
	items, err := r.items(self, path)
	if err != nil {
		return false, err
	}
	parent := len(r.Frames) - 1
	r.Frames = append(r.Frames, layerdir.Frame{Path: path, Node: id, Known: known || r.Index == nil, Items: items})
	r.hide(r.tombs.in(path))
	r.Entry.Kind = layer.Dir
	if it.Meta {
		r.vm = r.vm || path == layerdir.UtilityName
		if d, err = r.Handles.Dir(parent); err != nil {
			return false, err
		}
		return r.file(d, it.Host+layerdir.MetaSuffix, true, id, known)
	}
	if encoded {
		return false, fmt.Errorf("%w: %s", errNoMetaFile, it.Name+layerdir.MetaSuffix)
	}
	return r.raw(self, nil, func() (fs.FileInfo, error) { return self.Stat(".") }, id, known)
}

// file opens the file of an entry: attributes and backup stream, or in Hives a plain file.
func (r *reader) file(d hostfs.Directory, host string, encoded bool, id layerdir.NodeID, known bool) (bool, error) {
	f, err := d.Open(host)
	if err != nil {
		return false, err
	}
	if r.Entry.Kind == layer.File && r.Index == nil {
		if first, err := r.SameFile(f); err != nil {
			return false, errors.Join(err, f.Close())
		} else if first != "" {
			r.Entry.Kind, r.Entry.Target = layer.Link, first
			err := r.linkMetadata(f, encoded, id, known)
			return err == nil, errors.Join(err, f.Close())
		}
	}
	if !encoded {
		return r.raw(f, f, f.Stat, id, known)
	}
	c, err := readFile(f, &r.Entry, r.Options.Limits)
	if err == nil {
		r.Entry.Times, err = r.times(f, f.Stat, id, known)
	}
	if err != nil {
		return false, errors.Join(err, f.Close())
	}
	c.Closer = f.Close
	r.Content = c
	r.arrived(id, known)
	return true, nil
}

// linkMetadata takes the attributes and times of the file that an entry is a further
// name of.
func (r *reader) linkMetadata(f hostfs.File, encoded bool, id layerdir.NodeID, known bool) (err error) {
	e := &r.Entry
	var prefix [prefixSize]byte
	switch {
	case encoded:
		if _, err := f.ReadAt(prefix[:], 0); err != nil {
			return hostfs.NoEOF(err)
		}
		e.Attributes = winfs.Attributes(binary.LittleEndian.Uint32(prefix[:]))
	case hostfs.NativeObjects:
		if e.Attributes, err = hostfs.NativeAttributes(f); err != nil {
			return err
		}
	default:
		e.Attributes = winfs.AttrArchive
	}
	e.Times, err = r.times(f, f.Stat, id, known)
	if err == nil {
		r.arrived(id, known)
	}
	return err
}

// raw is an entry outside of Files: the host has its attributes and times, or the
// record that was kept with it. f is nil for a directory.
func (r *reader) raw(k hostfs.KeptRecord, f hostfs.File, stat func() (fs.FileInfo, error), id layerdir.NodeID, known bool) (bool, error) {
	e := &r.Entry
	c := &layerdir.Content{}
	fail := func(err error) (bool, error) {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		return false, err
	}
	if f != nil {
		fi, err := f.Stat()
		if err != nil {
			return fail(err)
		}
		e.Size = fi.Size()
		c.Streams = append(c.Streams, layerdir.StoredStream{Size: e.Size, Segments: layerdir.Whole(e.Size, 0), Src: f})
		c.Closer = f.Close
	}
	if hostfs.NativeObjects {
		var err error
		if e.Attributes, err = hostfs.NativeAttributes(k); err != nil {
			return fail(err)
		}
	}
	if rec, have, err := r.transportRecord(k, id, known); err != nil {
		return fail(err)
	} else if have {
		if err := r.Blobs.Entry(&rec, e); err != nil {
			return fail(err)
		}
		if err := r.StoredStreams(&rec, c); err != nil {
			return fail(err)
		}
	}
	switch {
	case e.Kind == layer.Dir:
		e.Attributes |= winfs.AttrDirectory
	case e.Attributes == 0:
		e.Attributes = winfs.AttrArchive // as NTFS sets it on a new file
	}
	var err error
	if e.Times, err = r.times(k, stat, id, known); err != nil {
		return fail(err)
	}
	r.Content = c
	r.arrived(id, known)
	return true, nil
}

// arrived finishes the entry.
func (r *reader) arrived(id layerdir.NodeID, known bool) {
	e := &r.Entry
	root := !strings.Contains(e.Path, `\`)
	vm := r.vm && layerdir.InUtility(e.Path)
	if root && !vm && r.delta != nil && layerdir.RootTree(e.Path) != "" {
		e.Times = *r.delta
	}
	if !vm && (root || !winfs.Under(e.Path, layerdir.FilesName)) {
		e.Times.Creation, e.Times.LastAccess = e.Times.LastWrite, e.Times.LastWrite
	}
	if known {
		r.Returned(id)
	}
}
