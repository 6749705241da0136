package wclayer

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// keeper stores the records of a layer that is being written: beside the files
// or in the index, with what is long in the file of blobs.
type keeper struct {
	root  directory // of the layer
	store directory // .mullion, made when first needed
	xattr bool
	index indexWriter
	blobs blobWriter
	buf   []byte
}

func newKeeper(root directory) *keeper {
	k := &keeper{root: root}
	k.index.open = func() (file, error) { return k.create(indexName) }
	k.blobs.open = func() (file, error) { return k.create(dataName) }
	return k
}

func (k *keeper) folder() (directory, error) {
	if k.store == nil {
		if err := k.root.mkdir(storeName); err != nil {
			return nil, err
		}
		d, err := k.root.enter(storeName)
		if err != nil {
			return nil, err
		}
		k.store = d
	}
	return k.store, nil
}

func (k *keeper) create(name string) (file, error) {
	d, err := k.folder()
	if err != nil {
		return nil, err
	}
	return d.create(name, openMode)
}

// choose finds out whether records go into extended attributes. probe is a
// directory that may keep an empty record.
func (k *keeper) choose(mode MetadataMode, probe directory) error {
	if mode == MetadataIndex {
		return nil
	}
	empty := record{flags: recordDir}
	err := probe.setRecord(empty.append(nil))
	if errors.Is(err, errNoAttributes) && mode == MetadataAuto {
		return nil
	}
	k.xattr = err == nil
	return err
}

// begin makes the record of an entry and stores what it has of variable length,
// so that nothing of the entry is kept.
func (k *keeper) begin(e *layer.Entry) (record, error) {
	r := record{times: e.Times, attributes: e.Attributes}
	if e.Times != (winfs.Times{}) {
		r.flags |= recordTimes
	}
	if e.Attributes != 0 {
		r.flags |= recordAttributes
	}
	if e.Kind == layer.Dir {
		r.flags |= recordDir
	}
	if e.NoMain && e.Kind == layer.File {
		r.flags |= recordNoMain
	}
	if e.Kind == layer.Link {
		return r, nil
	}
	eas, err := winfs.EncodeEAs(e.EAs)
	if err != nil {
		return record{}, err
	}
	for i, b := range [][]byte{e.Security, eas, e.Reparse, e.ObjectID} {
		if err := k.attach(&r, i, b); err != nil {
			return record{}, err
		}
	}
	return r, nil
}

// attach stores b, if there is any, as the i-th reference of the record.
func (k *keeper) attach(r *record, i int, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	f, err := k.blobs.add(b)
	if err != nil {
		return err
	}
	r.refs[i] = f
	r.flags |= 1 << i
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

// keep stores the finished record of the entry at path, which h stands for.
func (k *keeper) keep(h recordHolder, path string, r *record) error {
	k.buf = r.append(k.buf[:0])
	k.index.entries++
	if k.xattr {
		return h.setRecord(k.buf)
	}
	return k.index.item(itemEntry, path, "", k.buf)
}

// finish completes index and blobs.
func (k *keeper) finish(always, sync bool) error {
	if k.xattr {
		k.index.flags |= indexXattr
	}
	err := firstError(k.blobs.finish(sync), k.index.finish(always || k.store != nil, sync))
	if err == nil && k.store != nil && sync {
		err = k.store.sync()
	}
	return firstError(err, k.close())
}

func (k *keeper) close() error {
	err := errors.Join(k.index.close(), k.blobs.close())
	if k.store != nil {
		err = errors.Join(err, k.store.close())
		k.store = nil
	}
	return err
}

// entry fills e with what a record says.
func (b *blobReader) entry(r *record, e *layer.Entry) error {
	e.Attributes, e.Times = r.attributes, r.times
	e.NoMain = r.flags&recordNoMain != 0
	for i, dst := range []*[]byte{refSecurity: &e.Security, refReparse: &e.Reparse, refObjectID: &e.ObjectID} {
		if dst == nil || r.flags&(1<<i) == 0 {
			continue
		}
		p, err := b.blob(r.refs[i])
		if err != nil {
			return err
		}
		*dst = p
	}
	if r.flags&recordEAs != 0 {
		p, err := b.blob(r.refs[refEAs])
		if err != nil {
			return err
		}
		if e.EAs, err = winfs.DecodeEAs(p); err != nil {
			return fmt.Errorf("%w: %w", ErrMetadata, err)
		}
	}
	return nil
}
