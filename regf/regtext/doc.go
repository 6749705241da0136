// Package regtext reads and writes the text form of the registry, .reg files.
//
// # The format
//
// A .reg file is a list of changes, not a picture of a registry: the first line names its
// version, then come keys in brackets, and below each key its values.
//
//	Windows Registry Editor Version 5.00
//
//	[HKEY_LOCAL_MACHINE\SOFTWARE\Example]
//	@="the default value"
//	"Count"=dword:0000002a
//	"Path"=hex(2):25,00,54,00,45,00,4d,00,50,00,25,00,00,00
//	"Gone"=-
//
//	[-HKEY_LOCAL_MACHINE\SOFTWARE\Old]
//
// A named key is created, together with its missing parents; a key with a minus sign is
// deleted with everything below it; a value with a minus sign is deleted. Text of type
// REG_SZ is in quotes, REG_DWORD follows dword:, every other type n is written as bytes
// after hex(n):, where n is hexadecimal and any 32-bit number. A backslash at the end of a
// line of bytes continues it.
//
// Version 5 is UTF-16 with a byte order mark if Windows writes it; UTF-8 is read and
// written too. The older REGEDIT4 is in the ANSI code page, here always Windows-1252, and
// holds the text of REG_SZ, REG_EXPAND_SZ and REG_MULTI_SZ in that code page even when it
// is written as bytes.
//
// # Compatibility with regedit
//
// [Reader] accepts the input that regedit accepts: blanks around everything, also before
// the first line; comments after a semicolon, and lines that start with #; LF, CR LF or CR
// at the end of a line; comments and empty lines inside a list of bytes that is continued.
// It sets no value that regedit does not set: a list that another value interrupts or that
// ends in a backslash without a comma, a dword without digits, text with \0 in it. Where
// regedit skips such a line, Reader.Skip decides between skipping and an error.
// REG_EXPAND_SZ and REG_MULTI_SZ without a NUL at their end get one, unless Reader.Raw is
// set.
//
// These facts are from Wine's tests of regedit, which also pass on Windows. The following
// are from no such test: that [] is the root of the hive, as in text of other programs;
// that the names of types may be in capitals; that a backslash before any other character
// is literal, and that a text may span lines, as regedit writes it.
//
// # Limits of the format
//
// Class names, security descriptors, times, the flags of keys (the symbolic link flag among
// them) and the position of values among the keys of other files are not part of the
// format; [Export] omits them.
//
// The format has no escape for line breaks and NUL in names, and none for backslashes in
// the names of keys. A name with a line break would add lines of its own to the text, such
// as [-HKEY_LOCAL_MACHINE\SAM], and hives come from untrusted sources. So such names, empty
// names of keys, and in REGEDIT4 characters that the code page lacks, are not written:
// Options.Skip is called with the key, with all below it, or the value, and a comment takes
// its place; without Skip, Export fails with [ErrCannotHold].
//
// Everything else survives a round trip if Raw is set: every type, text that is not
// terminated or has an odd length (as bytes), names with lone surrogates, the order of
// values. UTF-8 is for programs: regedit reads a file without a byte order mark in the code
// page of its machine, and REGEDIT4 is always read in it: if that is not Windows-1252, a
// name may become another, so text for Windows is in UTF-16.
//
// # Use
//
// [Export] writes a key and everything below it. [Reader] yields the changes of a file one
// at a time. [Import] applies them to a hive. A hive is mounted somewhere in the tree of a
// .reg file; [Options.Prefix] is that place.
package regtext
