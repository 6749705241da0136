package wclayer

import (
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The rules of every layer directory. Those about the tree and the metadata of any layer are of layer.Audit.
const (
	RuleNotLayer      = "not-a-layer-directory"
	RuleTransportFile = "bad-transport-file"      // attributes or backup stream are damaged
	RuleHostFile      = "host-file"               // a link, device, socket or pipe of the host
	RuleNoRecord      = "metadata-record-missing" // an entry lost what the host cannot hold
	RuleDamagedRecord = "metadata-record-damaged" // index, record or data contradict the files
	RuleLostEntry     = "entry-missing"           // recorded, but not there
	RuleHostName      = "host-name-invalid"       // a file whose name no Windows file can have
	RuleUnreadable    = "unreadable"              // the host does not let it be read
)

type checker struct {
	path  string
	yield func(layer.Finding) bool
	done  bool
	entry func() string // the entry that an error is about; nil before the layer is open
	rules []ruleError   // of the form, before those of every layer directory
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

// ruleError names the rule that an error of a reader breaks.
type ruleError struct {
	err  error
	rule string
}
