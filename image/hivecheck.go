package image

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
)

// HiveChecker checks the registry of layers while they are read for another purpose. It
// reports the faults for which unpacking refuses them (hives.Place, hives.Valid,
// hives.Merge). Layers are passed base first. The caller closes it.
type HiveChecker struct {
	report func(finding.Finding)
	hives  *Hives
	labels []string
	base   bool // the lowest layer is known to have no parents
	spoilt bool // a hive could not be taken out, so that nothing is said of the whole
}

// NewHiveChecker makes a checker that passes its findings to report.
func NewHiveChecker(report func(finding.Finding)) *HiveChecker {
	return &HiveChecker{report: report, hives: newHives(nil)}
}

// Layer starts a layer, which label names in findings. base is true for a first layer
// that is known to have no parents.
func (c *HiveChecker) Layer(label string, base bool) {
	if len(c.labels) == 0 {
		c.base = base
	}
	c.labels = append(c.labels, label)
	c.hives.layers = append(c.hives.layers, hiveLayer{})
}

func (c *HiveChecker) fault(index int, rule *finding.Rule, path string, err error) {
	c.report(rule.At(path, -1, "%v", err).In(c.labels[index]))
}

// Entry looks at an entry of the layer that was started last, and reads data, its main
// stream, if it is a hive.
func (c *HiveChecker) Entry(e *layer.Entry, data io.Reader) {
	index := len(c.labels) - 1
	n, form, ok, err := hives.Place(e, c.base && index == 0)
	switch {
	case !ok:
		return
	case err != nil:
		c.hives.bad[n] = err
		c.fault(index, RuleHivePlace, e.Path, err)
		return
	case form == hives.Config && index > 0:
		return
	}
	found := c.hives.layers[index]
	if found[form] == nil {
		found[form] = map[hives.Name]hiveFile{}
	}
	if _, twice := found[form][n]; twice {
		c.hives.bad[n] = layer.ErrDuplicate // which the tree of the layer does not allow anyway
		return
	}
	f, err := tempfile.Create("", "mullion-hive-")
	if err == nil {
		h := hiveFile{file: f}
		if h.size, err = io.Copy(f, io.LimitReader(data, maxHive+1)); err == nil && h.size <= maxHive {
			found[form][n] = h
			return
		}
		if err == nil {
			c.hives.bad[n] = layer.ErrLimit
			c.fault(index, RuleHive, e.Path, &layer.LimitError{Limit: "hive size", Max: maxHive})
		}
		f.Close()
	}
	c.spoilt = c.spoilt || err != nil
}

// Finish makes the registry of the image that the layers are, if all hives could be
// read. Where the first has parents that were not read, each hive is opened alone.
func (c *HiveChecker) Finish(ctx context.Context) {
	if c.spoilt || len(c.labels) == 0 {
		return
	}
	for _, n := range hives.All() {
		switch {
		case c.hives.bad[n] != nil: // has been reported
		case c.base:
			c.merge(ctx, n)
		default:
			c.open(n)
		}
	}
}

// hasDeltas reports whether a layer has a delta hive, as only a layer with parents does.
func (c *HiveChecker) hasDeltas(index int) bool { return len(c.hives.layers[index][hives.Delta]) > 0 }

func (c *HiveChecker) merge(ctx context.Context, n hives.Name) {
	h, err := c.hives.Open(ctx, n)
	if err == nil {
		err = h.Close()
	}
	var where *hives.ChainError
	switch {
	case err == nil:
	case errors.As(err, &where):
		c.fault(where.Layer, RuleHive, n.Path(where.Form), where.Err)
	case errors.Is(err, hives.ErrNoBase):
		c.fault(0, layer.RuleHiveMissing, n.Path(hives.Config), errors.New("a base layer must have this registry hive"))
	default:
		c.fault(0, RuleHive, n.Path(hives.Config), err)
	}
}

func (c *HiveChecker) open(n hives.Name) {
	for i, l := range c.hives.layers {
		form := hives.Delta
		if i == 0 && !c.hasDeltas(0) {
			form = hives.Config // the hives of a base layer; elsewhere they are ordinary files
		}
		h, err := warned{l, i, nil}.OpenHive(n, form)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = h.Close()
		}
		if err != nil {
			c.fault(i, RuleHive, n.Path(form), err)
		}
	}
}

// Close ends the temporary files.
func (c *HiveChecker) Close() error { return c.hives.Close() }
