package layerdir

import (
	"hash/crc32"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Object is one file or directory of a layer while it is being written. The writer has
// checked the order of the calls.
type Object interface {
	Stream(s *layer.Stream) error
	WriteBytes(p []byte) error
	Hole(n int64) error
	// Finish keeps the metadata and closes the object.
	Finish(sync bool) error
	// Abandon closes it as it is.
	Abandon()
}

// Objects is how a host keeps the files and directories of a final layer: NTFS
// natively, any other file system with the help of a MetadataWriter.
type Objects interface {
	// Create makes the new file name in d.
	Create(d hostfs.Directory, name string, e *layer.Entry) (Object, error)
	// Directory returns the object of the directory name in d, which exists.
	Directory(d hostfs.Directory, name string, e *layer.Entry) (Object, error)
	// Restore sets the metadata of a directory again after the files in it are made,
	// because making them changed its times. It makes the directory a reparse point if it
	// is one.
	Restore(d hostfs.Directory, name string, m *DirMeta) error
}

// DirMeta is the metadata of a directory that is set at the end.
type DirMeta struct {
	Attributes uint32
	Times      [4]int64 // creation, access, write, change
	Reparse    []byte   // native hosts only
}

// PlainObjects keeps main streams as files and everything else with the MetadataWriter.
type PlainObjects struct{ k *MetadataWriter }

// plainObject is a file, or a directory when file is nil.
type plainObject struct {
	k    *MetadataWriter
	file hostfs.File
	dir  hostfs.Directory
	path string
	rec  Record

	// The current stream.
	main    bool
	sparse  bool
	offset  int64
	size    int64
	extents extents
	from    int64 // offset of its bytes in the data file
	crc     uint32
	name    string
	open    bool

	streams []streamInfo
}

func (o PlainObjects) Create(d hostfs.Directory, name string, e *layer.Entry) (Object, error) {
	rec, err := o.k.begin(e)
	if err != nil {
		return nil, err
	}
	f, err := d.Create(name, ModeOf(e.Path))
	if err != nil {
		return nil, err
	}
	return &plainObject{k: o.k, file: f, path: e.Path, rec: rec}, nil
}

func (o PlainObjects) Directory(d hostfs.Directory, name string, e *layer.Entry) (Object, error) {
	rec, err := o.k.begin(e)
	if err != nil {
		return nil, err
	}
	self, err := d.Enter(name)
	if err != nil {
		return nil, err
	}
	return &plainObject{k: o.k, dir: self, path: e.Path, rec: rec}, nil
}

func (o PlainObjects) Restore(d hostfs.Directory, name string, m *DirMeta) error {
	t := m.Filetimes()
	if t.LastWrite == 0 && t.LastAccess == 0 {
		return nil
	}
	self, err := d.Enter(name)
	if err != nil {
		return err
	}
	return hostfs.FirstError(self.SetTimes(t), self.Close())
}

func (o *plainObject) Stream(s *layer.Stream) error {
	if err := o.end(); err != nil {
		return err
	}
	o.main, o.sparse, o.name, o.size = s.Name == "", s.Sparse, s.Name, s.Size
	o.offset, o.extents, o.crc, o.open = 0, nil, 0, true
	o.from = o.k.blobs.n
	return nil
}

func (o *plainObject) WriteBytes(p []byte) error {
	if o.sparse {
		o.extents.add(o.offset, int64(len(p)))
	}
	o.offset += int64(len(p))
	if o.main {
		_, err := o.file.Write(p)
		return err
	}
	o.crc = crc32.Update(o.crc, castagnoli, p)
	return o.k.blobs.write(p)
}

var zeros [64 << 10]byte

func (o *plainObject) Hole(n int64) error {
	if len(o.extents) >= maxExtents {
		for n > 0 {
			m := min(n, int64(len(zeros)))
			if err := o.WriteBytes(zeros[:m]); err != nil {
				return err
			}
			n -= m
		}
		return nil
	}
	o.offset += n
	if !o.main {
		return nil
	}
	_, err := o.file.Seek(o.offset, 0)
	return err
}

// end completes the current stream.
func (o *plainObject) end() error {
	if !o.open {
		return nil
	}
	o.open = false
	if o.main {
		if !o.sparse {
			return nil
		}
		// A hole at the end leaves the file short.
		if err := o.file.Truncate(o.size); err != nil {
			return err
		}
		return o.k.attach(&o.rec, refExtents, o.extents.append(nil))
	}
	s := streamInfo{name: o.name, size: o.size, sparse: o.sparse, extents: o.extents}
	if n := o.k.blobs.n - o.from; n > 0 {
		s.data = ref{offset: o.from, length: n, crc: o.crc}
	}
	o.streams = append(o.streams, s)
	return nil
}

func (o *plainObject) Finish(sync bool) error {
	err := o.end()
	if err == nil && len(o.streams) > 0 {
		err = o.k.attach(&o.rec, refStreams, appendStreams(nil, o.streams))
	}
	if o.file == nil {
		if err == nil {
			err = o.k.Keep(o.dir, o.path, &o.rec)
		}
		return hostfs.FirstError(err, o.dir.Close())
	}
	if err == nil {
		err = o.k.Keep(o.file, o.path, &o.rec)
	}
	if err == nil {
		err = o.file.SetTimes(o.rec.Times)
	}
	if err == nil && sync {
		err = o.file.Sync()
	}
	return hostfs.FirstError(err, o.file.Close())
}

func (o *plainObject) Abandon() {
	if o.file != nil {
		o.file.Close()
	} else {
		o.dir.Close()
	}
}

// Filetimes returns the four times.
func (m *DirMeta) Filetimes() winfs.Times {
	return winfs.Times{
		Creation: winfs.Filetime(m.Times[0]), LastAccess: winfs.Filetime(m.Times[1]),
		LastWrite: winfs.Filetime(m.Times[2]), Change: winfs.Filetime(m.Times[3]),
	}
}
