package cimfs

import (
	"context"
	"crypto/sha512"
	"runtime"
	"slices"
	"sync"

	"github.com/mullion/mullion/cimfs/internal/sha512x8"
)

// contents verifies the digest of every object and that the bytes between objects
// are zero, in the image's own regions.
func (c *checker) contents() error {
	for n := range c.im.own.Count {
		r, err := c.raw.region(c.im.ownBase() + n)
		if err != nil || r.typ != MetadataRegion && c.opts.SkipContent {
			continue
		}
		if err := c.padding(r, c.objects[n]); err != nil {
			return err
		}
		if err := c.digests(r, c.objects[n]); err != nil {
			return err
		}
	}
	return nil
}

// gapReader reads gaps: one by one in a data region, where they are far apart, and
// through a window in a metadata region, where they are close together.
type gapReader struct {
	r    *region
	buf  []byte
	from int64
	n    int
}

func (g *gapReader) get(off int64, n int) ([]byte, error) {
	if off < g.from || off+int64(n) > g.from+int64(g.n) {
		g.from, g.n = off, int(min(int64(len(g.buf)), g.r.src.Size()-off))
		if g.r.typ == DataRegion {
			g.n = n
		}
		if err := readFull(g.r.src, g.buf[:g.n], off); err != nil {
			g.n = 0
			return nil, &place{g.r.name(), off, err}
		}
	}
	return g.buf[off-g.from:][:n], nil
}

// padding checks the gaps before, between and after objects.
func (c *checker) padding(r *region, list []object) error {
	g := &gapReader{r: r, buf: make([]byte, min(64<<10, r.src.Size()))}
	end := int64(regionHeaderSize)
	start := r.typ.start()
	for i := 0; i <= len(list); i++ {
		next, room := r.src.Size(), r.typ.align()
		if i < len(list) {
			next = list[i].at.Offset()
		}
		if end < start {
			room = start
		}
		if next > end {
			if err := c.gap(g, end, next, next-end >= room); err != nil {
				return err
			}
		}
		if i < len(list) {
			end = max(end, next+int64(list[i].length))
		}
	}
	return nil
}

func (c *checker) gap(g *gapReader, from, to int64, wide bool) error {
	if wide {
		if err := c.inFile(ruleGap, g.r.name(), from, "%d bytes belong to no object", to-from); err != nil {
			return err
		}
	}
	for off := from; off < to; {
		b, err := g.get(off, int(min(to-off, pageSize)))
		if err != nil {
			return err
		}
		for i, v := range b {
			if v != 0 {
				return c.inFile(rulePadding, g.r.name(), off+int64(i), "padding is not zero")
			}
		}
		off += int64(len(b))
	}
	return nil
}

// hashWindow is how much of a region a hasher reads at once.
const hashWindow = 256 << 10

// digests hashes objects on all processors, neighbours together so that many
// short ones cost one read.
func (c *checker) digests(r *region, list []object) error {
	var mu sync.Mutex
	var bad []int64
	var failed error
	next := 0
	take := func() []object {
		mu.Lock()
		defer mu.Unlock()
		if next >= len(list) || failed != nil || len(bad) >= c.opts.MaxFindings {
			return nil
		}
		first := next
		end := list[first].at.Offset() + hashWindow
		for next++; next < len(list) && list[next].at.Offset()+int64(list[next].length) <= end; next++ {
		}
		return list[first:next]
	}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			h := &objectHasher{ctx: c.ctx, r: r, buf: make([]byte, min(hashWindow, r.src.Size()))}
			for run := take(); run != nil; run = take() {
				wrong, err := h.run(run)
				mu.Lock()
				bad = append(bad, wrong...)
				if err != nil && failed == nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(bad)
	for _, off := range bad {
		if err := c.inFile(ruleDigest, r.name(), off, "object does not have the digest of the object table"); err != nil {
			return err
		}
	}
	return failed
}

type objectHasher struct {
	ctx      context.Context
	r        *region
	buf      []byte
	hasher   sha512x8.Hasher
	messages []*sha512x8.Message // as many as any run had
}

// run returns the offsets of the objects that have another digest. All but the
// first end inside one window from the start of the first.
func (h *objectHasher) run(list []object) (bad []int64, err error) {
	if err := h.ctx.Err(); err != nil {
		return nil, err
	}
	first := list[0].at.Offset()
	check := func(o *object, d digest) {
		if d != o.digest {
			bad = append(bad, o.at.Offset())
		}
	}
	if n := int64(list[0].length); n > hashWindow {
		sum := sha512.New()
		for done := int64(0); done < n; {
			if err := h.ctx.Err(); err != nil {
				return bad, err
			}
			b := h.buf[:min(n-done, hashWindow)]
			if err := readFull(h.r.src, b, first+done); err != nil {
				return bad, &place{h.r.name(), first + done, err}
			}
			sum.Write(b)
			done += int64(len(b))
		}
		var d digest
		setDigest(&d, sum)
		check(&list[0], d)
		if list = list[1:]; len(list) == 0 {
			return bad, nil
		}
		first = list[0].at.Offset()
	}
	last := int64(0)
	for i := range list {
		last = max(last, list[i].at.Offset()+int64(list[i].length))
	}
	b := h.buf[:last-first]
	if err := readFull(h.r.src, b, first); err != nil {
		return bad, &place{h.r.name(), first, err}
	}
	for len(h.messages) < len(list) {
		h.messages = append(h.messages, &sha512x8.Message{Pieces: make([][]byte, 1)})
	}
	hashed := 0
	for i := range list {
		if o := &list[i]; o.length > digestSize {
			h.messages[hashed].Pieces[0] = b[o.at.Offset()-first:][:o.length]
			hashed++
		}
	}
	h.hasher.Sum(h.messages[:hashed])
	hashed = 0
	for i := range list {
		o := &list[i]
		if o.length > digestSize {
			check(o, digest(h.messages[hashed].Sum[:digestSize]))
			hashed++
		} else {
			check(o, digestOf(b[o.at.Offset()-first:][:o.length]))
		}
	}
	return bad, nil
}
