package mend

import (
	"slices"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

const utilityFiles = layer.RootUtilityVM + `\Files`

// finish decides what the whole tree decides.
func (l *learner) finish() {
	l.vm = l.opts.HasParents
	l.whiteouts()
	l.linkTargets()
	l.directories()
}

// whiteouts drops those that change nothing: of a name for which the layer has a file,
// which hides everything below it anyway, and of a file that the utility VM does not have.
func (l *learner) whiteouts() {
	for _, n := range l.nodes {
		if n.whiteout != 0 && n.entries == 1 && (n.kind == layer.File || n.kind == layer.Link) {
			l.drop[n.whiteout] = true
		}
		if n.whiteout != 0 && n.opaque != 0 && n.entries == 0 {
			l.drop[n.opaque] = true // the whole directory is hidden
		}
	}
}

// linkTargets points links at the file that they lead to, in its spelling, and moves links
// behind their target where no layer below can have one.
func (l *learner) linkTargets() {
	for _, x := range l.links {
		n := l.nodes[x.self]
		if n.index != x.index || n.entries != 1 || x.target == x.self {
			continue
		}
		end, target, ok := l.follow(x.target, x.path)
		if !ok {
			continue
		}
		forward := end.index > x.index
		if forward && (x.entry == nil || !l.opts.Base && (l.opts.Below == nil || l.opts.Below.Find(x.path) != 0)) {
			continue // a layer below may have the target that is meant
		}
		k := l.keyOf(target)
		if end.exact != l.exact(target) {
			l.spell[k] = true
		}
		switch {
		case forward:
			x.entry.Target = target
			l.drop[x.index] = true
			l.after[k] = append(l.after[k], x.entry)
		case target != x.path:
			l.retarget[x.index] = target
		}
	}
}

// follow returns the file of the layer that a link leads to. The links on the way then
// lead there at once: a chain that begins at each of many links is walked once.
func (l *learner) follow(k key, target string) (end *node, path string, ok bool) {
	var chain []*node
	for end == nil {
		n := l.nodes[k]
		if n == nil || n.walking || n.entries != 1 || n.whiteout != 0 && !l.drop[n.whiteout] {
			break
		}
		if n.kind == layer.File {
			end = n
			break
		}
		if n.kind != layer.Link || n.target == "" {
			break
		}
		n.walking = true
		chain = append(chain, n)
		target = n.target
		k = l.keyOf(target)
	}
	if end == nil {
		target = ""
	}
	for _, n := range chain {
		n.walking, n.target = false, target
	}
	return end, target, end != nil
}

// directories plans the entries for directories that have none where they are needed.
func (l *learner) directories() {
	linked := map[key]bool{} // may be meant as files
	for _, x := range l.links {
		linked[x.target] = true
	}
	for _, root := range []string{layer.RootFiles, layer.RootHives} {
		n := l.nodes[l.keyOf(root)]
		wanted := root == layer.RootFiles || l.opts.HasParents || !l.opts.Base && !l.hasSAM
		if wanted && (n == nil || n.entries == 0) && !linked[l.keyOf(root)] {
			l.first = append(l.first, root)
		}
	}
	// The uppermost come first.
	slices.SortStableFunc(l.implied, func(a, b string) int { return len(a) - len(b) })
	whole := map[key]bool{}
	for _, dir := range l.implied {
		k := l.keyOf(dir)
		if l.nodes[k].entries > 0 || l.isFirst(dir) || linked[k] || !l.wholeAbove(dir, whole) {
			continue
		}
		l.parents[k] = &layer.Entry{Path: dir, Kind: layer.Dir, Attributes: winfs.AttrDirectory}
		l.missing = append(l.missing, dir)
	}
}

// isFirst reports whether a path is that of a root that is added.
func (l *learner) isFirst(path string) bool {
	return slices.ContainsFunc(l.first, func(r string) bool { return winfs.EqualFold(r, path) })
}

// wholeAbove reports whether each directory above a path is one in the layer or is added.
// known has what is known of the directories above; later additions do not change it,
// because the uppermost come first.
func (l *learner) wholeAbove(path string, known map[key]bool) bool {
	dir, _ := winfs.SplitPath(path)
	if dir == "" {
		return true
	}
	k := l.keyOf(dir)
	whole, ok := known[k]
	if !ok {
		n := l.nodes[k]
		_, added := l.parents[k]
		whole = (n != nil && n.entries > 0 && n.kind == layer.Dir || added || l.isFirst(dir)) && l.wholeAbove(dir, known)
		known[k] = whole
	}
	return whole
}
