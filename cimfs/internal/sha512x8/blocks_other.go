//go:build !amd64

package sha512x8

const supported = false

func blocks(*[8][Lanes]uint64, *[Lanes]*byte, *[80]uint64, int) {
	panic("sha512x8: not on this processor")
}
