// Package cli is the command line. It holds no knowledge of Windows: a command
// parses its arguments, calls a package, and prints.
//
// A group of commands is one file with one constructor, `newXCommand(*console)`,
// which root.go lists. The body of a command is the RunE function; the error that
// it returns is printed as
//
//	mullion: OP SUBJECT: what is wrong
//	hint: what to do
//
// where OP is the command's path and SUBJECT its first argument, unless the error
// was made by [about]. Errors that arise before RunE is entered, in flags and in the
// number of arguments, are wrong usage and end with status 2; so do errors made
// by [usagef]. [errFound] ends with status 1 and prints nothing.
package cli
