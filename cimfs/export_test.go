package cimfs

// SetImageHashPad replaces the zeros behind a file in its hash until the function that it
// returns is called.
func SetImageHashPad(pad [8]byte) (restore func()) {
	old := imageHashPad
	imageHashPad = pad
	return func() { imageHashPad = old }
}
