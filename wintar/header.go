package wintar

import (
	"archive/tar"
	"slices"
	"strings"
	"time"
)

// header is the part of a tar header, and of the records before it, that a layer uses.
type header struct {
	typeflag       byte
	name, linkname string
	size           int64 // bytes of data, 0 for types that have none
	announced      int64 // the size in the header, for any type
	mode           int64
	// The times in fields of the header; archive/tar stores those of records here, too.
	mtime, atime, ctime time.Time
	records             records
}

// record is one PAX record.
type record struct{ key, value string }

// records are the PAX records of one header. No key occurs twice.
type records []record

// get returns the value of a key, "" if it is absent.
func (r records) get(key string) string {
	for i := range r {
		if r[i].key == key {
			return r[i].value
		}
	}
	return ""
}

// has reports whether a key is present, even without a value.
func (r records) has(key string) bool {
	return slices.ContainsFunc(r, func(x record) bool { return x.key == key })
}

// headerOnly reports whether entries of a type have no data, at any declared size.
func headerOnly(typeflag byte) bool {
	switch typeflag {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo:
		return true
	}
	return false
}

// fill copies a header of archive/tar.
func (h *header) fill(from *tar.Header) {
	*h = header{
		typeflag: from.Typeflag, name: from.Name, linkname: from.Linkname, size: from.Size, announced: from.Size, mode: from.Mode,
		mtime: from.ModTime, atime: from.AccessTime, ctime: from.ChangeTime, records: h.records[:0],
	}
	if headerOnly(h.typeflag) {
		h.size = 0
	}
	for k, v := range from.PAXRecords {
		h.records = append(h.records, record{k, v})
	}
	slices.SortFunc(h.records, func(a, b record) int { return strings.Compare(a.key, b.key) })
}
