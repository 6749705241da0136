package blob

import (
	"bytes"
	"compress/flate"
	stdgzip "compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"testing"
	"time"

	"github.com/mullion/mullion/layer"
)

// gzipMember makes a member with chosen flags and fields of the header before a deflate
// stream, and with the right or a wrong end.
func gzipMember(flags byte, fields, stream, plain []byte) []byte {
	b := append([]byte{0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255}, fields...)
	if flags&flagHeaderSum != 0 {
		b = binary.LittleEndian.AppendUint16(b, uint16(crc32.ChecksumIEEE(b)))
	}
	b = append(b, stream...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(plain))
	return binary.LittleEndian.AppendUint32(b, uint32(len(plain)))
}

// TestGzipAsOthers: what the standard library reads of a gzip file is read, and nothing
// else, save for the zeros that may follow the last member.
func TestGzipAsOthers(t *testing.T) {
	plain := text(5000)
	var deflated bytes.Buffer
	w, _ := flate.NewWriter(&deflated, flate.BestCompression)
	w.Write(plain)
	w.Close()
	stream := deflated.Bytes()
	empty := []byte{3, 0} // a last block with fixed codes and nothing in it
	stored := append(bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 1000), stream...)
	good := gzipMember(0, nil, stream, plain)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	files := map[string][]byte{
		"good":                  good,
		"text":                  gzipMember(1, nil, stream, plain),
		"header sum":            gzipMember(flagHeaderSum, nil, stream, plain),
		"extra":                 gzipMember(flagExtra, join([]byte{0xff, 0xff}, make([]byte, 0xffff)), stream, plain),
		"no extra":              gzipMember(flagExtra, []byte{0, 0}, stream, plain),
		"extra too short":       gzipMember(flagExtra, []byte{0xff, 0xff}, stream, plain),
		"name":                  gzipMember(flagName, []byte("a\x1b[31m\x00"), stream, plain),
		"long name":             gzipMember(flagName, append(bytes.Repeat([]byte("n"), 511), 0), stream, plain),
		"longer name":           gzipMember(flagName, append(bytes.Repeat([]byte("n"), 512), 0), stream, plain),
		"name without end":      gzipMember(flagName, bytes.Repeat([]byte("n"), 1<<20), nil, nil),
		"everything":            gzipMember(0x1f, join([]byte{3, 0, 1, 2, 3}, []byte("n\x00c\x00")), stream, plain),
		"empty stored blocks":   gzipMember(0, nil, stored, plain),
		"empty members":         join(bytes.Repeat(gzipMember(0, nil, empty, nil), 1000), good, bytes.Repeat(gzipMember(0, nil, empty, nil), 1000)),
		"nothing":               gzipMember(0, nil, empty, nil),
		"two":                   join(good, good),
		"other method":          join(good, []byte{0x1f, 0x8b, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
		"junk behind":           join(good, []byte("junk")),
		"one byte behind":       join(good, []byte{0x1f}),
		"half a header behind":  join(good, good[:9]),
		"half a member behind":  join(good, good[:len(good)/2]),
		"zstd behind":           join(good, compress(t, Zstd, plain)),
		"sum":                   join(good[:len(good)-8], []byte{1, 2, 3, 4}, good[len(good)-4:]),
		"size":                  join(good[:len(good)-4], []byte{0, 0, 0, 0}),
		"sum of a later member": join(good, good[:len(good)-8], make([]byte, 8)),
		"block without type":    gzipMember(0, nil, []byte{7}, nil),
		"lengths of stored":     gzipMember(0, nil, []byte{1, 5, 0, 0, 0}, nil),
		"far distance":          gzipMember(0, nil, []byte{0x63, 0x00, 0x02, 0x00}, nil),
	}
	header := gzipMember(flagHeaderSum, nil, stream, plain)
	header[10] ^= 1
	files["wrong header sum"] = header
	for n := range len(good) {
		if n >= DetectLength && (n < 40 || n > len(good)-40) {
			files[fmt.Sprintf("cut at %d", n)] = good[:n]
		}
	}
	for what, file := range files {
		var want []byte
		z, err := stdgzip.NewReader(bytes.NewReader(file))
		if err == nil {
			want, err = io.ReadAll(z)
		}
		r, got := (*Reader)(nil), []byte(nil)
		r, rerr := NewReader(t.Context(), bytes.NewReader(file), WithMap(4096))
		var m *Map
		if rerr == nil {
			if got, rerr = io.ReadAll(r); rerr == nil {
				m, rerr = r.Map() // before Close, which drops an unfinished one
			}
			r.Close()
		}
		if (err == nil) != (rerr == nil) {
			t.Errorf("%s: the standard library: %v; we: %v", what, err, rerr)
			continue
		}
		if err != nil {
			if !errors.Is(rerr, ErrCorrupt) {
				t.Errorf("%s: %v", what, rerr)
			}
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d", what, len(got), len(want))
		}
		for off := int64(0); off <= m.Plain; off += 1 + m.Plain/3 {
			part, err := m.NewReader(t.Context(), RangesOf(bytes.NewReader(file)), off, -1)
			if err != nil {
				t.Errorf("%s from %d: %v", what, off, err)
				continue
			}
			if b, err := io.ReadAll(part); err != nil || !bytes.Equal(b, want[off:]) {
				t.Errorf("%s from %d: %d bytes, %v", what, off, len(b), err)
			}
			part.Close()
		}
		if err := m.Close(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// endless repeats a piece behind a head.
type endless struct {
	head, piece []byte
	at          int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	for n < len(p) {
		m := copy(p[n:], e.piece[e.at:])
		n, e.at = n+m, (e.at+m)%len(e.piece)
	}
	return n, nil
}

// TestEndless: a blob that brings nothing forever ends with its context, and with its size,
// and one that brings much forever ends with its ratio; memory does not grow.
func TestEndless(t *testing.T) {
	head := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}
	var bomb bytes.Buffer
	w, _ := flate.NewWriter(&bomb, flate.BestCompression)
	w.Write(make([]byte, 64<<20))
	w.Flush()
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0} // an empty frame
	skip := []byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}
	for what, e := range map[string]endless{
		"stored blocks":   {head: head, piece: []byte{0, 0, 0, 0xff, 0xff}},
		"members":         {piece: gzipMember(0, nil, []byte{3, 0}, nil)},
		"padding":         {head: gzipMember(0, nil, []byte{3, 0}, nil), piece: make([]byte, 100)},
		"frames":          {piece: frame},
		"skippable":       {piece: skip},
		"zeros of gzip":   {head: head, piece: bomb.Bytes()},
		"blocks of zeros": {head: []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x88}, piece: []byte{0x02, 0, 0x10, 0}}, // 128 KiB of one byte
	} {
		for _, bounded := range []bool{false, true} {
			src := e
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			options := []ReaderOption{WithMap(0)}
			if bounded {
				options = append(options, WithDigest(digestOf(nil), 1<<20))
			}
			start := time.Now()
			r, err := NewReader(ctx, &src, options...)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				r.Close()
			}
			cancel()
			var limit *layer.LimitError
			if !errors.As(err, &limit) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrSize) {
				t.Errorf("%s, bounded %v: %v", what, bounded, err)
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%s, bounded %v: %v", what, bounded, d)
			}
		}
	}
}
