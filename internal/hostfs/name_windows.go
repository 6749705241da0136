package hostfs

import "github.com/mullion/mullion/winfs"

// HostCountsUnits reports whether the host limits names in UTF-16 units.
const HostCountsUnits = true

// HostHolds reports whether the host takes a valid component as a name. NTFS
// holds all of them, but not through Win32: devices and trailing dots need the
// other way.
func HostHolds(name string) bool { return winfs.CheckName(name) == nil }
