package wclayer

import (
	"fmt"
	"io"
	"os"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"github.com/mullion/mullion/backup"
	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// nativeEntry completes the entry of the item it in d and opens its streams. A file that
// was returned before under another name becomes a link.
func (r *reader) nativeEntry(d hostfs.Directory, it layerdir.Item) error {
	dir, err := d.Host().File()
	if err != nil {
		return err
	}
	f, err := hostfs.OpenAt(dir, it.Host, hostfs.ReadAccess, windows.FILE_OPEN, 0)
	if err != nil {
		return err
	}
	n := &ntfsSource{f: f, r: winio.NewBackupFileReader(f, true)}
	n.b = backup.NewReader(n.r)
	if err := r.fillNative(n); err != nil {
		n.Close()
		return err
	}
	if r.Entry.Kind == layer.Link {
		return n.Close()
	}
	r.Content = n
	return nil
}

func (r *reader) fillNative(n *ntfsSource) (err error) {
	e := &r.Entry
	if e.Times, e.Attributes, err = hostfs.BasicInfo(n.f); err != nil {
		return err
	}
	std, err := winio.GetFileStandardInfo(n.f)
	if err != nil {
		return err
	}
	if e.Kind == layer.File {
		e.Size = std.EndOfFile
		if r.Index == nil && std.NumberOfLinks > 1 {
			id, err := winio.GetFileID(n.f)
			if err != nil {
				return err
			}
			if first := r.ids[id.FileID]; first != "" {
				e.Kind, e.Target = layer.Link, first
				return nil
			}
			if r.ids == nil {
				r.ids = make(map[[16]byte]string)
			}
			r.ids[id.FileID] = e.Path
		}
	}
	n.size, n.main = e.Size, e.Kind == layer.File
	eas, err := hostfs.ExtendedAttributes(n.f, r.Options.Limits.MetadataLen)
	if err != nil {
		return err
	}
	if e.EAs, err = winfs.DecodeEAs(eas); err != nil {
		e.Defect = fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
	}
	return n.metadata(e, r.Options.Limits)
}

// ntfsSource yields the streams of a file as BackupRead has them: in one pass,
// because a backup cannot be rewound.
type ntfsSource struct {
	f    *os.File
	r    *winio.BackupFileReader
	b    *backup.Reader
	size int64 // of the main stream
	main bool  // the main stream was not returned yet

	ahead   *backup.Header // read ahead
	info    layer.Stream
	pos     int64
	end     int64
	block   int64 // offset of the current allocated range
	left    int64 // bytes left in it
	extents bool
	streams int64
	limit   int64
}

// metadata reads all that comes before the first data stream.
func (n *ntfsSource) metadata(e *layer.Entry, limits layer.Limits) error {
	n.limit = limits.Streams
	for {
		h, err := n.b.Next()
		if err == io.EOF {
			e.NoMain = n.main
			return nil
		}
		if err != nil {
			return err
		}
		if h.ID == backup.Data || h.ID == backup.AlternateData {
			c := *h
			n.ahead = &c
			e.NoMain = n.main && h.ID != backup.Data
			return nil
		}
		var dst *[]byte
		var eas []byte
		switch h.ID {
		case backup.Security:
			dst = &e.Security
		case backup.EAData:
			dst = &eas
		case backup.ReparseData:
			dst = &e.Reparse
		case backup.ObjectID:
			dst = &e.ObjectID
		default:
			continue
		}
		if h.Size > limits.MetadataLen {
			return &layer.LimitError{Limit: "MetadataLen", Max: limits.MetadataLen}
		}
		*dst = make([]byte, h.Size)
		if _, err := io.ReadFull(n.b, *dst); err != nil {
			return hostfs.NoEOF(err)
		}
		if eas != nil {
			if e.EAs, err = winfs.DecodeEAs(eas); err != nil {
				e.Defect = fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
			}
		}
	}
}

func (n *ntfsSource) Next() (*layer.Stream, error) {
	for n.ahead == nil { // the unread rest of the current stream
		if n.main {
			break
		}
		h, err := n.b.Next()
		if err == io.EOF {
			return nil, io.EOF
		}
		if err != nil {
			return nil, err
		}
		switch h.ID {
		case backup.AlternateData:
			c := *h
			n.ahead = &c
		case backup.EAData: // they were queried, see extendedAttributes
		case backup.Data, backup.Security, backup.ReparseData, backup.ObjectID:
			return nil, fmt.Errorf("%w: %v after the data of a file", layer.ErrUnsupported, h.ID)
		}
	}
	n.pos, n.extents, n.left, n.block = 0, false, 0, 0
	if n.main && (n.ahead == nil || n.ahead.ID != backup.Data) {
		n.main = false
		n.info, n.end = layer.Stream{}, 0
		return &n.info, nil
	}
	n.main = false
	h := n.ahead
	n.ahead = nil
	if n.streams++; n.streams > n.limit {
		return nil, &layer.LimitError{Limit: "Streams", Max: n.limit}
	}
	n.info = layer.Stream{Size: h.Size, Sparse: h.Attributes&backup.AttrSparse != 0}
	n.left = h.Size
	if h.ID == backup.AlternateData {
		name, err := backup.ParseStreamName(h.Name)
		if err != nil {
			return nil, err
		}
		n.info.Name = name
		if n.info.Sparse && h.Size == 0 {
			return nil, fmt.Errorf("%w: alternate stream %q is sparse, and Windows does not say how long it is", layer.ErrUnsupported, name)
		}
	} else if n.info.Sparse {
		n.info.Size = n.size
	}
	n.end = n.info.Size
	return &n.info, nil
}

// advance finds the next allocated range; false means that there is none.
func (n *ntfsSource) advance() (bool, error) {
	if n.ahead != nil || !n.info.Sparse {
		return false, nil
	}
	h, err := n.b.Next()
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for h.ID == backup.EAData { // they were queried, see extendedAttributes
		if h, err = n.b.Next(); err == io.EOF {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	if h.ID != backup.SparseBlock {
		if h.ID != backup.AlternateData {
			return false, fmt.Errorf("%w: %v after the data of a file", layer.ErrUnsupported, h.ID)
		}
		c := *h
		n.ahead = &c
		return false, nil
	}
	n.block, n.left = h.Offset, h.Size
	return h.Size > 0, nil
}

func (n *ntfsSource) Read(p []byte) (int, error) {
	if n.pos >= n.end {
		return 0, io.EOF
	}
	if int64(len(p)) > n.end-n.pos {
		p = p[:n.end-n.pos]
	}
	if n.left == 0 && !n.extents {
		ok, err := n.advance()
		if err != nil {
			return 0, err
		}
		if !ok {
			n.block = n.end
		}
	}
	if n.pos < n.block { // a hole
		p = p[:min(int64(len(p)), n.block-n.pos)]
		clear(p)
		n.pos += int64(len(p))
		return len(p), nil
	}
	k, err := n.b.Read(p[:min(int64(len(p)), n.left)])
	n.pos, n.block, n.left = n.pos+int64(k), n.block+int64(k), n.left-int64(k)
	if k > 0 {
		err = nil
	}
	return k, hostfs.NoEOF(err)
}

func (n *ntfsSource) Extent() (layer.Extent, error) {
	if n.left == 0 || n.extents {
		ok, err := n.advance()
		if err != nil {
			return layer.Extent{}, err
		}
		if !ok {
			n.extents, n.pos, n.end = true, n.info.Size, n.info.Size
			return layer.Extent{}, io.EOF
		}
	}
	n.extents = true
	n.pos, n.end = n.block, n.block+n.left
	return layer.Extent{Offset: n.block, Length: n.left}, nil
}

func (n *ntfsSource) Close() error { return hostfs.FirstError(n.r.Close(), n.f.Close()) }
