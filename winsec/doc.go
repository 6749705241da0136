// Package winsec reads, writes and explains Windows security data: SIDs, access
// control lists and security descriptors, as bytes and as SDDL text, without any
// Windows function.
//
// # Who may do what
//
// Every file and every registry key has a security descriptor. It names an owner
// and a group, and holds up to two lists. The DACL says who may do what; the SACL
// says what is audited, and also carries integrity labels and resource
// attributes. Each list is a sequence of access control entries, each of which
// allows, denies or audits a set of rights for one SID, a security identifier such
// as S-1-5-32-544, the administrators.
//
// Two things look alike and mean opposites: a descriptor whose DACL is empty
// allows nothing to anybody, one whose DACL is NULL allows everything to
// everybody. And a descriptor without a DACL leaves the question to the system.
//
// # The nouns
//
// [SID] is a comparable value. [Descriptor], [ACL] and [ACE] are what [Parse]
// returns and [Descriptor.Bytes] writes: a descriptor that was not changed comes
// back byte for byte, whatever its layout. [ParseSDDL] and [Descriptor.SDDL]
// convert to and from text, in which [Condition] and [Claim] appear as well.
// [Check] lists what is wrong. [NullDACL], [BuilderDirectory], [BuilderFile] and
// [RegistryDefault] are the descriptors that layers get when nothing else is
// known.
//
// # Proven, inferred, unknown
//
//   - Proven by the descriptors of docs/spec/layers.md, "Security descriptors", and
//     docs/spec/registry.md, "Security", and by two thousand descriptors from genuine
//     hives: descriptors, lists, basic entries, mandatory labels, the default
//     descriptors, and the order in which Windows puts the parts, see [ACLFirst].
//   - Proven by bytes that Windows made of SDDL, as Samba's tests record them:
//     conditions, claims of strings and how they are packed, and which lower case,
//     spaces, hexadecimal numbers and parentheses Windows takes.
//   - From MS-DTYP alone, without genuine samples: object, policy, trust and filter
//     entries, claims of other types than strings.
//   - Inferred: the order in which Windows writes the rights of labels as text; that
//     claims of other types are packed like strings.
//   - Not done: numbers that are too large, which Windows makes the largest there is,
//     and octets with # among their digits. They are errors here.
//   - Unknown: what Windows makes of the names of local attributes that need %XXXX.
package winsec
