package wintar

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/mullion/mullion/internal/zeros"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Check reads a layer tar to its end and yields what is wrong with it, in the
// order of the archive: what breaks the rules of the format, which stops a
// Reader; what the tree of the layer does not allow (layer.Audit); and what is
// known to cause trouble elsewhere. It goes on after everything but the loss of
// the archive's framing. It keeps some 60 bytes an entry.
//
// The options Base and HasParents tell it what the tar itself does not say.
func Check(r io.Reader, opts ...Option) iter.Seq[layer.Finding] {
	return func(yield func(layer.Finding) bool) {
		c := &checker{yield: yield}
		c.dec.options = gather(opts)
		c.src = newSource(r)
		c.run(r)
	}
}

type checker struct {
	yield   func(layer.Finding) bool
	stopped bool
	dec     decoder
	src     *source
	audit   layer.Audit

	path    string // what the current findings are about
	owner   string // of streams that may follow
	entry   layer.Entry
	streams map[string]bool
	index   int64
}

func (c *checker) report(f layer.Finding) {
	if c.stopped {
		return
	}
	f.Layer = c.dec.label
	c.stopped = !c.yield(f)
}

func (c *checker) tell(severity layer.Severity, rule, message string) {
	c.report(layer.Finding{Severity: severity, Rule: rule, Path: c.path, Offset: c.src.block, Message: message})
}

func (c *checker) run(r io.Reader) {
	c.audit = layer.Audit{Report: c.report, Base: c.dec.base, HasParents: c.dec.parents}
	c.dec.note = func(severity layer.Severity, rule string, _ error, message string) { c.tell(severity, rule, message) }
	a := newArchive(c.src)
	a.plain = true // there is no hurry, and what is told of is archive/tar's view
	for !c.stopped {
		h, err := a.next()
		if err == io.EOF {
			c.path = ""
			c.end(r)
			c.audit.Finish()
			return
		}
		if err != nil {
			c.path = ""
			c.broken(err)
			return
		}
		if c.header(h) && c.dec.each != nil {
			c.dec.each(&c.entry, a)
		}
	}
}

// broken reports what ends the reading.
func (c *checker) broken(err error) {
	c.path = ""
	after := ""
	if c.index > 0 {
		after = fmt.Sprintf(", after entry %d, %s", c.index, shorten(c.entry.Path))
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		c.tell(layer.SevereError, RuleTruncated, "the archive ends in the middle"+after)
	case errors.Is(err, tar.ErrHeader):
		c.tell(layer.SevereError, RuleBadHeader, "there is no valid tar header"+after)
	case errors.Is(err, tar.ErrFieldTooLong):
		c.tell(layer.SevereError, RuleBadHeader, "the records of an entry are larger than 1 MiB"+after)
	default:
		c.tell(layer.SevereError, RuleTruncated, "the archive cannot be read: "+err.Error()+after)
	}
}

// end looks at how the archive ends.
func (c *checker) end(r io.Reader) {
	if c.src.ended && !c.src.blockZero {
		severity := layer.SevereError
		if c.dec.noTrailer {
			severity = layer.Warning
		}
		c.tell(severity, RuleMissingTrailer, "the archive has no trailer: it may have been cut between two entries")
		return
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := c.src.Read(buf)
		if !zeros.All(buf[:n]) {
			c.tell(layer.Warning, RuleAfterEnd, "there is data behind the end of the archive")
			return
		}
		if err != nil {
			if err != io.EOF {
				c.broken(err)
			}
			return
		}
	}
}

// header looks at an entry and reports whether it is one that can be understood, and
// no stream of another.
func (c *checker) header(h *header) bool {
	c.path = clipName(strings.TrimSuffix(strings.TrimPrefix(h.name, "./"), "/"))
	usable := c.dec.decode(h, &c.dec.entry)
	switch {
	case c.dec.role == roleStream:
		if usable {
			c.stream()
		}
	case c.dec.role == roleSkip:
	case !usable:
		c.index++
		c.owner = ""
	default:
		c.index++
		c.entry = c.dec.entry
		c.owner, c.streams = "", nil
		if c.entry.Kind == layer.File || c.entry.Kind == layer.Dir {
			c.owner = c.entry.Path
		}
		c.audit.Entry(&c.entry, c.index, c.src.block)
		return true
	}
	return false
}

func (c *checker) stream() {
	if c.owner == "" || c.dec.owner != c.owner {
		c.tell(layer.SevereError, RuleStreamPlace, "an alternate stream must stand right behind its file")
		return
	}
	folded := winfs.Fold(c.dec.stream)
	if c.streams[folded] {
		c.tell(layer.SevereError, RuleStreamTwice, "the file has a stream of this name already")
		return
	}
	if len(c.streams) >= maxStreams {
		return
	}
	if c.streams == nil {
		c.streams = map[string]bool{}
	}
	c.streams[folded] = true
}
