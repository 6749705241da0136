// Package zeros finds the holes in data that is read without knowledge of its extents.
package zeros

var zeros [4096]byte

// All reports whether p holds no byte but zero. It is true of an empty slice.
func All(p []byte) bool {
	for len(p) >= len(zeros) {
		if string(p[:len(zeros)]) != string(zeros[:]) {
			return false
		}
		p = p[len(zeros):]
	}
	return string(p) == string(zeros[:len(p)])
}
