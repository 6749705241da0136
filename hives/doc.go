// Package hives knows the five registry hives of a Windows container layer: what
// they are called, how a chain of layers makes one registry of them, and what can
// be learned from it.
//
// # Hives in layers
//
// A base layer carries the hives of its Windows as the files SYSTEM, SOFTWARE, SAM,
// SECURITY and DEFAULT in Files\Windows\System32\config. A layer with parents does
// not carry them again: while a container runs, its registry is a differencing
// hive over the hives below, and what the layer keeps of that is five delta hives
// in its Hives directory, System_Delta and so on. A delta says for each key
// whether it adds to, replaces or hides what lies below (package regf, "Layered
// hives"). When a layer is unpacked, Hives\SYSTEM_BASE and its siblings hold the
// result: in a base layer the config files themselves, in another the merge of the
// parent's with the delta. DEFAULT changes its name on the way: DEFAULTUSER_BASE,
// DefaultUser_Delta.
//
// [Match] recognises all of these by path, whatever their case, and [Place] says which of
// them make the registry and which may not be in a layer. [Merge] makes one
// hive of a base and its deltas, [Chain] finds them in a stack of layers.
//
// # What the registry tells
//
// [OSVersionOf] reads the build of Windows from a SOFTWARE hive: it is what an
// image contains, whatever its configuration claims. [Environment] composes the
// variables that a process in the container would see. [EnableCimBoot] makes the
// changes to a SYSTEM hive with which Windows boots a utility VM from CimFS.
// [Minimal] makes valid hives for a base layer that is made from nothing. Package
// hives/bcd reads and edits boot configuration stores, which are hives too.
//
// # Proven, inferred, unknown
//
//	names of the hives in base and delta layers   proven (images, hcsshim)
//	delta semantics                               proven (merges by Microsoft's library in the golden corpus; package regf)
//	values that name the build                    proven (genuine SOFTWARE hives)
//	order in which an environment is joined       documented by Microsoft
//	values of EnableCimBoot                       proven (hcsshim set them until 2024)
//	which hives Windows accepts in a base layer   inferred: valid hives with the keys that start-up reads; not booted
package hives
