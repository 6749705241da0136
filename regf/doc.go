// Package regf reads, checks, repairs, edits and writes Windows registry hives
// without Windows: the files SYSTEM, SOFTWARE, NTUSER.DAT, the BCD store and the
// Hives\*_Delta files of container layers. It replaces the Offline Registry
// Library (offreg.dll).
//
// # What a hive is
//
// The registry is a tree of keys. A key has a name, a time, a security
// descriptor, perhaps a class name, subkeys and values; a value has a name, a
// 32-bit type and bytes. Each branch that is stored by itself is a hive, one file
// that begins with the letters regf.
//
// A hive file is a heap on disk. After a base block of 4,096 bytes come bins,
// multiples of 4,096 bytes that begin with hbin; bins are cut without gaps into
// cells, each with a signed size before it, negative while the cell is in use.
// Keys (nk), values (vk), lists of subkeys (lf, lh, li, ri), lists of values,
// descriptors (sk), class names and data are all cells that point at each other
// by offset from the end of the base block. Equal descriptors share one sk cell,
// which counts the keys that use it; all sk cells form one ring.
//
// Windows writes a hive in place, behind a log. A hive whose two sequence numbers
// differ was not finished: it is dirty, and what it says may be half of a change.
// Such a hive is refused with [ErrDirty] until its logs are replayed or
// [Options.AllowDirty] insists.
//
// Names are compared case by case in UTF-16 units with [winfs.Upcase], and kept
// as WTF-8 strings: nothing is lost, not even a lone surrogate or an embedded
// NUL. Paths are separated by backslashes; a slash is an ordinary character. What
// cannot be typed is escaped in a path, see [SplitPath].
//
// # Layered hives
//
// Since Windows 10 1607 a container sees its registry as a stack: the hive of
// the base and above it a differencing hive (minor version 6) that says for each
// key whether it is merged with what lies below, hides it or replaces it.
// [Key.Layer] and [Value.Tombstone] show that; [Hive.Layered] says whether it has
// a meaning in this file. [Merge] makes one hive of such a stack, [Diff] the differencing
// hive that leads from one hive to another.
//
// # The nouns
//
// [Hive] is an open file. [Key] and [Value] are small values, two or three words
// that point into it; they cost nothing to copy and are never closed. Iterators
// allocate nothing per item. [Options] choose how damage is treated: [Strict]
// makes the first fault an error, [Report] goes on and lists faults as
// [finding.Finding]s, [Salvage] also brings back deleted keys and values from free cells.
// [Hive.Check] verifies everything, [Hive.Repair] makes a sound copy with all
// that can be reached. [Options.AllowHarmless] lets strict reading go past what
// cannot change an answer.
//
// Edits ([Key.Create], [Key.SetValue], ...) are made in memory, in place, reusing
// free space. The file that was opened is never changed. [Hive.Store] writes the
// edited image, [Hive.Save] a compacted one in the layout that offreg gives; both
// replace their target atomically. Before the first change the whole hive is read
// once: one with a cell that is free although it is reached, inside another or with
// two owners is not edited, because that would lose data, and gives [ErrNeedsRepair].
//
// Results and effects of edits are those of offreg 10.0.19041, call by call: only
// creating a key changes times, its own and its parent's. In a differencing hive edits
// mean what they say in terms of layers, which offreg does not know: see
// [Options.IgnoreLayers].
//
// Any number of goroutines may read a hive at the same time; an edit needs the
// hive for itself. A Key or Value is valid until what it names is deleted or
// moved (Rename returns the key's new place) and until the hive is closed.
//
// # offreg counterparts
//
//	OROpenHive, OROpenHiveByHandle  Open, OpenReaderAt, OpenBytes; Hive.SelfHeal drops what it drops
//	ORCreateHive                    New
//	ORCloseHive                     Hive.Close
//	ORSaveHive                      Hive.Save; Hive.MinorForWindows gives the version to save
//	ORMergeHives                    Merge
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
