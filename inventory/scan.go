package inventory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Layers are a chain of layers that need not be those of an image.
type Layers struct {
	Sources []layer.Source // base first
	// Hives has the hives of the layers, base first, where they are not entries of the layers,
	// as of unpacked layers. With nil they are taken from the entries.
	Hives []hives.Layer
	// Limits bounds the layers; see [layer.WithUnionLimits].
	Limits layer.Limits
}

// OfLayers lists the components of a chain of layers, as [Of] does for an image. A layer is
// read once more for a file of several names if the one with its content is hidden or not
// wanted, and for files that a cataloger opens without having wanted them. Nothing is kept.
func OfLayers(ctx context.Context, l Layers, opts ...Option) (*Inventory, error) {
	o := newOptions(opts)
	catalogers, err := o.catalogers()
	if err != nil {
		return nil, err
	}
	return runLayers(ctx, l.chain(ctx), o, catalogers)
}

func (l Layers) chain(ctx context.Context) chain {
	return chain{
		sources: l.Sources,
		hives:   l.Hives,
		scan: func(fn func(layer.Scanned, layer.Reader) error) (*image.Hives, error) {
			if l.Hives != nil {
				return nil, layer.Scan(ctx, l.Sources, l.Limits, fn)
			}
			return image.ScanLayers(ctx, l.Sources, l.Limits, fn)
		},
		union: func() (*layer.View, error) {
			return layer.Union(ctx, l.Sources, layer.WithUnionLimits(l.Limits))
		},
	}
}

// chain is what an inventory is made of.
type chain struct {
	sources []layer.Source
	hives   []hives.Layer // or nil
	scan    func(func(layer.Scanned, layer.Reader) error) (*image.Hives, error)
	union   func() (*layer.View, error)
}

// runLayers runs catalogers on a chain of layers.
func runLayers(ctx context.Context, c chain, o *options, catalogers []Cataloger) (inv *Inventory, err error) {
	if err := checkCatalogers(catalogers); err != nil {
		return nil, err
	}
	if o.registryOnly {
		c.union = func() (*layer.View, error) { return nil, fs.ErrNotExist }
	}
	sys := newLayersSystem(ctx, c)
	defer func() { err = errors.Join(err, sys.Close()) }()
	r := newRun(sys)
	var found *image.Hives
	switch {
	case !o.registryOnly:
		if found, err = sys.read(ctx, r, catalogers); err != nil {
			return nil, err
		}
	case c.hives == nil:
		if found, err = image.FindHives(ctx, c.sources); err != nil {
			return nil, err
		}
	}
	var warnings []finding.Finding
	if found != nil {
		defer func() { err = errors.Join(err, found.Close()) }()
		found.Warn = func(f finding.Finding) { warnings = append(warnings, f) }
		if c.hives == nil {
			for i := range found.Layers() {
				sys.chain = append(sys.chain, found.Layer(i))
			}
		}
	}
	// What is in no hive is told of no system.
	if _, err := sys.Hive(hives.Software); err != nil {
		return nil, errors.Join(err, sys.closeHives())
	}
	inv, err = r.finish(ctx, catalogers)
	if err = errors.Join(err, sys.closeHives()); err != nil {
		return nil, err
	}
	inv.Warnings = warnings
	return inv, nil
}

// maxFileCatalogers is the number of those that a fileSet can hold.
const maxFileCatalogers = 128

// fileSet is a set of FileCatalogers, by their position.
type fileSet [2]uint64

func (s *fileSet) add(i int)     { s[i/64] |= 1 << (i % 64) }
func (s fileSet) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s fileSet) empty() bool    { return s == fileSet{} }
func (s fileSet) or(t fileSet) fileSet {
	return fileSet{s[0] | t[0], s[1] | t[1]}
}
func (s fileSet) without(t fileSet) fileSet {
	return fileSet{s[0] &^ t[0], s[1] &^ t[1]}
}

func checkCatalogers(all []Cataloger) error {
	n := 0
	for _, c := range all {
		if _, ok := c.(FileCataloger); ok {
			n++
		}
	}
	if n > maxFileCatalogers {
		return fmt.Errorf("%d catalogers of files, more than %d", n, maxFileCatalogers)
	}
	return nil
}

// filePlace is an entry of a layer.
type filePlace struct {
	layer   int
	ordinal int32
}

// pass is the reading of the layers: topmost first, each once. Files that only have to be
// opened later go to the spool; those that a FileCataloger wants are catalogued meanwhile on
// another goroutine.
type pass struct {
	ctx     context.Context
	sys     *layersSystem
	run     *run
	takers  []FileCataloger
	keepers []Cataloger
	queue   *fileQueue

	sizes [][]int64             // of the files, by layer and entry; notRegular for others
	taken map[filePlace]fileSet // the catalogers that have seen a file
	links bool                  // a hard link is shown
}

const notRegular = -1

// read reads the layers.
func (s *layersSystem) read(ctx context.Context, r *run, catalogers []Cataloger) (found *image.Hives, err error) {
	p := &pass{ctx: ctx, sys: s, run: r, sizes: make([][]int64, len(s.c.sources)), taken: map[filePlace]fileSet{}}
	for _, c := range catalogers {
		if f, ok := c.(FileCataloger); ok {
			p.takers = append(p.takers, f)
		} else {
			p.keepers = append(p.keepers, c)
		}
	}
	p.queue = startQueue(ctx, r, p.takers)
	found, err = s.c.scan(p.entry)
	if err == nil {
		err = p.resolveLinks()
	}
	if err = errors.Join(err, p.queue.close()); err != nil && found != nil {
		err = errors.Join(err, found.Close())
		found = nil
	}
	return found, err
}

// isSurrogate reports whether a file is a link.
func isSurrogate(e *layer.Entry) bool {
	return len(e.Reparse) >= 4 && winfs.IsNameSurrogate(binary.LittleEndian.Uint32(e.Reparse))
}

// wants returns who wants a file.
func (p *pass) wants(path string, size int64) (takers fileSet, keep bool) {
	for i, c := range p.takers {
		if c.Wants(path, size) {
			takers.add(i)
		}
	}
	for _, c := range p.keepers {
		keep = c.Wants(path, size) || keep
	}
	return takers, keep
}

// entry looks at an entry that passes by.
func (p *pass) entry(e layer.Scanned, r layer.Reader) error {
	size := int64(notRegular)
	if e.Kind == layer.File && !isSurrogate(e.Entry) {
		size = max(e.Size, 0)
	}
	if n := int(e.Ordinal) - len(p.sizes[e.Layer]); n >= 0 {
		// Hives do not come here.
		p.sizes[e.Layer] = append(append(p.sizes[e.Layer], make([]int64, n)...), size)
	}
	switch {
	case !e.Shown:
		return nil
	case e.Kind == layer.Link:
		p.links = true
		return nil
	case size == notRegular:
		return nil
	}
	takers, keep := p.wants(e.Path, size)
	return p.file(filePlace{e.Layer, e.Ordinal}, e.Entry, e.Path, r, takers, keep)
}

// file gives a file to those who want it, under a name.
func (p *pass) file(at filePlace, e *layer.Entry, path string, r layer.Reader, takers fileSet, keep bool) error {
	if takers.empty() && !keep {
		return nil
	}
	stream, err := r.NextStream()
	if err == io.EOF || err == nil && stream.Name != "" {
		stream, r, err = &layer.Stream{}, noStream{r}, nil
	}
	if err != nil {
		return err
	}
	size := stream.Size
	var kept *spooledFile
	if keep {
		kept = &spooledFile{path: path, place: at, size: size, modified: e.Times.LastWrite}
	}
	if takers.empty() {
		return p.sys.spool.add(p.ctx, kept, r)
	}
	p.taken[at] = p.taken[at].or(takers)
	if size > maxFile {
		return p.queue.put(&fileJob{takers: takers, file: File{Path: path, Layer: at.layer, Size: size},
			fault: &layer.LimitError{Limit: "size of a catalogued file", Max: maxFile}})
	}
	job, err := p.queue.take(path, at.layer, size, r)
	if err != nil {
		return err
	}
	job.takers = takers
	if h, ok := r.(layer.StreamHasher); ok {
		if sum, ok := h.StreamSum(); ok {
			job.file.SHA256 = fmt.Sprintf("%x", sum)
		}
	}
	if kept != nil {
		if err := p.sys.spool.add(p.ctx, kept, io.NewSectionReader(job.file.Content, 0, size)); err != nil {
			job.release()
			return err
		}
	}
	return p.queue.put(job)
}

// noStream is a reader at an entry without a main stream.
type noStream struct{ layer.Reader }

func (noStream) Read([]byte) (int, error) { return 0, io.EOF }

// lateFile is a file that is known by a hard link, and was not seen under its own name by all
// who want it.
type lateFile struct {
	place  filePlace
	path   string
	takers fileSet
	keep   bool
}

// resolveLinks gives files to those who want them by the name of a hard link: each file once
// to each of them, under the first of those names.
func (p *pass) resolveLinks() error {
	if !p.links {
		return nil
	}
	v, err := p.sys.tree()
	if err != nil {
		return err
	}
	var late []lateFile
	at := map[filePlace]int{}
	for n := range v.Names() {
		place := filePlace{n.Layer, int32(n.Ordinal)}
		if !n.Linked || n.Kind != layer.File || place.layer < 0 || int(place.ordinal) >= len(p.sizes[place.layer]) {
			continue
		}
		size := p.sizes[place.layer][place.ordinal]
		if size == notRegular {
			continue
		}
		takers, keep := p.wants(n.Path, size)
		takers = takers.without(p.taken[place])
		if keep {
			keep = !p.sys.spool.name(n.Path, place)
		}
		if takers.empty() && !keep {
			continue
		}
		if i, ok := at[place]; ok {
			late[i].takers = late[i].takers.or(takers)
			late[i].keep = late[i].keep || keep
			continue
		}
		at[place] = len(late)
		late = append(late, lateFile{place, n.Path, takers, keep})
	}
	slices.SortFunc(late, func(a, b lateFile) int {
		if a.place.layer != b.place.layer {
			return b.place.layer - a.place.layer
		}
		return int(a.place.ordinal) - int(b.place.ordinal)
	})
	for len(late) > 0 {
		number := late[0].place.layer
		n := slices.IndexFunc(late, func(f lateFile) bool { return f.place.layer != number })
		if n < 0 {
			n = len(late)
		}
		if err := p.readLate(number, late[:n]); err != nil {
			return fmt.Errorf("layer %d: %w", number, err)
		}
		late = late[n:]
	}
	return nil
}

func (p *pass) readLate(number int, files []lateFile) error {
	var ordinals []int32
	for _, f := range files {
		ordinals = append(ordinals, f.place.ordinal)
	}
	return image.ReadEntries(p.ctx, p.sys.c.sources[number], ordinals, func(n int32, e *layer.Entry, r layer.Reader) error {
		f := files[0]
		files = files[1:]
		return p.file(f.place, e, f.path, r, f.takers, f.keep)
	})
}

const (
	// queuedFiles is the number of files that wait to be catalogued, each with at most
	// smallFile bytes in memory: 48 MiB in all.
	queuedFiles = 12
	// maxFile is the size in bytes of the largest file that is catalogued.
	maxFile = 1 << 30
)

// fileQueue catalogues files on a goroutine of its own.
type fileQueue struct {
	ctx    context.Context
	jobs   chan *fileJob
	free   chan []byte   // buffers
	large  chan struct{} // one at a time is in a temporary file
	done   chan struct{}
	closed sync.Once
	err    error // when done
	copies []byte
}

type fileJob struct {
	takers  fileSet
	file    File
	fault   error  // the file is skipped
	release func() // or nil
}

func startQueue(ctx context.Context, r *run, takers []FileCataloger) *fileQueue {
	q := &fileQueue{ctx: ctx, jobs: make(chan *fileJob, queuedFiles), free: make(chan []byte, queuedFiles),
		large: make(chan struct{}, 1), done: make(chan struct{})}
	for range queuedFiles {
		q.free <- nil
	}
	go func() {
		defer close(q.done)
		for j := range q.jobs {
			if q.err == nil {
				q.err = j.run(ctx, r, takers)
			}
			if j.release != nil {
				j.release()
			}
		}
	}()
	return q
}

func (j *fileJob) run(ctx context.Context, r *run, takers []FileCataloger) error {
	if j.fault != nil {
		for i, c := range takers {
			if j.takers.has(i) {
				r.skip(c.Name(), Skip([]Evidence{{Path: j.file.Path, Layer: j.file.Layer}}, j.fault))
			}
		}
		return nil
	}
	if j.file.SHA256 == "" {
		if err := j.file.hash(ctx); err != nil {
			return err
		}
	}
	var list []FileCataloger
	for i, c := range takers {
		if j.takers.has(i) {
			list = append(list, c)
		}
	}
	return r.catalogFile(ctx, list, &j.file)
}

// take copies a file that passes by, of at most maxFile bytes.
func (q *fileQueue) take(path string, number int, size int64, r io.Reader) (*fileJob, error) {
	j := &fileJob{file: File{Path: path, Layer: number, Size: size}}
	if size > smallFile {
		select {
		case q.large <- struct{}{}:
		case <-q.ctx.Done():
			return nil, context.Cause(q.ctx)
		}
		temp, err := tempfile.Create("", "mullion-file-")
		if err != nil {
			<-q.large
			return nil, err
		}
		j.release = func() { temp.Close(); <-q.large }
		if q.copies == nil {
			q.copies = make([]byte, 256<<10)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{temp}, ctxio.Reader(q.ctx, io.LimitReader(r, size)), q.copies)
		if err == nil && n < size {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			j.release()
			return nil, err
		}
		j.file.Content = temp
		return j, nil
	}
	var b []byte
	select {
	case b = <-q.free:
	case <-q.ctx.Done():
		return nil, context.Cause(q.ctx)
	}
	if int64(cap(b)) < size {
		b = make([]byte, size, min(smallFile, max(size+size/4, 64<<10)))
	}
	b = b[:size]
	j.release = func() { q.free <- b }
	if _, err := io.ReadFull(r, b); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		j.release()
		return nil, err
	}
	j.file.Content = bytes.NewReader(b)
	return j, nil
}

// put gives a job to the goroutine, which releases it.
func (q *fileQueue) put(j *fileJob) error {
	q.jobs <- j
	return nil
}

// close waits for the goroutine to end.
func (q *fileQueue) close() error {
	q.closed.Do(func() { close(q.jobs) })
	<-q.done
	return q.err
}
