package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/fusefs"
	"github.com/mullion/mullion/layer"
)

// upperName is the directory below a snapshot's own that holds the writes to its view.
const upperName = "upper"

// upper holds the writes over a tree.
type upper interface {
	// Empty reports that nothing was written.
	Empty() bool
	// Changes yields the writes as a layer.
	Changes() (layer.Reader, error)
	// Close makes the writes durable and releases the tree.
	Close() error
}

// viewer makes trees visible to programs. It is the part of a service that needs the
// system's help, and that tests replace.
type viewer interface {
	// readOnly shows a tree at a directory.
	readOnly(dir string, t fusefs.Tree) (server, error)
	// open opens the writes over the tree of an image in a directory that exists or
	// can be made. A nil image is an empty tree.
	open(dir string, im *cimfs.Image) (upper, error)
	// writable mounts the upper that open returned.
	writable(dir string, u upper) (server, error)
	// detach unmounts a directory even if programs use it. A directory without a
	// mount is not an error.
	detach(dir string) error
}

// server serves a view.
type server interface {
	// Wait returns when no program can see the view any more.
	Wait()
}

// view is a tree that is being served at the directory fs of a snapshot.
type view struct {
	dir   string
	image *cimfs.Image // nil for an empty tree
	upper upper        // nil for a read-only view
	ended chan struct{}

	mu      sync.Mutex
	users   int // who serves it, and who reads what was written
	closing sync.Once
	closed  error
}

func (v *view) use() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.users++
}

// done undoes a use. The last one closes the view.
func (v *view) done() error {
	v.mu.Lock()
	v.users--
	last := v.users == 0
	v.mu.Unlock()
	if !last {
		return nil
	}
	return errors.Join(v.closeUpper(), closeImage(v.image))
}

// closeUpper makes the writes durable. Programs that still use the view get errors.
func (v *view) closeUpper() error {
	v.closing.Do(func() {
		if v.upper != nil {
			v.closed = v.upper.Close()
		}
	})
	return v.closed
}

// settle waits until all that programs have written has arrived, unless they hold on to
// the view.
func (v *view) settle() {
	select {
	case <-v.ended:
	case <-time.After(settleWait):
	}
}

// settleWait is how long a view that was detached may take to end. It ends at once
// unless a program uses it.
const settleWait = 2 * time.Second

// views holds the views that a service serves, by the number of their snapshot. A view
// is started and stopped under the lock of its snapshot.
type views struct {
	mu   sync.Mutex
	open map[string]*view
	wait sync.WaitGroup
}

func (vs *views) get(id string) *view {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return vs.open[id]
}

func (vs *views) take(id string) *view {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := vs.open[id]
	delete(vs.open, id)
	return v
}

func (vs *views) count() int {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return len(vs.open)
}

// openImage opens the image that shows a tree; nil, for an empty one.
func (s *Service) openImage(layers []string) (*cimfs.Image, error) {
	if len(layers) == 0 {
		return nil, nil
	}
	im, err := s.store.Open(layers[0])
	if errors.Is(err, fs.ErrNotExist) {
		err = as(errdefs.ErrFailedPrecondition, fmt.Errorf("layer %s is not in the store: %w", layers[0], err))
	}
	return im, err
}

func closeImage(im *cimfs.Image) error {
	if im == nil {
		return nil
	}
	return im.Close()
}

// show serves a tree at the directory fs of a snapshot, unless it is being served, and
// returns the mount to hand out. The caller has the lock of the snapshot.
func (s *Service) show(id string, layers []string, writable bool) ([]mount.Mount, error) {
	mode := "ro"
	if writable {
		mode = "rw"
	}
	m := []mount.Mount{{Type: bindMount, Source: filepath.Join(s.dir(id), viewName), Options: []string{"rbind", mode}}}
	if v := s.views.get(id); v != nil {
		select {
		case <-v.ended: // somebody has unmounted it
			s.views.take(id)
			if err := v.closeUpper(); err != nil {
				return nil, err
			}
		default:
			if writable == (v.upper != nil) {
				return m, nil
			}
			if err := s.hide(id); err != nil {
				return nil, err
			}
		}
	}
	v, err := s.startView(id, layers, writable)
	if err != nil {
		return nil, classify(fmt.Errorf("show snapshot %s: %w", id, err))
	}
	s.views.mu.Lock()
	defer s.views.mu.Unlock()
	s.views.open[id] = v
	return m, nil
}

func (s *Service) startView(id string, layers []string, writable bool) (*view, error) {
	v := &view{dir: filepath.Join(s.dir(id), viewName), ended: make(chan struct{})}
	if err := os.Mkdir(v.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	var err error
	if v.image, err = s.openImage(layers); err != nil {
		return nil, err
	}
	fail := func(err error) (*view, error) {
		return nil, errors.Join(err, v.closeUpper(), closeImage(v.image))
	}
	var served server
	switch {
	case writable:
		if v.upper, err = s.viewer.open(filepath.Join(s.dir(id), upperName), v.image); err != nil {
			return fail(err)
		}
		served, err = s.viewer.writable(v.dir, v.upper)
	case v.image == nil:
		served, err = s.viewer.readOnly(v.dir, fusefs.EmptyTree())
	default:
		served, err = s.viewer.readOnly(v.dir, fusefs.CimTree(v.image))
	}
	if err != nil {
		return fail(err)
	}
	v.use()
	s.views.wait.Go(func() {
		served.Wait()
		close(v.ended)
		if err := v.done(); err != nil {
			s.log.Error("close view", "snapshot", id, "err", err)
		}
	})
	return v, nil
}

// hide ends the view of a snapshot, if it has one. Programs that have bound it
// elsewhere can go on to read it. The caller has the lock of the snapshot.
func (s *Service) hide(id string) error {
	v := s.views.get(id)
	if v == nil {
		return nil
	}
	if err := s.viewer.detach(v.dir); err != nil {
		return err
	}
	s.views.take(id)
	return v.closeUpper()
}

// writtenTo opens the writes to the view of a snapshot; nil means that there are none. A
// view that is being served goes on being served unless end is set. The caller has the
// lock of the snapshot and calls done when it needs the result no more.
func (s *Service) writtenTo(id string, layers []string, end bool) (u upper, done func() error, err error) {
	nothing := func() error { return nil }
	if v := s.views.get(id); v != nil {
		select {
		case <-v.ended:
			s.views.take(id)
			if err := v.closeUpper(); err != nil {
				return nil, nil, err
			}
		default:
			v.use()
			done = v.done
			if end {
				if err := s.viewer.detach(v.dir); err != nil {
					return nil, nil, errors.Join(err, v.done())
				}
				s.views.take(id)
				v.settle()
				done = func() error { return errors.Join(v.closeUpper(), v.done()) }
			}
			if v.upper == nil || v.upper.Empty() {
				return nil, done, nil
			}
			return v.upper, done, nil
		}
	}
	dir := filepath.Join(s.dir(id), upperName)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nothing, nil
	} else if err != nil {
		return nil, nil, err
	}
	if s.viewer == nil {
		return nil, nil, fmt.Errorf("what was written to snapshot %s cannot be read on this system: %w", id, errdefs.ErrFailedPrecondition)
	}
	im, err := s.openImage(layers)
	if err != nil {
		return nil, nil, err
	}
	if u, err = s.viewer.open(dir, im); err != nil {
		return nil, nil, errors.Join(err, closeImage(im))
	}
	done = func() error { return errors.Join(u.Close(), closeImage(im)) }
	if u.Empty() {
		return nil, done, nil
	}
	return u, done, nil
}

// closeViews ends all views and waits for those that are not bound elsewhere.
func (s *Service) closeViews(ctx context.Context) error {
	s.views.mu.Lock()
	all := s.views.open
	s.views.open = map[string]*view{}
	s.views.mu.Unlock()
	var errs []error
	for _, v := range all {
		errs = append(errs, s.viewer.detach(v.dir), v.closeUpper())
	}
	ended := make(chan struct{})
	go func() { s.views.wait.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		s.log.Warn("views are still in use and end with the process")
	}
	return errors.Join(errs...)
}
