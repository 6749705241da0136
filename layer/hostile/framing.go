package hostile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// sample is a well-formed archive of one file, with the offsets of its parts.
func sample() []byte {
	a := &archive{}
	a.dir("Files")
	a.dir("Hives")
	a.file("Files/a", strings.Repeat("content ", 200))
	a.end()
	return a.buf.Bytes()
}

// bytesCase is an archive passed as bytes.
func bytesCase(name, what string, read, unpack Outcome, rule string, b func() []byte) Case {
	return Case{Name: name, What: what, Read: read, Unpack: unpack, Rule: rule, Tar: func(w io.Writer) error {
		_, err := w.Write(b())
		return err
	}}
}

func framing() []Case {
	var list []Case
	cut := func(label, what, rule string, at func(n int) int) {
		list = append(list, bytesCase("framing/cut-"+label, what, Refused, Refused, rule, func() []byte {
			b := sample()
			return b[:at(len(b))]
		}))
	}
	// The sample ends with 1,600 bytes of data in 2,048, and the trailer of 1,024.
	cut("to-nothing", "no bytes at all", "missing-trailer", func(int) int { return 0 })
	cut("in-first-header", "an archive that ends in its first header", "truncated", func(int) int { return 100 })
	cut("in-records", "an archive that ends in the records of its first entry", "truncated", func(int) int { return 600 })
	cut("after-records", "an archive that ends between records and header", "missing-trailer", func(int) int { return 1024 })
	cut("in-header", "an archive that ends in a header", "truncated", func(n int) int { return n - 1024 - 2048 - 200 })
	cut("before-data", "an archive that ends before the data of a file", "truncated", func(n int) int { return n - 1024 - 2048 })
	cut("in-data", "an archive that ends in the data of a file", "truncated", func(n int) int { return n - 1024 - 2048 + 700 })
	cut("in-padding", "an archive that ends in the padding behind the data", "missing-trailer", func(n int) int { return n - 1024 - 100 })
	cut("no-trailer", "an archive without its trailer", "missing-trailer", func(n int) int { return n - 1024 })
	cut("in-trailer", "an archive that ends in the first block of its trailer", "truncated", func(n int) int { return n - 800 })
	cut("in-second-block", "an archive that ends in the second block of its trailer", "truncated", func(n int) int { return n - 100 })
	list = append(list, bytesCase("framing/one-block", "a trailer of one block, which is an end", Accepted, Accepted, "", func() []byte {
		b := sample()
		return b[:len(b)-512]
	}))

	// Flips in the parts of the header block of the file, at a known place.
	flip := func(label, what string, at int, bit byte) {
		list = append(list, bytesCase("framing/flip-"+label, what, Refused, Refused, "bad-header", func() []byte {
			b := sample()
			b[len(b)-1024-2048-512+at] ^= bit
			return b
		}))
	}
	flip("name", "a bit flipped in a name", 3, 1)
	flip("mode", "a bit flipped in a mode", atMode+2, 1)
	flip("size", "a bit flipped in a size", atSize+8, 1)
	flip("mtime", "a bit flipped in a time", atMtime+5, 2)
	flip("sum", "a bit flipped in a checksum", atSum+2, 1)
	flip("type", "a bit flipped in a type", atKind, 1)
	flip("link", "a bit flipped in a link name", atLink+5, 0x40)
	flip("magic", "a bit flipped in the magic", atMagic, 0x20)
	flip("end", "a bit flipped in the last byte", 511, 1)

	list = append(list,
		bytesCase("framing/text", "text instead of an archive", Refused, Refused, "bad-header", func() []byte {
			return []byte(strings.Repeat("This is not an archive. ", 100))
		}),
		bytesCase("framing/zero-then-entry", "a block of zeros and then another entry, which some readers take for the end", Refused, Refused, "bad-header", func() []byte {
			a := &archive{}
			a.dir("Files")
			a.buf.Write(make([]byte, block))
			a.dir("Hives")
			a.end()
			return a.buf.Bytes()
		}),
		bytesCase("framing/data-after-end", "another archive behind the end", Accepted, Accepted, "", func() []byte {
			return append(sample(), sample()...)
		}),
		bytesCase("framing/zeros-after-end", "a mebibyte of zeros behind the end", Accepted, Accepted, "", func() []byte {
			return append(sample(), make([]byte, 1<<20)...)
		}),
		refused("framing/size-base256-negative", "a negative binary size", "bad-header", func(a *archive) {
			a.add(head{name: "Files/evil", size: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"})
		}),
		refused("framing/size-letters", "a size that is not octal", "bad-header", func(a *archive) { a.add(head{name: "Files/evil", size: "zzzzzzzzzzz"}) }),
		refused("framing/records-after-records", "records that belong to records, and no entry", "missing-trailer", func(a *archive) {
			a.header(head{name: "PaxHeaders.0/x", kind: 'x', size: "15"})
			a.body([]byte("13 path=evil\n"))
			a.open = true
		}),
	)
	for i := range list {
		list[i].Entry = ""
	}
	return list
}

func sizes() []Case {
	var list []Case
	lie := func(label, what string, h head) {
		c := refused("size/"+label, what, "truncated", func(a *archive) {
			h.name = "Files/evil"
			h.data = []byte("little")
			a.add(h)
		})
		list = append(list, c)
	}
	lie("octal-8-gib", "a file of 8 GiB that is not there", head{size: "77777777777"})
	lie("base256-8-eib", "a file of 8 EiB that is not there", head{size: "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"})
	lie("record-8-eib", "a file of 8 EiB that is not there, by a record", head{pax: [][2]string{{"size", "9223372036854775807"}}})
	lie("record-1-tib", "a file of 1 TiB that is not there", head{pax: [][2]string{{"size", "1099511627776"}}})
	sparse := func(label, what, size string, unpack Outcome) {
		list = append(list, small("size/"+label, what, Accepted, unpack, "", func(a *archive) {
			a.add(head{name: "Files/evil", data: sparseMap("0\n", ""), pax: append(orderly(0x20),
				[2]string{"GNU.sparse.major", "1"}, [2]string{"GNU.sparse.minor", "0"}, [2]string{"GNU.sparse.realsize", size})})
		}))
	}
	sparse("sparse-2-tib", "a hole of 2 TiB, above the limit for a file", "2199023255552", Refused)
	sparse("sparse-8-eib", "a hole of 8 EiB, above the limit for a file", "9223372036854775807", Refused)
	list = append(list, refused("size/long-name-1-gib", "a GNU long name of 1 GiB", "truncated", func(a *archive) {
		a.header(head{name: "././@LongLink", kind: 'L', size: "10000000000", magic: "ustar  \x00"})
		a.body([]byte("evil"))
	}), refused("size/records-1-gib", "records of 1 GiB", "truncated", func(a *archive) {
		a.header(head{name: "PaxHeaders.0/x", kind: 'x', size: "10000000000"})
		a.body([]byte("13 path=evil\n"))
	}))
	return list
}

// bombTotal is the unpacked size of the bombs: far above any ratio limit.
const bombTotal = 4 << 30

// bombs are compressed archives of little size and large content.
func bombs() []Case {
	header := func() []byte {
		a := &archive{}
		a.dir("Files")
		a.dir("Hives")
		a.header(head{name: "Files/evil-bomb", size: fmt.Sprintf("%o", int64(bombTotal))})
		return a.buf.Bytes()
	}
	trailer := func() []byte {
		a := &archive{}
		a.dir("Files")
		a.dir("Hives")
		a.end()
		return a.buf.Bytes()
	}
	return []Case{
		{Name: "bomb/zstd-file", What: "a zstd blob that holds a file of 4 GiB of zeros in 100 KiB", Packed: "zstd", Read: Accepted, Unpack: Refused,
			Tar: func(w io.Writer) error { return zstdZeros(w, header(), bombTotal+2*block) }},
		{Name: "bomb/zstd-behind-end", What: "a zstd blob with 4 GiB of zeros behind the end of the archive", Packed: "zstd", Read: Accepted, Unpack: Refused,
			Tar: func(w io.Writer) error { return zstdZeros(w, trailer(), bombTotal) }},
		{Name: "bomb/gzip-file", What: "a gzip blob that holds a file of 4 GiB of zeros in 4 MiB, the maximum of deflate: a matter of size, not of ratio", Packed: "gzip", Read: Accepted, Unpack: Either, Heavy: true,
			Tar: func(w io.Writer) error { return gzipZeros(w, header(), bombTotal+2*block) }},
		{Name: "bomb/gzip-cut", What: "a gzip blob that ends early", Packed: "gzip", Read: Refused, Unpack: Refused,
			Tar: func(w io.Writer) error {
				b := gzipped(sample())
				_, err := w.Write(b[:len(b)/2])
				return err
			}},
		{Name: "bomb/gzip-sum", What: "a gzip blob whose checksum is wrong", Packed: "gzip", Read: Refused, Unpack: Refused,
			Tar: func(w io.Writer) error {
				b := gzipped(sample())
				b[len(b)-6] ^= 1
				_, err := w.Write(b)
				return err
			}},
		{Name: "bomb/gzip-flip", What: "a gzip blob with a flipped bit", Packed: "gzip", Read: Refused, Unpack: Refused,
			Tar: func(w io.Writer) error {
				b := gzipped(sample())
				b[len(b)/2] ^= 0x10
				_, err := w.Write(b)
				return err
			}},
		{Name: "bomb/zstd-window", What: "a zstd blob that demands a window of 1 TiB", Packed: "zstd", Read: Refused, Unpack: Refused,
			Tar: func(w io.Writer) error {
				// Frame header: no content size, no single segment; window exponent 30.
				_, err := w.Write([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 30 << 3, 0x01, 0x00, 0x00})
				return err
			}},
		{Name: "bomb/zstd-cut", What: "a zstd blob that ends in a block", Packed: "zstd", Read: Refused, Unpack: Refused,
			Tar: func(w io.Writer) error {
				var b bytes.Buffer
				if err := zstdZeros(&b, sample(), 0); err != nil {
					return err
				}
				_, err := w.Write(b.Bytes()[:b.Len()/2])
				return err
			}},
	}
}

// gzipped packs without compression, so that every bit matters.
func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.NoCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// gzipZeros writes head and then zeros. It deflates one mebibyte of zeros once, as a block
// that is followed by others, and repeats that: making a bomb should not take longer than
// refusing it.
func gzipZeros(w io.Writer, head []byte, zeros int64) error {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(head); err != nil {
		return err
	}
	if err := z.Flush(); err != nil {
		return err
	}
	start := out.Len()
	piece := make([]byte, 1<<20)
	// Twice, because a piece after zeros is smaller than one after something else, and only
	// such a piece repeats.
	for range 2 {
		start = out.Len()
		if _, err := z.Write(piece); err != nil {
			return err
		}
		if err := z.Flush(); err != nil {
			return err
		}
	}
	repeat := append([]byte(nil), out.Bytes()[start:]...)
	if _, err := w.Write(out.Bytes()); err != nil {
		return err
	}
	sum := crc32.ChecksumIEEE(head)
	total := int64(len(head))
	for range 2 {
		sum, total = crc32.Update(sum, crc32.IEEETable, piece), total+int64(len(piece))
	}
	for total-int64(len(head)) < zeros {
		if _, err := w.Write(repeat); err != nil {
			return err
		}
		sum, total = crc32.Update(sum, crc32.IEEETable, piece), total+int64(len(piece))
	}
	// An empty last block with fixed codes, then the sum and the length.
	end := []byte{0x03, 0x00, byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24), byte(total), byte(total >> 8), byte(total >> 16), byte(total >> 24)}
	_, err = w.Write(end)
	return err
}

// zstdZeros writes a zstd frame: head in raw blocks, then zeros as blocks of the run-length
// type, each of which encodes 128 KiB in four bytes (RFC 8878, 3.1.1.2).
func zstdZeros(w io.Writer, head []byte, zeros int64) error {
	const most = 128 << 10
	var out bytes.Buffer
	out.Write([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3}) // window of 128 KiB
	blockHeader := func(last bool, kind, size int) {
		n := size<<3 | kind<<1
		if last {
			n |= 1
		}
		out.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	}
	for len(head) > 0 {
		n := min(len(head), most)
		blockHeader(false, 0, n)
		out.Write(head[:n])
		head = head[n:]
	}
	for zeros > 0 {
		n := int(min(zeros, most))
		blockHeader(false, 1, n)
		out.WriteByte(0)
		zeros -= int64(n)
	}
	blockHeader(true, 0, 0)
	_, err := w.Write(out.Bytes())
	return err
}
