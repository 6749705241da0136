package sha512x8

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestVectors: examples of FIPS 180-4 (NIST, "SHA512.pdf"), often enough for every
// lane to have one.
func TestVectors(t *testing.T) {
	vectors := []struct{ text, sum string }{
		{"abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
			"8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"},
		{"", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
	}
	var list []*Message
	for range 7 {
		for _, v := range vectors {
			list = append(list, &Message{Pieces: [][]byte{[]byte(v.text)}})
		}
	}
	new(Hasher).Sum(list)
	for i, m := range list {
		if v := vectors[i%3]; hex.EncodeToString(m.Sum[:]) != v.sum {
			t.Errorf("message %d, %q: %x", i, v.text, m.Sum)
		}
	}
}

// random makes messages in random pieces, some of them empty.
func random(r *rand.Rand, count, most int) []*Message {
	var list []*Message
	for range count {
		b := make([]byte, r.IntN(most+1))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		m := &Message{}
		for len(b) > 0 {
			n := min(len(b), r.IntN(most/2+2))
			m.Pieces = append(m.Pieces, b[:n:n])
			b = b[n:]
		}
		list = append(list, m)
	}
	return list
}

func (m *Message) want() [sha512.Size]byte { return sha512.Sum512(slices.Concat(m.Pieces...)) }

// TestAgainstPlain: lengths around every border, pieces of all kinds, one hasher
// for all, with the quick way and without.
func TestAgainstPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, plain := range []bool{false, true} {
		h := &Hasher{Plain: plain}
		check := func(list []*Message) {
			t.Helper()
			h.Sum(list)
			for i, m := range list {
				if m.Sum != m.want() {
					t.Fatalf("message %d of %d, %d bytes in %d pieces, plain %v: wrong", i, len(list), len(slices.Concat(m.Pieces...)), len(m.Pieces), plain)
				}
			}
		}
		var all []*Message
		for n := range 600 {
			m := &Message{Pieces: [][]byte{make([]byte, n)}}
			m.Pieces[0] = append(m.Pieces[0][:0], strings.Repeat("x", n)...)
			all = append(all, m)
		}
		check(all)
		for range 300 {
			check(random(r, r.IntN(30), []int{1, 130, 300, 5000, 40_000}[r.IntN(5)]))
		}
	}
}

// FuzzSum: however messages are cut, the sums are those of crypto/sha512.
func FuzzSum(f *testing.F) {
	f.Add([]byte("abc"), uint64(1))
	f.Add(make([]byte, 1000), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		var list []*Message
		for range r.IntN(20) {
			from := r.IntN(len(data) + 1)
			b := data[from : from+r.IntN(len(data)-from+1)]
			cut := r.IntN(len(b) + 1)
			list = append(list, &Message{Pieces: [][]byte{b[:cut], b[cut:]}})
		}
		new(Hasher).Sum(list)
		for i, m := range list {
			if m.Sum != m.want() {
				t.Errorf("message %d of %d bytes", i, len(m.Pieces[0])+len(m.Pieces[1]))
			}
		}
	})
}

func BenchmarkSum(b *testing.B) {
	for _, size := range []int{300, 4 << 10, 256 << 10} {
		for _, plain := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/plain=%v", size, plain), func(b *testing.B) {
				h := &Hasher{Plain: plain}
				var list []*Message
				for range 64 {
					list = append(list, &Message{Pieces: [][]byte{make([]byte, size)}})
				}
				b.SetBytes(int64(64 * size))
				for b.Loop() {
					h.Sum(list)
				}
			})
		}
	}
}
