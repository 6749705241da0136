package layerdir

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// ParentFile is the result of a look-up in a parent: a file in an open directory, or none.
// Without a file, hidden reports whether the layer hides the file of the layers below it.
type ParentFile struct {
	Dir    hostfs.Directory
	Name   string
	Hidden bool
}

// linkEntry is a hard link that is made at Commit, when everything that it may
// name is there.
type linkEntry struct {
	id     NodeID
	target string
	own    bool   // something of this layer was at target before the link
	root   NodeID // the name in this layer that has the file: its entry, or the first link to a parent's file
	state  linkState
}

type linkState uint8

const (
	linkPending linkState = iota
	linkFollowed
	linkMade
)

// AddLink records a hard link, which MakeLinks makes at the end.
func (w *Writer) AddLink(e *layer.Entry) error {
	_, id, err := w.Locate(e.Path, layer.Link)
	if err != nil {
		return err
	}
	if _, err := w.HostNameFor(id); err != nil {
		return err
	}
	l := linkEntry{id: id, target: strings.Clone(e.Target)}
	if to, ok := w.Tree.FindPath(e.Target); ok {
		l.own = to == id || w.Tree.At(to).Flags&NodeOwn != 0
	}
	n := w.Tree.At(id)
	n.Flags |= NodeLink | NodeOwn
	n.Value = int64(len(w.links))
	w.links = append(w.links, l)
	rec, err := w.Metadata.begin(e)
	if err != nil {
		return err
	}
	return w.Metadata.Index.Item(itemLink, e.Path, e.Target, rec.append(nil))
}

// MakeLinks makes all hard links. A target is looked for among the entries of this layer
// before the link, then in the parents from the top down, then among the entries after it,
// as if the links were made while the layer was read.
func (w *Writer) MakeLinks() error {
	if err := w.Handles.Truncate(0); err != nil {
		return err
	}
	marked := make(map[NodeID]bool)
	for i := range w.links {
		err := w.makeLink(i)
		if root := w.links[i].root; err == nil && w.Metadata.Xattr && !marked[root] {
			marked[root] = true
			err = w.markTarget(root)
		}
		if err != nil {
			l := &w.links[i]
			return &layer.Error{Op: "link", Entry: w.Tree.Path(l.id), Offset: -1,
				Err: fmt.Errorf("to %q: %w", l.target, err)}
		}
	}
	return nil
}

// markTarget marks the file of a group of links as an entry of this layer, so that the
// reader returns the links after it. The index has the mark already if it holds the
// records or the entry is marked.
func (w *Writer) markTarget(root NodeID) error {
	f := w.Tree.At(root).Flags
	path := w.Tree.Path(root)
	if f&NodeOwn == 0 || f&NodeLink != 0 || w.Cloned && InUtility(path) {
		return nil
	}
	return w.Metadata.Index.Item(ItemOwn, path, "", nil)
}

// makeLink makes a link after those that it depends on. Each is visited once.
func (w *Writer) makeLink(i int) error {
	var chain []int
	for w.links[i].state == linkPending {
		w.links[i].state = linkFollowed
		chain = append(chain, i)
		id, ok := w.Tree.FindPath(w.links[i].target)
		if !ok || w.Tree.At(id).Flags&NodeLink == 0 {
			break
		}
		if !w.links[i].own {
			if found, err := w.fileBelow(w.links[i].target); err != nil {
				return err
			} else if found.Dir != nil {
				break
			}
		}
		i = int(w.Tree.At(id).Value)
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
		w.Tree.At(l.id).Flags |= NodeHost
	}
	return nil
}

// materialise makes a link whose target, if it is in this layer, is there.
func (w *Writer) materialise(l *linkEntry) error {
	if id, ok := w.Tree.FindPath(l.target); ok {
		if n := w.Tree.At(id); !l.own && n.Flags&NodeOwn != 0 {
			found, err := w.fileBelow(l.target)
			if err != nil {
				return err
			}
			if found.Dir != nil {
				l.root = l.id
				if err := w.Metadata.Index.Item(itemBelow, w.Tree.Path(l.id), "", nil); err != nil {
					return err
				}
				return w.linkBelow(l, found)
			}
		}
		n := w.Tree.At(id)
		switch {
		case n.Flags&NodeDir != 0 && n.Flags&NodeHost != 0:
			return fmt.Errorf("%w: it is a directory", layer.ErrLinkTarget)
		case n.Flags&NodeLink != 0:
			l.root = w.links[n.Value].root
			return w.linkInside(l)
		case n.Flags&NodeHost != 0:
			l.root = id
			return w.linkInside(l)
		}
	}
	l.root = l.id
	if w.Cloned && winfs.Under(l.target, UtilityFiles) {
		return fmt.Errorf("%w: no such file", layer.ErrLinkTarget) // the parent's are all here
	}
	found, err := w.form.FindBelow(l.target)
	if err != nil {
		return err
	}
	if found.Dir == nil {
		return fmt.Errorf("%w: no such file here or in %d parents", layer.ErrLinkTarget, w.form.Lower())
	}
	return w.linkBelow(l, found)
}

// fileBelow is findBelow where this layer has something at the target: a directory of the
// parents is no obstacle then.
func (w *Writer) fileBelow(target string) (ParentFile, error) {
	found, err := w.form.FindBelow(target)
	if errors.Is(err, layer.ErrLinkTarget) {
		return ParentFile{}, nil
	}
	return found, err
}

// linkBelow makes a further name of a parent's file.
func (w *Writer) linkBelow(l *linkEntry, found ParentFile) error {
	to, name, err := w.DirectoryOf(l.id)
	if err != nil {
		return err
	}
	return hostfs.LinkOrCopy(found.Dir, found.Name, to, name)
}

// linkInside links to a file of this layer, or to the copy that replaced it when it had
// the most names that NTFS allows.
func (w *Writer) linkInside(l *linkEntry) error {
	rep := l.root
	if r, ok := w.reps[rep]; ok {
		rep = r
	}
	from, err := w.Source.Open(w, w.Tree.At(rep).Parent)
	if err != nil {
		return err
	}
	to, name, err := w.DirectoryOf(l.id)
	if err != nil {
		return err
	}
	n := w.Tree.At(rep)
	if n.links < hostfs.MaxLinks {
		err := to.Link(from, w.HostName(rep), name)
		if err == nil {
			n.links++
			return nil
		}
		if !hostfs.LinkRefused(err) {
			return err
		}
	}
	if w.reps == nil {
		w.reps = make(map[NodeID]NodeID)
	}
	w.reps[l.root] = l.id
	return hostfs.CopyFile(from, w.HostName(rep), to, name)
}

// DirectoryOf returns the open directory of a node and its name on the host.
func (w *Writer) DirectoryOf(id NodeID) (hostfs.Directory, string, error) {
	d, err := w.GoTo(w.Tree.At(id).Parent)
	return d, w.HostName(id), err
}

// GoTo moves the open handles to a directory.
func (w *Writer) GoTo(id NodeID) (hostfs.Directory, error) {
	if d := w.Handles.Depth(); d > 0 && w.Handles.frames[d-1].id == id {
		return w.Handles.Dir(d)
	}
	var way []NodeID
	for i := id; i != 0; i = w.Tree.At(i).Parent {
		way = append(way, i)
	}
	slices.Reverse(way)
	same := 0
	for same < len(way) && same < w.Handles.Depth() && w.Handles.frames[same].id == way[same] {
		same++
	}
	if err := w.Handles.Truncate(same); err != nil {
		return nil, err
	}
	for _, i := range way[same:] {
		w.Handles.Push(i, w.HostName(i))
	}
	return w.Handles.Dir(len(way))
}

// sourceDirectory is a second open directory of the layer, from which links are
// made while the first is at the link.
type sourceDirectory struct {
	id  NodeID
	dir hostfs.Directory
}

func (s *sourceDirectory) Open(w *Writer, id NodeID) (hostfs.Directory, error) {
	if s.dir != nil && s.id == id {
		return s.dir, nil
	}
	if err := s.close(); err != nil {
		return nil, err
	}
	d, err := w.GoTo(id)
	if err != nil {
		return nil, err
	}
	if s.dir, err = d.Enter("."); err != nil {
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
	return d.Close()
}
