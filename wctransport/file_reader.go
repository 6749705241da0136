package wctransport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/backup"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// prefixSize is the length of the Win32 attributes, u32 little-endian, before the
// backup stream of a transport file.
const prefixSize = 4

// readableAt is an open file.
type readableAt interface {
	io.ReadSeeker
	io.ReaderAt
}

// readFile reads the attributes and metadata in a transport file into an entry whose Kind
// is set, and locates its streams. It scans the whole file, because metadata may follow
// the data.
func readFile(f readableAt, e *layer.Entry, limits layer.Limits) (*layerdir.Content, error) {
	var prefix [prefixSize]byte
	if _, err := io.ReadFull(f, prefix[:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%w: attributes: %w", layer.ErrCorrupt, err)
	}
	e.Attributes = winfs.Attributes(binary.LittleEndian.Uint32(prefix[:]))
	info, err := backup.Probe(f, backup.Limits{Metadata: limits.MetadataLen, Streams: limits.Streams})
	if err != nil {
		if errors.Is(err, backup.ErrLimit) {
			return nil, fmt.Errorf("%w: %w", layer.ErrLimit, err)
		}
		return nil, fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
	}
	if e.Kind == layer.Dir {
		if info.HasData {
			return nil, fmt.Errorf("%w: directory with a data stream", layer.ErrCorrupt)
		}
		e.Attributes |= winfs.AttrDirectory
	} else if e.Attributes&winfs.AttrDirectory != 0 {
		return nil, fmt.Errorf("%w: file with the attribute of a directory", layer.ErrCorrupt)
	}
	e.Security, e.ObjectID = info.Security, info.ObjectID
	if e.EAs, err = winfs.DecodeEAs(info.EA); err != nil {
		e.Defect = fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
	}
	if len(info.Reparse) > 0 {
		if err := winfs.CheckReparse(info.Reparse); err != nil {
			e.Defect = fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
		} else {
			e.Reparse = info.Reparse
			e.Attributes |= winfs.AttrReparsePoint
		}
	}
	c := &layerdir.Content{}
	if e.Kind == layer.File {
		e.Size, e.NoMain = info.Size, !info.HasData
		if !info.HasData {
			c.Streams = append(c.Streams, layerdir.StoredStream{})
		}
	}
	for i := range info.Streams {
		s := &info.Streams[i]
		st := layerdir.StoredStream{Name: s.Name, Size: s.Size, Sparse: s.Sparse(), Src: f}
		for _, x := range s.Extents {
			st.Segments = append(st.Segments, layerdir.Segment{Offset: x.Offset, Length: x.Length, At: x.Source})
		}
		c.Streams = append(c.Streams, st)
	}
	return c, nil
}
