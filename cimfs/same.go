package cimfs

import "bytes"

// Same reports whether two files of an image and of its fork, or of two forks, are
// stored as one: their records are equal and refer to the same objects. Numbers and
// names of the files do not count, nor do the entries of directories. Nothing is read,
// and equal content that was stored twice is not the same.
func (f *File) Same(g *File) bool {
	a, b := f.comparable(), g.comparable()
	return f.im.version == g.im.version && a == b
}

func (f *File) comparable() record {
	r := f.rec
	r.parent, r.links = 0, 0
	if r.data.kind() == TableStream {
		r.data = stream{packed: r.data.packed &^ maxOffset}
	}
	return r
}

// SameEntries reports whether two directories, of an image and of one that it
// [Image.Extends], have their entries in the same table. Everything below them is then
// the same too. Two empty directories, which have no table, are not reported.
func (f *File) SameEntries(g *File) bool {
	return f.IsDir() && f.rec.data == g.rec.data && f.rec.data.offset != 0
}

// Extends reports whether an image has the regions and the records of another one under
// the same numbers, as a fork has those of its parent. A FileID or a [RegionOffset] of
// parent then means the same in both. Only the headers and the lists of file tables are
// compared.
func (im *Image) Extends(parent *Image) (bool, error) {
	sets := append(parent.Parents(), parent.own)
	mine := append(im.Parents(), im.own)
	if im.version != parent.version || len(sets) > len(mine) || im.tableCount < parent.tableCount {
		return false, nil
	}
	for i, s := range sets {
		if mine[i] != s {
			return false, nil
		}
	}
	theirs, err := parent.fileTables()
	if err != nil {
		return false, parent.fail("read file tables", "", err)
	}
	ours, err := im.fileTables()
	if err != nil {
		return false, im.fail("read file tables", "", err)
	}
	return bytes.HasPrefix(ours, theirs), nil
}
