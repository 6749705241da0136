// Package winfs holds the facts about Windows file systems that every other
// package of mullion builds on: how names are spelled and compared, what the
// attribute bits mean, how time is counted, and what extended attributes and
// reparse points look like as bytes. It has no policy and imports the standard
// library only.
//
// # Names
//
// A Windows name is a sequence of 16-bit units, not of characters. Most names
// are well-formed UTF-16, but nothing enforces it: a lone half of a surrogate
// pair is a legal part of a file name, of a registry key name and of a stream
// name. Go strings hold bytes, so mullion keeps names in WTF-8: plain UTF-8 for
// everything that is well-formed, and the three-byte generalised encoding
// (ED A0 80 to ED BF BF) for a lone surrogate. Every sequence of units has
// exactly one WTF-8 form, so names compare, hash and round-trip as ordinary
// strings. [DecodeUTF16] and [AppendUTF16] convert.
//
// Names compare without regard to case by mapping each unit on its own through
// a fixed table, [Upcase]. The table is the one NTFS writes into every volume and
// CimFS into every image: Unicode 5.1 simple upper-casing, restricted to pairs
// that map back. It is not [unicode.ToUpper]; the German sharp s, the dotless i
// and every supplementary character stay as they are.
//
// # Paths
//
// Paths inside a layer are relative, separated by backslashes, and never begin
// or end with one; the empty string is the root. Functions with Slash in their
// name convert to and from the forward slashes of tar archives. [ValidatePath]
// is the one door at which a foreign path becomes a trusted one.
//
// # Time
//
// [Filetime] counts 100 ns ticks since 1601-01-01 UTC. Its range is far wider
// than that of time.Duration arithmetic on time.Time, so conversions work on
// ticks and never through nanoseconds.
package winfs
