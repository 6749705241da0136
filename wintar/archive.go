package wintar

import (
	"archive/tar"
	"io"
	"strings"
)

// archive reads the headers and data of an archive. It reads ordinary headers itself (see
// header.ordinary); archive/tar reads all others, starting anew at such a header: it keeps
// no state between entries.
type archive struct {
	src  *source
	from io.Reader // src, able to seek if the underlying reader is

	tr        *tar.Reader // is at an entry whose data only archive/tar can read
	left, pad int64       // otherwise: remaining data and padding
	sparse    *sparse     // the holes in those data, if known
	expands   bool        // the data may have holes
	filled    int64       // zeros returned for holes, in all entries
	plain     bool        // use archive/tar for everything, in tests
	start     int64       // where the current header begins; see next
	header    header      // the current one
}

func newArchive(s *source) *archive { return &archive{src: s, from: s.withSeek()} }

// next skips the rest of the current entry and reads the next header, which is valid until
// the next call. It returns io.EOF if the archive is complete or is truncated between data
// and padding or between entries; the source knows which.
//
// start is set to the offset of the header, its records included. Behind an entry whose end
// only archive/tar knows, start stays where that entry begins.
func (a *archive) next() (*header, error) {
	a.sparse, a.expands = nil, false
	if a.tr == nil {
		if err := a.skip(); err != nil {
			return nil, err
		}
		a.start = a.src.offset
		if !a.plain && a.look() {
			return &a.header, nil
		}
		a.tr = tar.NewReader(a.from)
		a.src.record()
	}
	h, err := a.tr.Next()
	raw := a.src.recorded()
	if err != nil {
		return nil, err
	}
	a.header.fill(h)
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeGNUSparse:
		if h.Typeflag == tar.TypeGNUSparse || a.header.hasSparseMap() {
			a.expands = true
			if s, stored, ok := findSparse(h, raw); ok && !a.plain {
				a.tr, a.sparse, a.left, a.pad = nil, s, stored, padding(a.src.offset+stored)
				a.src.dataEnd = a.src.offset + stored
			}
			break
		}
		a.src.dataEnd = a.src.offset + a.header.size
		if !a.plain {
			a.tr, a.left, a.pad = nil, a.header.size, padding(a.header.size)
		}
	}
	return &a.header, nil
}

// hasSparseMap reports whether the data may be more than the stored bytes.
func (h *header) hasSparseMap() bool {
	for i := range h.records {
		if strings.HasPrefix(h.records[i].key, recGNUSparse) {
			return true
		}
	}
	return false
}

// look reads the next header if it is ordinary, and consumes nothing otherwise.
func (a *archive) look() bool {
	for want := blockSize; ; {
		b := a.src.window(want)
		n, v := a.header.ordinary(b)
		switch {
		case v == ordinary:
			a.src.take(n)
			a.left, a.pad = a.header.size, padding(a.header.size)
			return true
		case v == notOrdinary || len(b) < want:
			return false
		}
		want = n
	}
}

// skip skips the rest of the current entry.
func (a *archive) skip() error {
	if err := a.src.skip(a.left); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	a.left = 0
	if err := a.src.skip(a.pad); err != nil {
		return err
	}
	a.pad = 0
	return nil
}

// Read reads the data of the current entry. It returns io.EOF at its end.
func (a *archive) Read(p []byte) (int, error) {
	if a.sparse != nil {
		return a.sparse.read(a, p)
	}
	if a.tr != nil {
		n, err := a.tr.Read(p)
		if a.expands {
			a.filled += int64(n) // only archive/tar knows which of them are holes
		}
		return n, err
	}
	if a.left == 0 {
		return 0, io.EOF
	}
	n, err := a.src.data(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
