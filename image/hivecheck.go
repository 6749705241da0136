package image

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
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

	version string          // os.version of the configuration, see Expect
	found   hives.OSVersion // by the merged SOFTWARE hive, if Build is not 0
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

var errEmpty = errors.New("the file is empty")

func (c *HiveChecker) fault(index int, rule *finding.Rule, path string, err error) {
	c.report(rule.At(path, -1, "%v", err).In(c.labels[index]))
}

// Entry looks at an entry of the layer that was started last, and reads data, its main
// stream, if it is a hive.
func (c *HiveChecker) Entry(e *layer.Entry, data io.Reader) { c.EntryTo(e, data, c.report) }

// EntryTo is Entry with another function that findings are passed to, such as that of
// wintar.Each.
func (c *HiveChecker) EntryTo(e *layer.Entry, data io.Reader, report func(finding.Finding)) {
	index := len(c.labels) - 1
	fault := func(rule *finding.Rule, err error) { report(rule.At(e.Path, -1, "%v", err).In(c.labels[index])) }
	n, form, ok, err := hives.Place(e, c.base && index == 0)
	switch {
	case !ok:
		return
	case err != nil:
		c.hives.bad[n] = err
		fault(RuleHivePlace, err)
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
			if h.size == 0 {
				c.hives.bad[n] = regf.ErrNotHive
				fault(RuleHiveEmpty, errEmpty)
			}
			found[form][n] = h
			return
		}
		if err == nil {
			c.hives.bad[n] = layer.ErrLimit
			fault(RuleHive, &layer.LimitError{Limit: "hive size", Max: maxHive})
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
		if c.hives.bad[n] != nil { // has been reported
			continue
		}
		whole := true
		for i := range c.hives.layers {
			whole = c.alone(ctx, i, n) && whole
		}
		if whole && c.base && ctx.Err() == nil {
			c.merge(ctx, n)
		}
	}
}

// Expect makes Finish compare the build in the merged registry with the os.version of the
// configuration.
func (c *HiveChecker) Expect(version string) { c.version = version }

// hasDeltas reports whether a layer has a delta hive, as only a layer with parents does.
func (c *HiveChecker) hasDeltas(index int) bool { return len(c.hives.layers[index][hives.Delta]) > 0 }

// merge merges the hives of all layers, each of which was read to its end alone: so a view,
// which takes less memory, leaves no fault unfound.
func (c *HiveChecker) merge(ctx context.Context, n hives.Name) {
	h, err := c.hives.View(ctx, n)
	if err == nil {
		if n == hives.Software {
			c.checkVersion(h)
		}
		err = h.Close()
	}
	var where *hives.ChainError
	switch {
	case err == nil:
	case errors.As(err, &where):
		c.report(HiveFault(n.Path(where.Form), where.Err).In(c.labels[where.Layer]))
	case errors.Is(err, hives.ErrNoBase):
		c.fault(0, layer.RuleHiveMissing, n.Path(hives.Config), errors.New("a base layer must have this registry hive"))
	default:
		c.fault(0, RuleHive, n.Path(hives.Config), err)
	}
}

// alone checks the hive of one layer by itself and reports whether it can be merged.
func (c *HiveChecker) alone(ctx context.Context, i int, n hives.Name) bool {
	form := hives.Delta
	if i == 0 && (c.base || !c.hasDeltas(0)) {
		form = hives.Config // the hives of a base layer; elsewhere they are ordinary files
	}
	h, err := warned{c.hives.layers[i], i, nil}.OpenHive(n, form)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	report := func(f finding.Finding) { c.report(f.In(c.labels[i])) }
	path := n.Path(form)
	if err != nil {
		report(HiveFault(path, err))
		return false
	}
	whole := checkHive(ctx, h, path, form, report)
	if err := h.Close(); err != nil && whole {
		report(HiveFault(path, err))
		return false
	}
	return whole
}

// checkHive reads a hive to its end.
func checkHive(ctx context.Context, h *regf.Hive, path string, form hives.Form, report func(finding.Finding)) bool {
	const most = 100 // omissions that are told one by one
	header := h.Header()
	layered := header.Flags&regf.HeaderLayered != 0
	switch {
	case header.Minor < 3:
		report(RuleHiveVersion.At(path, -1, "the hive has version 1.%d", header.Minor))
		return false
	case form == hives.Config && layered:
		report(RuleHiveVersion.At(path, -1, "the hive of a base layer is a differencing hive"))
		return false
	}
	omitted := 0
	for f, err := range h.Omitted() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			if ctx.Err() == nil {
				report(HiveFault(path, err))
			}
			return false
		}
		if omitted++; omitted <= most {
			report(RuleHiveOmits.At(path, -1, "key %q, value %q: %s (%s)", f.Path, f.Value, f.Message, f.Rule))
		}
	}
	if omitted > most {
		report(RuleHiveOmits.At(path, -1, "%d more keys and values are omitted", omitted-most))
	}
	if form == hives.Delta && !layered {
		if key := layerMark(ctx, h); key != nil {
			report(RuleDeltaFlag.At(path, -1, "key %q has layer semantics, and the base block no layered flag", key.Path()))
		}
	}
	return true
}

// layerMark returns a key of a hive without the layered flag that would have layer
// semantics with it, nil if there is none.
func layerMark(ctx context.Context, h *regf.Hive) *regf.Key {
	const semantics, tombstone = 3, 2 // bits of the layer byte, flag of a value
	for k, err := range h.Root().Walk() {
		if err != nil || ctx.Err() != nil {
			return nil
		}
		if k.LayerByte()&semantics != 0 {
			return &k
		}
		for v, err := range k.Values() {
			if err != nil {
				return nil
			}
			if v.Flags()&tombstone != 0 && v.Type() == 0 && v.Size() == 0 {
				return &k
			}
		}
	}
	return nil
}

// HiveFault makes a finding of the error of opening or reading the hive at a path of a
// layer.
func HiveFault(path string, err error) finding.Finding {
	rule := RuleHive
	var placed *regf.Error
	switch {
	case errors.Is(err, regf.ErrDirty):
		rule = RuleHiveDirty
	case errors.As(err, &placed) && placed.Rule != "", errors.Is(err, regf.ErrCorrupt), errors.Is(err, regf.ErrTruncated):
		rule = RuleHiveCorrupt
	}
	return rule.At(path, -1, "%v", err)
}

// checkVersion compares the build in the merged SOFTWARE hive with os.version.
func (c *HiveChecker) checkVersion(h *regf.Hive) {
	v, f, differs := CompareOSVersion(h, c.version)
	c.found = v
	if differs {
		c.report(f)
	}
}

// CompareOSVersion reads the build in the SOFTWARE hive of a base layer or of an image and
// compares it with an os.version, of three numbers or four. The finding is one of
// RuleOSVersionDiffers if they differ. Nothing differs from an os.version that is empty or
// not one, nor from a hive without a build, as those of images without Windows are.
func CompareOSVersion(h *regf.Hive, version string) (found hives.OSVersion, f finding.Finding, differs bool) {
	v, err := hives.OSVersionOf(h)
	if err != nil {
		return v, f, false
	}
	want, ok := parseVersion(version)
	if !ok {
		return v, f, false
	}
	rule := RuleOSVersionDiffers
	switch {
	case [3]int(want[:3]) != [3]int{int(v.Major), int(v.Minor), int(v.Build)}:
	case strings.Count(version, ".") == 3 && v.HasUBR && want[3] != int(v.UBR):
		rule = rule.Lesser()
	default:
		return v, f, false
	}
	return v, rule.At(hives.Software.Path(hives.Config), -1, "os.version is %s, and the registry has %v", version, v), true
}

// Close ends the temporary files.
func (c *HiveChecker) Close() error { return c.hives.Close() }
