package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mullion/mullion/internal/filelock"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/winfs"
)

// Options are the options of Open. The zero value, or nil, is right outside of tests.
type Options struct {
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// KeepJournal disables rewriting the journal.
	KeepJournal bool
}

// Tree is a writable tree. Its methods may be called from several goroutines at
// once.
//
// Objects are addressed by number. A number is valid from the call that returned an [Info]
// with it until there were as many calls of [Tree.Forget] as there were such calls; the
// root's number is always valid.
type Tree struct {
	lower Lower
	opt   Options
	root  uint64
	dir   string

	mu      sync.RWMutex
	objects map[uint64]*object
	nextID  uint64
	nextN   uint64 // of data files
	journal *journal
	disk    *os.Root // the directory
	data    *os.Root // data/
	lock    *os.File
	closed  bool
	settled bool      // the journal was replayed
	idle    []*object // directories that lost the last of the objects placed in them, to be dropped between operations
	ops     int       // in the journal
}

const (
	dataName = "data"
	lockName = "lock"
	// maxNumber bounds the numbers of objects and data files, so that incrementing them
	// never overflows.
	maxNumber = 1 << 61
	// compactOps is the number of operations from which rewriting a journal is worthwhile.
	compactOps = 4096
)

// Open opens the writable tree in the directory dir, over lower, which must stay open. dir
// is created if it does not exist. It belongs to the tree alone, and to one process at a
// time; the error for another is ErrBusy. A journal that was created for another lower tree
// is ErrOtherLower. The caller closes the tree.
func Open(dir string, lower Lower, opts *Options) (*Tree, error) {
	t := &Tree{lower: lower, dir: dir, objects: map[uint64]*object{}, nextID: firstNew, nextN: 1}
	if opts != nil {
		t.opt = *opts
	}
	if t.opt.Now == nil {
		t.opt.Now = time.Now
	}
	if err := t.open(); err != nil {
		t.release()
		return nil, &Error{"open", dir, err}
	}
	return t, nil
}

func (t *Tree) open() error {
	root, err := t.lower.Root()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	if t.disk, err = os.OpenRoot(t.dir); err != nil {
		return err
	}
	if t.lock, err = t.disk.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if ok, err := filelock.Try(t.lock); err != nil {
		return err
	} else if !ok {
		return ErrBusy
	}
	// A journal that is complete is not written again for what was left beside it.
	if err := publish.Sweep(t.disk, publish.Options{}); err != nil {
		return err
	}
	if err := t.disk.Mkdir(dataName, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if t.data, err = t.disk.OpenRoot(dataName); err != nil {
		return err
	}
	o, err := t.enter(root)
	if err != nil {
		return err
	}
	t.root, o.adopted = o.id, true
	if err := t.replay(); err != nil {
		return err
	}
	if err := t.settle(); err != nil {
		return err
	}
	return t.compact()
}

// replay applies the journal and opens it for appending.
func (t *Tree) replay() error {
	f, err := t.disk.OpenFile(journalName, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		t.journal, err = createJournal(t.disk, [][]op{{{code: opLower, name: t.lower.Identity()}}})
		return err
	}
	if err != nil {
		return err
	}
	t.journal = &journal{f: f}
	size, err := readJournal(f, func(payload []byte) error {
		d := decoder{b: payload}
		var o op
		for d.next(&o) {
			if err := t.replayOp(&o); err != nil {
				return err
			}
		}
		if d.bad {
			return corrupt("operation %d cannot be read", t.ops)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if t.ops == 0 {
		// The process that created it was killed before the first record was complete.
		f.Close()
		t.journal, err = createJournal(t.disk, [][]op{{{code: opLower, name: t.lower.Identity()}}})
		return err
	}
	t.journal.size = size
	return f.Truncate(size)
}

func (t *Tree) replayOp(o *op) error {
	if first := t.ops == 0; first != (o.code == opLower) {
		return corrupt("operation %d has code %d", t.ops, o.code)
	}
	t.ops++
	if o.code == opLower {
		if o.name != t.lower.Identity() {
			return fmt.Errorf("%w: %q instead of %q", ErrOtherLower, o.name, t.lower.Identity())
		}
		return nil
	}
	if o.code == opName {
		if err := t.checkName(o); err != nil {
			return err
		}
	}
	return t.apply(o)
}

// checkName refuses an operation with a wrong previous object of the name. The number of
// names of an object, and the rule that a directory has one, depend on it.
func (t *Tree) checkName(p *op) error {
	d, err := t.dirObject(p.dir)
	if err != nil {
		return err
	}
	r, ok := d.names[winfs.Fold(p.name)]
	if !ok && d.lower != nil {
		switch c, err := d.lower.Child(p.name); {
		case err == nil:
			r.id, r.below = c.ID(), c.ID()
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	// An object that was forgotten, since only its old name ever changed, is not counted
	// either.
	forgotten := p.n == 0 && t.objects[r.id] == nil
	if p.n != r.id && !forgotten || p.below != r.below {
		return corrupt("name %q in %d meant %d over %d, not %d over %d", p.name, p.dir, r.id, r.below, p.n, p.below)
	}
	return nil
}

// dirObject returns the directory of an operation.
func (t *Tree) dirObject(id uint64) (*object, error) {
	o := t.objects[id]
	if o == nil || !o.dir {
		return nil, corrupt("object %d is no known directory", id)
	}
	return o, nil
}

// apply changes the state in memory according to an operation. An operation that a running
// tree has made cannot fail here.
func (t *Tree) apply(p *op) error {
	switch p.code {
	case opNew:
		if p.id < firstNew || p.id > maxNumber || t.objects[p.id] != nil || p.n > 1 {
			return corrupt("object %d cannot be new", p.id)
		}
		t.objects[p.id] = &object{id: p.id, dir: p.n == 1, adopted: true}
		t.nextID = max(t.nextID, p.id+1)
		return nil
	case opAdopt:
		o, err := t.load(p.id)
		if err != nil {
			return corrupt("object %d of the lower tree: %v", p.id, err)
		}
		o.adopted = true
		if p.dir != 0 {
			if _, err := t.dirObject(p.dir); err != nil {
				return err
			}
			t.setPlace(o, p.dir, p.name)
		}
		return nil
	case opName:
		return t.applyName(p)
	}
	o := t.objects[p.id]
	if o == nil {
		return corrupt("object %d is not known", p.id)
	}
	switch p.code {
	case opSet:
		o.over.merge(&p.set)
		if p.set.mask&setTimes != 0 {
			o.dirty = false
		}
	case opDirty:
		o.dirty = true
	case opData:
		return t.applyData(o, p)
	}
	return nil
}

func (t *Tree) applyName(p *op) error {
	d, err := t.dirObject(p.dir)
	if err != nil {
		return err
	}
	now, was := t.objects[p.id], t.objects[p.n]
	if p.id != 0 && now == nil || p.n != 0 && was == nil || p.name == "" {
		return corrupt("name %q in %d of objects %d and %d that are not known", p.name, p.dir, p.id, p.n)
	}
	key := winfs.Fold(p.name)
	if was != nil {
		was.delta--
		if was.place.dir == d.id && winfs.Fold(was.place.name) == key {
			t.setPlace(was, 0, "")
		}
	}
	if now != nil {
		now.delta++
		t.setPlace(now, d.id, p.name)
	}
	if p.id == 0 && p.below == 0 {
		delete(d.names, key)
		return nil
	}
	if d.names == nil {
		d.names = map[string]nameRef{}
	}
	d.names[key] = nameRef{p.name, p.id, p.below}
	return nil
}

func (t *Tree) applyData(o *object, p *op) error {
	var c *content
	if p.n > maxNumber {
		return corrupt("data file %d", p.n)
	}
	if p.n != 0 {
		c = t.contentOf(p.n)
		t.nextN = max(t.nextN, p.n+1)
	}
	if p.name == "" {
		if o.dir || c == nil {
			return corrupt("object %d has no main stream", o.id)
		}
		t.discard(o.main)
		o.main = c
		return nil
	}
	if o.streams == nil {
		o.streams = map[string]*altered{}
	}
	key := winfs.Fold(p.name)
	if a := o.streams[key]; a != nil {
		t.discard(a.data)
	}
	o.streams[key] = &altered{p.name, c}
	return nil
}

// commit writes operations as one record and applies them.
func (t *Tree) commit(ops []op) error {
	if t.closed {
		return ErrClosed
	}
	if err := t.journal.write(ops); err != nil {
		return err
	}
	for i := range ops {
		if err := t.apply(&ops[i]); err != nil {
			t.journal.broken = true
			return err
		}
	}
	t.ops += len(ops)
	for _, d := range t.idle {
		t.drop(d)
	}
	t.idle = t.idle[:0]
	return nil
}

// settle checks the result of a journal, a tree without cycles with all its content, and
// drops everything that is not needed.
func (t *Tree) settle() error {
	t.settled = true
	for _, o := range t.objects {
		if err := t.checkPlace(o); err != nil {
			return err
		}
		// Each has one name, and none of these is the root's, so a directory in a cycle
		// cannot be reached.
		if o.dir && o.base+o.delta > 1 {
			return corrupt("directory %d has %d names", o.id, o.base+o.delta)
		}
	}
	used := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(t.objects)) {
		o := t.objects[id]
		if o == nil {
			continue
		}
		t.drop(o)
		if t.objects[id] == nil {
			continue
		}
		if o.main != nil {
			used[dataFile(o.main.n)] = true
			if err := t.measure(o); err != nil {
				return err
			}
		}
		for _, a := range o.streams {
			if a.data == nil {
				continue
			}
			used[dataFile(a.data.n)] = true
			if st, err := t.data.Stat(dataFile(a.data.n)); err == nil {
				a.data.size.Store(st.Size())
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	d, err := t.data.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	list, err := d.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range list {
		if n, err := strconv.ParseUint(e.Name(), 10, 63); err == nil {
			t.nextN = max(t.nextN, n+1)
		}
		if !used[e.Name()] {
			if err := t.data.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPlace refuses directories that are inside themselves.
func (t *Tree) checkPlace(o *object) error {
	for n := 0; o.id != t.root; n++ {
		up := t.objects[o.place.dir]
		if o.place.dir == 0 || up == nil {
			return nil // without a name, or below such a directory
		}
		if n > len(t.objects) {
			return corrupt("directory %d is below itself", o.id)
		}
		o = up
	}
	return nil
}

// measure sets the size of a main stream to that of its data file, and its time if that was
// not recorded. Data lost in a power failure counts as empty.
func (t *Tree) measure(o *object) error {
	st, err := t.data.Stat(dataFile(o.main.n))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	o.main.size.Store(st.Size())
	if !o.dirty {
		return nil
	}
	o.dirty = false
	at, err := winfs.FiletimeFromTime(st.ModTime())
	if err != nil {
		return nil
	}
	times := o.times()
	times.LastWrite, times.Change = at, max(at, times.Change)
	return t.commit([]op{{code: opSet, id: o.id, set: overrides{mask: setTimes, times: times}}})
}

// compact rewrites the journal when most of it is obsolete.
func (t *Tree) compact() error {
	if t.opt.KeepJournal || t.ops < compactOps {
		return nil
	}
	records := t.snapshot()
	n := 0
	for _, r := range records {
		n += len(r)
	}
	if n > t.ops/2 {
		return nil
	}
	if err := t.journal.f.Close(); err != nil {
		return err
	}
	j, err := createJournal(t.disk, records)
	if err != nil {
		return err
	}
	t.journal, t.ops = j, n
	return nil
}

// snapshot returns operations that produce the current tree.
func (t *Tree) snapshot() [][]op {
	records := [][]op{{{code: opLower, name: t.lower.Identity()}}}
	ids := slices.Sorted(maps.Keys(t.objects))
	add := func(o op) { records = append(records, []op{o}) }
	for _, id := range ids {
		switch o := t.objects[id]; {
		case o.lower == nil:
			kind := uint64(0)
			if o.dir {
				kind = 1
			}
			add(op{code: opNew, id: id, n: kind})
		case o.adopted && id != t.root:
			add(op{code: opAdopt, id: id})
		}
	}
	for _, id := range ids {
		o := t.objects[id]
		if !o.adopted {
			continue
		}
		// In the place of the lower tree, unless a name below overrides it.
		if up := t.objects[o.place.dir]; o.lower != nil && up != nil && up.adopted {
			if r, ok := up.names[winfs.Fold(o.place.name)]; !ok || r.id != id {
				add(op{code: opAdopt, id: id, dir: up.id, name: o.place.name})
			}
		}
		if o.over.mask != 0 {
			add(op{code: opSet, id: id, set: o.over})
		}
		if o.main != nil {
			add(op{code: opData, id: id, n: o.main.n})
		}
		for _, key := range slices.Sorted(maps.Keys(o.streams)) {
			a := o.streams[key]
			p := op{code: opData, id: id, name: a.name}
			if a.data != nil {
				p.n = a.data.n
			}
			add(p)
		}
		if o.dirty {
			add(op{code: opDirty, id: id})
		}
	}
	for _, id := range ids {
		d := t.objects[id]
		for _, key := range slices.Sorted(maps.Keys(d.names)) {
			r := d.names[key]
			// The number of names of the lower object is reduced if it is known; otherwise
			// it is not used.
			was := r.below
			if t.objects[was] == nil || !t.objects[was].adopted {
				was = 0
			}
			add(op{code: opName, dir: id, name: r.name, id: r.id, n: was, below: r.below})
		}
	}
	return records
}

// Root returns the number of the root directory.
func (t *Tree) Root() uint64 { return t.root }

// Empty reports whether nothing was changed.
func (t *Tree) Empty() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, o := range t.objects {
		if o.links() > 0 && (o.changed() || len(o.names) > 0) {
			return false
		}
	}
	return true
}

// Usage returns the bytes and the number of files that the changes use on disk.
func (t *Tree) Usage() (bytes, files int64, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return 0, 0, &Error{"usage", "", ErrClosed}
	}
	err = fs.WalkDir(t.disk.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files++
		bytes += allocated(st)
		return nil
	})
	if err != nil {
		err = &Error{"usage", "", err}
	}
	return bytes, files, err
}

// Sync makes all completed operations durable.
func (t *Tree) Sync() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.syncAll(); err != nil {
		return &Error{"sync", "", err}
	}
	return nil
}

func (t *Tree) syncAll() error {
	if t.closed {
		return ErrClosed
	}
	for _, id := range slices.Sorted(maps.Keys(t.objects)) {
		o := t.objects[id]
		if err := t.recordTimes(o); err != nil {
			return err
		}
		if o.main != nil {
			if err := t.syncContent(o.main); err != nil {
				return err
			}
		}
		for _, a := range o.streams {
			if a.data != nil {
				if err := t.syncContent(a.data); err != nil {
					return err
				}
			}
		}
	}
	if err := publish.SyncDir(t.data); err != nil {
		return err
	}
	return t.journal.sync()
}

// Close records pending changes and releases everything. It does not sync. Open handles
// cannot be used any more.
func (t *Tree) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(t.objects)) {
		errs = append(errs, t.recordTimes(t.objects[id]))
	}
	t.closed = true
	if err := errors.Join(append(errs, t.release())...); err != nil {
		return &Error{"close", t.dir, err}
	}
	return nil
}

// release closes the files.
func (t *Tree) release() error {
	var errs []error
	for _, o := range t.objects {
		for _, c := range o.contents() {
			if c.file != nil {
				errs = append(errs, c.file.Close())
				c.file = nil
			}
		}
	}
	if t.journal != nil {
		errs = append(errs, t.journal.f.Close())
	}
	for _, r := range []*os.Root{t.data, t.disk} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	if t.lock != nil {
		errs = append(errs, t.lock.Close())
	}
	return errors.Join(errs...)
}

func (t *Tree) now() winfs.Filetime {
	f, err := winfs.FiletimeFromTime(t.opt.Now())
	if err != nil {
		return 0
	}
	return f
}

// Dir returns the directory of the tree.
func (t *Tree) Dir() string { return t.dir }

// SyncNames makes changes to names and metadata durable.
func (t *Tree) SyncNames() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	return t.journal.sync()
}
