package compare

import (
	"slices"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

const (
	// minRenamed is the size in bytes below which equal content says nothing: markers,
	// one-line files.
	minRenamed = 32
	// maxPairs bounds the pairs of one content that are compared by name. Of content with
	// more copies than that only files that keep their name are paired.
	maxPairs = 4096
)

// sameContent identifies content of files.
type sameContent struct {
	sum  Sum
	size int64
}

// renames replaces pairs of a removed and an added file of the same content. Among several
// of the same content those with the most similar paths are paired.
func (f *FileChanges) renames(ignore layer.Aspect) {
	removed := map[sameContent][]int{}
	for i, x := range f.list {
		if x.kind == Removed && renamable(f.a, x.a) {
			e := f.a.entry(&f.a.names[x.a])
			key := sameContent{e.sum, e.size}
			removed[key] = append(removed[key], i)
		}
	}
	if len(removed) == 0 {
		return
	}
	added := map[sameContent][]int{}
	var keys []sameContent
	for i, x := range f.list {
		if x.kind == Added && renamable(f.b, x.b) {
			e := f.b.entry(&f.b.names[x.b])
			key := sameContent{e.sum, e.size}
			if removed[key] != nil {
				if added[key] == nil {
					keys = append(keys, key)
				}
				added[key] = append(added[key], i)
			}
		}
	}
	gone := map[int]bool{}
	for _, key := range keys {
		f.pair(removed[key], added[key], gone, ignore)
	}
	if len(gone) == 0 {
		return
	}
	kept := f.list[:0]
	for i, x := range f.list {
		if !gone[i] {
			kept = append(kept, x)
		}
	}
	f.list = slices.Clip(kept)
}

// renamable reports whether a name is the first one of a file with enough content.
func renamable(t *Tree, i int32) bool {
	n := &t.names[i]
	return n.kind == layer.File && n.first == i && t.entry(n).size >= minRenamed && !t.entry(n).surrogate
}

// pair pairs removed and added files of the same content, given by their differences.
func (f *FileChanges) pair(removed, added []int, gone map[int]bool, ignore layer.Aspect) {
	type candidate struct{ was, is, score int }
	var all []candidate
	if len(removed)*len(added) > maxPairs {
		byName := map[string][]int{}
		for _, i := range removed {
			base := winfs.Fold(f.base(f.a, f.list[i].a))
			byName[base] = append(byName[base], i)
		}
		for _, j := range added {
			base := winfs.Fold(f.base(f.b, f.list[j].b))
			if list := byName[base]; len(list) > 0 {
				byName[base] = list[1:]
				all = append(all, candidate{list[0], j, 0})
			}
		}
	} else {
		// Folding and splitting the paths takes longer than comparing them.
		was := f.splitPaths(f.a, removed, func(x change) int32 { return x.a })
		is := f.splitPaths(f.b, added, func(x change) int32 { return x.b })
		for n, j := range added {
			for m, i := range removed {
				all = append(all, candidate{i, j, similarity(&was[m], &is[n])})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y candidate) int { return y.score - x.score })
	used := map[int]bool{}
	for _, c := range all {
		if used[c.is] || gone[c.was] {
			continue
		}
		used[c.is], gone[c.was] = true, true
		x := &f.list[c.is]
		x.a, x.kind = f.list[c.was].a, Renamed
		// That the path differs is what Renamed says, and so do the first names of links.
		x.what = f.aspects(x.a, x.b) &^ ignore &^ layer.AspectName &^ layer.AspectLinks
	}
}

func (f *FileChanges) base(t *Tree, i int32) string {
	return string(t.paths.name(t.names[i].path))
}

// splitPath is a folded path.
type splitPath struct {
	base string
	dirs []string
}

// splitPaths returns the paths of one side of differences.
func (f *FileChanges) splitPaths(t *Tree, list []int, side func(change) int32) []splitPath {
	out := make([]splitPath, len(list))
	for n, i := range list {
		dir, base := winfs.SplitPath(winfs.Fold(string(t.path(side(f.list[i])))))
		out[n] = splitPath{base, strings.Split(dir, `\`)}
	}
	return out
}

// similarity rates how alike two paths are: the same name first, then the same end of the
// name, then the same directories.
func similarity(a, b *splitPath) int {
	score := 0
	if a.base == b.base {
		score += 1 << 24
	}
	end := 0
	for end < len(a.base) && end < len(b.base) && a.base[len(a.base)-1-end] == b.base[len(b.base)-1-end] {
		end++
	}
	start := 0
	for start < len(a.base) && start < len(b.base) && a.base[start] == b.base[start] {
		start++
	}
	score += min(start+end, 1<<10) << 12
	for i := 0; i < len(a.dirs) && i < len(b.dirs) && a.dirs[i] == b.dirs[i]; i++ {
		score++
	}
	return score
}
