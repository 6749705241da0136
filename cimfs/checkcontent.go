package cimfs

import (
	"crypto/sha512"
	"runtime"
	"sync"
)

// contents verifies the digest of every object and that nothing but zeros stands
// between objects, in the image's own regions.
func (c *checker) contents() error {
	for n := range c.im.own.Count {
		r, err := c.im.region(c.im.ownBase() + n)
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

// padding checks the gaps before, between and after objects.
func (c *checker) padding(r *region, list []object) error {
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
			if err := c.gap(r, end, next, next-end >= room); err != nil {
				return err
			}
		}
		if i < len(list) {
			end = max(end, next+int64(list[i].length))
		}
	}
	return nil
}

func (c *checker) gap(r *region, from, to int64, wide bool) error {
	if wide {
		if err := c.inFile(Warning, "gap", r.name(), from, "%d bytes belong to no object", to-from); err != nil {
			return err
		}
	}
	var buf [pageSize]byte
	for off := from; off < to; {
		b := buf[:min(to-off, int64(len(buf)))]
		if err := readFull(r.src, b, off); err != nil {
			return &place{r.name(), off, err}
		}
		for i, v := range b {
			if v != 0 {
				return c.inFile(SevereError, "padding", r.name(), off+int64(i), "padding is not zero")
			}
		}
		off += int64(len(b))
	}
	return nil
}

// digests hashes objects on all processors.
func (c *checker) digests(r *region, list []object) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var bad []int64
	var failed error
	next := 0
	take := func() (int, bool) { // a run of objects, for short ones need no own turn
		mu.Lock()
		defer mu.Unlock()
		if next >= len(list) || failed != nil || len(bad) >= c.opts.MaxFindings {
			return 0, false
		}
		next += 16
		return next - 16, true
	}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			h := sha512.New()
			buf := make([]byte, 128<<10)
			for first, ok := take(); ok; first, ok = take() {
				for i := first; i < min(first+16, len(list)); i++ {
					o := &list[i]
					h.Reset()
					var d digest
					for done := int64(0); done < int64(o.length); {
						b := buf[:min(int64(o.length)-done, int64(len(buf)))]
						if err := readFull(r.src, b, o.at.Offset()+done); err != nil {
							mu.Lock()
							failed = &place{r.name(), o.at.Offset() + done, err}
							mu.Unlock()
							return
						}
						if o.length <= digestSize {
							copy(d[:], b)
						} else {
							h.Write(b)
						}
						done += int64(len(b))
					}
					if o.length > digestSize {
						setDigest(&d, h)
					}
					if d != o.digest {
						mu.Lock()
						bad = append(bad, o.at.Offset())
						mu.Unlock()
					}
				}
			}
		})
	}
	wg.Wait()
	for _, off := range bad {
		if err := c.inFile(SevereError, "digest", r.name(), off, "object does not have the digest of the object table"); err != nil {
			return err
		}
	}
	return failed
}
