package cimfs

import (
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"slices"

	"github.com/mullion/mullion/winfs"
)

// The extended attributes in which Windows keeps the hashes of an executable. The writer
// computes them of every executable that it expands, as cimfs.dll does.
const (
	imageHashSHA1   = "$KERNEL.PURGE.IMAGEHASH.SHA1"
	imageHashSHA256 = "$KERNEL.PURGE.IMAGEHASH.SHA256"
)

// IsImageHash reports whether an extended attribute is one of the two that hold the hash
// of an executable, $KERNEL.PURGE.IMAGEHASH.SHA1 and .SHA256. Layers cannot supply them:
// the kernel trusts the values, so the writer of an image computes them itself and drops
// any that its caller passes.
func IsImageHash(name string) bool {
	return winfs.EqualFold(name, imageHashSHA1) || winfs.EqualFold(name, imageHashSHA256)
}

// imageHash holds the ranges of an expanded executable that are hashed: all of the file but
// the checksum, the entry of the certificate table and that table, as Authenticode does
// (Windows Authenticode Portable Executable Signature Format, "Calculating the PE Image
// Hash"), and then zeros up to a multiple of 8 bytes.
//
// cimfs.dll 10.0.19041 pads with uninitialized stack memory. Windows pads with zeros
// when it verifies a file, and so does the writer.
type imageHash struct {
	keep []byteRange // as stored, ascending
	pad  int         // bytes
	sha1 bool        // besides SHA-256
}

type byteRange struct{ from, to int64 }

// imageHashPad follows the last byte of a file in its hash, other than zeros only
// in the tests against images that cimfs.dll has made.
var imageHashPad [8]byte

func newImageHash(head []byte, l *peLayout, size int64, p *pePlan) *imageHash {
	h := &imageHash{}
	hashed := size // and what is not, but the certificates
	skip := []byteRange{{l.opt + optCheckSum, l.opt + optCheckSum + 4}}
	entry := l.opt + optDirectories
	if l.plus {
		entry = l.opt + optDirectoriesPlus
	}
	// The number of directories is stored before the first.
	directories := entry
	entry += certificateEntry * directorySize
	certificates := int64(0)
	if entry+directorySize <= l.opt+l.optSize && le.Uint32(head[directories-4:]) > certificateEntry {
		skip = append(skip, byteRange{entry, entry + directorySize})
		at := min(int64(le.Uint32(head[entry:])), size)
		certificates = int64(le.Uint32(head[entry+4:]))
		if n := min(certificates, size-at); n > 0 {
			skip = append(skip, byteRange{at, at + n})
			hashed -= n
		}
	}
	h.sha1 = certificates == 0 && (l.machine == machineI386 || l.machine == machineAMD64)
	slices.SortFunc(skip, func(a, b byteRange) int { return int(a.from - b.from) })
	at := int64(0)
	for _, s := range append(skip, byteRange{size, size}) {
		if s.from > at {
			h.keep = p.append(h.keep, byteRange{at, s.from})
		}
		at = max(at, s.to)
	}
	h.pad = int(-hashed & 7)
	return h
}

// append adds a part of the file, cut where pieces of it are stored apart.
func (p *pePlan) append(list []byteRange, r byteRange) []byteRange {
	delta := int64(0)
	for _, m := range p.mappings {
		if at := int64(m.offset); at > r.from && at < r.to {
			list = append(list, byteRange{r.from + delta, at + delta})
			r.from = at
		}
		if int64(m.offset) <= r.from {
			delta = int64(m.delta)
		}
	}
	return append(list, byteRange{r.from + delta, r.to + delta})
}

// imageHasher computes the hashes of an executable from its stored form, piece by piece.
type imageHasher struct {
	plan   *imageHash
	at     int64
	next   int // in plan.keep
	sha1   hash.Hash
	sha256 hash.Hash
}

// begin prepares for the content of a job, which need not be an executable.
func (h *imageHasher) begin(j *job) {
	h.plan, h.at, h.next = nil, 0, 0
	if j.pe == nil || j.pe.hash == nil {
		return
	}
	if h.plan = j.pe.hash; h.sha256 == nil {
		h.sha1, h.sha256 = sha1.New(), sha256.New()
	}
	h.sha1.Reset()
	h.sha256.Reset()
}

func (h *imageHasher) write(b []byte) {
	if h.plan == nil {
		return
	}
	end := h.at + int64(len(b))
	for ; h.next < len(h.plan.keep); h.next++ {
		k := h.plan.keep[h.next]
		from, to := max(k.from, h.at), min(k.to, end)
		if from < to {
			h.sum(b[from-h.at : to-h.at])
		}
		if k.to > end {
			break
		}
	}
	h.at = end
}

func (h *imageHasher) sum(b []byte) {
	h.sha256.Write(b)
	if h.plan.sha1 {
		h.sha1.Write(b)
	}
}

// end stores the hashes in the job, as extended attributes.
func (h *imageHasher) end(j *job) {
	if h.plan == nil {
		return
	}
	h.sum(imageHashPad[:h.plan.pad])
	if h.plan.sha1 {
		j.ea = encodeEA(imageHashSHA1, h.sha1.Sum(nil))
	}
	j.ea = joinEAs(j.ea, encodeEA(imageHashSHA256, h.sha256.Sum(nil)))
}

// encodeEA is a list of one extended attribute.
func encodeEA(name string, value []byte) []byte {
	b := []byte{0, 0, 0, 0, 0, byte(len(name))}
	b = append(le.AppendUint16(b, uint16(len(value))), name...)
	return append(append(b, 0), value...)
}

// joinEAs appends one list of extended attributes to another. Where they are too long
// for one, the second is left out.
func joinEAs(list, more []byte) []byte {
	start := int(roundUp(int64(len(list)), 4))
	switch {
	case len(list) == 0:
		return more
	case len(more) == 0:
		return list
	}
	if start+len(more) > maxCounted {
		return list
	}
	last := 0
	for next := le.Uint32(list); next != 0; next = le.Uint32(list[last:]) {
		last += int(next)
	}
	out := make([]byte, start, start+len(more))
	copy(out, list)
	le.PutUint32(out[last:], uint32(start-last))
	return append(out, more...)
}

// maxCounted is the longest list of extended attributes, and the longest object with a
// count before it.
const maxCounted = 0xFFFF

// storedEAs copies a list of extended attributes that checkEAs has taken, as it is
// stored: without the hashes of an executable, and without the bytes after the last entry.
func storedEAs(list []byte) []byte {
	out := make([]byte, 0, len(list))
	last := -1 // offset of the last entry of out
	for off := 0; ; {
		e := list[off:]
		next, name, value := int(le.Uint32(e)), int(e[5]), int(le.Uint16(e[6:]))
		if !IsImageHash(string(e[8 : 8+name])) {
			if last >= 0 {
				out = append(out, make([]byte, -len(out)&3)...)
				le.PutUint32(out[last:], uint32(len(out)-last))
			}
			last = len(out)
			out = append(out, e[:8+name+1+value]...)
			le.PutUint32(out[last:], 0)
		}
		if next == 0 {
			break
		}
		off += next
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
