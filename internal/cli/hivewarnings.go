package cli

import (
	"errors"
	"fmt"
	"sync"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/regf"
)

// hiveWarnings collects the faults of an image's hives that cannot change what is read
// of them, by hive: one that a careless tool has written can have thousands.
type hiveWarnings struct {
	mu    sync.Mutex
	list  []*hiveWarning
	where map[string]*hiveWarning
}

type hiveWarning struct {
	where string
	first regf.Finding
	all   map[regf.Finding]struct{} // a hive that is read twice has each fault once
}

func (w *hiveWarnings) add(where string, f regf.Finding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.where[where]
	if x == nil {
		if w.where == nil {
			w.where = map[string]*hiveWarning{}
		}
		x = &hiveWarning{where: where, first: f, all: map[regf.Finding]struct{}{}}
		w.where[where] = x
		w.list = append(w.list, x)
	}
	x.all[f] = struct{}{}
}

// ofImage takes a finding in a layer of an image.
func (w *hiveWarnings) ofImage(f image.HiveFinding) {
	w.add(fmt.Sprintf("layer %d: %s", f.Layer, f.Name.Path(f.Form)), f.Finding)
}

// ofCIM takes a finding in an image that has its hives merged.
func (w *hiveWarnings) ofCIM(n hives.Name, form hives.Form, f regf.Finding) { w.add(n.Path(form), f) }

// lines are one for each hive.
func (w *hiveWarnings) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, x := range w.list {
		s := fmt.Sprintf("%s: %s: %s", x.where, x.first.Rule, findingText(x.first))
		if more := len(x.all) - 1; more > 0 {
			s += fmt.Sprintf(", and %d more such faults", more)
		}
		lines = append(lines, s+"; it changes nothing here, and mullion hive repair mends it")
	}
	return lines
}

// print says on standard error what was met.
func (w *hiveWarnings) print(c *console) {
	for _, s := range w.lines() {
		c.warnf("%s", s)
	}
}

// damagedHint adds advice to errors about hives of layers that cannot be read.
func damagedHint(err error) error {
	if errors.Is(err, regf.ErrCorrupt) || errors.Is(err, regf.ErrTruncated) {
		return hintf(err, "a hive is damaged: mullion cat takes the file out of its layer, mullion hive check lists what is wrong, mullion hive repair mends it")
	}
	return err
}
