package wclayer

import (
	"hash/crc32"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// object is one file or directory of a final layer while it is being written.
// What the caller may do is checked before.
type object interface {
	stream(s *layer.Stream) error
	write(p []byte) error
	hole(n int64) error
	// finish keeps the metadata and closes the object.
	finish(sync bool) error
	// abandon closes it as it is.
	abandon()
}

// objects is how a host keeps the files and directories of a final layer: NTFS
// natively, any other file system with the help of a keeper.
type objects interface {
	// create makes the new file name in d.
	create(d directory, name string, e *layer.Entry) (object, error)
	// directory begins the entry of the directory name in d, which exists.
	directory(d directory, name string, e *layer.Entry) (object, error)
	// restore gives a directory its metadata again after everything in it is made,
	// because that changed its times, and makes it a reparse point if it is one.
	restore(d directory, name string, m *dirMeta) error
}

// dirMeta is what is remembered of a directory until the end.
type dirMeta struct {
	attributes uint32
	times      [4]int64 // creation, access, write, change
	reparse    []byte   // native hosts only
}

// plainObjects keeps main streams as files and everything else with the keeper.
type plainObjects struct{ k *keeper }

// plainObject is a file, or a directory when file is nil.
type plainObject struct {
	k    *keeper
	file file
	dir  directory
	path string
	rec  record

	// The current stream.
	main    bool
	sparse  bool
	offset  int64
	size    int64
	extents extents
	from    int64 // where its bytes begin in the file of blobs
	crc     uint32
	name    string
	open    bool

	streams []streamInfo
}

func (o plainObjects) create(d directory, name string, e *layer.Entry) (object, error) {
	rec, err := o.k.begin(e)
	if err != nil {
		return nil, err
	}
	f, err := d.create(name, modeOf(e.Path))
	if err != nil {
		return nil, err
	}
	return &plainObject{k: o.k, file: f, path: e.Path, rec: rec}, nil
}

func (o plainObjects) directory(d directory, name string, e *layer.Entry) (object, error) {
	rec, err := o.k.begin(e)
	if err != nil {
		return nil, err
	}
	self, err := d.enter(name)
	if err != nil {
		return nil, err
	}
	return &plainObject{k: o.k, dir: self, path: e.Path, rec: rec}, nil
}

func (o plainObjects) restore(d directory, name string, m *dirMeta) error {
	t := m.filetimes()
	if t.LastWrite == 0 && t.LastAccess == 0 {
		return nil
	}
	self, err := d.enter(name)
	if err != nil {
		return err
	}
	return firstError(self.setTimes(t), self.close())
}

func (o *plainObject) stream(s *layer.Stream) error {
	if err := o.end(); err != nil {
		return err
	}
	o.main, o.sparse, o.name, o.size = s.Name == "", s.Sparse, s.Name, s.Size
	o.offset, o.extents, o.crc, o.open = 0, nil, 0, true
	o.from = o.k.blobs.n
	return nil
}

func (o *plainObject) write(p []byte) error {
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

func (o *plainObject) hole(n int64) error {
	if len(o.extents) >= maxExtents {
		for n > 0 {
			m := min(n, int64(len(zeros)))
			if err := o.write(zeros[:m]); err != nil {
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
		if err := o.file.truncate(o.size); err != nil {
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

func (o *plainObject) finish(sync bool) error {
	err := o.end()
	if err == nil && len(o.streams) > 0 {
		err = o.k.attach(&o.rec, refStreams, appendStreams(nil, o.streams))
	}
	if o.file == nil {
		if err == nil {
			err = o.k.keep(o.dir, o.path, &o.rec)
		}
		return firstError(err, o.dir.close())
	}
	if err == nil {
		err = o.k.keep(o.file, o.path, &o.rec)
	}
	if err == nil {
		err = o.file.setTimes(o.rec.times)
	}
	if err == nil && sync {
		err = o.file.sync()
	}
	return firstError(err, o.file.close())
}

func (o *plainObject) abandon() {
	if o.file != nil {
		o.file.close()
	} else {
		o.dir.close()
	}
}

func (m *dirMeta) filetimes() winfs.Times {
	return winfs.Times{
		Creation: winfs.Filetime(m.times[0]), LastAccess: winfs.Filetime(m.times[1]),
		LastWrite: winfs.Filetime(m.times[2]), Change: winfs.Filetime(m.times[3]),
	}
}
