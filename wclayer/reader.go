package wclayer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Reader reads a final layer directory. It implements layer.Reader and layer.ExtentReader.
//
// Entries come in the order of a walk that sorts the names of each directory by their
// bytes: a directory, the whiteouts in it, then its files and directories. A hard link
// comes after the file it names if both are in the same layer.
type Reader struct{ r reader }

var (
	_ layer.Reader       = (*Reader)(nil)
	_ layer.ExtentReader = (*Reader)(nil)
)

// reader is a walker of final directories.
type reader struct {
	layerdir.Walker
	found int64 // entries returned that have a record
	//lint:ignore U1000 Only the reader on Windows needs it.
	ids map[[16]byte]string // first path of files with several names, on NTFS without an index
}

func newReader(path string, root hostfs.Directory, o layerdir.Options) (*Reader, error) {
	public := &Reader{reader{Walker: layerdir.Walker{Path: path, Options: o, Root: root, Op: "read layer directory"}}}
	r := &public.r
	r.Handles.Root = root
	if err := r.OpenStore(); err != nil {
		return nil, err
	}
	if r.Index != nil {
		if f := r.Index.Flags; f&layerdir.IndexTransport != 0 {
			return nil, r.GiveUp(fmt.Errorf("%w: index of a transport directory", ErrMetadata))
		} else if f&layerdir.IndexNative != 0 && !hostfs.NativeObjects {
			return nil, r.GiveUp(fmt.Errorf("%w: NTFS kept the metadata of this layer, and it is not on Windows", ErrNoMetadata))
		}
	}
	if err := r.FindEarly(); err != nil {
		return nil, r.GiveUp(err)
	}
	items, err := r.List(root, r.Names())
	if err != nil {
		return nil, r.GiveUp(err)
	}
	r.Frames = []layerdir.Frame{{Known: true, Items: items}}
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

// Visit looks at one thing in a directory and reports whether it made an entry.
func (r *reader) Visit(f *layerdir.Frame, it layerdir.Item) (bool, error) {
	depth := len(r.Frames) - 1
	if depth == 0 {
		if t := layerdir.RootTree(it.Name); t != "" {
			it.Name = t
		} else if r.Index == nil || it.Host == it.Name && layerdir.RootReserved(it.Name) {
			return false, nil // VHDs, layout and the like; an entry of that name is spelled
		}
	}
	if id, known := r.Node(f, it.Name); known && len(r.Early) > 0 && r.QueueEarly(id) {
		f.Next-- // the entry at the target comes after them
		return false, nil
	}
	if it.Dir {
		if skip, err := r.skipDirectory(f, it); skip || err != nil {
			return false, err
		}
		return r.directory(f, it)
	}
	if depth == 1 && f.Path == layerdir.HivesName && isBaseHive(it.Name) && (r.Index == nil || r.Index.Flags&layerdir.IndexBase != 0) {
		return false, nil
	}
	if r.Index == nil && f.Path == layerdir.UtilityName {
		return false, nil // SystemTemplate.vhdx
	}
	r.Entry.Path = winfs.JoinPath(f.Path, it.Name)
	id, known := r.Node(f, it.Name)
	if known && r.Index.Tree.At(id).Flags&layerdir.NodeLink != 0 {
		if r.Index.Tree.At(id).Flags&layerdir.NodeSeen != 0 {
			return false, nil
		}
		return r.Link(id)
	}
	if !r.mine(r.Entry.Path, id, known) {
		return false, nil
	}
	if !it.Regular && !hostfs.NativeObjects {
		return false, ErrHostFile
	}
	return r.file(it, id, known)
}

// mine reports whether the file or directory at a path is of this layer, and not of the
// parent's utility VM.
func (r *reader) mine(path string, id layerdir.NodeID, known bool) bool {
	if r.Index == nil || r.Index.Flags&layerdir.IndexCloned == 0 || !layerdir.InUtility(path) {
		return true
	}
	return known && r.Index.Tree.At(id).Flags&layerdir.NodeOwn != 0
}

// skipDirectory reports whether a directory belongs to no layer. It applies to layer
// directories that this module has not written.
func (r *reader) skipDirectory(f *layerdir.Frame, it layerdir.Item) (bool, error) {
	if r.Index != nil {
		return false, nil
	}
	switch {
	case f.Path == layerdir.FilesName && winfs.EqualFold(it.Name, layerdir.RecycleName):
		return true, nil
	case f.Path == layerdir.UtilityName && !winfs.EqualFold(it.Name, layerdir.FilesName):
		return true, nil
	case f.Path != "":
		return false, nil
	case it.Name == layerdir.UtilityName:
		d, err := hostfs.EnterPath(r.Root, it.Host, layerdir.FilesName)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil // no utility VM then
		}
		if err != nil {
			return false, err
		}
		return false, d.Close()
	case it.Name == layerdir.HivesName:
		// In a base layer Hives is made from Files and no part of the layer.
		d, err := r.Root.Enter(it.Host)
		if err != nil {
			return false, err
		}
		list, err := d.List()
		if err := hostfs.FirstError(err, d.Close()); err != nil {
			return false, err
		}
		for _, e := range list {
			if !isBaseHive(e.Name()) {
				return false, nil
			}
		}
		return true, nil
	}
	return false, nil
}

// directory goes into a directory.
func (r *reader) directory(f *layerdir.Frame, it layerdir.Item) (bool, error) {
	path := winfs.JoinPath(f.Path, it.Name)
	id, known := r.Node(f, it.Name)
	mine := r.mine(path, id, known)
	r.Entry.Path = path
	if it.Reparse { // nothing is below it, and it must not be entered
		r.Entry.Kind = layer.Dir
		return r.native(it, id, known)
	}
	r.Handles.Push(id, it.Host)
	d, err := r.Handles.Dir(r.Handles.Depth())
	if err != nil {
		return false, err
	}
	items, err := r.List(d, r.Names())
	if err != nil {
		return false, err
	}
	parent := len(r.Frames) - 1
	r.Frames = append(r.Frames, layerdir.Frame{Path: path, Node: id, Known: known || r.Index == nil, Items: items})
	if known {
		r.whiteouts(id)
	}
	if !mine {
		return false, nil
	}
	r.Entry.Kind = layer.Dir
	up, err := r.Handles.Dir(parent)
	if err != nil {
		return false, err
	}
	if hostfs.NativeObjects {
		return r.nativeIn(up, it, id, known)
	}
	rec, have, err := r.Record(d, id, known)
	if err != nil || r.Index != nil && !have {
		return false, err // a directory without a record has only entries below it
	}
	return true, r.fill(up, it, nil, &rec, have)
}

// native returns an entry whose metadata NTFS has.
func (r *reader) native(it layerdir.Item, id layerdir.NodeID, known bool) (bool, error) {
	d, err := r.Handles.Dir(len(r.Frames) - 1)
	if err != nil {
		return false, err
	}
	return r.nativeIn(d, it, id, known)
}

func (r *reader) nativeIn(d hostfs.Directory, it layerdir.Item, id layerdir.NodeID, known bool) (bool, error) {
	if r.Index != nil {
		if !known || r.Index.Tree.At(id).Flags&layerdir.NodeOwn == 0 {
			if r.Entry.Kind == layer.File && r.counts(r.Entry.Path) && !r.Options.Bare {
				return false, ErrNoMetadata
			}
			return false, nil
		}
		r.found++
		r.Returned(id)
	}
	return true, r.nativeEntry(d, it)
}

// counts reports whether every file at such a path is an entry. Other paths hold merged
// hives, backups and files of the format.
func (r *reader) counts(path string) bool {
	return winfs.Under(path, layerdir.FilesName) || winfs.Under(path, layerdir.UtilityFiles)
}

// file opens a file.
func (r *reader) file(it layerdir.Item, id layerdir.NodeID, known bool) (bool, error) {
	if hostfs.NativeObjects {
		r.Entry.Kind = layer.File
		return r.native(it, id, known)
	}
	d, err := r.Handles.Dir(len(r.Frames) - 1)
	if err != nil {
		return false, err
	}
	f, err := d.Open(it.Host)
	if err != nil {
		return false, err
	}
	rec, have, err := r.Record(f, id, known)
	if err == nil && !have && r.Index != nil {
		if !r.counts(r.Entry.Path) {
			return false, f.Close()
		}
		if !r.Options.Bare {
			err = ErrNoMetadata
		}
	}
	if err != nil {
		return false, errors.Join(err, f.Close())
	}
	if r.Index == nil {
		if first, err := r.SameFile(f); err != nil {
			return false, errors.Join(err, f.Close())
		} else if first != "" {
			fi, err := f.Stat()
			if err == nil {
				r.Entry.Kind, r.Entry.Target, r.Entry.Times = layer.Link, first, layerdir.HostTimes(fi)
			}
			return err == nil, errors.Join(err, f.Close())
		}
	}
	r.Entry.Kind = layer.File
	if err := r.fill(d, it, f, &rec, have); err != nil {
		return false, errors.Join(err, f.Close())
	}
	if known {
		r.Returned(id)
	}
	return true, nil
}

// fill completes the entry of a file or directory, which is open, and takes over
// the file.
func (r *reader) fill(d hostfs.Directory, it layerdir.Item, f hostfs.File, rec *layerdir.Record, have bool) error {
	var fi fs.FileInfo
	var err error
	if f != nil {
		if fi, err = f.Stat(); err != nil {
			return err
		}
	} else if fi, err = d.Stat(it.Host); err != nil {
		return err
	}
	e := &r.Entry
	c := &layerdir.Content{}
	if f != nil {
		e.Size = fi.Size()
		c.Streams = append(c.Streams, layerdir.StoredStream{Size: e.Size, Segments: layerdir.Whole(e.Size, 0), Src: f})
	}
	if have {
		r.found++
		if (rec.Flags&layerdir.RecordDir != 0) != (e.Kind == layer.Dir) {
			return fmt.Errorf("%w: it is that of a %v", ErrMetadata, map[bool]layer.Kind{true: layer.Dir, false: layer.File}[rec.Flags&layerdir.RecordDir != 0])
		}
		if err := r.Blobs.Entry(rec, e); err != nil {
			return err
		}
		if err := r.StoredStreams(rec, c); err != nil {
			return err
		}
	} else {
		e.Times = layerdir.HostTimes(fi)
		if e.Kind == layer.Dir {
			e.Attributes = winfs.AttrDirectory
		}
	}
	if f != nil {
		c.Closer = f.Close
	}
	r.Content = c
	return nil
}

// whiteouts queues the whiteouts of a directory: the opaque one, then single names,
// sorted.
func (r *reader) whiteouts(dir layerdir.NodeID) {
	t := r.Index.Tree
	var list []layerdir.NodeID
	t.Children(dir, func(c layerdir.NodeID) bool {
		if t.At(c).Flags&layerdir.NodeWhiteout != 0 {
			list = append(list, c)
		}
		return true
	})
	slices.SortFunc(list, func(a, b layerdir.NodeID) int { return strings.Compare(t.At(a).Name, t.At(b).Name) })
	if t.At(dir).Flags&layerdir.NodeOpaque != 0 {
		r.hide(dir, layer.Opaque)
	}
	for _, c := range list {
		r.hide(c, layer.Whiteout)
	}
}

func (r *reader) hide(id layerdir.NodeID, kind layer.Kind) {
	flag := layerdir.NodeOpaque
	if kind == layer.Whiteout {
		flag = layerdir.NodeWhiteout
	}
	r.Index.Tree.At(id).Flags &^= flag // returned once
	r.Queue = append(r.Queue, func(e *layer.Entry) error {
		e.Path, e.Kind = r.Index.Tree.Path(id), kind
		return nil
	})
}

// End queues the entries of the index that the walk has not met.
func (r *reader) End() error {
	if r.Index == nil {
		return io.EOF
	}
	t := r.Index.Tree
	for id := layerdir.NodeID(1); int(id) < t.Count; id++ {
		if t.At(id).Flags&layerdir.NodeOpaque != 0 {
			r.hide(id, layer.Opaque)
		}
		if t.At(id).Flags&layerdir.NodeWhiteout != 0 {
			r.hide(id, layer.Whiteout)
		}
	}
	if len(r.Queue) > 0 {
		return nil
	}
	if err := r.LostLink(); err != nil {
		return err
	}
	if r.found != r.Index.Entries {
		return fmt.Errorf("%w: %d were recorded, %d are there", layerdir.ErrLost, r.Index.Entries, r.found)
	}
	return io.EOF
}
