package layerdir

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// MetadataWriter stores the records of a layer that is being written, with the files or in the
// index. Metadata of variable length goes to the data file.
type MetadataWriter struct {
	root  hostfs.Directory // of the layer
	store hostfs.Directory // .mullion, made when first needed
	Xattr bool
	Index indexWriter
	blobs blobWriter
	buf   []byte
}

// NewMetadataWriter returns a writer for the layer in root.
func NewMetadataWriter(root hostfs.Directory) *MetadataWriter {
	k := &MetadataWriter{root: root}
	k.Index.Open = func() (hostfs.File, error) { return k.create(IndexName) }
	k.blobs.open = func() (hostfs.File, error) { return k.create(DataName) }
	return k
}

// Folder returns the folder .mullion, and makes it at the first call.
func (k *MetadataWriter) Folder() (hostfs.Directory, error) {
	if k.store == nil {
		if err := k.root.Mkdir(StoreName); err != nil {
			return nil, err
		}
		d, err := k.root.Enter(StoreName)
		if err != nil {
			return nil, err
		}
		k.store = d
	}
	return k.store, nil
}

func (k *MetadataWriter) create(name string) (hostfs.File, error) {
	d, err := k.Folder()
	if err != nil {
		return nil, err
	}
	return d.Create(name, OpenMode)
}

// Choose finds out whether records go into extended attributes. probe is a
// directory that may keep an empty record.
func (k *MetadataWriter) Choose(mode MetadataMode, probe hostfs.Directory) error {
	if mode == MetadataIndex {
		return nil
	}
	empty := Record{Flags: RecordDir}
	err := probe.SetRecord(empty.append(nil))
	if errors.Is(err, hostfs.ErrNoAttributes) && mode == MetadataAuto {
		return nil
	}
	k.Xattr = err == nil
	return err
}

// begin makes the record of an entry and stores its metadata of variable length, so that
// nothing of the entry is kept.
func (k *MetadataWriter) begin(e *layer.Entry) (Record, error) {
	r := Record{Times: e.Times, attributes: e.Attributes}
	if e.Times != (winfs.Times{}) {
		r.Flags |= RecordTimes
	}
	if e.Attributes != 0 {
		r.Flags |= recordAttributes
	}
	if e.Kind == layer.Dir {
		r.Flags |= RecordDir
	}
	if e.NoMain && e.Kind == layer.File {
		r.Flags |= recordNoMain
	}
	if e.Kind == layer.Link {
		return r, nil
	}
	eas, err := winfs.EncodeEAs(e.EAs)
	if err != nil {
		return Record{}, err
	}
	for i, b := range [][]byte{e.Security, eas, e.Reparse, e.ObjectID} {
		if err := k.attach(&r, i, b); err != nil {
			return Record{}, err
		}
	}
	return r, nil
}

// attach stores b, if there is any, as the i-th reference of the record.
func (k *MetadataWriter) attach(r *Record, i int, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	f, err := k.blobs.add(b)
	if err != nil {
		return err
	}
	r.refs[i] = f
	r.Flags |= 1 << i
	return nil
}

// Positions of the references in a record, as the flags have them.
const (
	refSecurity = iota
	refEAs
	refReparse
	refObjectID
	refExtents
	refStreams
)

// Keep stores the finished record of the entry at path, whose file or directory is h.
func (k *MetadataWriter) Keep(h hostfs.RecordHolder, path string, r *Record) error {
	k.buf = r.append(k.buf[:0])
	k.Index.Entries++
	if k.Xattr {
		return h.SetRecord(k.buf)
	}
	return k.Index.Item(itemEntry, path, "", k.buf)
}

// finish completes index and blobs.
func (k *MetadataWriter) finish(always, sync bool) error {
	if k.Xattr {
		k.Index.Flags |= IndexXattr
	}
	err := hostfs.FirstError(k.blobs.finish(sync), k.Index.finish(always || k.store != nil, sync))
	if err == nil && k.store != nil && sync {
		err = k.store.Sync()
	}
	return hostfs.FirstError(err, k.close())
}

func (k *MetadataWriter) close() error {
	err := errors.Join(k.Index.close(), k.blobs.close())
	if k.store != nil {
		err = errors.Join(err, k.store.Close())
		k.store = nil
	}
	return err
}

// Entry fills e from a record.
func (b *blobReader) Entry(r *Record, e *layer.Entry) error {
	e.Attributes, e.Times = r.attributes, r.Times
	e.NoMain = r.Flags&recordNoMain != 0
	for i, dst := range []*[]byte{refSecurity: &e.Security, refReparse: &e.Reparse, refObjectID: &e.ObjectID} {
		if dst == nil || r.Flags&(1<<i) == 0 {
			continue
		}
		p, err := b.blob(r.refs[i])
		if err != nil {
			return err
		}
		*dst = p
	}
	if r.Flags&recordEAs != 0 {
		p, err := b.blob(r.refs[refEAs])
		if err != nil {
			return err
		}
		if e.EAs, err = winfs.DecodeEAs(p); err != nil {
			return fmt.Errorf("%w: %w", hostfs.ErrMetadata, err)
		}
	}
	return nil
}
