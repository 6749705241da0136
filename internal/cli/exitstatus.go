package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// The exit statuses of all commands, as "mullion help exit-status" describes them.
const (
	exitDone        = 0
	exitFound       = 1   // only what a check, comparison or search found
	exitFailed      = 2   // wrong usage too
	exitInterrupted = 130 // 128 + SIGINT, as shells report it
	exitClosed      = 141 // 128 + SIGPIPE, which ends cat and grep in the same case
)

// errFound is returned by checks and comparisons that have printed findings. The exit
// status is 1 and no error is printed.
var errFound = errors.New("something was found")

// errPartial is returned by commands that have named on standard error what they left
// out of their output. The exit status is 2 and no other error is printed.
var errPartial = errors.New("something was left out")

// newExitStatusTopic returns a help topic: a command that cannot run.
func newExitStatusTopic(*console) *cobra.Command {
	return &cobra.Command{
		Use:   "exit-status",
		Short: "The exit statuses of all commands",
		Long: `The exit status of every command is

    0  done; nothing was found, or both sides are the same
    1  found or different: check, cim check and hive check printed findings,
       diff and hive compare printed differences, updates --latest found the
       image behind
    2  failed, or wrong usage; standard error says why
  130  interrupted by Ctrl-C or SIGTERM; no unfinished output is left
  141  the reader of standard output exited early, as head does

A command that had to leave out or lose a part of its input, because the part
is damaged or its output cannot represent it, names the part and exits with 2,
although it has written the rest: hive export, import and repair, and all hive
commands with --mode report.

141 is the status that a shell shows for cat and grep when the reader of their
output exits early. The other statuses are those of diff and grep.

mount and serve run until they are interrupted, and then exit with 0.

A signal that comes while the program is still being loaded, before any command
has begun, ends it as the system does: nothing has been written, and a shell
shows 130 after Ctrl-C and 143 after SIGTERM. A parent that is no shell sees a
process that was ended by a signal.`,
	}
}

// exitStatus returns the exit status for the error of a command that has run.
func exitStatus(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitDone
	case interrupted(ctx, err):
		return exitInterrupted
	case silent(err) && !errors.Is(err, errPartial):
		return exitFound
	}
	return exitFailed
}

// interrupted reports whether err is the consequence of a signal.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// silent reports whether err consists of errors that the command has already explained.
func silent(err error) bool {
	if err == errFound || err == errPartial {
		return true
	}
	switch x := err.(type) {
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			if !silent(e) {
				return false
			}
		}
		return true
	case interface{ Unwrap() error }:
		inner := x.Unwrap()
		return inner != nil && silent(inner)
	}
	return false
}
