package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"regexp"
	"strings"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// usageError is an error in the command line. The exit status is 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// usagef returns a formatted usageError.
func usagef(format string, a ...any) error { return &usageError{fmt.Sprintf(format, a...)} }

// subjectError names the subject of an error if it is not the first argument of the
// command.
type subjectError struct {
	subject string
	err     error
}

func (e *subjectError) Error() string { return e.subject + ": " + unrepeated(e.subject, e.err.Error()) }
func (e *subjectError) Unwrap() error { return e.err }

// unrepeated returns the text of an error without the subject at its start, with or without
// "create" before it: the message begins with the subject already.
func unrepeated(subject, text string) string {
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "create "), subject+": "); ok && subject != "" {
		return rest
	}
	return text
}

// about adds the subject of an error unless it has one. It returns nil if err is nil.
func about(subject string, err error) error {
	if err == nil {
		return nil
	}
	var s *subjectError
	if errors.As(err, &s) {
		return err
	}
	return &subjectError{subject, err}
}

// hintedError is an error with advice for the user.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// hintf adds advice to an error, which is printed on a line of its own.
func hintf(err error, format string, a ...any) error {
	return &hintedError{err, fmt.Sprintf(format, a...)}
}

// hints lists advice for errors common to many commands. The first match is used.
var hints = []struct {
	is   error
	hint string
}{
	{fs.ErrPermission, "check the owner and permissions of the file and its directory"},
}

// listedError is an error that is printed as a text and, in lines of their own, a list.
type listedError struct {
	err   error
	text  string
	lines []string
}

func (e *listedError) Error() string { return e.err.Error() }
func (e *listedError) Unwrap() error { return e.err }

// hintFor returns the advice for an error of a command.
func hintFor(command string, err error) string {
	var h *hintedError
	if errors.As(err, &h) {
		return h.hint
	}
	var fault *hiveFault
	if errors.As(err, &fault) {
		if hint := fault.advice(command); hint != "" {
			return hint
		}
	}
	var limit *layer.LimitError
	if errors.As(err, &limit) && limitNames[limit.Limit] != "" {
		return fmt.Sprintf("--limit %s=N allows more, -1 everything", limitNames[limit.Limit])
	}
	for _, h := range hints {
		if errors.Is(err, h.is) {
			return h.hint
		}
	}
	return ""
}

// printError prints an error returned by RunE, and the hint for it.
func (c *console) printError(ctx context.Context, cmd *cobra.Command, err error, status int) {
	op := commandName(cmd)
	text := limitText(err.Error(), err)
	if interrupted(ctx, err) {
		text, err = "interrupted", nil
	}
	var s *subjectError
	var l *listedError
	hint := hintFor(op, err)
	if errors.As(err, &s) && hint == "" {
		hint = misread(op, s.subject)
	} else if err != nil && hint == "" {
		hint = misread(op, c.subject)
	}
	if c.json {
		e := jsonError{Op: op, Subject: c.subject, Message: text, Hint: hint, Status: status}
		if err != nil && errors.As(err, &s) {
			e.Subject, e.Message = s.subject, strings.TrimPrefix(text, s.subject+": ")
		}
		e.Message = strings.ReplaceAll(e.Message, "\n", "; ")
		c.printJSONError(e)
		return
	}
	if errors.As(err, &l) {
		text = strings.ReplaceAll(text, l.Error(), l.text)
	}
	if err == nil || !errors.As(err, &s) {
		if c.subject != "" {
			text = c.subject + ": " + unrepeated(c.subject, text)
		} else {
			op += ":"
		}
	}
	// Joined errors and answers of registries can have several lines.
	text = strings.ReplaceAll(text, "\n", "; ")
	fmt.Fprintf(c.err, "%s %s %s\n", paint(c.errColour, colourError, "mullion:"), op, visible(text))
	if l != nil {
		for _, line := range l.lines {
			fmt.Fprintf(c.err, "  %s\n", visible(line))
		}
	}
	if hint != "" {
		fmt.Fprintf(c.err, "%s %s\n", paint(c.errColour, colourHint, "hint:"), visible(hint))
	}
}

// cimLimit is the text of package cimfs for an image that is larger than imageLimits allows.
var cimLimit = regexp.MustCompile(regexp.QuoteMeta(cimfs.ErrLimit.Error()) + `: more than (\d+) (?:names|objects)`)

// limitText names the flag in the text of an error about a limit.
func limitText(text string, err error) string {
	var limit *layer.LimitError
	if !errors.As(err, &limit) || limitNames[limit.Limit] == "" {
		if errors.Is(err, cimfs.ErrLimit) {
			return cimLimit.ReplaceAllString(text, "--limit entries=$1 is exceeded")
		}
		return text
	}
	return strings.ReplaceAll(text, limit.Error(), fmt.Sprintf("--limit %s=%d is exceeded", limitNames[limit.Limit], limit.Max))
}

// namingLimits names the flag in the messages of findings about a limit.
func namingLimits(check iter.Seq2[finding.Finding, error]) iter.Seq2[finding.Finding, error] {
	return func(yield func(finding.Finding, error) bool) {
		for f, err := range check {
			if before, limit, found := strings.Cut(f.Message, layer.ErrLimit.Error()+": "); found {
				if field, value, ok := strings.Cut(limit, " is "); ok && limitNames[field] != "" {
					f.Message = fmt.Sprintf("%s--limit %s=%s is exceeded", before, limitNames[field], value)
				}
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// warnf prints a warning on standard error, unless --quiet is set.
func (c *console) warnf(format string, a ...any) {
	if !c.quiet {
		c.printWarning(fmt.Errorf(format, a...))
	}
}

// printWarning prints an error that does not end the command.
func (c *console) printWarning(err error) {
	fmt.Fprintf(c.err, "%s %s\n", paint(c.errColour, colourWarning, "mullion: warning:"), visible(strings.ReplaceAll(err.Error(), "\n", "; ")))
}
