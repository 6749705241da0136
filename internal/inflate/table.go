package inflate

import (
	"math/bits"
	"sync"
)

// A table is indexed with the next bits of the stream. An entry is, from its lowest bit on:
//
//	6 bits   bits to consume: the code and its extra bits
//	1 bit    other: neither a literal nor a length or distance
//	1 bit    literal
//	4 bits   bits of the code
//	4 bits   extra bits
//	16 bits  literal, or base of a length or distance
//
// An entry for codes that are longer than the index is other and has extra bits: they are
// the width of the index of a second table, and the base is its place. Entries there have
// the bits of the whole code. Other entries without extra bits are the end of the block,
// with base 0, and bits that are no code.
const (
	entryBits    = 1<<6 - 1
	entryOther   = 1 << 6
	entryLiteral = 1 << 7
	entryCode    = 8
	entryExtra   = 12
	entryBase    = 16
	entryInvalid = entryOther | 1<<entryBase

	// entryOfCode times the bits of a code is what they add to an entry.
	entryOfCode = 1<<entryCode | 1
)

const (
	maxCode    = 15
	litBits    = 11
	distBits   = 8
	lengthBits = 7
	maxLit     = 286
	maxDist    = 30
)

// Second tables of a complete code of 288 symbols need at most 294 entries with an index of
// 11 bits, those of 32 symbols at most 144 with one of 8 bits; addTable checks it. The
// sizes are powers of two so that a masked index needs no check.
type (
	litTable  [1 << 12]uint32
	distTable [1 << 9]uint32
)

// Entries of the symbols, without the bits of their codes.
var (
	litSymbols    [288]uint32
	distSymbols   [32]uint32
	lengthSymbols [19]uint32
)

// masks has the lowest bits of each number of extra bits.
var masks [16]uint64

func init() {
	for i := range masks {
		masks[i] = 1<<i - 1
	}
	for i := range lengthSymbols {
		lengthSymbols[i] = uint32(i) << entryBase
	}
	for i := range 256 {
		litSymbols[i] = entryLiteral | uint32(i)<<entryBase
	}
	litSymbols[256] = entryOther
	// 3.2.5: bases follow from the numbers of extra bits.
	base := uint32(3)
	for i := 257; i < 285; i++ {
		extra := uint32(max(0, (i-261)/4))
		litSymbols[i] = extra*entryOfExtra | base<<entryBase
		base += 1 << extra
	}
	litSymbols[285] = maxMatch << entryBase
	litSymbols[286], litSymbols[287] = entryInvalid, entryInvalid
	base = 1
	for i := range maxDist {
		extra := uint32(max(0, (i-2)/2))
		distSymbols[i] = extra*entryOfExtra | base<<entryBase
		base += 1 << extra
	}
	distSymbols[30], distSymbols[31] = entryInvalid, entryInvalid
}

// entryOfExtra times the extra bits is what they add to an entry.
const entryOfExtra = 1<<entryExtra | 1

// entryValue returns the length or distance of an entry; b begins with its code.
func entryValue(e uint32, b uint64) uint {
	return uint(e>>entryBase) + uint(b>>(e>>entryCode&15)&masks[e>>entryExtra&15])
}

// isSecond reports whether an entry refers to a second table.
func isSecond(e uint32) bool { return e&entryOther != 0 && e>>entryExtra&15 != 0 }

// second returns the place of the entry of a code in a second table, which e refers to; b
// begins with the code, width is that of the index of the first table.
func second(e uint32, b uint64, width uint) uint {
	return uint(e>>entryBase) + uint(b>>width&masks[e>>entryExtra&15])
}

// build fills a table from the lengths of the codes of symbols (3.2.2). It returns false if
// they are not a prefix code. A code without symbols and one of a single symbol of one bit
// are the only incomplete ones (3.2.7); their missing codes give entryInvalid.
func build(table []uint32, width uint, lengths []uint8, symbols []uint32) bool {
	var count [maxCode + 1]uint
	for _, n := range lengths {
		count[n&maxCode]++
	}
	longest := uint(maxCode)
	for longest > 0 && count[longest] == 0 {
		longest--
	}
	left := uint(1) // codes of the length at hand that are not in use
	for n := uint(1); n <= longest; n++ {
		if left <<= 1; left < count[n] {
			return false
		}
		left -= count[n]
	}
	if left > 0 {
		if longest > 1 {
			return false
		}
		for i := range table[:1<<width] {
			table[i] = entryInvalid
		}
	}
	// Sort the symbols by the lengths of their codes.
	var next [maxCode + 2]uint
	for n := uint(1); n <= maxCode; n++ {
		next[n+1] = next[n] + count[n]
	}
	var sorted [288]uint16
	for i, n := range lengths {
		if n > 0 {
			sorted[next[n&maxCode]%288] = uint16(i)
			next[n&maxCode]++
		}
	}
	// The table grows with the length of the codes: an entry of a shorter index stands for
	// each entry that begins with it.
	code, at, filled := uint(0), 0, uint(1)
	for n := uint(1); n <= min(longest, width); n++ {
		code <<= 1
		copy(table[filled:2*filled], table[:filled])
		filled *= 2
		for range count[n] {
			table[reverse(code, n)&(filled-1)] = symbols[sorted[at]] + uint32(n)*entryOfCode
			code, at = code+1, at+1
		}
	}
	for ; filled < 1<<width; filled *= 2 {
		copy(table[filled:2*filled], table[:filled])
	}
	return longest <= width || buildSecond(table, width, longest, code, &count, sorted[at:], symbols)
}

// buildSecond adds the second tables, for codes of more than width bits. code is the first
// of them less its lowest bit, and sorted are their symbols.
func buildSecond(table []uint32, width, longest, code uint, count *[maxCode + 1]uint, sorted []uint16, symbols []uint32) bool {
	end := uint(1) << width // of the tables so far
	prefix := ^uint(0)
	var size uint // of the index of the table at hand
	for n := width + 1; n <= longest; n++ {
		code <<= 1
		for i := range count[n] {
			r := reverse(code, n)
			if p := r & (1<<width - 1); p != prefix {
				prefix = p
				// The table is as wide as the codes with this prefix are long: they are the
				// next ones, and they are complete.
				size = n - width
				room := uint(1) << size
				for have := count[n] - i; have < room && width+size < longest; {
					size++
					room = (room - have) * 2
					have = count[width+size]
				}
				if end+1<<size > uint(len(table)) {
					return false
				}
				table[p] = entryOther | uint32(size)<<entryExtra | uint32(end)<<entryBase
				end += 1 << size
			}
			start := end - 1<<size
			for k := r >> width; k < 1<<size; k += 1 << (n - width) {
				table[start+k] = symbols[sorted[0]] + uint32(n)*entryOfCode
			}
			sorted = sorted[1:]
			code++
		}
	}
	return true
}

// reverse returns the lowest n bits of code in the order in which the stream has them.
func reverse(code, n uint) uint { return uint(bits.Reverse16(uint16(code)) >> (16 - n)) }

// fixed returns the tables of blocks with fixed codes (3.2.6).
var fixed = sync.OnceValue(func() *struct {
	lit  litTable
	dist distTable
} {
	t := new(struct {
		lit  litTable
		dist distTable
	})
	var n [288]uint8
	for i := range n {
		switch {
		case i < 144:
			n[i] = 8
		case i < 256:
			n[i] = 9
		case i < 280:
			n[i] = 7
		default:
			n[i] = 8
		}
	}
	build(t.lit[:], litBits, n[:], litSymbols[:])
	for i := range 32 {
		n[i] = 5
	}
	build(t.dist[:], distBits, n[:32], distSymbols[:])
	return t
})

// order is that of the lengths of the code of code lengths (3.2.7).
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// tables reads the codes of a dynamic block (3.2.7).
func (r *Reader) tables() error {
	if !r.need(14) {
		return r.sourceError()
	}
	lits, dists, n := int(r.take(5))+257, int(r.take(5))+1, int(r.take(4))+4
	if lits > maxLit || dists > maxDist {
		return r.corrupt("number of codes")
	}
	var lengths [maxLit + maxDist]uint8
	for _, i := range order[:n] {
		if !r.need(3) {
			return r.sourceError()
		}
		lengths[i] = uint8(r.take(3))
	}
	var table [1 << lengthBits]uint32
	if !build(table[:], lengthBits, lengths[:19], lengthSymbols[:]) {
		return r.corrupt("code of code lengths")
	}
	clear(lengths[:19])
	for i := 0; i < lits+dists; {
		e, err := r.symbol(table[:], lengthBits)
		if err != nil {
			return err
		}
		if e&entryOther != 0 {
			return r.corrupt("code length without a code")
		}
		r.drop(uint(e & entryBits))
		v := uint8(e >> entryBase)
		if v < 16 {
			lengths[i] = v
			i++
			continue
		}
		extra, times := uint(2), 3
		switch v {
		case 16:
			if i == 0 {
				return r.corrupt("repetition of no code length")
			}
			v = lengths[i-1]
		case 17:
			v, extra = 0, 3
		default:
			v, extra, times = 0, 7, 11
		}
		if !r.need(extra) {
			return r.sourceError()
		}
		times += int(r.take(extra))
		if times > lits+dists-i {
			return r.corrupt("repetition of a code length")
		}
		for range times {
			lengths[i] = v
			i++
		}
	}
	if lengths[256] == 0 {
		return r.corrupt("no end of the block")
	}
	if !build(r.ownLit[:], litBits, lengths[:lits], litSymbols[:]) {
		return r.corrupt("code of literals")
	}
	if !build(r.ownDist[:], distBits, lengths[lits:lits+dists], distSymbols[:]) {
		return r.corrupt("code of distances")
	}
	return nil
}
