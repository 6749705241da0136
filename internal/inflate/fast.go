package inflate

// fast decodes symbols while both buffers have room for a whole pass of the loop. It takes
// whole words from the input and writes whole words of matches.
func (r *Reader) fast() error {
	in, out := r.in, r.out
	lit, dist := r.lit, r.dist
	ip, op := r.ip, r.op
	bb, bn := r.bb, r.bn
	bb &= 1<<(bn&63) - 1
	end := min(r.ie, inSize) - inSlack
	var err error
	what := ""
loop:
	for ip <= end && op <= outSize-outSlack {
		bb |= load64(in[ip:ip+8]) << (bn & 63)
		ip += (63 - bn) >> 3
		bn |= 56
		e := lit[bb&(1<<litBits-1)]
		if e&entryLiteral != 0 {
			// Four literals of the first table have at most 44 bits.
			bb >>= e & entryBits
			bn -= uint(e & entryBits)
			out[op] = byte(e >> entryBase)
			op++
			e = lit[bb&(1<<litBits-1)]
			if e&entryLiteral != 0 {
				bb >>= e & entryBits
				bn -= uint(e & entryBits)
				out[op] = byte(e >> entryBase)
				op++
				e = lit[bb&(1<<litBits-1)]
				if e&entryLiteral != 0 {
					bb >>= e & entryBits
					bn -= uint(e & entryBits)
					out[op] = byte(e >> entryBase)
					op++
					e = lit[bb&(1<<litBits-1)]
					if e&entryLiteral != 0 {
						bb >>= e & entryBits
						bn -= uint(e & entryBits)
						out[op] = byte(e >> entryBase)
						op++
						continue
					}
				}
			}
			bb |= load64(in[ip:ip+8]) << (bn & 63)
			ip += (63 - bn) >> 3
			bn |= 56
		}
		if e&entryOther != 0 {
			if e>>entryExtra&15 != 0 {
				e = lit[second(e, bb, litBits)&(1<<12-1)]
			}
			if e&entryLiteral != 0 {
				bb >>= e & entryBits
				bn -= uint(e & entryBits)
				out[op] = byte(e >> entryBase)
				op++
				continue
			}
			if e&entryOther != 0 {
				if e>>entryBase != 0 {
					what = "symbol without a code"
					break loop
				}
				bb >>= e & entryBits
				bn -= uint(e & entryBits)
				r.state = (*Reader).header
				break loop
			}
		}
		length := entryValue(e, bb)
		bb >>= e & entryBits
		bn -= uint(e & entryBits)
		d := dist[bb&(1<<distBits-1)]
		if d&entryOther != 0 {
			if d>>entryExtra&15 != 0 {
				d = dist[second(d, bb, distBits)&(1<<9-1)]
			}
			if d&entryOther != 0 {
				what = "distance without a code"
				break loop
			}
		}
		away := entryValue(d, bb)
		bb >>= d & entryBits
		bn -= uint(d & entryBits)
		if away > op {
			what = "distance beyond the start"
			break loop
		}
		from, to := op-away, op
		op += length
		switch {
		case away >= 16:
			*(*[16]byte)(out[to : to+16]) = *(*[16]byte)(out[from : from+16])
			for length > 16 {
				length -= 16
				to += 16
				from += 16
				*(*[16]byte)(out[to : to+16]) = *(*[16]byte)(out[from : from+16])
			}
		default:
			// Each copy makes the pattern before to twice as long, until it fills a word.
			for away < 8 {
				*(*[8]byte)(out[to : to+8]) = *(*[8]byte)(out[from : from+8])
				to += away
				if to >= op {
					continue loop
				}
				away *= 2
			}
			for to < op {
				*(*[8]byte)(out[to : to+8]) = *(*[8]byte)(out[to-away : to-away+8])
				to += 8
			}
		}
	}
	r.ip, r.op, r.bb, r.bn = ip, op, bb, bn
	if what != "" {
		err = r.corrupt(what)
	}
	return err
}
