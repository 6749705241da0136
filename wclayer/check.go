package wclayer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

const (
	hiveSignature = "regf"
	completes     = "mullion makebase completes the layer"
)

// Check yields the faults of the layer in a directory of either shape: those of the
// directory and those of the layer's tree and metadata (layer.Audit), with the limits that
// WithLimits sets. It goes on after faults that concern one entry alone. It writes nothing
// and reads all streams.
//
// The error is that of ctx, or of a directory that cannot be opened. Files that the host
// does not let it read are findings of the rule layer.RuleUnreadable.
func Check(ctx context.Context, path string, opts ...Option) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		c := &checker{ctx: ctx, path: path, yield: yield}
		if err := c.run(newOptions(opts)); err != nil && !c.done {
			yield(finding.Finding{}, err)
		}
	}
}

type checker struct {
	ctx   context.Context
	path  string
	yield func(finding.Finding, error) bool
	done  bool
	// Without an index the hives say whether the layer is a base layer.
	sam, delta bool
	buf        []byte
	entry      func() string // the entry that an error is about
}

func (c *checker) report(f finding.Finding) {
	c.done = c.done || !c.yield(f.In(c.path), nil)
}

func (c *checker) tell(rule *finding.Rule, path, format string, args ...any) {
	c.report(rule.At(path, -1, format, args...))
}

// ruleOf names the rule that an error of a reader breaks.
func ruleOf(err error) *finding.Rule {
	for _, r := range []struct {
		err  error
		rule *finding.Rule
	}{
		{ErrNotLayer, RuleNotLayer},
		{ErrTombstones, RuleTombstones},
		{errNoMetaFile, RuleMetaFile},
		{errOrphan, RuleOrphan},
		{ErrHostFile, RuleHostFile},
		{ErrNoMetadata, RuleNoRecord},
		{ErrMetadata, RuleDamagedRecord},
		{errLost, RuleLostEntry},
		{winfs.ErrInvalidName, RuleHostName},
		{layer.ErrCorrupt, RuleTransportFile},
		{io.ErrUnexpectedEOF, RuleDamagedRecord}, // the index of the records
	} {
		if errors.Is(err, r.err) {
			return r.rule
		}
	}
	return layer.RuleUnreadable
}

func (c *checker) failed(err error) {
	path := ""
	var placed *layer.Error
	if errors.As(err, &placed) {
		path, err = placed.Entry, placed.Err
	} else if c.entry != nil {
		path = c.entry()
	}
	c.tell(ruleOf(err), path, "%v", err)
}

func (c *checker) run(o options) error {
	o.tolerate = func(err error) bool {
		c.failed(err)
		return !c.done
	}
	r, err := open(c.path, o)
	if err != nil {
		if ruleOf(err) == layer.RuleUnreadable {
			return err
		}
		c.failed(err)
		return nil
	}
	defer r.Close()
	audit := layer.Audit{Report: c.report, Limits: o.limits, Base: o.base, HasParents: o.parents}
	var tombs *tombstones
	switch r := r.(type) {
	case *Reader:
		if r.index != nil {
			base := r.index.flags&indexBase != 0
			audit.Base, audit.HasParents = base, !base
		}
		c.entry = func() string { return r.entry.Path }
	case *TransportReader:
		audit.HasParents = true
		tombs = r.tombs
		c.entry = func() string { return r.entry.Path }
		if r.delta == nil {
			c.tell(RuleNoDelta, hivesName+`\`+deltaName, "Files and Hives take their times from it, and it is not there")
		}
	}
	if err := c.entries(r, &audit, tombs); err != nil {
		return err
	}
	if !c.done && tombs == nil && (audit.Base || !audit.HasParents && c.sam && !c.delta) {
		c.base()
	}
	return nil
}

func (c *checker) entries(r layer.Reader, audit *layer.Audit, tombs *tombstones) error {
	seen := false
	for n := int64(1); !c.done && !audit.Exceeded(); n++ {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		if err == io.EOF {
			audit.Finish()
			return nil
		}
		if err != nil {
			c.failed(err)
			return nil
		}
		audit.Entry(e, n, -1)
		c.sam = c.sam || winfs.EqualFold(e.Path, hiveDirectory+`\SAM`)
		c.delta = c.delta || winfs.Under(e.Path, hivesName) && strings.HasSuffix(winfs.Fold(e.Path), winfs.Fold("_Delta"))
		if tombs != nil {
			if inUtility(e.Path) && !seen {
				seen = true
				c.tell(RuleUtilityVM, e.Path, "the utility VM is not carried by transport directories")
			}
			if w := r.(*TransportReader); e.Kind == layer.Whiteout && len(w.frames) == 0 {
				c.tell(RuleNoParentDir, e.Path, "its directory is not in the layer; upstream readers lose the deletion")
			}
		}
		if err := c.streams(r, e, audit); err != nil {
			if c.ctx.Err() != nil {
				return err
			}
			c.failed(err)
			return nil
		}
	}
	return nil
}

// streams reads the streams. Those of alternate streams have checksums.
func (c *checker) streams(r layer.Reader, e *layer.Entry, audit *layer.Audit) error {
	if c.buf == nil {
		c.buf = make([]byte, 256<<10)
	}
	for {
		s, err := r.NextStream()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !audit.Stream(e, s.Size) {
			return nil
		}
		for err == nil {
			if err = c.ctx.Err(); err == nil {
				_, err = r.Read(c.buf)
			}
		}
		if err != io.EOF {
			return err
		}
	}
}

// base looks for what base layer processing leaves.
func (c *checker) base() {
	root, err := openDirectory(c.path)
	if err != nil {
		c.failed(err)
		return
	}
	defer root.close()
	if _, err := root.stat(layoutName); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.failed(err)
		} else {
			c.report(RuleLayout.At(layoutName, -1, "a base layer must have a file of this name").WithHint(completes))
		}
	}
	p := &parent{path: c.path}
	o := newOptions(nil)
	defer p.close()
	for _, h := range baseHives {
		source := hiveDirectory + `\` + h.source
		found, err := p.find(source, &o)
		if err != nil || found.dir == nil {
			c.tell(layer.RuleHiveMissing, source, "a base layer must have this registry hive")
			continue
		}
		if err := signature(found.dir, found.name); err != nil {
			c.tell(RuleHiveSignature, source, "%v", err)
		}
		if made, err := p.find(hivesName+`\`+h.base, &o); err != nil || made.dir == nil {
			c.report(RuleHiveLink.At(hivesName+`\`+h.base, -1, "base layer processing makes it of %s", source).WithHint(completes))
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
