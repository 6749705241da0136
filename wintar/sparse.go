package wintar

import (
	"archive/tar"
	"io"
	"strings"

	"github.com/mullion/mullion/layer"
)

// GNU tar stores files with holes in four forms (GNU tar manual, "Storing Sparse Files"):
// typeflag S with the map in the header block and in blocks after it, and three forms with
// PAX records, of which the last has the map before the data. archive/tar reads them all,
// and returns the holes as zeros. It does not export the map, so the header is parsed once
// more here: known holes can be skipped at no cost. As with ordinary headers, a map that is
// not plainly in order is left to archive/tar, which reports the error.

// sparse is the position in the data of a sparse entry.
type sparse struct {
	ranges []layer.Extent // stored ranges, ascending, not empty
	size   int64          // logical
	at     int64          // logical offset of the next byte
	next   int            // the first range that ends after at
	only   bool           // NextExtent was called: Read is limited to one range
	end    int64          // of that range
}

// Layout of an old GNU header and of the blocks after it, in entries of two numbers.
const (
	atSparse, sparseInHeader, atMoreInHeader = 386, 4, 482
	sparseInBlock, atMoreInBlock             = 21, 504
	sparseNumber                             = 12
)

// findSparse reads the map of a sparse entry from raw, the blocks of its header that
// archive/tar has read, and returns the number of bytes of data that follow.
func findSparse(h *tar.Header, raw []byte) (s *sparse, stored int64, ok bool) {
	for {
		if len(raw) < blockSize {
			return nil, 0, false
		}
		switch raw[atType] {
		case tar.TypeXHeader, tar.TypeXGlobalHeader, tar.TypeGNULongName, tar.TypeGNULongLink:
			n, ok := number(raw[atSize:][:lenSize])
			if n += padding(n) + blockSize; !ok || n < blockSize || n > int64(len(raw)) {
				return nil, 0, false
			}
			raw = raw[n:]
			continue
		}
		break
	}
	block, rest := raw[:blockSize], raw[blockSize:]
	stored, ok = number(block[atSize:][:lenSize])
	if text := h.PAXRecords["size"]; text != "" {
		stored, ok = decimal(text)
	}
	if !ok {
		return nil, 0, false
	}
	s = &sparse{size: h.Size}
	switch {
	case h.Typeflag == tar.TypeGNUSparse:
		s.ranges, ok = oldMap(block, rest)
	case h.PAXRecords[recGNUMajor] == "1" && h.PAXRecords["GNU.sparse.minor"] == "0":
		s.ranges, ok = textMap(string(rest), "\n", true)
		stored -= int64(len(rest))
	case h.PAXRecords[recGNUMap] != "" || h.PAXRecords["GNU.sparse.numblocks"] != "":
		s.ranges, ok = textMap(h.PAXRecords[recGNUMap], ",", false)
	default:
		ok = false
	}
	var sum, end int64
	for _, x := range s.ranges {
		if x.Offset < end || x.Length < 0 || x.Length > s.size-x.Offset {
			return nil, 0, false
		}
		end = x.Offset + x.Length
		sum += x.Length
	}
	return s, stored, ok && sum == stored
}

// number reads octal digits, or a binary number whose first bit is set.
func number(b []byte) (int64, bool) {
	if b[0]&0x80 == 0 {
		for len(b) > 0 && b[0] == ' ' {
			b = b[1:]
		}
		return octal(b)
	}
	n := int64(b[0] & 0x7F)
	if b[0]&0x40 != 0 {
		return 0, false // negative
	}
	for _, c := range b[1:] {
		if n>>55 != 0 {
			return 0, false
		}
		n = n<<8 | int64(c)
	}
	return n, true
}

func oldMap(block, rest []byte) (list []layer.Extent, ok bool) {
	b, most, more := block[atSparse:], sparseInHeader, block[atMoreInHeader]
	for {
		for range most {
			if b[0] == 0 {
				break
			}
			off, ok1 := number(b[:sparseNumber])
			n, ok2 := number(b[sparseNumber:][:sparseNumber])
			if !ok1 || !ok2 {
				return nil, false
			}
			if n > 0 {
				list = append(list, layer.Extent{Offset: off, Length: n})
			}
			b = b[2*sparseNumber:]
		}
		if more == 0 {
			return list, true
		}
		if len(rest) < blockSize {
			return nil, false
		}
		b, most, more = rest[:blockSize], sparseInBlock, rest[atMoreInBlock]
		rest = rest[blockSize:]
	}
}

// textMap reads decimal numbers, in pairs of offset and length.
func textMap(text, separator string, counted bool) (list []layer.Extent, ok bool) {
	count := int64(-1)
	if counted {
		var first string
		first, text, _ = strings.Cut(text, separator)
		if count, ok = decimal(first); !ok {
			return nil, false
		}
	}
	for text != "" && count != 0 {
		var a, b string
		a, text, _ = strings.Cut(text, separator)
		b, text, _ = strings.Cut(text, separator)
		off, ok1 := decimal(a)
		n, ok2 := decimal(b)
		if !ok1 || !ok2 {
			return nil, false
		}
		if n > 0 {
			list = append(list, layer.Extent{Offset: off, Length: n})
		}
		count--
	}
	return list, count <= 0
}

// read reads from the file, or, after a call of extent, from the current range.
func (s *sparse) read(a *archive, p []byte) (int, error) {
	end := s.size
	if s.only {
		end = s.end
	}
	if s.at >= end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), end-s.at)]
	hole := s.size - s.at
	if s.next < len(s.ranges) {
		hole = s.ranges[s.next].Offset - s.at
	}
	if hole > 0 {
		n := int(min(hole, int64(len(p))))
		clear(p[:n])
		s.at += int64(n)
		a.filled += int64(n)
		return n, nil
	}
	x := s.ranges[s.next]
	n, err := a.src.data(p[:min(int64(len(p)), x.Offset+x.Length-s.at)])
	a.left -= int64(n)
	s.at += int64(n)
	if s.at == x.Offset+x.Length {
		s.next++
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// extent moves to the next stored range.
func (s *sparse) extent(a *archive) (layer.Extent, error) {
	if s.only && s.at < s.end { // the unread part of the previous range
		n := s.end - s.at
		if err := a.src.skip(n); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return layer.Extent{}, err
		}
		a.left -= n
		s.at = s.end
		s.next++
	}
	s.only = true
	if s.next == len(s.ranges) {
		s.at = s.size
		s.end = s.size
		return layer.Extent{}, io.EOF
	}
	x := s.ranges[s.next]
	if s.at > x.Offset { // Read was called first
		x.Length -= s.at - x.Offset
		x.Offset = s.at
	}
	s.at, s.end = x.Offset, x.Offset+x.Length
	return x, nil
}
