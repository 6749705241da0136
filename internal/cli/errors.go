package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/spf13/cobra"
)

// errFound says that a check or a comparison has found something and has printed
// it: status 1 and nothing more to say.
var errFound = errors.New("something was found")

// usageError is a mistake of the caller: status 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// usagef makes a usage error.
func usagef(format string, a ...any) error { return &usageError{fmt.Sprintf(format, a...)} }

// subjectError names the subject of a failure where it is not the command's first
// argument.
type subjectError struct {
	subject string
	err     error
}

func (e *subjectError) Error() string { return e.subject + ": " + e.err.Error() }
func (e *subjectError) Unwrap() error { return e.err }

// about names what an error is about; nil stays nil.
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

// hintedError is an error that comes with advice.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// hintf adds advice to an error, printed on a line of its own.
func hintf(err error, format string, a ...any) error {
	return &hintedError{err, fmt.Sprintf(format, a...)}
}

// hints is advice for errors that many commands can meet, first match.
var hints = []struct {
	is   error
	hint string
}{
	{fs.ErrPermission, "check who owns the file and its folder"},
}

func hintFor(err error) string {
	var h *hintedError
	if errors.As(err, &h) {
		return h.hint
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

// printError prints a failure of a command that was running.
func (c *console) printError(ctx context.Context, cmd *cobra.Command, err error) {
	op := strings.TrimPrefix(cmd.CommandPath(), "mullion ")
	text := err.Error()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		text, err = "interrupted", nil
	}
	var s *subjectError
	if err == nil || !errors.As(err, &s) {
		if c.subject != "" {
			text = c.subject + ": " + text
		} else {
			op += ":"
		}
	}
	// Errors that were joined are on lines of their own, and so may be what a registry
	// has answered.
	text = strings.ReplaceAll(text, "\n", "; ")
	fmt.Fprintf(c.err, "mullion: %s %s\n", op, visible(text))
	if h := hintFor(err); h != "" {
		fmt.Fprintf(c.err, "hint: %s\n", visible(h))
	}
}

// printWarning prints something that went wrong and does not end the command.
func (c *console) printWarning(err error) {
	fmt.Fprintf(c.err, "mullion: warning: %s\n", visible(strings.ReplaceAll(err.Error(), "\n", "; ")))
}
