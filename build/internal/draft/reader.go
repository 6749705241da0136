package draft

import (
	"errors"
	"fmt"
	"io"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// reader yields planned entries.
type reader struct {
	d    *Draft
	list []planned
	next int
	err  error // sticky

	entry  layer.Entry
	o      *object
	state  streams
	from   layer.Reader // of the streams of another tree
	stream layer.Stream
	data   io.ReadCloser // of a Content
	left   int64
	extent bool // NextExtent has been called for the stream
	finder layer.ExtentFinder
}

type streams uint8

const (
	noStreams streams = iota
	notOpened
	opened
)

var _ layer.ExtentReader = (*reader)(nil)

func (r *reader) fail(err error) error {
	r.err = &layer.Error{Op: "read draft", Entry: r.entry.Path, Index: int64(r.next), Offset: -1, Err: err}
	return r.err
}

// Next returns the next entry.
func (r *reader) Next() (*layer.Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := r.end(); err != nil {
		return nil, r.fail(err)
	}
	if r.next == len(r.list) {
		r.err = io.EOF
		return nil, io.EOF
	}
	e := &r.list[r.next]
	r.next++
	r.entry = layer.Entry{Path: e.path, Kind: e.kind, Target: e.target}
	if err := r.describe(e); err != nil {
		return nil, r.fail(err)
	}
	return &r.entry, nil
}

func (r *reader) describe(e *planned) error {
	switch {
	case e.kind == layer.Whiteout:
		return nil
	case e.o == nil:
		it, err := r.d.lower.Lookup(e.path)
		if err != nil {
			return err
		}
		if it.Defect != nil {
			return fmt.Errorf("%w: %w", ErrDefect, it.Defect)
		}
		r.entry = it.Entry
		r.o = &object{from: r.d.lower, at: it.Path}
	case e.kind == layer.Link:
		r.entry.Attributes, r.entry.Times = e.o.entry.Attributes, e.o.entry.Times
		return nil
	default:
		r.entry = e.o.entry
		r.entry.Kind = e.kind
		r.o = e.o
	}
	r.entry.Path = e.path
	if r.entry.Kind == layer.Dir {
		if err := r.complete(); err != nil {
			return err
		}
	}
	if r.o.data != nil || r.o.from != nil || r.entry.Kind == layer.File {
		r.state = notOpened
	}
	return nil
}

// complete gives a directory what the tree below may not say.
func (r *reader) complete() error {
	e := &r.entry
	e.Attributes |= winfs.AttrDirectory
	if e.Times == (winfs.Times{}) {
		e.Times = r.d.times(e.Times)
	}
	switch {
	case winfs.EqualFold(e.Path, layer.RootUtilityVM):
		// hcsshim opens no file for it (layer.RuleVMDescriptor).
		e.Security, e.EAs, e.Reparse = nil, nil, nil
		r.o = &object{}
	case e.Security == nil && (isDrive(e.Path) || inDrive(e.Path)):
		sd, err := r.d.directorySecurity(r.d.at(e.Path))
		if err != nil {
			return err
		}
		e.Security = sd
	}
	return nil
}

// NextStream returns the next stream of the entry.
func (r *reader) NextStream() (*layer.Stream, error) {
	if r.err != nil && r.err != io.EOF {
		return nil, r.err
	}
	if err := r.endStream(); err != nil {
		return nil, r.fail(err)
	}
	s, err := r.openStream()
	if err != nil && err != io.EOF {
		return nil, r.fail(err)
	}
	return s, err
}

func (r *reader) openStream() (*layer.Stream, error) {
	first := r.state == notOpened
	switch {
	case r.state == noStreams:
		return nil, io.EOF
	case first && r.o.from != nil:
		from, err := r.o.from.Open(r.o.at)
		if err != nil {
			return nil, err
		}
		r.from, r.state = from, opened
		if _, err := from.Next(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	case first:
		r.state = opened
		r.stream = layer.Stream{}
		if r.o.data == nil {
			return &r.stream, nil // a link, whose main stream is empty
		}
		r.stream.Size = r.entry.Size
		f, err := r.o.data.Open()
		if err != nil {
			return nil, err
		}
		r.data, r.left = f, r.stream.Size
		return &r.stream, nil
	}
	if r.from == nil {
		return nil, io.EOF
	}
	s, err := r.from.NextStream()
	if err != nil {
		return nil, err
	}
	r.stream = *s
	return &r.stream, nil
}

// end finishes the entry.
func (r *reader) end() error {
	err := r.endStream()
	if r.from != nil {
		err = errors.Join(err, r.from.Close())
		r.from = nil
	}
	r.o, r.state = nil, noStreams
	return err
}

func (r *reader) endStream() error {
	r.stream, r.left, r.extent = layer.Stream{}, 0, false
	r.finder.Reset()
	if r.data == nil {
		return nil
	}
	err := r.data.Close()
	r.data = nil
	return err
}

// Read reads the stream.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil && r.err != io.EOF {
		return 0, r.err
	}
	switch {
	case r.finder.Active():
		return r.finder.Read(p)
	case r.from != nil:
		n, err := r.from.Read(p)
		if err != nil && err != io.EOF {
			err = r.fail(err)
		}
		return n, err
	}
	return r.readContent(p)
}

// readContent reads a Content, which must be as long as it said.
func (r *reader) readContent(p []byte) (int, error) {
	if r.data == nil || len(p) == 0 {
		if r.data == nil {
			return 0, io.EOF
		}
		return 0, nil
	}
	if r.left == 0 {
		var more [1]byte
		if _, err := io.ReadFull(r.data, more[:]); err == nil {
			return 0, r.fail(fmt.Errorf("%w: it is longer than the %d bytes that it had", ErrContent, r.entry.Size))
		} else if err != io.EOF {
			return 0, r.fail(err)
		}
		return 0, io.EOF
	}
	n, err := r.data.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	switch {
	case err == io.EOF && r.left > 0:
		return n, r.fail(fmt.Errorf("%w: it ends %d bytes before the %d that it had: %w", ErrContent, r.left, r.entry.Size, io.ErrUnexpectedEOF))
	case err == io.EOF:
		return n, nil
	case err != nil:
		return n, r.fail(err)
	}
	return n, nil
}

// NextExtent finds the holes that another tree knows; a content has none.
func (r *reader) NextExtent() (layer.Extent, error) {
	if r.err != nil && r.err != io.EOF {
		return layer.Extent{}, r.err
	}
	if r.from != nil {
		x, ok := r.from.(layer.ExtentReader)
		switch {
		case ok:
			e, err := x.NextExtent()
			if err != nil && err != io.EOF {
				err = r.fail(err)
			}
			return e, err
		case r.stream.Sparse:
			return r.finder.Next(r.from, r.stream.Size)
		}
	}
	if r.extent || r.stream.Size == 0 || r.data == nil && r.from == nil {
		if r.data != nil {
			if err := r.endStream(); err != nil {
				return layer.Extent{}, r.fail(err)
			}
		}
		return layer.Extent{}, io.EOF
	}
	r.extent = true
	return layer.Extent{Length: r.stream.Size}, nil
}

// Close closes the reader, not the draft.
func (r *reader) Close() error {
	err := r.end()
	if r.err == nil || r.err == io.EOF {
		r.err = layer.ErrClosed
	}
	return err
}
