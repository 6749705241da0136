package wclayer

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The rules of Check that are about directories; those about the tree and the
// metadata of any layer are of layer.Audit.
const (
	RuleNotLayer      = "not-a-layer-directory"
	RuleTombstones    = "bad-tombstones"           // tombstones.txt cannot be read
	RuleNoParentDir   = "tombstone-without-parent" // upstream readers never return it
	RuleMetaFile      = "missing-metadata-file"    // a directory without its .$wcidirs$
	RuleOrphan        = "orphan-metadata-file"     // a .$wcidirs$ without its directory
	RuleTransportFile = "bad-transport-file"       // attributes or backup stream are damaged
	RuleNoDelta       = "system-delta-missing"     // the export has no times for Files and Hives
	RuleUtilityVM     = "utility-vm-in-transport"  // it belongs into the final directory
	RuleHostFile      = "host-file"                // a link, device, socket or pipe of the host
	RuleNoRecord      = "metadata-record-missing"  // an entry lost what the host cannot hold
	RuleDamagedRecord = "metadata-record-damaged"  // index, record or data contradict the files
	RuleLostEntry     = "entry-missing"            // recorded, but not there
	RuleHostName      = "host-name-invalid"        // a file whose name no Windows file can have
	RuleHive          = "base-hive-missing"        // a base layer lacks one of the five hives
	RuleHiveSignature = "base-hive-invalid"        // and one that is no hive
	RuleHiveLink      = "base-hive-not-processed"  // Hives\*_BASE is not there
	RuleLayout        = "layout-missing"           // a base layer has no layout file
	RuleUnreadable    = "unreadable"               // the host does not let it be read
	hiveSignature     = "regf"
)

// Check looks at the layer in a directory of either shape and yields what is wrong
// with it. It goes on after whatever concerns one entry alone. It writes nothing.
// The contents of main streams are not read, there is nothing to compare them
// with; everything else is.
func Check(path string, opts ...Option) iter.Seq[layer.Finding] {
	return func(yield func(layer.Finding) bool) {
		if s, err := shapeAt(path); err == nil && s == shapeTransport {
			CheckTransport(path, opts...)(yield)
			return
		}
		c := &checker{path: path, yield: yield}
		checkFinal(c, newOptions(opts))
	}
}

func checkFinal(c *checker, o options) {
	o.tolerate = c.tolerate
	public, err := open(c.path, o)
	if err != nil {
		c.failed(err)
		return
	}
	defer public.Close()
	r := &public.r
	audit := layer.Audit{Report: c.report}
	base := false
	if r.index != nil {
		base = r.index.flags&indexBase != 0
		audit.Base, audit.HasParents = base, !base
	}
	c.entry = func() string { return r.entry.Path }
	c.entries(public, &audit, nil)
	if base && !c.done {
		checkBase(c)
	}
}

// CheckTransport looks at a transport directory and yields what is wrong with it, as Check
// does.
func CheckTransport(path string, opts ...Option) iter.Seq[layer.Finding] {
	return func(yield func(layer.Finding) bool) {
		c := &checker{path: path, yield: yield, rules: []ruleError{
			{ErrTombstones, RuleTombstones}, {errNoMetaFile, RuleMetaFile}, {errOrphan, RuleOrphan},
		}}
		checkTransport(c, newOptions(opts))
	}
}

func checkTransport(c *checker, o options) {
	o.tolerate = c.tolerate
	public, err := openTransportLayer(c.path, o)
	if err != nil {
		c.failed(err)
		return
	}
	defer public.Close()
	r := &public.r
	c.entry = func() string { return r.entry.Path }
	if r.delta == nil {
		c.tell(layer.Warning, RuleNoDelta, hivesName+`\`+deltaName, "Files and Hives take their times from it, and it is not there")
	}
	seen := false
	c.entries(public, &layer.Audit{Report: c.report, HasParents: true}, func(e *layer.Entry) {
		if r.tombs == nil {
			return
		}
		if inUtility(e.Path) && !seen {
			seen = true
			c.tell(layer.Warning, RuleUtilityVM, e.Path, "the utility VM is not carried by transport directories")
		}
		if e.Kind == layer.Whiteout && len(r.frames) == 0 {
			c.tell(layer.Warning, RuleNoParentDir, e.Path, "its directory is not in the layer; upstream readers lose the deletion")
		}
	})
}

type checker struct {
	path  string
	yield func(layer.Finding) bool
	done  bool
	entry func() string // the entry that an error is about; nil before the layer is open
	rules []ruleError   // of the form, before those of every layer directory
}

// ruleError names the rule that an error of a reader breaks.
type ruleError struct {
	err  error
	rule string
}

func (c *checker) report(f layer.Finding) {
	if c.done {
		return
	}
	f.Layer = c.path
	if f.Offset == 0 {
		f.Offset = -1
	}
	c.done = !c.yield(f)
}

func (c *checker) tell(s layer.Severity, rule, path, format string, args ...any) {
	c.report(layer.Finding{Severity: s, Rule: rule, Path: path, Offset: -1, Message: fmt.Sprintf(format, args...)})
}

// ruleOf names the rule that an error of a reader breaks.
func (c *checker) ruleOf(err error) string {
	for _, list := range [][]ruleError{c.rules, {
		{ErrNotLayer, RuleNotLayer},
		{ErrHostFile, RuleHostFile},
		{ErrNoMetadata, RuleNoRecord},
		{ErrMetadata, RuleDamagedRecord},
		{errLost, RuleLostEntry},
		{winfs.ErrInvalidName, RuleHostName},
		{layer.ErrCorrupt, RuleTransportFile},
	}} {
		for _, r := range list {
			if errors.Is(err, r.err) {
				return r.rule
			}
		}
	}
	return RuleUnreadable
}

func (c *checker) failed(err error) {
	path := ""
	var placed *layer.Error
	if errors.As(err, &placed) {
		path, err = placed.Entry, placed.Err
	} else if c.entry != nil {
		path = c.entry()
	}
	c.tell(layer.SevereError, c.ruleOf(err), path, "%v", err)
}

// tolerate reports an error about one entry and says whether to go on.
func (c *checker) tolerate(err error) bool {
	c.failed(err)
	return !c.done
}

// entries audits what a reader returns. each looks at every entry besides.
func (c *checker) entries(r layer.Reader, audit *layer.Audit, each func(e *layer.Entry)) {
	for n := int64(1); !c.done; n++ {
		e, err := r.Next()
		if err == io.EOF {
			audit.Finish()
			return
		}
		if err != nil {
			c.failed(err)
			return
		}
		audit.Entry(e, n, -1)
		if each != nil {
			each(e)
		}
		if err := c.streams(r); err != nil {
			c.failed(err)
			return
		}
	}
}

// streams reads the alternate streams, whose checksums are known.
func (c *checker) streams(r layer.Reader) error {
	for {
		s, err := r.NextStream()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if s.Name == "" {
			continue
		}
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
			return err
		}
	}
}

// checkBase looks for what base layer processing leaves.
func checkBase(c *checker) {
	root, err := openDirectory(c.path)
	if err != nil {
		c.failed(err)
		return
	}
	defer root.close()
	if _, err := root.stat(layoutName); err != nil {
		c.tell(layer.Warning, RuleLayout, layoutName, "a base layer has a file of that name: %v", err)
	}
	p := &parent{path: c.path}
	o := newOptions(nil)
	defer p.close()
	for _, h := range baseHives {
		source := hiveDirectory + `\` + h.source
		found, err := p.find(source, &o)
		if err != nil || found.dir == nil {
			c.tell(layer.SevereError, RuleHive, source, "a base layer must have this registry hive")
			continue
		}
		if err := signature(found.dir, found.name); err != nil {
			c.tell(layer.SevereError, RuleHiveSignature, source, "%v", err)
		}
		if made, err := p.find(hivesName+`\`+h.base, &o); err != nil || made.dir == nil {
			c.tell(layer.Warning, RuleHiveLink, hivesName+`\`+h.base, "base layer processing makes it of %s", source)
		}
	}
}

func signature(d directory, name string) error {
	f, err := d.open(name)
	if err != nil {
		return err
	}
	defer f.close()
	var b [4]byte
	if _, err := io.ReadFull(f, b[:]); err != nil || string(b[:]) != hiveSignature {
		return fmt.Errorf("it begins with %q and not with %q", strings.TrimRight(string(b[:]), "\x00"), hiveSignature)
	}
	return nil
}
