package offline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/internal/wtf8"
)

// The reasons of an Error.
var (
	// ErrNotOffline reports a command, an option or a part of a language that needs Windows.
	ErrNotOffline = errors.New("cannot be done without Windows")
	// ErrSyntax reports a line that the shell itself would refuse.
	ErrSyntax = errors.New("syntax error")
	// ErrLimit reports a line that is larger, deeper or does more than is allowed.
	ErrLimit = errors.New("more than the limit")
)

// elsewhere is the advice for what cannot be done offline.
const elsewhere = "mullion build --commands prints what can; build the rest on a Windows host, and take its result with COPY --from and --build-context"

// Error is the reason why a command was not carried out, or why it failed as it would have
// in Windows.
type Error struct {
	Line   string // the command as Run got it, or the command line that Exec made
	Column int    // of Word in Line in bytes, from 1; 0 if there is no one place
	Word   string // the word that cannot be done, or the command that failed
	Advice string // what to do instead, may be empty
	// Err is the reason: it wraps ErrNotOffline, ErrSyntax or ErrLimit, is an *ExitError, or
	// an error of the files or of the registry.
	Err error
}

// Error returns the word, its column and the reason.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Word != "" {
		b.WriteString(wtf8.Visible(clip(e.Word)))
		if e.Column > 0 {
			fmt.Fprintf(&b, " (column %d)", e.Column)
		}
		b.WriteString(": ")
	} else if e.Column > 0 {
		fmt.Fprintf(&b, "column %d: ", e.Column)
	}
	return b.String() + e.Err.Error()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// ExitError reports that the command ended with an exit status other than 0.
type ExitError struct {
	Code   int
	Output string // the end of what was printed as an error
}

// Error returns the status and the output.
func (e *ExitError) Error() string {
	s := fmt.Sprintf("exit status %d", e.Code)
	if out := strings.TrimSpace(e.Output); out != "" {
		s += ": " + wtf8.Visible(out)
	}
	return s
}

// clip shortens a word for a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	i := most
	for i > 0 && s[i]&0xC0 == 0x80 {
		i--
	}
	return s[:i] + "..."
}

// wordError is an Error inside the package: at is the offset of the word in the command
// that the caller passed, -1 if there is none.
type wordError struct {
	at     int
	word   string
	err    error
	advice string
}

func (e *wordError) Error() string { return e.word + ": " + e.err.Error() }
func (e *wordError) Unwrap() error { return e.err }

// notOffline refuses a word.
func notOffline(t text, advice string) error {
	return &wordError{at: t.from(), word: t.s, err: ErrNotOffline, advice: advice}
}

// asks refuses a command that would ask the user a question.
func asks(t text, question, advice string) error {
	return &wordError{at: t.from(), word: t.s, err: fmt.Errorf("%w: it asks %s", ErrNotOffline, question), advice: advice}
}

// placed gives an error without a place that of a word.
func placed(t text, err error) error {
	var w *wordError
	if err == nil || errors.As(err, &w) {
		return err
	}
	return &wordError{at: t.from(), word: t.s, err: err}
}

// result makes the Error of a line.
func result(line string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Line: line, Err: err}
	var w *wordError
	if errors.As(err, &w) {
		e.Word, e.Err, e.Advice = w.word, w.err, w.advice
		if w.at >= 0 {
			e.Column = w.at + 1
		}
	}
	if e.Advice == "" && errors.Is(err, ErrNotOffline) {
		e.Advice = elsewhere
	}
	return e
}
