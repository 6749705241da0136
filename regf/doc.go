// Package regf reads, checks, repairs, edits and writes Windows registry hives
// without Windows: the files SYSTEM, SOFTWARE, NTUSER.DAT, the BCD store and the
// Hives\*_Delta files of container layers. It replaces the Offline Registry
// Library (offreg.dll).
//
// # The format
//
// The registry is a tree of keys. A key has a name, a time, a security descriptor, perhaps
// a class name, subkeys and values; a value has a name, a 32-bit type and bytes. Each
// branch that is stored by itself is a hive, one file that starts with the letters regf.
//
// A hive file is a heap on disk. The base block of 4,096 bytes is followed by bins,
// multiples of 4,096 bytes that start with hbin; bins are cut without gaps into cells, each
// preceded by a signed size, negative while the cell is in use. Keys (nk), values (vk),
// lists of subkeys (lf, lh, li, ri), lists of values, descriptors (sk), class names and
// data are all cells that point at each other by offset from the end of the base block.
// Equal descriptors share one sk cell, which counts the keys that use it; all sk cells form
// one ring.
//
// Windows writes a hive in place, protected by a log. If the two sequence numbers of a hive
// differ, its last write was not finished: it is dirty, and may contain half of a change.
// Opening such a hive returns [ErrDirty] until its logs are replayed, unless
// [Options.AllowDirty] is set.
//
// Names are compared without regard to case, by UTF-16 units mapped with [winfs.Upcase],
// and kept as WTF-8 strings: nothing is lost, not even a lone surrogate or an embedded NUL.
// Paths are separated by backslashes; a slash is an ordinary character. Characters that
// cannot be typed are escaped in a path, see [SplitPath].
//
// # Layered hives
//
// Since Windows 10 1607 the registry of a container is a stack: the hive of the base and
// above it a differencing hive (minor version 6), in which each key is marked to merge with
// the layers below, to hide them or to replace them. [Key.Layer] and [Value.Tombstone]
// return these marks; [Hive.Layered] reports whether they have a meaning in this file.
// [Merge] makes one hive of such a stack, [Diff] the differencing hive that leads from one
// hive to another.
//
// # The nouns
//
// [Hive] is an open file. [Key] and [Value] are small values, two or three words that point
// into it; they cost nothing to copy and are never closed. Iterators allocate nothing per
// item. [Options] select the treatment of damage: [Strict] makes the first fault an error,
// [Report] continues and lists faults as [Finding]s, [Salvage] also recovers deleted keys
// and values from free cells. [Hive.Check] verifies everything, [Hive.Repair] makes a sound
// copy with everything that can be reached. With [Options.AllowHarmless], strict reading
// tolerates faults that cannot change a result.
//
// Edits ([Key.Create], [Key.SetValue], ...) are made in memory, in place, reusing free
// space. The file that was opened is never changed. [Hive.WriteImageFile] writes the edited image,
// [Hive.WriteCompactFile] a compacted one in offreg's layout; both replace their target atomically.
// Before the first change the whole hive is read once. If a reachable cell is free, inside
// another or has two owners, an edit would lose data, and fails with [ErrNeedsRepair].
//
// Results and effects of edits are those of offreg 10.0.19041, call by call: only creating
// a key changes times, its own and its parent's. In a differencing hive edits have their
// meaning for the merged registry, because offreg ignores layers: see
// [Options.IgnoreLayers].
//
// Any number of goroutines may read a hive at the same time; an edit needs exclusive
// access. A Key or Value is valid until it is deleted or moved (Rename returns the key's
// new place) and until the hive is closed.
//
// # offreg counterparts
//
//	OROpenHive, OROpenHiveByHandle  Open, OpenReaderAt, OpenBytes; Hive.SelfHeal omits the same data
//	ORCreateHive                    New
//	ORCloseHive                     Hive.Close
//	ORSaveHive                      Hive.WriteCompactFile; Hive.MinorForWindows returns the version to save
//	ORMergeHives                    Merge, MergeTo
//	OROpenKey                       Hive.Key, Key.Open
//	ORCreateKey                     Key.Create
//	ORCloseKey                      not needed: a Key holds nothing
//	ORDeleteKey                     Key.DeleteSubkey, Key.Delete; deleting twice is an error here
//	ORRenameKey                     Key.Rename
//	ORQueryInfoKey                  Key.Info
//	OREnumKey                       Key.SubkeyAt, Key.Subkeys
//	OREnumValue                     Key.ValueAt, Key.Values
//	ORGetValue                      Key.QueryValue, Key.Value
//	ORSetValue, ORDeleteValue       Key.SetValue, Key.DeleteValue
//	ORGetKeySecurity, ORSet...      Key.CopySecurity, Key.Security, Key.UpdateSecurity
//	ORGetVirtualFlags, ORSet...     Key.VirtualFlags, Key.SetVirtualFlags
//	ORGetVersion                    Version
//	ORStart, ORShutdown             not needed: the package holds no global state
//
// Errors are [*Error] values. errors.Is finds both the sentinel of this package
// and the Windows code that offreg returns in the same place ([Errno]).
package regf
