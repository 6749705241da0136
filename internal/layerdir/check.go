package layerdir

import (
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The rules of every layer directory. Those about the tree and the metadata of any layer are of layer.Audit.
const (
	RuleNotLayer      = "not-a-layer-directory"
	RuleTransportFile = "bad-transport-file"      // attributes or backup stream are damaged
	RuleHostFile      = "host-file"               // a link, device, socket or pipe of the host
	RuleNoRecord      = "metadata-record-missing" // the metadata that the host cannot hold is lost
	RuleDamagedRecord = "metadata-record-damaged" // index, record or data contradict the files
	RuleLostEntry     = "entry-missing"           // recorded, but not there
	RuleHostName      = "host-name-invalid"       // a file whose name no Windows file can have
	RuleUnreadable    = "unreadable"              // the host does not let it be read
)

// Checker reports the faults of one layer directory.
type Checker struct {
	Path  string
	Yield func(layer.Finding) bool
	Done  bool
	Entry func() string // the entry that an error is about; nil before the layer is open
	Rules []RuleError   // of the form, before those of every layer directory
}

// Report yields a finding.
func (c *Checker) Report(f layer.Finding) {
	if c.Done {
		return
	}
	f.Layer = c.Path
	if f.Offset == 0 {
		f.Offset = -1
	}
	c.Done = !c.Yield(f)
}

// Tell yields a finding with a formatted message.
func (c *Checker) Tell(s layer.Severity, rule, path, format string, args ...any) {
	c.Report(layer.Finding{Severity: s, Rule: rule, Path: path, Offset: -1, Message: fmt.Sprintf(format, args...)})
}

// ruleOf names the rule that an error of a reader breaks.
func (c *Checker) ruleOf(err error) string {
	for _, list := range [][]RuleError{c.Rules, {
		{ErrNotLayer, RuleNotLayer},
		{hostfs.ErrHostFile, RuleHostFile},
		{ErrNoMetadata, RuleNoRecord},
		{hostfs.ErrMetadata, RuleDamagedRecord},
		{ErrLost, RuleLostEntry},
		{winfs.ErrInvalidName, RuleHostName},
		{layer.ErrCorrupt, RuleTransportFile},
	}} {
		for _, r := range list {
			if errors.Is(err, r.Err) {
				return r.Rule
			}
		}
	}
	return RuleUnreadable
}

// Failed yields the error of a reader.
func (c *Checker) Failed(err error) {
	path := ""
	var placed *layer.Error
	if errors.As(err, &placed) {
		path, err = placed.Entry, placed.Err
	} else if c.Entry != nil {
		path = c.Entry()
	}
	c.Tell(layer.SevereError, c.ruleOf(err), path, "%v", err)
}

// Tolerate reports an error about one entry and says whether to go on.
func (c *Checker) Tolerate(err error) bool {
	c.Failed(err)
	return !c.Done
}

// Entries audits the entries of a reader, and calls each, unless it is nil, with every
// entry.
func (c *Checker) Entries(r layer.Reader, audit *layer.Audit, each func(e *layer.Entry)) {
	for n := int64(1); !c.Done; n++ {
		e, err := r.Next()
		if err == io.EOF {
			audit.Finish()
			return
		}
		if err != nil {
			c.Failed(err)
			return
		}
		audit.Entry(e, n, -1)
		if each != nil {
			each(e)
		}
		if err := c.streams(r); err != nil {
			c.Failed(err)
			return
		}
	}
}

// streams reads the alternate streams, whose checksums are known.
func (c *Checker) streams(r layer.Reader) error {
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

// RuleError names the rule that an error of a reader breaks.
type RuleError struct {
	Err  error
	Rule string
}
