package wintar

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/zeros"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Check reads a layer tar to its end and yields its faults, in the order of the
// archive: breaches of the format, at the errors among which a Reader stops; those of
// the layer's tree and metadata (layer.Audit), with the limits that WithLimits sets; and
// properties that are known to cause trouble elsewhere. It goes on after everything but
// the loss of the archive's framing; after a limit that was exceeded with the format alone.
// It keeps some 60 bytes an entry. The layer's tree is checked in another goroutine, which
// ends before Check does; findings come when some hundred entries more were read, in order.
// If r can seek, data that nothing looks at is skipped by seeking.
//
// The options Base and HasParents say what a tar itself does not. The error is that of r
// or of ctx.
func Check(ctx context.Context, r io.Reader, opts ...Option) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		c := &checker{ctx: ctx, yield: yield}
		c.dec.options = gather(opts)
		c.ratio = c.dec.limits.WithDefaults().Ratio
		c.src = newSource(r)
		defer c.auditor.close()
		err := c.run(r)
		if c.auditor.flush(); err != nil && !c.stopped {
			yield(finding.Finding{}, err)
		}
	}
}

type checker struct {
	ctx     context.Context
	yield   func(finding.Finding, error) bool
	stopped bool
	dec     decoder
	src     *source
	tar     *archive
	auditor auditor

	name    string // of the header that the current findings are about, as the archive has it
	owner   string // of streams that may follow
	slashed bool   // the owner's name ends in a slash
	entry   layer.Entry
	streams map[string]bool
	index   int64

	ratio int64
	data  checkedStream // that the observer reads
}

// tell yields a finding.
func (c *checker) tell(f finding.Finding) {
	if c.stopped {
		return
	}
	c.stopped = !c.yield(f.In(c.dec.label), nil)
}

func (c *checker) addFinding(rule *finding.Rule, message string) {
	c.auditor.report(rule.At(entryPath(c.name), c.src.block, "%s", message))
}

// entryPath spells the name of a header as the path of its entry, by which all findings about
// the entry name it. A name that is that of no entry is spelled in the same way as far as it
// goes.
func entryPath(name string) string {
	p := clipName(strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/"), "/", `\`))
	dir, base := winfs.SplitPath(p)
	hidden, ok := strings.CutPrefix(base, whiteoutPrefix)
	switch {
	case !ok:
		return p
	case base == whiteoutOpaque && dir != "":
		return dir
	case winfs.ValidateComponent(hidden) == nil:
		return winfs.JoinPath(dir, hidden)
	}
	return p
}

func (c *checker) run(r io.Reader) error {
	c.auditor.audit = layer.Audit{Report: c.tell, Base: c.dec.base, HasParents: c.dec.parents, Limits: c.dec.limits, Below: c.dec.below}
	c.auditor.yield, c.auditor.serial = c.tell, c.dec.serial
	c.dec.note = func(rule *finding.Rule, err error, message string) {
		// The finding has the name as its path.
		var name *winfs.NameError
		if errors.As(err, &name) {
			message = strings.Replace(message, name.Error(), name.Err.Error(), 1)
		}
		c.addFinding(rule, message)
	}
	c.tar = newArchive(c.src)

	for !c.stopped {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.rest(); err != nil {
			return err
		}
		h, err := c.tar.next()
		if err == io.EOF {
			c.name = ""
			if err := c.end(r); err != nil {
				return err
			}
			c.auditor.finish()
			return nil
		}
		if err != nil {
			return c.broken(err)
		}
		entry := c.header(h)
		if c.dec.err != nil || c.dec.flaw != nil {
			c.dec.observer = nil // a Reader stops here, or yields an entry with a defect
		}
		if !entry {
			continue
		}
		if data := c.observe(); c.dec.each != nil {
			c.dec.each(&c.entry, data, c.auditor.report)
		}
	}
	return nil
}

// broken reports the damage that ends the reading, and returns other errors.
func (c *checker) broken(err error) error {
	c.name = ""
	after := ""
	if c.index > 0 {
		after = fmt.Sprintf(", after entry %d, %s", c.index, shorten(c.entry.Path))
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		c.addFinding(RuleTruncated, "the archive ends in the middle"+after)
	case errors.Is(err, tar.ErrHeader):
		c.addFinding(RuleBadHeader, "there is no valid tar header"+after)
	case errors.Is(err, tar.ErrFieldTooLong):
		c.addFinding(RuleBadHeader, "the records of an entry are larger than 1 MiB"+after)
	default:
		return fmt.Errorf("the archive cannot be read%s: %w", after, err)
	}
	return nil
}

// end looks at how the archive ends.
func (c *checker) end(r io.Reader) error {
	if c.src.ended && !c.src.blockZero {
		rule := RuleMissingTrailer
		if c.dec.noTrailer {
			rule = rule.Lesser()
		}
		c.addFinding(rule, "the archive has no trailer: it may have been cut between two entries")
		if c.dec.noTrailer {
			c.observed()
		}
		return nil
	}
	c.observed()
	buf := make([]byte, 32<<10)
	for {
		n, err := c.src.Read(buf)
		if !zeros.All(buf[:n]) {
			c.addFinding(RuleAfterEnd, "there is data behind the end of the archive")
			return nil
		}
		if err == nil {
			err = c.ctx.Err()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return c.broken(err)
		}
	}
}

// header looks at an entry and reports whether it is one that can be understood, and
// no stream of another.
func (c *checker) header(h *header) bool {
	c.name = h.name
	usable := c.dec.decode(h, &c.dec.entry)
	switch {
	case c.dec.role == roleStream:
		if usable {
			c.stream(h.size)
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
			c.owner, c.slashed = c.entry.Path, strings.HasSuffix(h.name, "/")
		}
		main := int64(-1)
		if c.entry.Kind == layer.File {
			main = h.size
		}
		c.auditor.entry(&c.entry, c.index, c.src.block, main)
		return true
	}
	return false
}

func (c *checker) stream(size int64) {
	if c.owner == "" || c.dec.owner != c.owner {
		c.addFinding(RuleStreamPlace, "an alternate stream must directly follow its file")
		c.dec.observer = nil
		return
	}
	folded := winfs.Fold(c.dec.stream)
	if c.streams[folded] {
		c.addFinding(RuleStreamTwice, "the file has a stream of this name already")
		c.dec.observer = nil
		return
	}
	if len(c.streams) >= maxStreams {
		c.dec.observer = nil
		return
	}
	if c.streams == nil {
		c.streams = map[string]bool{}
	}
	c.streams[folded] = true
	if c.slashed {
		c.addFinding(RuleStreamOfSlash, "the name of the file or directory ends in a slash, and that of the stream does not begin with it")
	}
	c.auditor.alternate(&c.entry, size)
	c.observeStream(&layer.Stream{Name: c.dec.stream, Size: size, Sparse: c.dec.sparse})
}
