package cimfs

// form is how a stream is stored. Rewrite keeps that of the source in place of the
// writer's own decision.
type form struct {
	plan   *pePlan // nil for plain
	region RegionType
}

// formOf is the form of a stream of size bytes.
func formOf(plan *pePlan, size int64) form {
	if plan == nil && size < smallLimit {
		return form{plan, SmallRegion}
	}
	return form{plan, DataRegion}
}

// begin opens a stream of size bytes whose structure goes to result.
func (w *Writer) begin(it item, result *stream, path string, size int64, forced *form) {
	w.open, w.path, w.size, w.written = true, path, size, 0
	w.plan, w.planned, w.nextMap, w.fed, w.head = nil, false, 0, 0, w.head[:0]
	w.pending = it
	if size == 0 {
		w.planned = true
		return
	}
	j, _ := w.placer.jobs.Get().(*job)
	if j == nil {
		j = new(job)
	}
	j.logical, j.result = size, result
	w.pending.content = j
	switch {
	case forced != nil:
		w.decide(*forced)
	case w.opts.PlainExecutables || size < smallLimit || w.pending.meta.flags&flagSparse != 0 || it.rec == nil:
		w.decide(formOf(nil, size))
	}
}

// decide fixes how the open stream is stored.
func (w *Writer) decide(f form) {
	w.plan, w.planned = f.plan, true
	j := w.pending.content
	j.pe, j.region, j.stored = f.plan, f.region, w.size
	if f.plan != nil {
		j.stored = f.plan.stored
	}
	if j.stored <= w.placer.buffered {
		return
	}
	// Too large to wait in memory: hand it over now and feed it as it comes.
	// The objects that wait in the batch can be hashed meanwhile.
	j.toHash, j.toWrite = make(chan segment, chunkCount), make(chan segment, chunkCount)
	if f.plan == nil && w.pending.rec != nil {
		j.like = w.oldContent(w.path, w.size)
	}
	w.placer.flush()
	w.placer.add(w.pending)
	w.placer.flush()
}

// Write appends to the open stream. More than the announced size is
// ErrStreamSize.
func (w *Writer) Write(p []byte) (int, error) {
	switch {
	case w.closed:
		return 0, w.fault("write", w.path, ErrClosed)
	case w.err != nil:
		return 0, w.fault("write", w.path, w.err)
	case !w.open:
		return 0, w.fault("write", "", because(ErrSequence, "no stream is open"))
	case int64(len(p)) > w.size-w.written:
		w.err = because(ErrStreamSize, "more than %d bytes", w.size)
		return 0, w.fault("write", w.path, w.err)
	}
	if err := w.placer.failed(); err != nil {
		w.err = err
		return 0, w.fault("write", w.path, err)
	}
	n := len(p)
	w.written += int64(n)
	if !w.planned {
		p = w.peek(p)
	}
	w.feed(p)
	return n, nil
}

// peek collects the first bytes of a stream until it is known whether it is a PE
// image, and returns the rest of p.
func (w *Writer) peek(p []byte) []byte {
	if len(w.head) == 0 && len(p) >= 2 && (p[0] != 'M' || p[1] != 'Z') {
		w.decide(formOf(nil, w.size)) // the way of nearly all files, without a copy
		return p
	}
	want := int(min(w.size, peHeadLimit))
	n := min(len(p), want-len(w.head))
	w.head = append(w.head, p[:n]...)
	if len(w.head) == want {
		plan := planPE(w.head, w.size)
		if plan != nil && w.unhashed {
			plan.hash = nil
		}
		w.decide(formOf(plan, w.size))
		w.feed(w.head)
	}
	return p[n:]
}

// feed stores bytes of the stream, putting PE sections on pages of their own.
func (w *Writer) feed(p []byte) {
	if w.plan == nil {
		w.store(p)
		return
	}
	at := w.fed
	for len(p) > 0 {
		n := int64(len(p))
		if w.nextMap < len(w.plan.mappings) {
			m := w.plan.mappings[w.nextMap]
			if int64(m.offset) == at {
				var before uint32
				if w.nextMap > 0 {
					before = w.plan.mappings[w.nextMap-1].delta
				}
				w.zeros(int64(m.delta - before))
				w.nextMap++
				continue
			}
			n = min(n, int64(m.offset)-at)
		}
		w.store(p[:n])
		p, at = p[n:], at+n
	}
	w.fed = at
}

// zeros stores n zero bytes.
func (w *Writer) zeros(n int64) {
	for n > 0 {
		k := min(n, int64(len(zeroPage)))
		w.store(zeroPage[:k])
		n -= k
	}
}

var zeroPage [64 << 10]byte

// store copies bytes into chunks. Pieces of buffered files lie in chunks that they
// share with their neighbours, pieces of streamed ones go on their way when the
// chunk is full.
func (w *Writer) store(p []byte) {
	j := w.pending.content
	for len(p) > 0 {
		if w.chunk != nil && w.chunk.n == chunkSize {
			w.endPiece()
			w.placer.release(w.chunk)
			w.chunk = nil
		}
		if w.chunk == nil {
			w.chunk = w.placer.chunk()
		}
		c := w.chunk
		n := copy(c.b[c.n:], p)
		piece := c.b[c.n : c.n+n]
		c.n += n
		p = p[n:]
		if w.last.c == c {
			w.last.b = w.last.b[:len(w.last.b)+n]
			if j.toHash == nil {
				j.segments[len(j.segments)-1].b = w.last.b
			}
			continue
		}
		w.last = segment{c, piece}
		if j.toHash == nil {
			c.refs.Add(1)
			j.segments = append(j.segments, w.last)
		}
	}
}

// endPiece sends the piece of a streamed file that is complete.
func (w *Writer) endPiece() {
	if s := w.last; s.c != nil {
		if j := w.pending.content; j != nil && j.toHash != nil {
			s.c.refs.Add(2)
			j.toHash <- s
			j.toWrite <- s
		}
	}
	w.last = segment{}
}

// CloseStream ends the open stream, which must have got all its bytes, or
// ErrStreamSize. Every other method does this first.
func (w *Writer) CloseStream() error {
	if !w.open && !w.closed && w.err == nil {
		return w.fault("close stream", "", because(ErrSequence, "no stream is open"))
	}
	path := w.path
	if err := w.ready(); err != nil {
		return w.fault("close stream", path, err)
	}
	return nil
}

func (w *Writer) endStream() error {
	if w.written < w.size {
		err := because(ErrStreamSize, "%q got %d of %d bytes", w.path, w.written, w.size)
		w.abandonStream()
		return err
	}
	w.open = false
	j := w.pending.content
	if j == nil {
		if w.pending.rec != nil {
			w.placer.add(w.pending)
		}
		return nil
	}
	if w.plan != nil { // gaps after the end of the file
		stored := w.size
		if k := w.nextMap; k > 0 {
			stored += int64(w.plan.mappings[k-1].delta)
		}
		w.zeros(w.plan.stored - stored)
	}
	w.endPiece()
	if j.toHash != nil {
		close(j.toHash)
		close(j.toWrite)
		return nil
	}
	if j.stored <= digestSize {
		j.inline, j.digest = true, digest{}
		off := 0
		for _, s := range j.segments {
			off += copy(j.digest[off:], s.b)
		}
	}
	w.placer.add(w.pending)
	return nil
}

// abandonStream releases the chunks of a stream that will not be finished.
func (w *Writer) abandonStream() {
	if !w.open {
		return
	}
	w.open = false
	w.placer.fail(ErrClosed)
	if j := w.pending.content; j != nil {
		if j.toHash != nil {
			w.last = segment{}
			close(j.toHash)
			close(j.toWrite)
		} else {
			for _, s := range j.segments {
				w.placer.release(s.c)
			}
		}
	}
	w.last = segment{}
	w.pending = item{}
}
