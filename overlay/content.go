package overlay

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/internal/zeros"
	"github.com/mullion/mullion/winfs"
)

// MaxStream is the largest stream that NTFS holds, and the limit of writing and truncating.
const MaxStream = 1<<44 - 1<<16

func dataFile(n uint64) string { return strconv.FormatUint(n, 10) }

func (t *Tree) contentOf(n uint64) *content { return &content{n: n} }

// newContent creates an empty data file.
func (t *Tree) newContent() (*content, error) {
	if t.closed {
		return nil, ErrClosed
	}
	n := t.nextN
	t.nextN++
	f, err := t.data.OpenFile(dataFile(n), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &content{n: n, file: f, open: 1}, nil
}

// use opens a data file; done closes it. A file lost in a power failure is created empty.
func (t *Tree) use(c *content) error {
	if c.file == nil {
		f, err := t.data.OpenFile(dataFile(c.n), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		c.file = f
	}
	c.open++
	return nil
}

func (t *Tree) done(c *content) error {
	if c.open--; c.open > 0 || c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}

// discard removes a data file that nothing refers to any more. If it is left after a crash,
// opening the tree removes it.
func (t *Tree) discard(c *content) {
	if c == nil || !t.settled || t.closed {
		return
	}
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
	t.data.Remove(dataFile(c.n))
}

func (t *Tree) syncContent(c *content) error {
	if err := t.use(c); err != nil {
		return err
	}
	return errors.Join(c.file.Sync(), t.done(c))
}

func (o *object) contents() []*content {
	var out []*content
	if o.main != nil {
		out = append(out, o.main)
	}
	for _, a := range o.streams {
		if a.data != nil {
			out = append(out, a.data)
		}
	}
	return out
}

// recordTimes writes the times of a modified file to the journal.
func (t *Tree) recordTimes(o *object) error {
	if !o.dirty || o.links() == 0 {
		return nil
	}
	return t.commit([]op{{code: opSet, id: o.id, set: overrides{mask: setTimes, times: o.times()}}})
}

// Handle is an open file. Changes made through other handles are visible. Its methods may
// be called from several goroutines at once.
type Handle struct {
	t     *Tree
	o     *object
	lower Stream // lower content when the file was opened, nil if there is none
	main  *content
}

// Open opens the main stream of a file. With write, or truncate, its content is
// copied up. The caller closes the handle.
func (t *Tree) Open(id uint64, write, truncate bool) (*Handle, error) {
	t.mu.Lock()
	o, err := t.load(id)
	if err == nil && o.dir {
		err = ErrIsDirectory
	}
	if err == nil && t.closed {
		err = ErrClosed
	}
	if err != nil {
		t.mu.Unlock()
		return nil, err
	}
	h := &Handle{t: t, o: o}
	o.handles++
	if o.lower != nil && o.main == nil {
		h.lower, err = o.lower.Open()
	}
	t.mu.Unlock()
	if err == nil && truncate {
		err = t.resize(o, 0)
	} else if err == nil && write {
		err = t.copyUp(o, o.size())
	}
	if err == nil {
		t.mu.Lock()
		err = h.attach()
		t.mu.Unlock()
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// attach opens the data file for the handle if there is one by now.
func (h *Handle) attach() error {
	if h.main != nil || h.o.main == nil {
		return nil
	}
	if err := h.t.use(h.o.main); err != nil {
		return err
	}
	h.main = h.o.main
	return nil
}

// current returns the data file, nil if the lower tree has the content.
func (h *Handle) current() (*os.File, error) {
	t := h.t
	t.mu.RLock()
	ready := h.main != nil || h.o.main == nil
	var f *os.File
	if h.main != nil {
		f = h.main.file
	}
	closed := t.closed
	t.mu.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	if ready {
		return f, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := h.attach(); err != nil {
		return nil, err
	}
	return h.main.file, nil
}

// ReadAt reads; io.EOF at the end.
func (h *Handle) ReadAt(p []byte, off int64) (int, error) {
	f, err := h.current()
	if err != nil {
		return 0, err
	}
	if f != nil {
		return f.ReadAt(p, off)
	}
	if h.lower == nil {
		return 0, io.EOF
	}
	return h.lower.ReadAt(p, off)
}

// File returns the data file with the current content, nil if the lower tree has it. It is
// valid until the handle is closed.
func (h *Handle) File() (*os.File, error) { return h.current() }

// WriteAt writes, and extends the file if necessary. The handle must have been opened for
// writing.
func (h *Handle) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > MaxStream-int64(len(p)) {
		return 0, ErrTooLarge
	}
	f, err := h.current()
	if err != nil {
		return 0, err
	}
	if f == nil {
		return 0, fs.ErrPermission
	}
	if err := h.t.wrote(h.o); err != nil {
		return 0, err
	}
	n, err := f.WriteAt(p, off)
	h.grown(off + int64(n))
	return n, err
}

// grown raises the known size.
func (h *Handle) grown(end int64) {
	size := &h.main.size
	for {
		old := size.Load()
		if end <= old || size.CompareAndSwap(old, end) {
			return
		}
	}
}

// wrote records that the content of a file has changed.
func (t *Tree) wrote(o *object) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !o.dirty && o.links() > 0 {
		ops, err := t.adopt(nil, o)
		if err != nil {
			return err
		}
		if err := t.commit(append(ops, op{code: opDirty, id: o.id})); err != nil {
			return err
		}
	}
	times := o.times()
	times.LastWrite = t.now()
	times.Change = times.LastWrite
	// Kept in memory only, until the file is closed or synced.
	o.over.times = times
	o.over.mask |= setTimes
	return nil
}

// Sync makes content and metadata durable.
func (h *Handle) Sync() error {
	t := h.t
	f, err := h.current()
	if err != nil {
		return err
	}
	if f != nil {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.recordTimes(h.o); err != nil {
		return err
	}
	if err := publish.SyncDir(t.data); err != nil {
		return err
	}
	return t.journal.sync()
}

// Close closes the handle.
func (h *Handle) Close() error {
	t := h.t
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	o := h.o
	if o == nil {
		return nil
	}
	h.o = nil
	o.handles--
	if !t.closed {
		if h.main != nil {
			errs = append(errs, t.done(h.main))
		}
		if o.handles == 0 {
			errs = append(errs, t.recordTimes(o))
			t.drop(o)
		}
	}
	return errors.Join(errs...)
}

// copyUp creates a data file with the first keep bytes of a file's content.
func (t *Tree) copyUp(o *object, keep int64) error {
	o.copying.Lock()
	defer o.copying.Unlock()
	return t.copyUpLocked(o, keep)
}

func (t *Tree) copyUpLocked(o *object, keep int64) error {
	t.mu.Lock()
	if o.main != nil {
		t.mu.Unlock()
		return nil
	}
	c, err := t.newContent()
	t.mu.Unlock()
	if err != nil {
		return err
	}
	if err := t.fill(c, o, keep); err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if o.links() == 0 {
			// The object has no name: the journal need not record it.
			o.main = c
			return t.done(c)
		}
		var ops []op
		if ops, err = t.adopt(nil, o); err == nil {
			err = t.commit(append(ops, op{code: opData, id: o.id, n: c.n}))
		}
		if err == nil {
			// The operation has its own reference to the content; this one is open.
			o.main = c
			return t.done(c)
		}
		t.discard(c)
		return err
	} else {
		t.mu.Lock()
		t.discard(c)
		t.mu.Unlock()
		return err
	}
}

// fill copies the content of the lower tree, leaving holes for zeros, and makes it durable:
// otherwise the journal could reach the disk first, and a power failure at that moment
// would lose the content.
func (t *Tree) fill(c *content, o *object, keep int64) error {
	if o.lower == nil || keep == 0 {
		return nil
	}
	s, err := o.lower.Open()
	if err != nil {
		return err
	}
	if err := copyStream(c.file, s, min(keep, s.Size())); err != nil {
		return err
	}
	c.size.Store(min(keep, s.Size()))
	return c.file.Sync()
}

func copyStream(f *os.File, s Stream, size int64) error {
	buf := make([]byte, min(size, 1<<20))
	for at := int64(0); at < size; {
		p := buf[:min(int64(len(buf)), size-at)]
		n, err := s.ReadAt(p, at)
		if n < len(p) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		for i := 0; i < n; i += 64 << 10 {
			part := p[i:min(i+64<<10, n)]
			if zeros.All(part) {
				continue
			}
			if _, err := f.WriteAt(part, at+int64(i)); err != nil {
				return err
			}
		}
		at += int64(n)
	}
	return f.Truncate(size)
}

// Truncate sets the size of the main stream.
func (t *Tree) Truncate(id uint64, size int64) error {
	t.mu.Lock()
	o, err := t.load(id)
	if err == nil && o.dir {
		err = ErrIsDirectory
	}
	if err == nil {
		o.handles++ // to keep it
	}
	t.mu.Unlock()
	if err != nil {
		return err
	}
	err = t.resize(o, size)
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.handles--; o.handles == 0 && err == nil {
		err = t.recordTimes(o)
	}
	t.drop(o)
	return err
}

func (t *Tree) resize(o *object, size int64) error {
	if size < 0 || size > MaxStream {
		return ErrTooLarge
	}
	o.copying.Lock()
	defer o.copying.Unlock()
	if err := t.copyUpLocked(o, min(size, o.size())); err != nil {
		return err
	}
	if err := t.wrote(o); err != nil {
		return err
	}
	t.mu.Lock()
	c := o.main
	err := t.use(c)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	if err = c.file.Truncate(size); err == nil {
		c.size.Store(size)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(err, t.done(c))
}

// WriteStream sets the whole content of an alternate stream, and creates it if it does not
// exist. The content is at most MaxStreamValue bytes.
func (t *Tree) WriteStream(id uint64, name string, value []byte) error {
	if err := winfs.ValidateStream(name); err != nil {
		return &nameError{err}
	}
	if len(value) > MaxStreamValue {
		return ErrTooLarge
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.load(id)
	if err != nil {
		return err
	}
	old, err := o.stream(name)
	if err != nil {
		return err
	}
	if old != nil {
		name = old.name
	}
	c, err := t.newContent()
	if err != nil {
		return err
	}
	if _, err = c.file.WriteAt(value, 0); err == nil {
		err = errors.Join(t.done(c))
	}
	if err == nil {
		err = t.change(o, func(ops []op) []op { return append(ops, op{code: opData, id: o.id, name: name, n: c.n}) })
	}
	if err != nil {
		t.discard(c)
		return err
	}
	o.streams[winfs.Fold(name)].data.size.Store(int64(len(value)))
	return nil
}

// MaxStreamValue is the limit of WriteStream in bytes.
const MaxStreamValue = 1 << 20

// stream finds an alternate stream, nil if there is none of that name.
func (o *object) stream(name string) (*altStream, error) {
	list, err := o.streamList()
	if err != nil {
		return nil, err
	}
	for i := range list {
		if winfs.EqualFold(list[i].name, name) {
			return &list[i], nil
		}
	}
	return nil, nil
}

// RemoveStream removes an alternate stream, or returns fs.ErrNotExist if there is none.
func (t *Tree) RemoveStream(id uint64, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.load(id)
	if err != nil {
		return err
	}
	old, err := o.stream(name)
	if err != nil {
		return err
	}
	if old == nil {
		return fs.ErrNotExist
	}
	return t.change(o, func(ops []op) []op { return append(ops, op{code: opData, id: o.id, name: old.name}) })
}

// StreamInfo describes an alternate stream.
type StreamInfo struct {
	Name string
	Size int64
}

// Streams lists the alternate streams of a file or directory.
func (t *Tree) Streams(id uint64) ([]StreamInfo, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.load(id)
	if err != nil {
		return nil, err
	}
	list, err := o.streamList()
	var out []StreamInfo
	for _, s := range list {
		out = append(out, StreamInfo{s.name, s.size()})
	}
	return out, err
}

// ReadStream returns the content of an alternate stream. The error is fs.ErrNotExist if
// there is none, and ErrTooLarge if it has more than limit bytes.
func (t *Tree) ReadStream(id uint64, name string, limit int64) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.load(id)
	if err != nil {
		return nil, err
	}
	s, err := o.stream(name)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fs.ErrNotExist
	}
	if s.size() > limit {
		return nil, ErrTooLarge
	}
	b := make([]byte, s.size())
	var n int
	if s.data == nil {
		n, err = s.lower.ReadAt(b, 0)
	} else if err = t.use(s.data); err == nil {
		n, err = s.data.file.ReadAt(b, 0)
		err = errors.Join(ignoreEnd(err), t.done(s.data))
	}
	if ignoreEnd(err) == nil && n < len(b) {
		return nil, io.ErrUnexpectedEOF
	}
	return b, ignoreEnd(err)
}

// Change calls fn with the descriptor of the data file, for operations that this package
// does not have: fallocate. end is the greatest offset that fn may change. The handle must
// have been opened for writing.
func (h *Handle) Change(end int64, fn func(fd uintptr) error) error {
	if end < 0 || end > MaxStream {
		return ErrTooLarge
	}
	f, err := h.current()
	if err != nil {
		return err
	}
	if f == nil {
		return fs.ErrPermission
	}
	if err := h.t.wrote(h.o); err != nil {
		return err
	}
	if err := fn(f.Fd()); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	h.grown(st.Size())
	return nil
}
