package hostfs

import "unicode/utf8"

// HostCountsUnits reports whether the host limits names in UTF-16 units. APFS counts bytes
// and HFS+ units; bytes are the safe assumption.
const HostCountsUnits = false

// HostHolds reports whether the host accepts a valid component as a name. APFS and HFS+
// refuse names that are not UTF-8, such as the lone surrogates of WTF-8.
func HostHolds(name string) bool { return utf8.ValidString(name) }
