package wclayer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// parentFile is the answer to a look-up: a file in an open directory, or nothing,
// and then perhaps the news that the layer hides what those below it have.
type parentFile struct {
	dir    directory
	name   string
	hidden bool
}

// linkEntry is a hard link that is made at Commit, when everything that it may
// name is there.
type linkEntry struct {
	id     nodeID
	target string
	own    bool   // something of this layer was at target before the link
	root   nodeID // the name in this layer that has the file: its entry, or the first link to a parent's file
	state  linkState
}

type linkState uint8

const (
	linkPending linkState = iota
	linkFollowed
	linkMade
)

func (w *treeWriter) addLink(e *layer.Entry) error {
	_, id, err := w.locate(e.Path, layer.Link)
	if err != nil {
		return err
	}
	if _, err := w.hostNameFor(id); err != nil {
		return err
	}
	l := linkEntry{id: id, target: strings.Clone(e.Target)}
	if to, ok := w.tree.findPath(e.Target); ok {
		l.own = to == id || w.tree.at(to).flags&nodeOwn != 0
	}
	n := w.tree.at(id)
	n.flags |= nodeLink | nodeOwn
	n.value = int64(len(w.links))
	w.links = append(w.links, l)
	rec, err := w.keep.begin(e)
	if err != nil {
		return err
	}
	return w.keep.index.item(itemLink, e.Path, e.Target, rec.append(nil))
}

// makeLinks makes all hard links. A target is looked for among the entries of this layer
// before the link, then in the parents from the top down, then among the entries after it,
// as if the links were made while the layer was read.
func (w *treeWriter) makeLinks() error {
	if err := w.h.truncate(0); err != nil {
		return err
	}
	marked := make(map[nodeID]bool)
	for i := range w.links {
		err := w.makeLink(i)
		if root := w.links[i].root; err == nil && w.keep.xattr && !marked[root] {
			marked[root] = true
			err = w.markTarget(root)
		}
		if err != nil {
			l := &w.links[i]
			return &layer.Error{Op: "link", Entry: w.tree.path(l.id), Offset: -1,
				Err: fmt.Errorf("to %q: %w", l.target, err)}
		}
	}
	return nil
}

// markTarget tells the reader that the file of a group of links is an entry of
// this layer, so that it returns the links after it. Where records are in the
// index, or the entry is marked already, it knows.
func (w *treeWriter) markTarget(root nodeID) error {
	f := w.tree.at(root).flags
	path := w.tree.path(root)
	if f&nodeOwn == 0 || f&nodeLink != 0 || w.cloned && inUtility(path) {
		return nil
	}
	return w.keep.index.item(itemOwn, path, "", nil)
}

// makeLink makes a link after those that it depends on. Each is visited once.
func (w *treeWriter) makeLink(i int) error {
	var chain []int
	for w.links[i].state == linkPending {
		w.links[i].state = linkFollowed
		chain = append(chain, i)
		id, ok := w.tree.findPath(w.links[i].target)
		if !ok || w.tree.at(id).flags&nodeLink == 0 {
			break
		}
		if !w.links[i].own {
			if found, err := w.fileBelow(w.links[i].target); err != nil {
				return err
			} else if found.dir != nil {
				break
			}
		}
		i = int(w.tree.at(id).value)
		if w.links[i].state == linkFollowed {
			return fmt.Errorf("%w: %w", layer.ErrLinkTarget, ErrLinkCycle)
		}
	}
	for k := len(chain) - 1; k >= 0; k-- {
		l := &w.links[chain[k]]
		if err := w.materialise(l); err != nil {
			return err
		}
		l.state = linkMade
		w.tree.at(l.id).flags |= nodeHost
	}
	return nil
}

// materialise makes a link whose target, if it is in this layer, is there.
func (w *treeWriter) materialise(l *linkEntry) error {
	if id, ok := w.tree.findPath(l.target); ok {
		if n := w.tree.at(id); !l.own && n.flags&nodeOwn != 0 {
			found, err := w.fileBelow(l.target)
			if err != nil {
				return err
			}
			if found.dir != nil {
				l.root = l.id
				if err := w.keep.index.item(itemBelow, w.tree.path(l.id), "", nil); err != nil {
					return err
				}
				return w.linkBelow(l, found)
			}
		}
		n := w.tree.at(id)
		switch {
		case n.flags&nodeDir != 0 && n.flags&nodeHost != 0:
			return fmt.Errorf("%w: it is a directory", layer.ErrLinkTarget)
		case n.flags&nodeLink != 0:
			l.root = w.links[n.value].root
			return w.linkInside(l)
		case n.flags&nodeHost != 0:
			l.root = id
			return w.linkInside(l)
		}
	}
	l.root = l.id
	if w.cloned && winfs.Under(l.target, utilityFiles) {
		return fmt.Errorf("%w: no such file", layer.ErrLinkTarget) // the parent's are all here
	}
	found, err := w.form.findBelow(l.target)
	if err != nil {
		return err
	}
	if found.dir == nil {
		return fmt.Errorf("%w: no such file here or in %d parents", layer.ErrLinkTarget, w.form.lower())
	}
	return w.linkBelow(l, found)
}

// fileBelow is findBelow where this layer has something at the target: a directory of the
// parents is no obstacle then.
func (w *treeWriter) fileBelow(target string) (parentFile, error) {
	found, err := w.form.findBelow(target)
	if errors.Is(err, layer.ErrLinkTarget) {
		return parentFile{}, nil
	}
	return found, err
}

// linkBelow makes a further name of a parent's file.
func (w *treeWriter) linkBelow(l *linkEntry, found parentFile) error {
	to, name, err := w.directoryOf(l.id)
	if err != nil {
		return err
	}
	return linkOrCopy(found.dir, found.name, to, name)
}

// linkInside links to a file of this layer, or to the copy that has taken its
// place after it had all the names that NTFS gives a file.
func (w *treeWriter) linkInside(l *linkEntry) error {
	rep := l.root
	if r, ok := w.reps[rep]; ok {
		rep = r
	}
	from, err := w.source.open(w, w.tree.at(rep).parent)
	if err != nil {
		return err
	}
	to, name, err := w.directoryOf(l.id)
	if err != nil {
		return err
	}
	n := w.tree.at(rep)
	if n.links < maxLinks {
		err := to.link(from, w.hostName(rep), name)
		if err == nil {
			n.links++
			return nil
		}
		if !linkRefused(err) {
			return err
		}
	}
	if w.reps == nil {
		w.reps = make(map[nodeID]nodeID)
	}
	w.reps[l.root] = l.id
	return copyFile(from, w.hostName(rep), to, name)
}

// directoryOf returns the open directory of a node and its name on the host.
func (w *treeWriter) directoryOf(id nodeID) (directory, string, error) {
	d, err := w.goTo(w.tree.at(id).parent)
	return d, w.hostName(id), err
}

// goTo moves the open handles to a directory.
func (w *treeWriter) goTo(id nodeID) (directory, error) {
	if d := w.h.depth(); d > 0 && w.h.frames[d-1].id == id {
		return w.h.dir(d)
	}
	var way []nodeID
	for i := id; i != 0; i = w.tree.at(i).parent {
		way = append(way, i)
	}
	slices.Reverse(way)
	same := 0
	for same < len(way) && same < w.h.depth() && w.h.frames[same].id == way[same] {
		same++
	}
	if err := w.h.truncate(same); err != nil {
		return nil, err
	}
	for _, i := range way[same:] {
		w.h.push(i, w.hostName(i))
	}
	return w.h.dir(len(way))
}

// sourceDirectory is a second open directory of the layer, from which links are
// made while the first is at the link.
type sourceDirectory struct {
	id  nodeID
	dir directory
}

func (s *sourceDirectory) open(w *treeWriter, id nodeID) (directory, error) {
	if s.dir != nil && s.id == id {
		return s.dir, nil
	}
	if err := s.close(); err != nil {
		return nil, err
	}
	d, err := w.goTo(id)
	if err != nil {
		return nil, err
	}
	if s.dir, err = d.enter("."); err != nil {
		return nil, err
	}
	s.id = id
	return s.dir, nil
}

func (s *sourceDirectory) close() error {
	if s.dir == nil {
		return nil
	}
	d := s.dir
	s.dir = nil
	return d.close()
}
