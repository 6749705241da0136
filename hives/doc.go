// Package hives handles the five registry hives of a Windows container layer: their names,
// the merging of a chain of layers into one registry, and the information in it.
//
// # Hives in layers
//
// A base layer contains the hives of its Windows as the files SYSTEM, SOFTWARE, SAM,
// SECURITY and DEFAULT in Files\Windows\System32\config. A layer with parents does not
// contain them again: while a container runs, its registry is a differencing hive over the
// hives below, and the layer keeps its changes as five delta hives in its Hives directory,
// System_Delta and so on. Each key of a delta adds to, replaces or hides the key below
// (package regf, "Layered hives"). When a layer is unpacked, Hives\SYSTEM_BASE and its
// siblings hold the result: in a base layer the config files themselves, in another the
// merge of the parent's with the delta. The base and delta names of DEFAULT differ from its
// own: DEFAULTUSER_BASE, DefaultUser_Delta.
//
// [Match] recognises all of these by path, without regard to case, and [Place] decides
// which of them make up the registry and which are not allowed in a layer. [Merge] makes
// one hive of a base and its deltas, [Chain] finds them in a stack of layers.
//
// # Information in the registry
//
// [OSVersionOf] reads the build of Windows from a SOFTWARE hive: it is the build in the
// image, even if the image's configuration claims another. [Environment] composes the
// variables that a process in the container would see. [EnableCimBoot] makes the changes to
// a SYSTEM hive with which Windows boots a utility VM from CimFS. [Minimal] makes valid
// hives for a base layer that is made from nothing. Package hives/bcd reads and edits boot
// configuration stores, which are hives too.
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
