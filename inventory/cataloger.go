package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// A System is an installation of Windows that catalogers look at. [Of] makes one of an image,
// [NewSystem] of a file system and hives.
//
// The file system is that of a layer: its root has the directory Files, which is the C: drive,
// so that a name is "Files/Windows/explorer.exe". Names are found without regard to case. Links
// are not followed. Files that a [Cataloger] wants are opened fast, others are found in their
// layer first.
type System interface {
	fs.FS
	// Hive returns a hive with the changes of all layers, which the caller must not close.
	// The error is hives.ErrNoBase if there is none.
	Hive(hives.Name) (*regf.Hive, error)
	// Users yields the hives of users, NTUSER.DAT in the profiles that the registry lists,
	// in the order of their paths. A hive is closed when the loop goes on. An error is a
	// *SkipError of one hive.
	Users() iter.Seq2[User, error]
	// Layer returns the layer that has the file with a name, -1 if it is not known.
	Layer(name string) int
	// KeyLayer returns the topmost layer that changes a key, -1 if it is not known.
	KeyLayer(n hives.Name, key string) int
}

// User is a user whose registry is in an image.
type User struct {
	SID  string     // "S-1-5-93-2-1"
	Path string     // of the hive in the layer, "Files\Users\ContainerAdministrator\NTUSER.DAT"
	Hive *regf.Hive // with its logs replayed
}

// A Cataloger finds the components of one kind or publisher. One value serves one run.
type Cataloger interface {
	// Name is a short name in lower case, "msi". It is that of the component's finder.
	Name() string
	// Wants reports whether Catalog opens the file at path, which is spelled as in the layer,
	// "Files\dir\name". It is asked for each file of a system, hidden ones included.
	Wants(path string, size int64) bool
	// Catalog yields the components that it finds. A fault of one item is yielded as a
	// *SkipError, and the loop goes on; with any other error the cataloger ends.
	Catalog(context.Context, System) iter.Seq2[Component, error]
}

// A FileCataloger is a Cataloger that looks at the files that it wants while the layers are
// read, one by one. They are not kept for Catalog, which is called when all files have passed.
// Use it for files that are many or large.
type FileCataloger interface {
	Cataloger
	// CatalogFile yields the components of a file, as Catalog does. Calls don't overlap,
	// and their order is not defined.
	CatalogFile(context.Context, *File) iter.Seq2[Component, error]
}

// A Completer is a Cataloger that completes components which others have found, when all have
// ended. It may remove components.
type Completer interface {
	Cataloger
	Complete(context.Context, System, []Component) []Component
}

// File is a file that passes by.
type File struct {
	Path    string // in the layer, `Files\dir\name`
	Layer   int    // from 0, the base
	Size    int64  // bytes
	SHA256  string // of the content, in lower-case hexadecimal
	Content io.ReaderAt
}

// A SkipError is the reason why an item is not in an inventory.
type SkipError struct {
	Evidence Evidence
	Err      error
}

// Skip returns a SkipError, nil for a nil error.
func Skip(where []Evidence, err error) error {
	if err == nil {
		return nil
	}
	e := &SkipError{Err: err}
	if len(where) > 0 {
		e.Evidence = where[0]
	}
	return e
}

// Error names the item and the reason.
func (e *SkipError) Error() string { return fmt.Sprintf("%v: %v", e.Evidence, e.Err) }

// Unwrap returns the reason.
func (e *SkipError) Unwrap() error { return e.Err }

// Skipped is an item that is not in an inventory.
type Skipped struct {
	Cataloger string   `json:"cataloger"`
	Evidence  Evidence `json:"evidence,omitzero"`
	Reason    string   `json:"reason"`
}

// Limits of an inventory.
const (
	// MaxComponents is the number of components of one cataloger. Those above it are
	// skipped, with one item that says so.
	MaxComponents = 1_000_000
	// MaxMemory is the number of bytes of memory that the components of an inventory may take,
	// before they are completed and placed, and MaxCatalogerMemory that of one cataloger, so
	// that one does not crowd out the others. Components above it are skipped, with one item
	// of each cataloger that says so.
	MaxMemory          = 96 << 20
	MaxCatalogerMemory = 64 << 20
	// MaxSkipped is the number of skipped items of one cataloger that are listed.
	MaxSkipped = 1000
)

// Inventory lists the installed components of an image.
type Inventory struct {
	// Components are sorted by kind, name, version and place.
	Components []Component `json:"components"`
	// Skipped are items that could not be read.
	Skipped []Skipped `json:"skipped,omitempty"`
	// Warnings are faults of the hives that cannot change the list, see [regf.Harmless].
	Warnings []finding.Finding `json:"-"`
}

// System returns the component that is Windows itself, nil if there is none.
func (inv *Inventory) System() *Component {
	for i := range inv.Components {
		if inv.Components[i].Kind == OS {
			return &inv.Components[i]
		}
	}
	return nil
}

// Of a run of catalogers.
type run struct {
	sys      System
	inv      *Inventory
	memory   int64            // bytes that the components take
	memories map[string]int64 // the same by cataloger
	counts   map[string]int   // components by cataloger
	full     map[string]bool  // catalogers that had a component too much
	skipped  map[string]int
}

// Run runs catalogers on a system and returns what they find. The files of the system are
// walked once if a cataloger is a FileCataloger. Faults of items are in the inventory; the
// error is that of ctx.
func Run(ctx context.Context, sys System, catalogers ...Cataloger) (*Inventory, error) {
	r := newRun(sys)
	if err := r.walkFiles(ctx, catalogers); err != nil {
		return nil, err
	}
	return r.finish(ctx, catalogers)
}

func newRun(sys System) *run {
	return &run{sys: sys, inv: &Inventory{Components: []Component{}}, counts: map[string]int{}, memories: map[string]int64{}, full: map[string]bool{}, skipped: map[string]int{}}
}

// finish runs the catalogers that look at the whole system, and orders the result.
func (r *run) finish(ctx context.Context, catalogers []Cataloger) (*Inventory, error) {
	for _, c := range catalogers {
		if err := r.collect(ctx, c, c.Catalog(ctx, r.sys)); err != nil {
			return nil, err
		}
	}
	for _, c := range catalogers {
		if c, ok := c.(Completer); ok {
			r.inv.Components = c.Complete(ctx, r.sys, r.inv.Components)
		}
	}
	for i := range r.inv.Components {
		r.place(r.inv.Components[i].Evidence)
	}
	slices.SortStableFunc(r.inv.Components, compareComponents)
	return r.inv, ctx.Err()
}

// place fills in the layers of evidence.
func (r *run) place(all []Evidence) {
	for i := range all {
		e := &all[i]
		switch {
		case e.Layer >= 0:
		case e.Path != "":
			e.Layer = r.sys.Layer(slashPath(e.Path))
		case e.Key != "":
			e.Layer = r.sys.KeyLayer(e.Hive, e.Key)
		}
	}
}

// collect takes what a cataloger yields.
func (r *run) collect(ctx context.Context, c Cataloger, found iter.Seq2[Component, error]) error {
	name := c.Name()
	for x, err := range found {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.skip(name, err)
			continue
		}
		if err := r.room(name, &x); err != nil {
			// A FileCataloger comes here again for each file.
			if !r.full[name] {
				r.full[name] = true
				r.skip(name, err)
			}
			break
		}
		x.FoundBy = name
		r.inv.Components = append(r.inv.Components, x)
	}
	return ctx.Err()
}

// room takes up the room of a component. The error is that there is none.
func (r *run) room(name string, c *Component) error {
	if r.counts[name] >= MaxComponents {
		return fmt.Errorf("more than %d components; the rest is left out", MaxComponents)
	}
	size := c.memory()
	if size > MaxCatalogerMemory-r.memories[name] {
		return fmt.Errorf("the components take more than %d bytes; the rest is left out", MaxCatalogerMemory)
	}
	if size > MaxMemory-r.memory {
		return fmt.Errorf("the components of all catalogers take more than %d bytes; the rest is left out", MaxMemory)
	}
	r.counts[name]++
	r.memory += size
	r.memories[name] += size
	return nil
}

// maxReason is the size in bytes of the reason why an item is skipped, which can quote it.
const maxReason = 2 << 10

func (r *run) skip(name string, err error) {
	if errors.Is(err, hives.ErrNoBase) {
		return // a system without the hive has none of the components in it
	}
	r.skipped[name]++
	s := Skipped{Cataloger: name, Reason: err.Error()}
	if e, ok := errors.AsType[*SkipError](err); ok {
		s.Evidence, s.Reason = e.Evidence, e.Err.Error()
	}
	if len(s.Reason) > maxReason {
		s.Reason = strings.Clone(strings.ToValidUTF8(s.Reason[:maxReason], "")) + "…"
	}
	switch n := r.skipped[name]; {
	case n == MaxSkipped:
		s = Skipped{Cataloger: name, Reason: fmt.Sprintf("more than %d items are skipped; the rest is not listed", MaxSkipped-1)}
	case n > MaxSkipped:
		return
	}
	r.inv.Skipped = append(r.inv.Skipped, s)
}
