package layer

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/mullion/mullion/finding"
)

// CheckOptions say what is known about a layer that is checked.
type CheckOptions struct {
	// Label is the name of the layer in findings.
	Label string
	// Base, HasParents, Merged, Limits and Below are those of an [Audit].
	Base, HasParents, Merged bool
	Limits                   Limits
	Below                    *Below
	// Quick reads no stream: sizes are counted as they are announced, and damage of
	// content is not found. It is for readers that can skip content.
	Quick bool
	// Damage decides whether an error of the reader is the layer's fault, which makes it
	// a finding of the rule "unreadable". Nil means [IsDamage].
	Damage func(error) bool
}

// Check reads a layer with all its streams to the end and yields the faults of its tree
// and metadata, as an [Audit] finds them, in the order of the entries. An error of the
// reader that is the layer's fault is the last finding. Any other is the error of the
// check, as is that of ctx, which is looked at between streams and pieces of them. The
// caller closes the reader.
func Check(ctx context.Context, r Reader, opts CheckOptions) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		stopped := false
		report := func(f finding.Finding) { stopped = stopped || !yield(f.In(opts.Label), nil) }
		audit := Audit{Report: report, Base: opts.Base, HasParents: opts.HasParents, Merged: opts.Merged, Limits: opts.Limits, Below: opts.Below}
		damage := opts.Damage
		if damage == nil {
			damage = IsDamage
		}
		buf := make([]byte, 256<<10)
		for index := int64(1); !stopped && !audit.Exceeded(); index++ {
			err := ctx.Err()
			if err == nil {
				var e *Entry
				if e, err = r.Next(); err == nil {
					audit.Entry(e, index, -1)
					err = readStreams(ctx, r, e, &audit, buf, opts.Quick)
				}
			}
			switch {
			case stopped:
				return
			case err == nil:
			case err == io.EOF:
				audit.Finish()
				return
			case ctx.Err() != nil:
				yield(finding.Finding{}, ctx.Err())
				return
			case damage(err):
				report(Unreadable(err))
				return
			default:
				yield(finding.Finding{}, err)
				return
			}
		}
	}
}

// IsDamage reports whether an error of a reader is the fault of the layer and not of the
// machine that reads it.
func IsDamage(err error) bool {
	for _, e := range []error{ErrCorrupt, ErrInvalidName, ErrDuplicate, ErrCaseConflict, ErrLinkTarget, ErrNotDirectory, ErrWhiteout,
		ErrUnsupported, ErrStreamSize, ErrLimit, ErrMissingParent, io.ErrUnexpectedEOF} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Unreadable makes a finding of an error of a reader that is the layer's fault.
func Unreadable(err error) finding.Finding {
	f := RuleUnreadable.At("", -1, "%v", err)
	var where *Error
	if errors.As(err, &where) {
		// A tar has slashes where paths have backslashes, and no path has a slash.
		f = RuleUnreadable.At(strings.ReplaceAll(where.Entry, "/", `\`), where.Offset, "%v", where.Err)
	}
	return f
}

// readStreams reads all streams of an entry, or only looks at them.
func readStreams(ctx context.Context, r Reader, e *Entry, audit *Audit, buf []byte, quick bool) error {
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
		if quick {
			continue
		}
		for err == nil {
			if err = ctx.Err(); err == nil {
				_, err = r.Read(buf)
			}
		}
		if err != io.EOF {
			return err
		}
	}
}
