package offline

import "context"

// Run carries out a command in the shell form of a Dockerfile. Shell is that of the SHELL
// instruction, nil for cmd /S /C; command is the text after it, with the line breaks that a
// heredoc may contain. As in Docker, both make one command line.
//
// What the commands changed before an error remains changed: after an error, the caller
// discards the container. The error is an *Error.
func Run(ctx context.Context, c *Container, shell []string, command string) error {
	return errNotYet
}

// Exec carries out a command in the exec form: a program and its arguments.
func Exec(ctx context.Context, c *Container, args []string) error {
	return errNotYet
}
