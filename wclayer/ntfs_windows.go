package wclayer

import (
	"os"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"github.com/mullion/mullion/backup"
	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// ntfsObjects keeps everything where NTFS has it, through BackupWrite, for which its
// writer holds privileges, see holdPrivileges.
type ntfsObjects struct{ k *layerdir.MetadataWriter }

// keepNatively makes a writer leave metadata to NTFS.
func keepNatively(w *layerdir.Writer) { w.Objects = ntfsObjects{w.Metadata} }

type ntfsObject struct {
	k     *layerdir.MetadataWriter
	f     *os.File
	w     *winio.BackupFileWriter
	b     *backup.Writer
	path  string
	times winfs.Times
	attrs winfs.Attributes
	file  bool

	sparse bool
	offset int64
	size   int64
}

func (o ntfsObjects) Create(d hostfs.Directory, name string, e *layer.Entry) (layerdir.Object, error) {
	return o.open(d, name, e, windows.FILE_CREATE, windows.FILE_NON_DIRECTORY_FILE)
}

func (o ntfsObjects) Directory(d hostfs.Directory, name string, e *layer.Entry) (layerdir.Object, error) {
	return o.open(d, name, e, windows.FILE_OPEN, windows.FILE_DIRECTORY_FILE)
}

func (o ntfsObjects) open(d hostfs.Directory, name string, e *layer.Entry, disposition, options uint32) (layerdir.Object, error) {
	dir, err := d.Host().File()
	if err != nil {
		return nil, err
	}
	f, err := hostfs.OpenAt(dir, name, hostfs.WriteAccess, disposition, options)
	if err != nil {
		return nil, err
	}
	w := winio.NewBackupFileWriter(f, true)
	n := &ntfsObject{k: o.k, f: f, w: w, b: backup.NewWriter(w), path: e.Path,
		times: e.Times, attrs: e.Attributes, file: e.Kind == layer.File}
	if err := n.metadata(e); err != nil {
		n.Abandon()
		return nil, err
	}
	return n, nil
}

func (o ntfsObjects) Restore(d hostfs.Directory, name string, m *layerdir.DirMeta) error {
	dir, err := d.Host().File()
	if err != nil {
		return err
	}
	f, err := hostfs.OpenAt(dir, name, hostfs.WriteAccess, windows.FILE_OPEN, windows.FILE_DIRECTORY_FILE)
	if err != nil {
		return err
	}
	if len(m.Reparse) > 0 {
		w := winio.NewBackupFileWriter(f, false)
		b := backup.NewWriter(w)
		err = hostfs.FirstError(writeStream(b, backup.ReparseData, m.Reparse), b.Close(), w.Close())
	}
	if err == nil {
		err = hostfs.SetBasicInfo(f, m.Filetimes(), winfs.Attributes(m.Attributes))
	}
	return hostfs.FirstError(err, f.Close())
}

// metadata writes the streams that come before the data. A directory becomes a reparse
// point at the very end, see Restore.
func (o *ntfsObject) metadata(e *layer.Entry) error {
	eas, err := winfs.EncodeEAs(e.EAs)
	if err != nil {
		return err
	}
	reparse := e.Reparse
	if e.Kind == layer.Dir {
		reparse = nil
	}
	for _, s := range []struct {
		id   backup.ID
		data []byte
	}{{backup.Security, e.Security}, {backup.EAData, eas}, {backup.ReparseData, reparse}, {backup.ObjectID, e.ObjectID}} {
		if len(s.data) == 0 {
			continue
		}
		if err := writeStream(o.b, s.id, s.data); err != nil {
			return err
		}
	}
	return nil
}

func (o *ntfsObject) Stream(s *layer.Stream) error {
	if err := o.end(); err != nil {
		return err
	}
	h := backup.Header{ID: backup.Data, Size: s.Size}
	if s.Name != "" {
		h.ID, h.Name = backup.AlternateData, backup.StreamName(s.Name)
	}
	o.sparse, o.offset, o.size = s.Sparse, 0, s.Size
	if s.Sparse {
		h.Size, h.Attributes = 0, backup.AttrSparse
	}
	return o.b.WriteHeader(&h)
}

func (o *ntfsObject) WriteBytes(p []byte) error {
	if o.sparse {
		if err := o.b.WriteHeader(&backup.Header{ID: backup.SparseBlock, Attributes: backup.AttrSparse, Size: int64(len(p)), Offset: o.offset}); err != nil {
			return err
		}
	}
	o.offset += int64(len(p))
	_, err := o.b.Write(p)
	return err
}

func (o *ntfsObject) Hole(n int64) error {
	o.offset += n
	return nil
}

func (o *ntfsObject) end() error {
	if !o.sparse {
		return nil
	}
	o.sparse = false
	if o.size == 0 {
		return nil
	}
	return o.b.WriteHeader(&backup.Header{ID: backup.SparseBlock, Attributes: backup.AttrSparse, Offset: o.size})
}

func (o *ntfsObject) Finish(sync bool) error {
	err := o.end()
	if err == nil {
		err = o.b.Close()
	}
	err = hostfs.FirstError(err, o.w.Close())
	if err == nil {
		err = hostfs.SetBasicInfo(o.f, o.times, o.attrs)
	}
	if err == nil && o.file && sync {
		err = o.f.Sync()
	}
	if err = hostfs.FirstError(err, o.f.Close()); err != nil {
		return err
	}
	o.k.Index.Entries++
	return o.k.Index.Item(layerdir.ItemOwn, o.path, "", nil)
}

func (o *ntfsObject) Abandon() {
	o.w.Close()
	o.f.Close()
}

func writeStream(b *backup.Writer, id backup.ID, data []byte) error {
	if err := b.WriteHeader(&backup.Header{ID: id, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := b.Write(data)
	return err
}
