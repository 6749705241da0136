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
// # As regedit reads it
//
// [Reader] takes what regedit takes: blanks around everything, also before the first
// line; comments after a semicolon, and lines that begin with #; LF, CR LF or CR at
// the end of a line; comments and empty lines inside a list of bytes that goes on. It
// sets nothing that regedit does not set: a list that another value interrupts or that
// ends in a backslash without a comma, a dword without digits, text with \0 in it.
// Where regedit passes over such a line, Reader.Skip decides between that and an error.
// REG_EXPAND_SZ and REG_MULTI_SZ without a NUL at their end get one; Reader.Raw keeps
// them.
//
// These facts are those to which Wine's tests of regedit hold Windows itself. From no
// such test: that [] is the root of the hive, as text of other programs has it; that
// the names of types may be in capitals; that a backslash before any other character
// stands for itself, and that a text may span lines, as regedit writes it.
//
// # What it cannot hold
//
// Class names, security descriptors, times, the flags of keys (the symbolic link
// flag among them) and the order in which values stand among the keys of other
// files are not part of the format; [Export] leaves them out.
//
// The format has no escape for line breaks and NUL in names, and none for backslashes
// in the names of keys. A name with a line break would put lines of its own into the
// text, such as [-HKEY_LOCAL_MACHINE\SAM], and a hive is made by strangers. So such
// names, those of no length at all, and in REGEDIT4 characters that the code page
// lacks, are not written: Options.Skip gets the key, with all below it, or the value,
// and a comment stands in its place; without Skip, Export ends with [ErrCannotHold].
//
// All else comes back as it was where Raw is set: every type, text that is not
// terminated or has an odd length (as bytes), names with lone surrogates, the order of
// values. UTF-8 is for programs: regedit takes a file without a byte order mark for one
// in the code page of its machine, and REGEDIT4 always is one: where that is not
// Windows-1252 a name may come out as another, so text for Windows is in UTF-16.
//
// # Use
//
// [Export] writes a key and everything below it. [Reader] yields the changes of a
// file one at a time. [Import] applies them to a hive. Hives are
// mounted somewhere in the tree that .reg files speak of; [Options.Prefix] says
// where.
package regtext
