package wctransport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"

	"github.com/mullion/mullion/backup"
	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// fileWriter writes a transport file: the attributes, then a backup stream
// with descriptor, extended attributes, reparse buffer and object ID before the
// data.
type fileWriter struct {
	k    *layerdir.MetadataWriter
	file hostfs.File
	w    *bufio.Writer
	b    *backup.Writer
	path string
	rec  layerdir.Record // times alone
	kind layer.Kind
	main bool // the main stream is there, or must not be

	// The current stream, if it is sparse.
	sparse bool
	offset int64 // in the stream
	size   int64
	run    int64 // length of the current allocated range, 0 between ranges
	header int64 // offset of its header in the file
	wrote  int64 // bytes written to w
}

// countWriter counts the bytes that go to the buffer.
type countWriter struct{ o *fileWriter }

func (c countWriter) Write(p []byte) (int, error) {
	n, err := c.o.w.Write(p)
	c.o.wrote += int64(n)
	return n, err
}

// newFileWriter writes the beginning of the file f for e.
func newFileWriter(k *layerdir.MetadataWriter, f hostfs.File, w *bufio.Writer, e *layer.Entry) (*fileWriter, error) {
	o := &fileWriter{k: k, file: f, w: w, path: e.Path, kind: e.Kind, main: e.Kind == layer.Dir || e.NoMain}
	if e.Times != (winfs.Times{}) {
		o.rec = layerdir.Record{Flags: layerdir.RecordTimes, Times: e.Times}
	}
	if e.Kind == layer.Dir {
		o.rec.Flags |= layerdir.RecordDir
	}
	w.Reset(layerdir.WriterOnly{File: f})
	o.b = backup.NewWriter(countWriter{o})
	var prefix [prefixSize]byte
	binary.LittleEndian.PutUint32(prefix[:], uint32(layerdir.Normal(e).Attributes))
	if _, err := (countWriter{o}).Write(prefix[:]); err != nil {
		return nil, err
	}
	eas, err := winfs.EncodeEAs(e.EAs)
	if err != nil {
		return nil, err
	}
	for _, s := range []struct {
		id   backup.ID
		data []byte
	}{
		{backup.Security, e.Security}, {backup.EAData, eas},
		{backup.ReparseData, e.Reparse}, {backup.ObjectID, e.ObjectID},
	} {
		if len(s.data) == 0 {
			continue
		}
		h := backup.Header{ID: s.id, Size: int64(len(s.data))}
		if s.id == backup.Security {
			h.Attributes = backup.AttrContainsSecurity
		}
		if err := o.b.WriteHeader(&h); err != nil {
			return nil, err
		}
		if _, err := o.b.Write(s.data); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *fileWriter) Stream(s *layer.Stream) error {
	if err := o.end(); err != nil {
		return err
	}
	h := backup.Header{ID: backup.Data, Size: s.Size}
	if s.Name != "" {
		if err := o.mainStream(); err != nil {
			return err
		}
		h.ID, h.Name = backup.AlternateData, backup.StreamName(s.Name)
	} else if o.main && s.Size == 0 && !s.Sparse {
		return nil // an entry of which the source said that it has none
	}
	o.main = true
	o.sparse, o.offset, o.size, o.run = s.Sparse, 0, s.Size, 0
	if s.Sparse {
		h.Size, h.Attributes = 0, backup.AttrSparse
	}
	return o.b.WriteHeader(&h)
}

// mainStream writes an empty main stream if nothing was said about it.
func (o *fileWriter) mainStream() error {
	if o.main {
		return nil
	}
	o.main = true
	return o.b.WriteHeader(&backup.Header{ID: backup.Data})
}

func (o *fileWriter) WriteBytes(p []byte) error {
	if !o.sparse {
		_, err := o.b.Write(p)
		return err
	}
	if o.run == 0 {
		o.header = o.wrote
		if err := o.block(0, o.offset); err != nil {
			return err
		}
	}
	o.run += int64(len(p))
	o.offset += int64(len(p))
	_, err := countWriter{o}.Write(p)
	return err
}

// block writes the header of a sparse block. The size may become known only later, so a
// writer of its own makes the header; it needs the header of the stream before it.
func (o *fileWriter) block(size, offset int64) error {
	var b bytes.Buffer
	w := backup.NewWriter(&b)
	if err := w.WriteHeader(&backup.Header{ID: backup.Data, Attributes: backup.AttrSparse}); err != nil {
		return err
	}
	b.Reset()
	if err := w.WriteHeader(&backup.Header{ID: backup.SparseBlock, Attributes: backup.AttrSparse, Size: size, Offset: offset}); err != nil {
		return err
	}
	_, err := countWriter{o}.Write(b.Bytes())
	return err
}

func (o *fileWriter) Hole(n int64) error {
	if err := o.endRun(); err != nil {
		return err
	}
	o.offset += n
	return nil
}

// endRun puts the length of an allocated range into its header.
func (o *fileWriter) endRun() error {
	if o.run == 0 {
		return nil
	}
	const sizeAt, offsetSize = 8, 8 // in WIN32_STREAM_ID; Size counts the offset (docs/spec/layers.md, "Sparse streams")
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(o.run+offsetSize))
	o.run = 0
	if err := o.w.Flush(); err != nil {
		return err
	}
	if _, err := o.file.Seek(o.header+sizeAt, io.SeekStart); err != nil {
		return err
	}
	if _, err := o.file.Write(size[:]); err != nil {
		return err
	}
	_, err := o.file.Seek(0, io.SeekEnd)
	return err
}

// end completes the current stream: after the ranges of a sparse one comes an
// empty block at its length.
func (o *fileWriter) end() error {
	if !o.sparse {
		return nil
	}
	o.sparse = false
	if err := o.endRun(); err != nil {
		return err
	}
	if o.size == 0 {
		return nil
	}
	return o.block(0, o.size)
}

func (o *fileWriter) Finish(sync bool) error {
	err := o.end()
	if err == nil {
		err = o.mainStream()
	}
	if err == nil {
		err = o.b.Close()
	}
	if err == nil {
		err = o.w.Flush()
	}
	if err == nil && !hostfs.NativeObjects { // NTFS has all four times
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

func (o *fileWriter) Abandon() { o.file.Close() }
