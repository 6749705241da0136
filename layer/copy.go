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

// Stats counts what a copy has moved.
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

// Progress is what a progress callback is told.
type Progress struct {
	Stats
	Path string // the current entry
}

// CopyOption changes how Copy works.
type CopyOption func(*copier)

// WithLimits bounds the copy. Without it the defaults of Limits hold.
func WithLimits(l Limits) CopyOption { return func(c *copier) { c.limits = l } }

// WithProgress has fn called, on the goroutine of the copy, when an entry begins
// and after each piece of a stream of at most 1 MiB. What fn is told is valid
// during the call.
func WithProgress(fn func(Progress)) CopyOption { return func(c *copier) { c.progress = fn } }

// WithFilter has fn decide about each entry before it is written. It may change
// the entry; when it returns false the entry is left out with its streams.
func WithFilter(fn func(*Entry) bool) CopyOption { return func(c *copier) { c.filter = fn } }

// WithDefects has entries copied that have a Defect, without what does not make
// sense; fn is told of each before it is written. It is for copies that only show a
// layer. Without it such an entry is an error.
func WithDefects(fn func(*Entry)) CopyOption { return func(c *copier) { c.defects = fn } }

// Copy moves every entry and stream of src to dst, in the order of src, and tells
// how much that was. It neither commits nor closes: the caller verifies what it
// must (a digest, say) and then calls dst.Commit.
//
// The copy stops at the first error, when ctx is done, and when a limit is
// exceeded, which gives a *LimitError. Errors carry the entry in an *Error.
// Holes of sparse streams stay holes where src is an [ExtentReader] and dst an
// [ExtentWriter]; otherwise they are copied as zeros. Memory does not grow with
// the number or the size of the entries.
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
	extentsFrom ExtentReader // nil if src cannot
	extentsTo   ExtentWriter // nil if dst cannot
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
			c.tell()
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

// What a layer may leave to the writer: so many directories without an entry of their
// own, and so many more for each entry that it has. A tar of a few KiB could otherwise ask
// for hundreds of thousands.
const (
	impliedFree     = 8192
	impliedPerEntry = 32
)

// fail places an error that does not already know its entry.
func (c *copier) fail(err error) error {
	var placed *Error
	if errors.As(err, &placed) && (placed.Entry != "" || c.path == "") {
		return err
	}
	return &Error{Op: "copy", Entry: c.path, Index: c.stats.Entries, Offset: -1, Err: err}
}

func (c *copier) tell() {
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
	c.tell()
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

// stream copies the current stream. The announced size was checked against the
// limits; here the bytes are held against the announced size, so that a source
// that lies cannot get past them.
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
			if done > copyBuffer { // a small file was told of when it began
				c.tell()
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

// holePiece is how much of a hole is passed on at once to a writer that stores it as
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
		c.tell()
	}
	return nil
}

// expansion bounds the holes that become zeros by what the source has stored. Where the
// source does not know that, it has at least the bytes that are no holes, and a header
// of 512 bytes for each entry is assumed.
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
