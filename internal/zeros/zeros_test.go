package zeros

import "testing"

func TestAll(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 3 * 4096} {
		b := make([]byte, n)
		if !All(b) {
			t.Errorf("%d zeros are not", n)
		}
		for _, at := range []int{0, n / 2, n - 1} {
			if n == 0 {
				continue
			}
			b[at] = 1
			if All(b) {
				t.Errorf("byte %d of %d is not found", at, n)
			}
			b[at] = 0
		}
	}
}
