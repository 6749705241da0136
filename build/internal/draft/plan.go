package draft

import (
	"slices"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// planned is an entry of the layer.
type planned struct {
	path   string
	target string
	o      *object // nil: a directory as below, or a whiteout
	up     int32   // the directory that it is in, -1 for the root
	kind   layer.Kind
	same   bool // a file under a name that it has below, too
	keep   bool
}

// plan lists the changes: each directory before its content, in which whiteouts come first
// and then names in the order of NTFS. Directories that only lead to changes are listed, too.
// The first name of a file is the file and the others are links to it; a new name of a file
// that is otherwise as below, where it keeps a name, is a link to that name.
func (d *Draft) plan() ([]planned, error) {
	p := planner{d: d}
	if err := p.dir(place{n: d.root, low: true}, true, -1); err != nil {
		return nil, err
	}
	p.files()
	for i := len(p.list) - 1; i >= 0; i-- {
		if e := &p.list[i]; e.keep && e.up >= 0 {
			p.list[e.up].keep = true
		}
	}
	return slices.DeleteFunc(p.list, func(e planned) bool { return !e.keep }), nil
}

type planner struct {
	d    *Draft
	list []planned
}

// dir plans the content of a directory. under says that the lower tree has a directory there,
// whose content a reader of the layer sees unless the layer hides it.
func (p *planner) dir(at place, under bool, up int32) error {
	shown := at.low && !at.n.opaque
	kids := at.sorted()
	hide := func(path string) error {
		e := planned{path: path, kind: layer.Whiteout, up: up, keep: true}
		if err := layer.CheckPlace(&layer.Entry{Path: path, Kind: layer.Whiteout}); err != nil {
			return fail("whiteout", path, err)
		}
		p.list = append(p.list, e)
		return nil
	}
	if shown {
		for _, k := range kids {
			if k.gone {
				if err := hide(winfs.JoinPath(at.path, k.name)); err != nil {
					return err
				}
			}
		}
	} else if under {
		for it, err := range p.d.lower.Children(at.path) {
			if err != nil {
				return err
			}
			_, name := winfs.SplitPath(it.Path)
			if k := at.n.kids[winfs.Fold(name)]; k == nil || k.gone {
				if err := hide(it.Path); err != nil {
					return err
				}
			}
		}
	}
	for _, k := range kids {
		if k.gone {
			continue
		}
		q := at.step(k.name)
		e := planned{path: q.path, kind: layer.Dir, o: k.o, up: up}
		if k.o != nil && k.o.entry.Kind == layer.File {
			e.kind = layer.File
			e.same = shown && k.o.below[winfs.Fold(q.path)] == q.path
			p.list = append(p.list, e)
			continue
		}
		e.keep = k.o != nil && k.o.changed
		p.list = append(p.list, e)
		if k.o != nil && IsLink(&k.o.entry) {
			continue
		}
		below := under
		if below && k.o != nil {
			it, err := p.d.lower.Lookup(q.path)
			if err != nil && !isNotExist(err) {
				return err
			}
			below = err == nil && it.Kind == layer.Dir && !IsLink(&it.Entry)
		}
		if err := p.dir(q, below, int32(len(p.list)-1)); err != nil {
			return err
		}
	}
	return nil
}

// files decides for each name of a file whether it is the file, a link, or omitted.
func (p *planner) files() {
	first := map[*object]int{} // of files with several names: the one that is the file
	for i := range p.list {
		e := &p.list[i]
		if e.kind != layer.File {
			continue
		}
		if len(e.o.names) == 1 {
			e.keep = e.o.changed || !e.same
			continue
		}
		if at, ok := first[e.o]; !ok || e.same && !e.o.changed && !p.list[at].same {
			first[e.o] = i
		}
	}
	for i := range p.list {
		e := &p.list[i]
		if e.kind != layer.File || len(e.o.names) == 1 {
			continue
		}
		at := first[e.o]
		switch f := &p.list[at]; {
		case f.same && !e.o.changed && e.same:
			// As below.
		case i == at:
			e.keep = true
		default:
			e.keep, e.kind, e.target = true, layer.Link, f.path
		}
	}
}

// Layer returns the changes as a layer in canonical order, without any if the draft is
// [Draft.Empty]: the directories Files and Hives, which a layer must have, and then as
// planned. The directories that lead to changes have the metadata and streams that they have
// in the tree below; one without a descriptor or times there gets the descriptor that it
// inherits, and the time Options.Now. A directory that was removed and made again has
// whiteouts for the content of the lower one, so that a layer never has a whiteout and an
// entry for one path.
//
// The draft must not be changed before the reader is closed. The caller closes it.
func (d *Draft) Layer() (layer.Reader, error) {
	list, err := d.plan()
	if err != nil {
		return nil, fail("read draft", "", err)
	}
	if len(list) > 0 {
		i := 0
		for _, root := range []string{layer.RootFiles, layer.RootHives} {
			if i == len(list) || list[i].path != root {
				e := planned{path: root, kind: layer.Dir}
				if _, err := d.lower.Lookup(root); isNotExist(err) {
					e.o = &object{entry: layer.Entry{Kind: layer.Dir, Attributes: winfs.AttrDirectory, Times: d.times(winfs.Times{})}}
					if isDrive(root) {
						e.o.entry.Security = winsec.BuilderDirectory()
					}
				} else if err != nil {
					return nil, err
				}
				list = slices.Insert(list, i, e)
			}
			for i++; i < len(list) && winfs.Under(list[i].path, root); i++ {
			}
		}
	}
	return &reader{d: d, list: list}, nil
}
