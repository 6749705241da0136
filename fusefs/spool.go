package fusefs

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/mullion/mullion/internal/nametree"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Spool makes a [Tree] of a layer, or of the merged view of several, whose format cannot be
// read at random, such as a compressed tar. It is a layer.Writer: its input is stored in
// one temporary file, in which holes and runs of zeros use no space, and the names stay in
// memory, at most 400 bytes per entry. After Commit the tree can be mounted; Close releases
// everything.
//
// A tree contains existing files only: whiteouts are omitted, and so are hard links to
// files that the layer does not contain, which Missing counts. A directory without an entry
// is implied by its contents.
//
// The temporary file has no name if the system allows that, so that a killed process leaves
// nothing.
type Spool struct {
	file *tempfile.File

	buf     []byte // not yet written; starts at offset flushed
	at      int64  // offset of the next byte
	spans   map[string]span
	spanned int

	root    *spoolFile
	files   []*spoolFile   // by ID, from 1
	names   []spoolNode    // while entries are added; the first has no name
	index   nametree.Index // of numbers of names
	hasher  nametree.Hasher
	sum     hash.Hash // of the entries
	dataSum uint32    // of the written bytes
	links   []spoolLink
	missing int
	above   int64 // directories created for their contents

	current *spoolFile // receives streams
	want    int64      // declared size of its main stream
	stream  *span
	done    bool
	closed  bool
	failed  error
}

// span is a range of the temporary file.
type span struct{ at, size int64 }

type spoolLink struct{ path, target string }

// spoolFile is a file or directory with all of its names.
type spoolFile struct {
	s          *Spool
	id         uint64
	isDir      bool
	implied    bool // no entry has described it
	links      int
	attributes winfs.Attributes
	times      winfs.Times

	security, eas, reparse span
	main                   span
	hasMain                bool
	streams                []spoolStream

	children []spoolName // sorted; after Commit
}

// spoolNode is a name and the directory that it is in.
type spoolNode struct {
	spoolName
	dir *spoolFile
}

type spoolName struct {
	name string
	file *spoolFile
}

type spoolStream struct {
	s    *Spool
	name string
	span
}

const (
	spoolBuffer = 256 << 10
	// A layer has few different descriptors. Those that fit into this many bytes are stored
	// once.
	spanMemory = 4 << 20
)

var (
	_ layer.Writer       = (*Spool)(nil)
	_ layer.ExtentWriter = (*Spool)(nil)
	_ Tree               = (*Spool)(nil)
	_ File               = (*spoolFile)(nil)
	_ Stream             = (*spoolStream)(nil)
)

// NewSpool creates an empty tree to be filled. The temporary file is in dir, or in the
// system's directory for temporary files if dir is empty.
func NewSpool(dir string) (*Spool, error) {
	f, err := tempfile.Create(dir, "mullion-spool-")
	if err != nil {
		return nil, err
	}
	s := &Spool{file: f, buf: make([]byte, 0, spoolBuffer), spans: map[string]span{}, sum: sha256.New(),
		names: make([]spoolNode, 1), hasher: nametree.NewHasher()}
	s.root = s.newFile(true)
	s.root.links, s.root.implied = 1, true
	return s, nil
}

// DirectoriesMade implements layer.DirectoryMaker.
func (s *Spool) DirectoriesMade() int64 { return s.above }

// Missing returns the number of hard links that were omitted because their target is not in
// the layer. It is available after Commit.
func (s *Spool) Missing() int { return s.missing }

func (s *Spool) newFile(dir bool) *spoolFile {
	f := &spoolFile{s: s, id: uint64(len(s.files) + 1), isDir: dir}
	s.files = append(s.files, f)
	if dir {
		f.attributes = winfs.AttrDirectory
	}
	return f
}

// fail records the first error; after it the tree cannot be used.
func (s *Spool) fail(e string, err error) error {
	if err != nil {
		err = &layer.Error{Op: "spool", Entry: e, Offset: -1, Err: err}
		if s.failed == nil {
			s.failed = err
		}
	}
	return err
}

// Add starts an entry.
func (s *Spool) Add(e *layer.Entry) error {
	if err := s.ready(); err != nil {
		return err
	}
	if err := s.endEntry(); err != nil {
		return s.fail(e.Path, err)
	}
	if err := validName(e.Path); err != nil {
		return s.fail(e.Path, err)
	}
	fmt.Fprintf(s.sum, "%d %q %q %x %v %d %d\n", e.Kind, e.Path, e.Target, uint32(e.Attributes), e.Times, e.Size, s.at)
	return s.fail(e.Path, s.add(e))
}

// validName accepts the path of an entry, which is not the root.
func validName(path string) error {
	if path == "" {
		return fmt.Errorf("%w: the root is no entry", layer.ErrInvalidName)
	}
	return winfs.ValidatePath(path)
}

func (s *Spool) ready() error {
	switch {
	case s.closed || s.done:
		return layer.ErrClosed
	case s.failed != nil:
		return s.failed
	}
	return nil
}

func (s *Spool) add(e *layer.Entry) error {
	switch e.Kind {
	case layer.Whiteout, layer.Opaque:
		return nil
	case layer.Link:
		if err := validName(e.Target); err != nil {
			return err
		}
		s.links = append(s.links, spoolLink{strings.Clone(e.Path), strings.Clone(e.Target)})
		return nil
	case layer.File, layer.Dir:
	default:
		return fmt.Errorf("%w: entry of kind %v", layer.ErrUnsupported, e.Kind)
	}
	f, err := s.place(e.Path, e.Kind == layer.Dir)
	if err != nil {
		return err
	}
	f.attributes, f.times = e.Attributes, e.Times
	if f.isDir {
		f.attributes |= winfs.AttrDirectory
	}
	if len(e.Reparse) > 0 {
		f.attributes |= winfs.AttrReparsePoint
	}
	eas, err := winfs.EncodeEAs(e.EAs)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		to   *span
		data []byte
	}{{&f.security, e.Security}, {&f.eas, eas}, {&f.reparse, e.Reparse}} {
		if *m.to, err = s.keep(m.data); err != nil {
			return err
		}
	}
	s.current, s.want = f, e.Size
	return nil
}

// endEntry checks an entry against its declared sizes.
func (s *Spool) endEntry() error {
	if err := s.endStream(); err != nil {
		return err
	}
	f := s.current
	s.current = nil
	if f != nil && !f.isDir && s.want > 0 && f.main.size != s.want {
		return layer.ErrStreamSize
	}
	return nil
}

// place creates a file or directory at a path, and the directories above it.
func (s *Spool) place(path string, dir bool) (*spoolFile, error) {
	parent, base := winfs.SplitPath(path)
	d, err := s.directory(parent)
	if err != nil {
		return nil, err
	}
	if there := s.child(d, base); there != nil {
		if dir && there.file.implied {
			there.file.implied, there.name = false, strings.Clone(base)
			return there.file, nil
		}
		return nil, conflict(there.name, base)
	}
	f := s.newFile(dir)
	s.enter(d, base, f)
	return f, nil
}

// conflict returns the error for a name that is taken.
func conflict(there, name string) error {
	if there == name {
		return layer.ErrDuplicate
	}
	return layer.ErrCaseConflict
}

// child finds a name in a directory while entries are added; it returns nil if there is no
// such name. The result is valid until the next name is added.
func (s *Spool) child(d *spoolFile, name string) *spoolName {
	h := s.hasher.Hash(uint32(d.id), name)
	for i, skip := s.index.Next(h, 0); i != 0; i, skip = s.index.Next(h, skip) {
		if n := &s.names[i]; n.dir == d && (n.name == name || winfs.EqualFold(n.name, name)) {
			return &n.spoolName
		}
	}
	return nil
}

// enter adds a name to a directory, which must not have it.
func (s *Spool) enter(d *spoolFile, name string, child *spoolFile) {
	child.links++
	s.index.Add(s.hasher.Hash(uint32(d.id), name), uint32(len(s.names)))
	s.names = append(s.names, spoolNode{spoolName{strings.Clone(name), child}, d})
}

// directory finds a directory while entries are added, and creates it if necessary.
func (s *Spool) directory(path string) (*spoolFile, error) {
	d := s.root
	for part := range strings.SplitSeq(path, `\`) {
		if part == "" {
			continue
		}
		n := s.child(d, part)
		if n == nil {
			f := s.newFile(true)
			f.implied = true
			s.above++
			s.enter(d, part, f)
			d = f
			continue
		}
		if d = n.file; !d.isDir {
			return nil, layer.ErrNotDirectory
		}
	}
	return d, nil
}

// find looks up a path while entries are added; it returns nil if there is nothing.
func (s *Spool) find(path string) *spoolFile {
	f := s.root
	for part := range strings.SplitSeq(path, `\`) {
		n := s.child(f, part)
		if n == nil {
			return nil
		}
		f = n.file
	}
	return f
}

// keep stores metadata. Data that many files share is stored once.
func (s *Spool) keep(data []byte) (span, error) {
	if len(data) == 0 {
		return span{}, nil
	}
	if p, ok := s.spans[string(data)]; ok {
		return p, nil
	}
	p := span{s.at, int64(len(data))}
	if err := s.append(data); err != nil {
		return span{}, err
	}
	if s.spanned+len(data) <= spanMemory {
		s.spans[string(data)] = p
		s.spanned += len(data)
	}
	return p, nil
}

// AddStream starts a stream of the entry.
func (s *Spool) AddStream(st *layer.Stream) error {
	if err := s.ready(); err != nil {
		return err
	}
	if err := s.endStream(); err != nil {
		return s.fail("", err)
	}
	f := s.current
	switch {
	case f == nil:
		return s.fail(st.Name, fmt.Errorf("%w: an entry of this kind has no streams", layer.ErrUnsupported))
	case st.Size < 0:
		return s.fail(st.Name, layer.ErrStreamSize)
	case st.Name == "" && (f.isDir || f.hasMain || len(f.streams) > 0):
		return s.fail(st.Name, fmt.Errorf("%w: a main stream is allowed once, first, and for files only", layer.ErrDuplicate))
	}
	p := span{at: s.at, size: st.Size}
	if st.Name == "" {
		f.main, f.hasMain = p, true
		s.stream = &p
		return nil
	}
	if err := winfs.ValidateComponent(st.Name); err != nil {
		return s.fail(st.Name, err)
	}
	for _, other := range f.streams {
		if winfs.EqualFold(other.name, st.Name) {
			return s.fail(st.Name, layer.ErrDuplicate)
		}
	}
	f.streams = append(f.streams, spoolStream{s, strings.Clone(st.Name), p})
	s.stream = &p
	return nil
}

// endStream checks that a stream has its declared size.
func (s *Spool) endStream() error {
	if s.stream == nil {
		return nil
	}
	p := s.stream
	s.stream = nil
	if s.at != p.at+p.size {
		return layer.ErrStreamSize
	}
	return nil
}

// Write appends to the stream.
func (s *Spool) Write(p []byte) (int, error) {
	if err := s.room(int64(len(p))); err != nil {
		return 0, err
	}
	if err := s.append(p); err != nil {
		return 0, s.fail("", err)
	}
	return len(p), nil
}

// WriteHole appends zeros that use no space.
func (s *Spool) WriteHole(n int64) error {
	if err := s.room(n); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return s.fail("", err)
	}
	s.at += n
	return nil
}

func (s *Spool) room(n int64) error {
	if err := s.ready(); err != nil {
		return err
	}
	if s.stream == nil || n < 0 || n > s.stream.at+s.stream.size-s.at {
		return s.fail("", layer.ErrStreamSize)
	}
	return nil
}

func (s *Spool) append(p []byte) error {
	for len(p) > 0 {
		n := copy(s.buf[len(s.buf):cap(s.buf)], p)
		s.buf = s.buf[:len(s.buf)+n]
		s.at += int64(n)
		p = p[n:]
		if len(s.buf) == cap(s.buf) {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	zeros      [64 << 10]byte
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// flush writes the buffer, except for pieces that are all zeros.
func (s *Spool) flush() error {
	at := s.at - int64(len(s.buf))
	s.dataSum = crc32.Update(s.dataSum, castagnoli, s.buf)
	for b := s.buf; len(b) > 0; {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			if _, err := s.file.WriteAt(b[:n], at); err != nil {
				return err
			}
		}
		b, at = b[n:], at+int64(n)
	}
	s.buf = s.buf[:0]
	return nil
}

// Commit finishes the tree.
func (s *Spool) Commit() error {
	if err := s.ready(); err != nil {
		return err
	}
	err := s.endEntry()
	if err == nil {
		err = s.flush()
	}
	if err == nil {
		err = s.file.Truncate(s.at) // the end may be a hole
	}
	if err == nil {
		err = s.resolve()
	}
	if err != nil {
		return s.fail("", err)
	}
	s.settle()
	s.links, s.spans, s.buf, s.current, s.done = nil, nil, nil, nil, true
	return nil
}

// resolve adds further names to files. A link may come before its target, and may lead to
// another link.
func (s *Spool) resolve() error {
	pending := make(map[string]int, len(s.links)) // by folded path; -1 while it is followed, or for nothing
	for i, l := range s.links {
		if other, ok := pending[winfs.Fold(l.path)]; ok {
			return &layer.Error{Op: "spool", Entry: l.path, Offset: -1, Err: conflict(s.links[other].path, l.path)}
		}
		pending[winfs.Fold(l.path)] = i
	}
	for i, l := range s.links {
		if pending[winfs.Fold(l.path)] != i {
			continue
		}
		// Follow the links to a file, then go back.
		var chain []spoolLink
		var f *spoolFile
		for f == nil {
			chain = append(chain, l)
			pending[winfs.Fold(l.path)] = -1
			if f = s.find(l.target); f != nil {
				break
			}
			next, ok := pending[winfs.Fold(l.target)]
			if !ok || next < 0 {
				break
			}
			l = s.links[next]
		}
		if f == nil {
			s.missing += len(chain)
			continue
		}
		for _, l := range slices.Backward(chain) {
			if err := s.link(l, f); err != nil {
				return &layer.Error{Op: "spool", Entry: l.path, Offset: -1, Err: err}
			}
		}
	}
	return nil
}

func (s *Spool) link(l spoolLink, f *spoolFile) error {
	if f.isDir {
		return layer.ErrLinkTarget
	}
	parent, base := winfs.SplitPath(l.path)
	d, err := s.directory(parent)
	if err != nil {
		return err
	}
	if there := s.child(d, base); there != nil {
		return conflict(there.name, base)
	}
	s.enter(d, base, f)
	return nil
}

// settle sorts the names of each directory in the order in which NTFS lists them.
func (s *Spool) settle() {
	count := make([]int32, len(s.files)+1) // by ID of the directory
	for _, n := range s.names[1:] {
		count[n.dir.id]++
	}
	for _, n := range s.names[1:] {
		if n.dir.children == nil {
			n.dir.children = make([]spoolName, 0, count[n.dir.id])
		}
		n.dir.children = append(n.dir.children, n.spoolName)
	}
	s.names, s.index = nil, nametree.Index{}
	for _, f := range s.files {
		slices.SortFunc(f.children, func(a, b spoolName) int { return winfs.CompareFold(a.name, b.name) })
	}
}

// Close removes the temporary file. The tree must no longer be mounted.
func (s *Spool) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.file.Close()
}

// Root returns the root directory.
func (s *Spool) Root() (File, error) {
	if !s.done || s.closed {
		return nil, layer.ErrClosed
	}
	return s.root, nil
}

// File returns the file with an ID.
func (s *Spool) File(id uint64) (File, error) {
	switch {
	case !s.done || s.closed:
		return nil, layer.ErrClosed
	case id == 0 || id > uint64(len(s.files)):
		return nil, fs.ErrNotExist
	}
	return s.files[id-1], nil
}

// Identity distinguishes trees by their entries, in order, and their content, as far as
// checksums can.
func (s *Spool) Identity() string { return fmt.Sprintf("spool %x %08x", s.sum.Sum(nil), s.dataSum) }

func (f *spoolFile) ID() uint64                   { return f.id }
func (f *spoolFile) IsDir() bool                  { return f.isDir }
func (f *spoolFile) Size() int64                  { return f.main.size }
func (f *spoolFile) NumLinks() (int, error)       { return f.links, nil }
func (f *spoolFile) Attributes() winfs.Attributes { return f.attributes }
func (f *spoolFile) Times() winfs.Times           { return f.times }
func (f *spoolFile) Security() ([]byte, error)    { return f.s.read(f.security) }
func (f *spoolFile) EAs() ([]byte, error)         { return f.s.read(f.eas) }
func (f *spoolFile) Reparse() ([]byte, error)     { return f.s.read(f.reparse) }

func (s *Spool) read(p span) ([]byte, error) {
	if p.size == 0 {
		return nil, nil
	}
	b := make([]byte, p.size)
	_, err := s.file.ReadAt(b, p.at)
	return b, err
}

func (f *spoolFile) Child(name string) (File, error) {
	i, ok := slices.BinarySearchFunc(f.children, name, func(n spoolName, name string) int { return winfs.CompareFold(n.name, name) })
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f.children[i].file, nil
}

func (f *spoolFile) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, n := range f.children {
			if !yield(Entry{Name: n.name, ID: n.file.id, Dir: n.file.isDir, DirKnown: n.file.reparse.size == 0}, nil) {
				return
			}
		}
	}
}

func (f *spoolFile) Open() (Stream, error) { return &spoolStream{f.s, "", f.main}, nil }

func (f *spoolFile) Streams() ([]Stream, error) {
	var out []Stream
	for i := range f.streams {
		out = append(out, &f.streams[i])
	}
	return out, nil
}

func (s *spoolStream) Name() string { return s.name }
func (s *spoolStream) Size() int64  { return s.size }

func (s *spoolStream) ReadAt(p []byte, off int64) (int, error) {
	return io.NewSectionReader(s.s.file, s.at, s.size).ReadAt(p, off)
}
