// Package cli implements the command line. Knowledge of Windows belongs in other
// packages: a command parses its arguments, calls a package and prints the result.
//
// Each command, or group of commands, has one constructor, newXCommand(*console), which
// root.go lists. An error returned by a RunE function is printed as
//
//	mullion: OP SUBJECT: ERROR
//	hint: ADVICE
//
// where OP is the command's path and SUBJECT its first argument, or the subject set by
// [about]. Errors in flags and in the number of arguments, which occur before RunE is
// called, are usage errors, as are errors made by [usagef]. All exit with status 2, and
// so does [errPartial], which prints nothing. [errFound] exits with status 1 and prints
// nothing.
package cli
