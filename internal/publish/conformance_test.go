package publish_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/filelock"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// A writer is a way to publish something, through the API that programs use.
type writer struct {
	name string
	// before, if set, puts something into the empty directory dir that the writer finds
	// there.
	before func(t *testing.T, dir string)
	// run publishes below dir. It may be called again.
	run func(t *testing.T, dir string) error
	// result lists what run adds, as names in dir.
	result []string
	// remove, if set, removes the result instead.
	remove func(dir string) error
	// several says that the result is several files, each of which is complete or as it
	// was before, but which do not appear at once.
	several bool
	// replaces says that run replaces what it finds and is done again on its own result.
	replaces bool
	// edits says that run changes what it finds, so that the second run on one place has
	// another result than the first.
	edits bool
	// shared says that several writers of one name may be at work at a time.
	shared bool
	// owns says that the directory belongs to the writer alone, which locks it and clears
	// away all that is no part of it. Other users cannot enter it.
	owns bool
	// rename, if set, makes equal the names that differ between runs.
	rename func(name string) string
	// least is a lower bound of the number of steps.
	least int
}

var errInjected = errors.New("injected")

// private matches the names of private folders. The first group is the part that does
// not differ between runs.
var private = regexp.MustCompile(`^(\..*\.(?:mullion-tmp|writing)-)[0-9a-f]{16}$`)

// ofImage matches the names of files that belong to an image, of which it holds the GUID.
var ofImage = regexp.MustCompile(`^(?:region|objectid)_(.*)_[0-9]+$`)

// state returns what is below a directory: names, permissions and contents. Lock files
// are left out, and the metadata of the snapshotter.
func (w *writer) state(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		base := path.Base(rel)
		switch {
		case base == "locks" && e.IsDir():
			return fs.SkipDir
		case base == publish.LockName:
		case base == "lock", base == "metadata.db", strings.HasPrefix(base, ".") && strings.HasSuffix(base, ".lock"):
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			text += " " + string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			text += " -> " + to
		}
		if w.rename != nil {
			rel = w.rename(rel)
		}
		all[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// leftovers returns the names of private folders and of what is in them.
func leftovers(state map[string]string) (list []string) {
	for p := range state {
		if slices.ContainsFunc(strings.Split(p, "/"), private.MatchString) {
			list = append(list, p)
		}
	}
	return list
}

// visible returns the part of a state that a reader sees: no private folders, no files
// of an image without the image, and of a layer of the store nothing without its image.
func visible(state map[string]string) map[string]string {
	out := maps.Clone(state)
	for _, p := range leftovers(state) {
		delete(out, p)
	}
	images, headers := map[string]bool{}, map[string]string{} // by folder
	for p, text := range out {
		name, ok := strings.CutSuffix(path.Base(p), ".cim")
		switch {
		case !ok:
		case strings.HasPrefix(name, "new-"): // of a layer that has no name yet
			delete(out, p)
		default:
			images[name] = true
			headers[path.Dir(p)] += text
		}
	}
	for p := range out {
		if m := ofImage.FindStringSubmatch(path.Base(p)); m != nil {
			g, err := winfs.ParseGUID(m[1])
			if b := g.Windows(); err != nil || !strings.Contains(headers[path.Dir(p)], string(b[:])) {
				delete(out, p)
			}
		}
		// Files beside an image: "layers/NAME" of the store, "NAME.files" of a layer.
		for c := range strings.SplitSeq(p, "/") {
			if name, ok := strings.CutSuffix(c, ".files"); ok && !images[name] {
				delete(out, p)
			}
		}
		if _, rest, ok := strings.Cut("/"+p, "/layers/"); ok {
			if name, _, _ := strings.Cut(rest, "/"); !images[name] {
				delete(out, p)
			}
		}
	}
	return out
}

// torn says what is neither as before nor as after, of what is seen.
func (w *writer) torn(c clean, seen map[string]string) string {
	before, done := visible(c.before), visible(c.done)
	b, d := diff(before, seen), diff(done, seen)
	switch {
	case b == "" || d == "":
		return ""
	case !w.several:
		return "neither before (" + b + ") nor after (" + d + ")"
	}
	var list []string
	for p := range seen {
		if seen[p] != before[p] && seen[p] != done[p] {
			list = append(list, p)
		}
	}
	for p := range before {
		if _, ok := seen[p]; !ok {
			list = append(list, "-"+p)
		}
	}
	return strings.Join(list, " ")
}

func diff(a, b map[string]string) string {
	var list []string
	for _, p := range slices.Sorted(maps.Keys(a)) {
		if t, ok := b[p]; !ok {
			list = append(list, "-"+p)
		} else if t != a[p] {
			list = append(list, "≠"+p)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[p]; !ok {
			list = append(list, "+"+p)
		}
	}
	return strings.Join(list, " ")
}

// fast is where files become durable without a disk, if the system has such a place. The
// tests make thousands of files durable.
var fast = func() string {
	const memory = "/dev/shm"
	if st, err := os.Stat(memory); err == nil && st.IsDir() {
		return memory
	}
	return ""
}()

// place makes a directory with what the writer finds in it, and with files of others.
func (w *writer) place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(fast, "publish-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "victim"), 0o700), os.WriteFile(filepath.Join(dir, "victim", "data"), []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if w.before != nil {
		w.before(t, dir)
	}
	return dir
}

// again runs the writer once more after a run that was broken off. A writer that replaces
// nothing and finds its result there complete says so, and does it again without.
func (w *writer) again(t *testing.T, dir string) error {
	t.Helper()
	if w.edits {
		w.before(t, dir)
	}
	err := w.run(t, dir)
	if !w.replaces && (errors.Is(err, fs.ErrExist) || errors.Is(err, layer.ErrExists) || errors.Is(err, regf.ErrExists)) {
		if w.remove != nil {
			if err := w.remove(dir); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range w.result {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		err = w.run(t, dir)
	}
	return err
}

// clean is a run without faults: its steps, the state before and after it, and where
// private folders were, as paths without the random part.
type clean struct {
	ops          []string
	before, done map[string]string
	folders      []string
}

func (w *writer) clean(t *testing.T) clean {
	t.Helper()
	dir := w.place(t)
	c := clean{before: w.state(t, dir)}
	lock := make(chan struct{}, 1) // some writers publish from several goroutines
	publish.Inject(t, func(op, name string) error {
		lock <- struct{}{}
		defer func() { <-lock }()
		c.ops = append(c.ops, op)
		err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
			if m := private.FindStringSubmatch(filepath.Base(p)); m != nil {
				rel, err := filepath.Rel(dir, filepath.Dir(p))
				if err != nil {
					return err
				}
				if rel = path.Join(filepath.ToSlash(rel), m[1]); !slices.Contains(c.folders, rel) {
					c.folders = append(c.folders, rel)
				}
				return fs.SkipDir
			}
			return nil // what another goroutine removes meanwhile is no concern
		})
		if err != nil {
			t.Error(err)
		}
		return nil
	})
	if err := w.run(t, dir); err != nil {
		t.Fatal(err)
	}
	publish.Inject(t, nil)
	c.done = w.state(t, dir)
	return c
}

// TestConformance has every writer fail, and die, at each step that it takes. Afterwards
// there is what was there before or the complete result, the next run of the writer
// succeeds, and after it nothing is left but the result.
func TestConformance(t *testing.T) {
	for _, w := range writers() {
		t.Run(w.name, func(t *testing.T) {
			c := w.clean(t)
			if left := leftovers(c.done); len(left) > 0 || diff(c.before, c.done) == "" {
				t.Fatalf("left %v, changed %s", left, diff(c.before, c.done))
			}
			if len(c.ops) < w.least {
				t.Errorf("only %d steps: %v", len(c.ops), c.ops)
			}
			for _, op := range []string{"mkdir", "create", "remove"} {
				if !slices.Contains(c.ops, op) {
					t.Errorf("no step %q", op)
				}
			}
			if !slices.Contains(c.ops, "link") && !slices.Contains(c.ops, "rename") {
				t.Error("nothing gets its name")
			}
			for n := range c.ops {
				w.fail(t, c, n)
				w.kill(t, c, n)
			}
		})
	}
}

// fail injects one fault.
func (w *writer) fail(t *testing.T, c clean, n int) {
	t.Helper()
	dir := w.place(t)
	steps, at, failed := 0, "", ""
	lock := make(chan struct{}, 1)
	publish.Inject(t, func(op, name string) error {
		lock <- struct{}{}
		defer func() { <-lock }()
		if steps++; steps != n+1 {
			return nil
		}
		failed, at = op, fmt.Sprintf("%s, failing %d, %s %s", w.name, n, op, name)
		return errInjected
	})
	err := w.run(t, dir)
	publish.Inject(t, nil)
	if failed == "" {
		return // the steps of concurrent writers vary in number
	}
	after := w.state(t, dir)
	left, seen := leftovers(after), visible(after)
	complete := diff(visible(c.done), seen) == ""
	switch {
	case err == nil && failed != "remove" && failed != "link": // a rename does what a link does
		t.Errorf("%s: no error", at)
	case err == nil && !complete:
		t.Errorf("%s: no error, and %s", at, diff(visible(c.done), seen))
	case err != nil && !errors.Is(err, errInjected):
		t.Errorf("%s: %v", at, err)
	case w.torn(c, seen) != "":
		t.Errorf("%s: %s", at, w.torn(c, seen))
	case failed != "remove" && len(left) > 0:
		t.Errorf("%s: left %v", at, left)
	}
	w.next(t, c, dir, at)
}

// kill has every step fail from one on, as if the process had ended there.
func (w *writer) kill(t *testing.T, c clean, n int) {
	t.Helper()
	dir := w.place(t)
	steps, at := 0, ""
	var then map[string]string
	lock := make(chan struct{}, 1)
	publish.Inject(t, func(op, name string) error {
		lock <- struct{}{}
		defer func() { <-lock }()
		if steps++; steps <= n {
			return nil
		}
		if then == nil {
			then, at = w.state(t, dir), fmt.Sprintf("%s, dying at %d, %s %s", w.name, n, op, name)
		}
		return errInjected
	})
	err := w.run(t, dir)
	publish.Inject(t, nil)
	if then == nil {
		return
	}
	after := w.state(t, dir)
	seen := visible(after)
	if err == nil && diff(visible(c.done), seen) != "" {
		t.Errorf("%s: no error, and %s", at, diff(visible(c.done), seen))
	}
	if d := diff(then, after); d != "" {
		t.Errorf("%s: something was done after it: %s", at, d)
	}
	if torn := w.torn(c, seen); torn != "" {
		t.Errorf("%s: %s", at, torn)
	}
	w.next(t, c, dir, at)
}

// next checks the run after one that was broken off.
func (w *writer) next(t *testing.T, c clean, dir, at string) {
	t.Helper()
	if err := w.again(t, dir); err != nil {
		t.Errorf("%s: the next run: %v", at, err)
		return
	}
	if d := diff(c.done, w.state(t, dir)); d != "" {
		t.Errorf("%s: after the next run: %s", at, d)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// TestConformanceAttacks plants every kind of entry under each name that a writer uses for
// a private folder, or earlier versions used. The writer succeeds, and follows, changes,
// empties and takes over none of them.
func TestConformanceAttacks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the traps are those of Unix")
	}
	write := func(p, text string, mode fs.FileMode) error {
		return errors.Join(os.WriteFile(p, []byte(text), mode), os.Chmod(p, mode))
	}
	in := filepath.Join
	traps := map[string]func(victim, at string) error{
		"link to a directory": func(victim, at string) error { return os.Symlink(victim, at) },
		"link to a file":      func(victim, at string) error { return os.Symlink(in(victim, "data"), at) },
		"dangling link":       func(victim, at string) error { return os.Symlink(victim+"-none", at) },
		"hard link":           func(victim, at string) error { return os.Link(in(victim, "data"), at) },
		"file":                func(_, at string) error { return write(at, "theirs", 0o644) },
		"directory that others can write": func(_, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), write(in(at, publish.LockName), "", 0o600), write(in(at, "data"), "precious", 0o644), os.Chmod(at, 0o777))
		},
		"directory without a lock": func(_, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), write(in(at, "data"), "precious", 0o600))
		},
		"directory with a link as its lock": func(victim, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), os.Symlink(in(victim, "data"), in(at, publish.LockName)), write(in(at, "data"), "precious", 0o600))
		},
		"directory with a second name of a file as its lock": func(victim, at string) error {
			return errors.Join(os.Mkdir(at, 0o700), os.Link(in(victim, "data"), in(at, publish.LockName)), write(in(at, "data"), "precious", 0o600))
		},
	}
	const random = "0123456789abcdef"
	for _, w := range writers() {
		t.Run(w.name, func(t *testing.T) {
			c := w.clean(t)
			var at []string // where traps can be planted before the writer runs
			for _, f := range c.folders {
				if _, there := c.before[path.Dir(f)]; there || path.Dir(f) == "." {
					stem := strings.TrimSuffix(f, "-")
					at = append(at, f+random, stem)
				}
			}
			if len(at) == 0 && w.owns {
				return // they are in directories that the writer makes
			}
			if len(at) == 0 {
				t.Fatalf("no private folder in %v", c.folders)
			}
			for name, plant := range traps {
				dir := w.place(t)
				for _, p := range at {
					if err := plant(filepath.Join(dir, "victim"), filepath.Join(dir, p)); err != nil {
						t.Fatal(err)
					}
				}
				before := w.state(t, dir)
				if err := w.run(t, dir); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				want := maps.Clone(c.done)
				after := w.state(t, dir)
				for p, text := range before {
					_, ours := c.before[p]
					if _, there := after[p]; !ours && (there || !w.owns) {
						want[p] = text
					}
				}
				if d := diff(want, after); d != "" {
					t.Errorf("%s at %v: %s", name, at, d)
				}
			}
			// The folder of a writer that lives, in the way of others or not, and then of
			// one that has died, with a file in it that others may read.
			for _, f := range at {
				if w.owns || !private.MatchString(path.Base(f)) {
					continue
				}
				dir := w.place(t)
				p := filepath.Join(dir, f)
				if err := errors.Join(os.Mkdir(p, 0o700), write(in(p, publish.LockName), "", 0o600), write(in(p, "data"), "half", 0o644)); err != nil {
					t.Fatal(err)
				}
				l, err := os.OpenFile(in(p, publish.LockName), os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				if ok, err := filelock.Try(l); err != nil || !ok {
					t.Fatal(ok, err)
				}
				err = w.run(t, dir)
				if w.shared && err != nil {
					t.Errorf("beside a writer that lives: %v", err)
				} else if !w.shared && err == nil {
					t.Errorf("beside a writer of %s that lives: no error", f)
				}
				if b, err := os.ReadFile(in(p, "data")); err != nil || string(b) != "half" {
					t.Errorf("the folder of a writer that lives: %q, %v", b, err)
				}
				l.Close()
				if err := w.again(t, dir); err != nil {
					t.Errorf("after another writer has died: %v", err)
				}
				if d := diff(c.done, w.state(t, dir)); d != "" {
					t.Errorf("after another writer has died: %s", d)
				}
			}
		})
	}
}
