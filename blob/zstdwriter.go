package blob

import (
	"io"
	"runtime"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

const (
	// frameSize is the number of plain bytes in each frame of a zstd blob but the last. The
	// frames do not refer to each other, so they are compressed concurrently and can be read
	// from each start. Smaller frames compress worse, larger ones need more memory.
	frameSize = 4 << 20
	// smallFrame is the size beyond which a frame gets buffers of full size at once.
	smallFrame = 512 << 10
	// maxFrame is the longest frame in bytes: all blocks stored as they are, with a header of
	// three bytes for each 128 KiB, after at most 18 bytes and before a checksum of four.
	maxFrame = frameSize + frameSize>>17*3 + 18 + 4
	// maxEncoders bounds the memory of a writer, some 10 MiB for each.
	maxEncoders = 2
)

// A frameWriter writes a zstd blob as frames of frameSize. The frames do not depend on how
// many are compressed at a time.
type frameWriter struct {
	enc    *zstd.Encoder
	cur    *frameJob      // nil if its buffer must be waited for
	free   chan *frameJob // not in use
	packed chan []byte    // buffers for compressed frames, not in use
	queue  chan *frameJob // in the order of the frames
	done   chan error     // why the destination failed, once all frames are written
	fault  atomic.Bool    // it has failed
	err    error
}

// A frameJob is one frame on its way.
type frameJob struct {
	plain, packed []byte
	ready         chan struct{}
}

func newFrameWriter(w io.Writer, encoders int) (*frameWriter, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(encoders), zstd.WithEncoderCRC(true),
		zstd.WithWindowSize(frameSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	f := &frameWriter{enc: enc, free: make(chan *frameJob, encoders+1), packed: make(chan []byte, encoders),
		queue: make(chan *frameJob, encoders+1), done: make(chan error, 1)}
	for range encoders {
		f.packed <- nil
	}
	for range encoders + 1 {
		f.free <- &frameJob{ready: make(chan struct{}, 1)}
	}
	go f.run(w, f.queue)
	return f, nil
}

// encoders returns the number of frames that are compressed at a time.
func encoders() int { return min(runtime.GOMAXPROCS(0), maxEncoders) }

// run writes the frames in their order. The queue is an argument, because finish may clear
// the field before run starts.
func (f *frameWriter) run(w io.Writer, queue <-chan *frameJob) {
	var err error
	for job := range queue {
		<-job.ready
		if err == nil {
			if _, err = w.Write(job.packed); err != nil {
				f.fault.Store(true)
			}
		}
		f.packed <- job.packed
		job.packed = nil
		f.free <- job
	}
	f.done <- err
}

func (f *frameWriter) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if f.fault.Load() {
			return n, f.finish()
		}
		if f.cur == nil {
			f.cur = <-f.free
			f.cur.plain = f.cur.plain[:0]
		}
		m := min(len(p)-n, frameSize-len(f.cur.plain))
		if len(f.cur.plain)+m > smallFrame && cap(f.cur.plain) < frameSize {
			f.cur.plain = append(make([]byte, 0, frameSize), f.cur.plain...)
		}
		f.cur.plain = append(f.cur.plain, p[n:n+m]...)
		n += m
		if len(f.cur.plain) == frameSize {
			f.send()
		}
	}
	return n, nil
}

func (f *frameWriter) send() {
	job := f.cur
	f.cur = nil
	// The frames take their buffers in their order, so that the one that is written next has
	// one.
	if job.packed = <-f.packed; len(job.plain) > smallFrame && cap(job.packed) < maxFrame {
		// With room for the longest frame it never grows, which would leave garbage of the
		// same size. Memory that short frames don't reach is never touched.
		job.packed = make([]byte, 0, maxFrame)
	}
	go func() {
		job.packed = f.enc.EncodeAll(job.plain, job.packed[:0])
		job.ready <- struct{}{}
	}()
	f.queue <- job
}

// Close writes the last frame. Without any input there is none.
func (f *frameWriter) Close() error {
	if f.queue != nil && f.cur != nil && !f.fault.Load() {
		f.send()
	}
	return f.finish()
}

// finish waits until the frames are written, and returns the same error when it is called
// again.
func (f *frameWriter) finish() error {
	if f.queue != nil {
		close(f.queue)
		f.queue = nil
		f.err = <-f.done
		f.enc.Close()
	}
	return f.err
}
