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
	byName := map[string][]int{}
	many := len(removed)*len(added) > maxPairs
	if many {
		for _, i := range removed {
			base := winfs.Fold(f.base(f.a, f.list[i].a))
			byName[base] = append(byName[base], i)
		}
	}
	for _, j := range added {
		if many {
			base := winfs.Fold(f.base(f.b, f.list[j].b))
			if list := byName[base]; len(list) > 0 {
				byName[base] = list[1:]
				all = append(all, candidate{list[0], j, 0})
			}
			continue
		}
		for _, i := range removed {
			all = append(all, candidate{i, j, similarity(f.a.texts.get(f.a.names[f.list[i].a].path), f.b.texts.get(f.b.names[f.list[j].b].path))})
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
	_, base := winfs.SplitPath(t.texts.get(t.names[i].path))
	return base
}

// similarity rates how alike two paths are: the same name first, then the same end of the
// name, then the same directories.
func similarity(a, b string) int {
	dirA, baseA := winfs.SplitPath(winfs.Fold(a))
	dirB, baseB := winfs.SplitPath(winfs.Fold(b))
	score := 0
	if baseA == baseB {
		score += 1 << 24
	}
	end := 0
	for end < len(baseA) && end < len(baseB) && baseA[len(baseA)-1-end] == baseB[len(baseB)-1-end] {
		end++
	}
	start := 0
	for start < len(baseA) && start < len(baseB) && baseA[start] == baseB[start] {
		start++
	}
	score += min(start+end, 1<<10) << 12
	partsA, partsB := strings.Split(dirA, `\`), strings.Split(dirB, `\`)
	for i := 0; i < len(partsA) && i < len(partsB) && partsA[i] == partsB[i]; i++ {
		score++
	}
	return score
}
