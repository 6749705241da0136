package hostfs

import "unicode/utf8"

// hostCountsUnits tells whether the host limits names in UTF-16 units. APFS
// counts bytes, HFS+ units; bytes are the safe assumption.
const HostCountsUnits = false

// hostHolds reports whether the host takes a valid component as a name. APFS and
// HFS+ refuse what is not UTF-8, and so the lone surrogates of WTF-8.
func HostHolds(name string) bool { return utf8.ValidString(name) }
