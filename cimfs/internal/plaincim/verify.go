package plaincim

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// entry is one line of an object table.
type entry struct {
	length uint64
	digest []byte
	offset uint64
}

// Verify compares the object tables of the image's own regions with the regions
// and with the references of the tree. dir is the directory of the files. It returns
// the faults, and the number of objects without a reference.
func (t *Tree) Verify(dir string) (wrong []string, dead int) {
	first := len(t.bodies) - t.Own.Count
	for n := range t.Own.Count {
		name := fmt.Sprintf("objectid_%s_%d", t.GUID, n)
		say := func(format string, args ...any) {
			wrong = append(wrong, name+": "+fmt.Sprintf(format, args...))
		}
		entries, err := objectTable(filepath.Join(dir, name), first+n, t.bodies[first+n].kind)
		if err != nil {
			say("%v", err)
			continue
		}
		region := t.bodies[first+n]
		for i, e := range entries {
			if i > 0 && !less(entries[i-1], e) {
				say("entry %d is not after entry %d", i, i-1)
			}
			if e.offset > uint64(len(region.bytes)) || e.length > uint64(len(region.bytes))-e.offset {
				say("entry %d: %d bytes at %#x are outside the region", i, e.length, e.offset)
				continue
			}
			if !bytes.Equal(digest(region.bytes[e.offset:e.offset+e.length]), e.digest) {
				say("entry %d: wrong digest", i)
			}
		}
		listed := map[uint64]uint64{}
		for _, e := range entries {
			listed[e.offset] = e.length
		}
		for p, r := range t.reached {
			if p.region == first+n && listed[p.offset] != r.length {
				say("%s: %d bytes at %#x are listed as %d", r.what, r.length, p.offset, listed[p.offset])
			}
		}
		for _, e := range entries {
			if _, ok := t.reached[place{first + n, e.offset}]; !ok {
				dead++
			}
		}
		for _, s := range layout(region, entries) {
			say("%s", s)
		}
	}
	sort.Strings(wrong)
	return wrong, dead
}

func less(a, b entry) bool {
	if a.length != b.length {
		return a.length < b.length
	}
	return bytes.Compare(a.digest, b.digest) < 0
}

func digest(object []byte) []byte {
	if len(object) <= 24 {
		return append(append([]byte{}, object...), make([]byte, 24-len(object))...)
	}
	sum := sha512.Sum512(object)
	return sum[:24]
}

func objectTable(path string, n int, kind uint16) (out []entry, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fault)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%s", string(f))
		}
	}()
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if l := common(b, 2, "object table"); l != 0x30 {
		fail("header length %#x", l)
	}
	if u16(b, 0x20) != uint16(n) || u16(b, 0x22) != kind || u32(b, 0x24) != 0 || u32(b, 0x28) != 0x30 {
		fail("header % x", cut(b, 0x20, 0x10))
	}
	count := int(u32(b, 0x2C))
	if len(b) != 0x30+40*count {
		fail("%d bytes for %d entries", len(b), count)
	}
	for i := range count {
		e := cut(b, uint64(0x30+40*i), 40)
		out = append(out, entry{u64(e, 0), e[8:32], u64(e, 32)})
	}
	return out, nil
}

// layout checks that objects and zero padding cover the region: every object at
// the next aligned offset, nothing else.
func layout(region body, entries []entry) (wrong []string) {
	align, next := uint64(8), uint64(0x28)
	switch region.kind {
	case 0, 2:
	case 1:
		align, next = 4096, 4096
	default:
		return []string{fmt.Sprintf("region type %d", region.kind)}
	}
	zero := func(from, to uint64) {
		if to > uint64(len(region.bytes)) {
			wrong = append(wrong, fmt.Sprintf("region ends at %#x, not %#x", len(region.bytes), to))
			return
		}
		for i := from; i < to; i++ {
			if region.bytes[i] != 0 {
				wrong = append(wrong, fmt.Sprintf("padding at %#x is not zero", i))
				return
			}
		}
	}
	zero(0x28, next)
	byOffset := append([]entry{}, entries...)
	sort.Slice(byOffset, func(i, j int) bool { return byOffset[i].offset < byOffset[j].offset })
	for _, e := range byOffset {
		if e.offset != next {
			wrong = append(wrong, fmt.Sprintf("object at %#x, expected at %#x", e.offset, next))
		}
		next = (e.offset + e.length + align - 1) / align * align
		zero(e.offset+e.length, next)
	}
	if uint64(len(region.bytes)) != next {
		wrong = append(wrong, fmt.Sprintf("region is %d bytes, objects end at %d", len(region.bytes), next))
	}
	return wrong
}
