package layerdir

import (
	"context"
	"errors"
	"io"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Checker reports the faults of one layer directory.
type Checker struct {
	Ctx   context.Context
	Path  string
	Yield func(finding.Finding, error) bool
	Done  bool          // the caller takes no more findings
	Entry func() string // path of the entry that an error concerns; nil before the layer is open
	Rules []RuleError   // of the form, before those of every layer directory

	buf []byte
}

// RuleError names the rule that an error of a reader breaks.
type RuleError struct {
	Err  error
	Rule *finding.Rule
}

// Report yields a finding.
func (c *Checker) Report(f finding.Finding) {
	c.Done = c.Done || !c.Yield(f.In(c.Path), nil)
}

// Add yields a finding with a formatted message.
func (c *Checker) Add(rule *finding.Rule, path, format string, args ...any) {
	c.Report(rule.At(path, -1, format, args...))
}

// End yields the error that ends the check, if there is one.
func (c *Checker) End(err error) {
	if err != nil && !c.Done {
		c.Done = true
		c.Yield(finding.Finding{}, err)
	}
}

// ruleOf returns the rule that an error of a reader breaks.
func (c *Checker) ruleOf(err error) *finding.Rule {
	for _, list := range [][]RuleError{c.Rules, {
		{ErrNotLayer, RuleNotLayer},
		{hostfs.ErrHostFile, RuleHostFile},
		{ErrNoMetadata, RuleNoRecord},
		{hostfs.ErrMetadata, RuleDamagedRecord},
		{ErrLost, RuleLostEntry},
		{winfs.ErrInvalidName, RuleHostName},
		{layer.ErrCorrupt, RuleTransportFile},
		{io.ErrUnexpectedEOF, RuleDamagedRecord}, // the index of the records
	}} {
		for _, r := range list {
			if errors.Is(err, r.Err) {
				return r.Rule
			}
		}
	}
	return layer.RuleUnreadable
}

// Failed yields a finding for the error of a reader.
func (c *Checker) Failed(err error) {
	path := ""
	var placed *layer.Error
	if errors.As(err, &placed) {
		path, err = placed.Entry, placed.Err
	} else if c.Entry != nil {
		path = c.Entry()
	}
	c.Add(c.ruleOf(err), path, "%v", err)
}

// Unopened handles the error of opening the directory: a fault of the layer is a finding,
// and any other error ends the check.
func (c *Checker) Unopened(err error) {
	if c.ruleOf(err) == layer.RuleUnreadable {
		c.End(err)
		return
	}
	c.Failed(err)
}

// Tolerate reports an error of one entry and reports whether the check continues.
func (c *Checker) Tolerate(err error) bool {
	c.Failed(err)
	return !c.Done
}

// Entries audits the entries of a reader and reads their streams. It calls each, unless
// that is nil, with every entry. The error is that of the context.
func (c *Checker) Entries(r layer.Reader, audit *layer.Audit, each func(e *layer.Entry)) error {
	for n := int64(1); !c.Done && !audit.Exceeded(); n++ {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		if err == io.EOF {
			audit.Finish()
			return nil
		}
		if err != nil {
			c.Failed(err)
			return nil
		}
		audit.Entry(e, n, -1)
		if each != nil {
			each(e)
		}
		if err := c.streams(r, e, audit); err != nil {
			if c.Ctx.Err() != nil {
				return err
			}
			c.Failed(err)
			return nil
		}
	}
	return nil
}

// streams reads the streams of an entry. Alternate streams have checksums.
func (c *Checker) streams(r layer.Reader, e *layer.Entry, audit *layer.Audit) error {
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
			if err = c.Ctx.Err(); err == nil {
				_, err = r.Read(c.buf)
			}
		}
		if err != io.EOF {
			return err
		}
	}
}
