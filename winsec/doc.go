// Package winsec reads, writes and explains Windows security data: SIDs, access
// control lists and security descriptors, as bytes and as SDDL text, without any
// Windows function.
//
// # Access control
//
// Every file and every registry key has a security descriptor. It names an owner and a
// group, and holds up to two lists. The DACL controls access; the SACL controls auditing,
// and also carries integrity labels and resource attributes. Each list is a sequence of
// access control entries, each of which allows, denies or audits a set of rights for one
// SID, a security identifier such as S-1-5-32-544, the administrators.
//
// Two similar descriptors mean opposites: an empty DACL grants nothing to anyone, a NULL
// DACL grants everything to everyone. A descriptor without a DACL leaves the decision to
// the system.
//
// # The nouns
//
// [SID] is a comparable value. [Parse] returns a [Descriptor] with its lists ([ACL]) of
// entries ([ACE]), and [Descriptor.Bytes] writes it: a descriptor that was not changed is
// returned byte for byte, in any layout. [ParseSDDL] and [Descriptor.SDDL] convert to and
// from text, in which [Condition] and [Claim] appear as well. [Check] lists faults.
// [NullDACL], [BuilderDirectory], [BuilderFile] and [RegistryDefault] are the descriptors
// of layers for which nothing else is known.
//
// # Proven, inferred, unknown
//
//   - Proven by the vectors of the layers and registry specifications and by two
//     thousand descriptors from genuine hives: descriptors, lists, basic entries,
//     mandatory labels, the default descriptors, and the order in which Windows
//     puts the parts, see [ACLFirst].
//   - In agreement with the pair that was recorded on Windows Server ([BuilderDirectory],
//     [BuilderFile]): what files and directories inherit, and that an effective entry stays
//     beside one that is passed on, too ([InheritFile]). Keys of genuine hives lack that
//     entry: registries inherit by another rule.
//   - Proven by bytes that Windows made from SDDL, as recorded in Samba's tests:
//     conditions, claims of strings and their packing, and the lower case, spaces,
//     hexadecimal numbers and parentheses that Windows accepts.
//   - From MS-DTYP alone, without genuine samples: object, policy, trust and filter
//     entries, claims of other types than strings.
//   - Inferred: the DACL of a new file in a directory that has nothing to inherit, see
//     InheritFile; the order in which Windows writes the rights of labels as text; that
//     claims of other types are packed like strings.
//   - Not done: numbers that are too large, which Windows replaces by the largest
//     value, and octets with # among their digits. They are errors here.
//   - Unknown: how Windows encodes names of local attributes that need %XXXX.
package winsec
