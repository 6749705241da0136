// Package regtext reads and writes the text form of the registry, .reg files.
//
// # What a .reg file is
//
// A .reg file is a list of changes, not a picture: it begins with a line that
// names its version, then come keys in brackets, and below each key its values.
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
// A key that is named is made, with the keys above it; a key with a minus sign is
// deleted with everything below it; a value with a minus sign is deleted. Text of
// type REG_SZ stands in quotes, REG_DWORD after dword:, every other type n as
// bytes after hex(n):, where n is hexadecimal and any 32-bit number. A backslash
// at the end of a line of bytes continues it.
//
// Version 5 is UTF-16 with a byte order mark where Windows writes it; UTF-8 is
// read and written too. The older REGEDIT4 is in the ANSI code page, here always
// Windows-1252, and holds the text of REG_SZ, REG_EXPAND_SZ and REG_MULTI_SZ in
// that code page even where it stands as bytes.
//
// # What it cannot hold
//
// Class names, security descriptors, times, the flags of keys (the symbolic link
// flag among them) and the order in which values stand among the keys of other
// files are not part of the format; [Export] leaves them out. A key name with a line break in it, and in REGEDIT4 a
// character that the code page lacks, cannot be written at all: Export gives
// [ErrCannotHold] rather than a file that says something else.
// All else comes back as it was: every type, text that is not terminated or has an
// odd length (as bytes), names with lone surrogates, the order of values.
//
// # Use
//
// [Export] writes a key and everything below it. [Reader] yields the changes of a
// file one at a time. [Import] applies them to a hive. Hives are
// mounted somewhere in the tree that .reg files speak of; [Options.Prefix] says
// where.
package regtext
