//go:build !windows && !darwin

package hostfs

// HostCountsUnits reports whether the host limits names in UTF-16 units.
const HostCountsUnits = false

// HostHolds reports whether the host takes a valid component as a name: Linux
// and the BSDs take any bytes but the slash, which is in no component.
func HostHolds(string) bool { return true }
