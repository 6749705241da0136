package layer

import (
	"context"
	"errors"
	"io"
	"math"
)

// copyBuffer is the size in bytes of the buffer through which streams pass: large
// enough that a system call moves far more than it costs.
const copyBuffer = 1 << 20

// Stats are the counts of a copy.
type Stats struct {
	Entries   int64 // all entries
	Files     int64
	Dirs      int64
	Links     int64
	Whiteouts int64 // explicit and opaque
	Streams   int64 // main and alternate
	Bytes     int64 // logical bytes of all streams, holes included
	HoleBytes int64 // of these, holes that are holes in the destination too
}

// Progress is the argument of a progress callback.
type Progress struct {
	Stats
	Path string // the current entry
}

// CopyOption is an option of [Copy].
type CopyOption func(*copier)

// WithLimits bounds the copy. Without it the defaults of Limits apply.
func WithLimits(l Limits) CopyOption { return func(c *copier) { c.limits = l } }

// WithProgress makes Copy call fn, on its own goroutine, at the start of each entry and
// after each piece of a stream of at most 1 MiB. The argument of fn is valid during the
// call.
func WithProgress(fn func(Progress)) CopyOption { return func(c *copier) { c.progress = fn } }

// WithFilter makes Copy call fn for each entry before it is written. fn may change the
// entry; when it returns false the entry is omitted with its streams.
func WithFilter(fn func(*Entry) bool) CopyOption { return func(c *copier) { c.filter = fn } }

// WithDefects copies entries that have a Defect, without their invalid parts; fn is called
// with each before it is written. It is for copies that only show a layer. Without it such
// an entry is an error.
func WithDefects(fn func(*Entry)) CopyOption { return func(c *copier) { c.defects = fn } }

// Copy copies every entry and stream of src to dst, in the order of src, and returns their
// counts. It neither commits nor closes: the caller verifies the source (its digest, say)
// and then calls dst.Commit.
//
// The copy stops at the first error, when ctx is done, and when a limit is exceeded, which
// is a *LimitError. Errors carry the entry in an *Error. Holes of sparse streams remain
// holes if src is an [ExtentReader] and dst an [ExtentWriter]; otherwise they are copied as
// zeros. Memory does not grow with the number or the size of the entries.
func Copy(ctx context.Context, dst Writer, src Reader, opts ...CopyOption) (Stats, error) {
	c := &copier{ctx: ctx, dst: dst, src: src}
	for _, o := range opts {
		o(c)
	}
	c.limits = c.limits.WithDefaults()
	c.extentsFrom, _ = src.(ExtentReader)
	c.extentsTo, _ = dst.(ExtentWriter)
	c.filler, _ = dst.(HoleFiller)
	c.maker, _ = dst.(DirectoryMaker)
	c.meter, _ = src.(Metered)
	err := c.run()
	return c.stats, err
}

// Convert copies a layer to its end, commits it, and closes both src and dst. If src
// verifies something at its end, such as a digest, nothing is published unless that holds.
func Convert(ctx context.Context, dst Writer, src Reader, opts ...CopyOption) (Stats, error) {
	stats, err := Copy(ctx, dst, src, opts...)
	if err == nil {
		err = dst.Commit()
	}
	return stats, errors.Join(err, dst.Close(), src.Close())
}

type copier struct {
	ctx         context.Context
	dst         Writer
	src         Reader
	limits      Limits
	progress    func(Progress)
	filter      func(*Entry) bool
	defects     func(*Entry) // nil: refused
	extentsFrom ExtentReader // nil if src does not implement it
	extentsTo   ExtentWriter // nil if dst does not implement it
	filler      HoleFiller   // nil if dst keeps all holes
	maker       DirectoryMaker
	meter       Metered
	filled      int64 // bytes of holes that dst has stored
	buf         []byte
	stats       Stats
	path        string
}

func (c *copier) run() error {
	for {
		if err := c.ctx.Err(); err != nil {
			return c.fail(err)
		}
		e, err := c.src.Next()
		if err == io.EOF {
			c.path = ""
			c.reportProgress()
			return nil
		}
		if err != nil {
			c.path = ""
			return c.fail(err)
		}
		c.path = e.Path
		if c.filter != nil && !c.filter(e) {
			continue
		}
		c.path = e.Path // the filter may have renamed it
		if err := c.entry(e); err != nil {
			return c.fail(err)
		}
	}
}

// The number of directories without an entry of their own that a layer may leave to the
// writer: a fixed number, and more for each entry. A tar of a few KiB could otherwise
// require hundreds of thousands.
const (
	impliedFree     = 8192
	impliedPerEntry = 32
)

// fail adds the current entry to an error that does not have one.
func (c *copier) fail(err error) error {
	var placed *Error
	if errors.As(err, &placed) && (placed.Entry != "" || c.path == "") {
		return err
	}
	return &Error{Op: "copy", Entry: c.path, Index: c.stats.Entries, Offset: -1, Err: err}
}

func (c *copier) reportProgress() {
	if c.progress != nil {
		c.progress(Progress{Stats: c.stats, Path: c.path})
	}
}

func (c *copier) entry(e *Entry) error {
	c.stats.Entries++
	made := int64(0)
	if c.maker != nil {
		made = c.maker.DirectoriesMade()
	}
	if c.stats.Entries > c.limits.Entries-made {
		return &LimitError{Limit: "Entries", Max: c.limits.Entries}
	}
	if most := impliedFree + impliedPerEntry*c.stats.Entries; made > most {
		return &LimitError{Limit: "directories without an entry", Max: most}
	}
	if err := c.limits.CheckDepth(e.Path); err != nil {
		return err
	}
	if e.MetadataSize() > c.limits.MetadataLen {
		return &LimitError{Limit: "MetadataLen", Max: c.limits.MetadataLen}
	}
	if e.Defect != nil {
		if c.defects == nil {
			return e.Defect
		}
		c.defects(e)
	}
	switch e.Kind {
	case File:
		c.stats.Files++
	case Dir:
		c.stats.Dirs++
	case Link:
		c.stats.Links++
	case Whiteout, Opaque:
		c.stats.Whiteouts++
	}
	if err := c.dst.Add(e); err != nil {
		return err
	}
	c.reportProgress()
	if e.Kind != File && e.Kind != Dir {
		return nil
	}
	for n := int64(1); ; n++ {
		s, err := c.src.NextStream()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n > c.limits.Streams {
			return &LimitError{Limit: "Streams", Max: c.limits.Streams}
		}
		if s.Size > c.limits.FileSize {
			return &LimitError{Limit: "FileSize", Max: c.limits.FileSize}
		}
		if s.Size > c.limits.TotalSize-c.stats.Bytes {
			return &LimitError{Limit: "TotalSize", Max: c.limits.TotalSize}
		}
		c.stats.Streams++
		if err := c.dst.AddStream(s); err != nil {
			return err
		}
		if err := c.stream(s); err != nil {
			return err
		}
	}
}

// stream copies the current stream. The announced size was checked against the limits; here
// the bytes are checked against the announced size, so that a source with a wrong size
// cannot exceed the limits.
func (c *copier) stream(s *Stream) error {
	if s.Sparse && c.extentsFrom != nil && c.extentsTo != nil {
		return c.extents(s.Size)
	}
	n, err := c.bytes(s.Size)
	if err == nil && n != s.Size {
		err = ErrStreamSize
	}
	return err
}

// bytes copies to the end of the current stream or extent, at most limit bytes.
func (c *copier) bytes(limit int64) (int64, error) {
	if c.buf == nil {
		c.buf = make([]byte, copyBuffer)
	}
	var done int64
	for {
		n, err := c.src.Read(c.buf)
		if n > 0 {
			if int64(n) > limit-done {
				return done, ErrStreamSize
			}
			if _, err := c.dst.Write(c.buf[:n]); err != nil {
				return done, err
			}
			done += int64(n)
			c.stats.Bytes += int64(n)
			if done > copyBuffer { // a small file was reported at its start
				c.reportProgress()
			}
			if done > copyBuffer/2 {
				if err := c.ctx.Err(); err != nil {
					return done, err
				}
			}
		}
		if err == io.EOF {
			return done, nil
		}
		if err != nil {
			return done, err
		}
	}
}

func (c *copier) extents(size int64) error {
	var at int64
	for {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		x, err := c.extentsFrom.NextExtent()
		if err == io.EOF {
			return c.hole(size - at)
		}
		if err != nil {
			return err
		}
		if x.Offset < at || x.Length < 0 || x.Length > math.MaxInt64-x.Offset || x.Offset+x.Length > size {
			return ErrCorrupt
		}
		if x.Length == 0 {
			continue
		}
		if err := c.hole(x.Offset - at); err != nil {
			return err
		}
		n, err := c.bytes(x.Length)
		if err != nil {
			return err
		}
		if n != x.Length {
			return ErrStreamSize
		}
		at = x.Offset + x.Length
	}
}

// holePiece is the part of a hole that is passed at once to a writer that stores it as
// zeros.
const holePiece = 16 << 20

func (c *copier) hole(n int64) error {
	for n > 0 {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		k := n
		if c.filler != nil && c.filler.FillsHole(n) {
			k = min(n, holePiece)
			c.filled += k
		} else {
			c.stats.HoleBytes += k
		}
		c.stats.Bytes += k
		if err := c.expansion(); err != nil {
			return err
		}
		if err := c.extentsTo.WriteHole(k); err != nil {
			return err
		}
		n -= k
		c.reportProgress()
	}
	return nil
}

// expansion bounds the holes that become zeros by the number of bytes that the source has
// stored. For a source that does not know that number, it counts the bytes outside holes,
// and a header of 512 bytes for each entry.
func (c *copier) expansion() error {
	stored := c.stats.Bytes - c.stats.HoleBytes - c.filled + 512*c.stats.Entries
	if c.meter != nil {
		stored = c.meter.StoredSize()
	}
	if c.filled > RatioFloor && c.filled/c.limits.Ratio > stored {
		return &LimitError{Limit: "Ratio", Max: c.limits.Ratio}
	}
	return nil
}
