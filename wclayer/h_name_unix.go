//go:build !windows && !darwin

package wclayer

// hostCountsUnits tells whether the host limits names in UTF-16 units.
const hostCountsUnits = false

// hostHolds reports whether the host takes a valid component as a name: Linux
// and the BSDs take any bytes but the slash, which is in no component.
func hostHolds(string) bool { return true }
