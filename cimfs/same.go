package cimfs

// Same reports whether two files of an image and of its fork, or of two forks, are
// stored as one: their records are equal and refer to the same objects. Numbers and
// names of the files do not count, nor, for directories, what is in them. Nothing is
// read, and equal content that was stored twice is not the same.
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
