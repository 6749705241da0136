package cli

import (
	"errors"
	"fmt"
	"sync"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/regf"
)

// hiveWarnings collects the harmless faults of an image's hives. They are grouped by
// hive, because one hive can have thousands of them.
type hiveWarnings struct {
	mu    sync.Mutex
	list  []*hiveWarning
	where map[string]*hiveWarning
}

type hiveWarning struct {
	where string
	first finding.Finding
	all   map[finding.Finding]struct{} // a set, because a hive can be read twice
}

// add adds a finding. Its Layer names the hive.
func (w *hiveWarnings) add(f finding.Finding) {
	where := f.Layer
	f.Layer = ""
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.where[where]
	if x == nil {
		if w.where == nil {
			w.where = map[string]*hiveWarning{}
		}
		x = &hiveWarning{where: where, first: f, all: map[finding.Finding]struct{}{}}
		w.where[where] = x
		w.list = append(w.list, x)
	}
	x.all[f] = struct{}{}
}

// lines returns one line for each hive.
func (w *hiveWarnings) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, x := range w.list {
		s := fmt.Sprintf("%s: %s", x.where, x.first.Unrated())
		if more := len(x.all) - 1; more > 0 {
			s += fmt.Sprintf(", and %d more such faults", more)
		}
		lines = append(lines, s+"; it changes nothing here, and mullion hive repair mends it")
	}
	return lines
}

// print prints the lines as warnings.
func (w *hiveWarnings) print(c *console) {
	for _, s := range w.lines() {
		c.warnf("%s", s)
	}
}

// damagedHint adds advice to errors about hives of layers that cannot be read.
func damagedHint(err error) error {
	if errors.Is(err, regf.ErrCorrupt) || errors.Is(err, regf.ErrTruncated) {
		return hintf(err, "a hive is damaged: mullion cat extracts it from its layer, mullion hive check lists the faults, mullion hive repair mends them")
	}
	return err
}
