// Package winfs holds the Windows file system facts on which the other packages of mullion
// build: the spelling and comparison of names, attribute bits, times, and the binary forms
// of extended attributes and reparse points. It has no policy and imports the standard
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
// Paths inside a layer are relative, separated by backslashes, and never start or end with
// one; the empty string is the root. Functions with Slash in their name convert to and from
// the forward slashes of tar archives. [ValidatePath] is the only check that turns a
// foreign path into a trusted one; [CheckPath] finds names that are safe but that NTFS
// alone, and not Win32, can open.
//
// # Time
//
// [Filetime] counts 100 ns ticks since 1601-01-01 UTC. Its range is far wider
// than that of time.Duration arithmetic on time.Time, so conversions work on
// ticks and never through nanoseconds.
//
// # Reparse points and extended attributes
//
// A file or directory may carry a reparse buffer: a tag, which names the driver
// that handles the object, and data for it. Links and mount points are two of the
// tags; [ParseReparse] decodes them and keeps all others raw. Extended attributes
// are small named values ([EA]) that Windows itself uses rarely, but the Windows
// Subsystem for Linux for every file.
//
// # Proven, inferred, unknown
//
//   - Proven by genuine images: the upcase table and the order of names. By worked
//     vectors: times, reparse buffers of links, extended attributes.
//   - From Microsoft's documents alone: the other reparse tags, buffers with a GUID,
//     the rules of file names and devices.
//   - Unknown: which names of devices Win32 still reserves on each build of Windows.
//     No layer is refused for one; [CheckPath] finds them for checks and for hosts
//     that are Windows.
package winfs
