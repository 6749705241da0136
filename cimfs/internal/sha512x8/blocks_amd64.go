package sha512x8

// blocks hashes n blocks of each of the eight messages, which lie one behind the
// other from where at points. Word w of the state of lane l is state[w][l].
//
//go:noescape
func blocks(state *[8][Lanes]uint64, at *[Lanes]*byte, k *[80]uint64, n int)

func cpuid(leaf, sub uint32) (a, b, c, d uint32)

func xgetbv() uint32

var supported = detect()

// detect asks the processor for AVX-512 F and BW, and whether the system saves the
// registers (Intel SDM, volume 1, 15.2).
func detect() bool {
	if most, _, _, _ := cpuid(0, 0); most < 7 {
		return false
	}
	const osxsave = 1 << 27
	if _, _, c, _ := cpuid(1, 0); c&osxsave == 0 {
		return false
	}
	const state = 0xE6 // SSE, AVX, and the three parts of AVX-512
	if xgetbv()&state != state {
		return false
	}
	const f, bw = 1 << 16, 1 << 30
	_, b, _, _ := cpuid(7, 0)
	return b&(f|bw) == f|bw
}
