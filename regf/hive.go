package regf

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/winfs"
)

// Mode is the treatment of damage.
type Mode uint8

const (
	// Strict makes the first fault that is met an error.
	Strict Mode = iota
	// Report continues past faults, as far as that is safe, and lists them in
	// Hive.Findings. Unreadable parts are omitted and listed, never invented.
	Report
	// Salvage is Report, and [Hive.Deleted] returns keys and values that are in free cells
	// or that nothing points to any more. It opens a hive without a root key, and, as a
	// dirty hive, a file whose base block is destroyed.
	Salvage
)

// String returns strict, report or salvage.
func (m Mode) String() string {
	switch m {
	case Strict:
		return "strict"
	case Report:
		return "report"
	case Salvage:
		return "salvage"
	}
	return "invalid mode"
}

// Options are the options for opening a hive. The zero value, or a nil pointer, is the
// strictest choice.
type Options struct {
	Mode Mode
	// AllowDirty opens a hive whose logs were not replayed, in its present state. Without
	// it such a hive is ErrDirty.
	AllowDirty bool
	// AllowHarmless tolerates faults that cannot change a result, see [Harmless], in strict
	// mode too. Each becomes a Finding of severity Warning.
	AllowHarmless bool
	// Warn is called with each finding when it is recorded, from the goroutine that met the
	// fault and with the hive's list of findings locked: it must not call the hive.
	Warn func(finding.Finding)
	// InMemory reads the file instead of mapping it. A mapped file that another program
	// truncates while it is open ends the process; set InMemory where that can happen.
	InMemory bool
	// EditDirty allows changing a hive that AllowDirty opened. The contents of its logs are
	// lost then, because saving makes the hive clean.
	EditDirty bool
	// IgnoreLayers makes edits treat the layer bits of a differencing hive like any other
	// bits, as the Offline Registry Library does: creating a key over a tombstone opens the
	// tombstone, a value that is set keeps the tombstone bit, new keys merge. Without it
	// edits have their meaning for the merged registry: see Key.Create and Key.SetValue.
	// Reading is the same in both cases.
	IgnoreLayers bool
	// Clock returns the times that edits write. nil is the time of day.
	Clock func() winfs.Filetime
	// Content identifies the bytes of the file, by a hash for instance. Compare does not read
	// what two hives have from bases of one Content. "" identifies nothing.
	Content string
}

// Hive is an open hive. See the package comment for concurrent use.
type Hive struct {
	name    string
	mode    Mode
	clock   func() winfs.Filetime
	data    []byte // base block and bins, and any bytes after them
	bins    []byte // data from 4,096 to the end of the bins
	cellHdr uint32 // bytes before a cell's payload: 4, or 8 in the hives of Windows NT 3.1
	root    uint32
	minor   uint32
	dirty   bool
	layered bool

	seen     []uint32 // one bit per 8 bytes of bins: a cell that was validated starts here
	binAt    []uint32 // per page: offset of its bin plus 1; 0 unknown; binBad none
	lazy     *pageSource
	content  string   // of Options, or of the base of a view
	file     *os.File // of a mapped hive, if it can be mapped again
	view     *view    // of a merged hive that shares the cells of its base
	unmap    func() error
	resident *residence // of a mapped hive that was not edited
	owned    bool       // data may be written to

	edit      *editor
	editDirty bool
	// ignoreLayers is Options.IgnoreLayers
	ignoreLayers bool
	repair       *repairer // of the copy that a repair edits
	grown        bool      // the bins have moved out of the mapping
	room         int       // bytes that edits will add, see Grow

	allowHarmless bool
	warn          func(finding.Finding)

	mu         sync.Mutex
	findings   []finding.Finding
	findingSet map[findingKey]struct{}
	sorted     map[uint32]struct{} // keys whose subkey list was found in order
}

// Open opens a hive file for reading. The file is mapped where the system supports it and
// is never written to, whichever methods of the hive are called; Close releases it.
//
// Errors: ErrNotHive, also for a file that is not regular, which Open never waits for;
// ErrLogFile, ErrTruncated, ErrDirty, ErrCorrupt, and those of the file system.
func Open(name string, opt *Options) (*Hive, error) {
	f, err := openfile.Regular(name)
	if errors.Is(err, openfile.ErrIrregular) {
		err = errIrregular
	}
	if err != nil {
		return nil, &Error{Op: "open", Hive: name, Offset: -1, Err: err}
	}
	h, err := openFile(f, name, opt)
	if err != nil {
		return nil, err
	}
	return h, nil
}

var errIrregular = fmt.Errorf("%w: not a regular file", ErrNotHive)

func openFile(f *os.File, name string, opt *Options) (*Hive, error) {
	fail := func(err error) (*Hive, error) {
		var e *Error
		if !errors.As(err, &e) {
			err = &Error{Op: "open", Hive: name, Offset: -1, Err: err}
		}
		return nil, errors.Join(err, f.Close())
	}
	st, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	if !st.Mode().IsRegular() {
		return fail(errIrregular)
	}
	size := st.Size()
	if size > baseSize+int64(math.MaxUint32) {
		return fail(tooLarge(f))
	}
	h := newHive(name, opt)
	if opt != nil && opt.InMemory {
		h.data = make([]byte, size)
		if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), h.data); err != nil {
			return fail(err)
		}
		h.owned = true
	} else if h.data, h.unmap, err = mapFile(f, size); err == nil && h.data != nil {
		h.owned = true // a private mapping: writing to it copies the page
		if canRelease {
			h.resident = &residence{mapping: h.data}
		}
	} else {
		h.lazy = newPageSource(f, size)
		h.data = make([]byte, size)
		h.owned = true
		if err := h.start(opt); err != nil {
			return fail(err)
		}
		h.unmap = f.Close
		return h, nil
	}
	if err := h.start(opt); err != nil {
		if h.unmap != nil {
			err = errors.Join(err, h.unmap())
		}
		return fail(err)
	}
	if h.unmap != nil { // MergeView maps it again
		unmap := h.unmap
		h.file, h.unmap = f, func() error { return errors.Join(unmap(), f.Close()) }
		return h, nil
	}
	if err := f.Close(); err != nil {
		return nil, errors.Join(&Error{Op: "open", Hive: name, Offset: -1, Err: err}, h.Close())
	}
	return h, nil
}

// OpenFile opens a hive for reading from an open regular file, as [Open] does by name. It is
// for files that only the caller has: the file must neither shrink nor change until Close,
// which does not close it. The errors are those of Open.
func OpenFile(f *os.File, opt *Options) (*Hive, error) {
	fail := func(err error) (*Hive, error) {
		return nil, &Error{Op: "open", Hive: f.Name(), Offset: -1, Err: err}
	}
	st, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	if !st.Mode().IsRegular() {
		return fail(errIrregular)
	}
	if st.Size() > baseSize+int64(math.MaxUint32) {
		return fail(tooLarge(f))
	}
	data, unmap, err := mapFile(f, st.Size())
	if err != nil || data == nil {
		return OpenReaderAt(f, st.Size(), opt)
	}
	h := newHive("", opt)
	h.data, h.unmap, h.owned, h.file = data, unmap, true, f
	if canRelease {
		h.resident = &residence{mapping: data}
	}
	if err := h.start(opt); err != nil {
		return nil, errors.Join(err, unmap())
	}
	return h, nil
}

// OpenBytes opens a hive that is in memory. The hive retains b and never changes it: the
// first edit makes a copy.
func OpenBytes(b []byte, opt *Options) (*Hive, error) {
	h := newHive("", opt)
	h.data = b
	if err := h.start(opt); err != nil {
		return nil, err
	}
	return h, nil
}

// OpenReaderAt opens a hive of size bytes that is read in pages of 4,096 bytes when they
// are first needed. Address space for the whole size is reserved; memory is used for the
// pages that were read. The reader must remain usable until Close, which does not close it.
// The first edit reads the rest.
func OpenReaderAt(r io.ReaderAt, size int64, opt *Options) (*Hive, error) {
	if size < 0 || size > baseSize+int64(math.MaxUint32) {
		return nil, &Error{Op: "open", Offset: -1, Err: tooLarge(r)}
	}
	h := newHive("", opt)
	h.lazy = newPageSource(r, size)
	h.data = make([]byte, size)
	h.owned = true
	if err := h.start(opt); err != nil {
		return nil, err
	}
	return h, nil
}

// tooLarge returns the error for a file that is larger than any hive.
func tooLarge(r io.ReaderAt) error {
	b := make([]byte, 4)
	if _, err := r.ReadAt(b, 0); err == nil && string(b) != "regf" {
		return ErrNotHive
	}
	return errFileLimit
}

func newHive(name string, opt *Options) *Hive {
	h := &Hive{name: name, clock: now}
	if opt != nil {
		h.mode = opt.Mode
		h.editDirty = opt.EditDirty
		h.ignoreLayers = opt.IgnoreLayers
		h.allowHarmless, h.warn, h.content = opt.AllowHarmless, opt.Warn, opt.Content
		if opt.Clock != nil {
			h.clock = opt.Clock
		}
	}
	return h
}

// start checks the base block and prepares for reading cells.
func (h *Hive) start(opt *Options) error {
	fail := func(err error) error { return h.opError("open", "", -1, err) }
	if len(h.data) < 512 {
		return fail(ErrNotHive)
	}
	if err := h.load(0, min(baseSize, len(h.data))); err != nil {
		return fail(err)
	}
	hdr, err := ParseHeader(h.data)
	if err != nil || hdr.Type != 0 || hdr.Major != 1 || hdr.Minor > 6 {
		made, rebuildErr := h.rebuildBase()
		if rebuildErr != nil {
			return fail(rebuildErr)
		}
		if made {
			hdr, err = ParseHeader(h.data)
		}
	}
	if err != nil {
		return fail(err)
	}
	switch hdr.Type {
	case 0:
	case 1, 2, 6:
		return fail(ErrLogFile)
	default:
		return fail(ErrNotHive)
	}
	if hdr.Major != 1 || hdr.Minor > 6 || len(h.data) < baseSize {
		return fail(ErrNotHive)
	}
	h.minor = hdr.Minor
	h.dirty = hdr.Dirty()
	if h.dirty && (opt == nil || !opt.AllowDirty) {
		return fail(ErrDirty)
	}
	avail := uint32(min(len(h.data)-baseSize, maxBins)) &^ (pageSize - 1)
	size := hdr.BinsSize
	if size%pageSize != 0 || size == 0 || size > maxBins {
		if err := h.tolerate(faultf(ruleBinsSize, nilCell, "bins of %#x bytes are not a multiple of 4,096 below 2 GiB", size), nil); err != nil {
			return fail(err)
		}
		size = avail
	}
	if size > avail {
		if h.mode == Strict {
			return fail(ErrTruncated)
		}
		h.note(faultf(RuleTruncated, nilCell, "the file has %#x bytes of bins, the hive %#x", avail, size), nil)
		size = avail
	}
	if !hdr.ChecksumOK && h.mode != Strict {
		// The size that a broken base block declares is no limit: the bins are followed to
		// their end.
		whole, err := h.chained(size, avail)
		if err != nil {
			return fail(err)
		}
		if whole > size {
			h.note(faultf(ruleBinsSize, nilCell, "the broken base block declares %#x bytes of bins, there are %#x", size, whole), nil)
			size = whole
		}
	}
	if u32(h.data[hdrFormat:]) != 1 {
		if err := h.tolerate(faultf(ruleFormat, nilCell, "format field is not 1"), nil); err != nil {
			return fail(err)
		}
	}
	h.bins = h.data[baseSize : baseSize+int(size) : baseSize+int(size)]
	h.layered = hdr.Minor == 6 && hdr.Flags&HeaderLayered != 0
	h.root = hdr.Root
	if h.cellHdr, err = h.cellHeader(); err != nil {
		return fail(err)
	}
	h.makeTables()
	if _, _, err := h.nk(h.root); err != nil {
		if h.mode != Salvage {
			return fail(err)
		}
		h.note(err, nil)
		h.root = nilCell
	}
	return nil
}

// makeTables makes the tables of cells and bins, which grow with the hive. To keep the time
// to open a file independent of its size, they are mapped if the hive is.
func (h *Hive) makeTables() {
	cells, bins := (len(h.bins)/8+31)/32, len(h.bins)/pageSize
	if h.unmap != nil {
		if words, free, err := mapWords(cells + bins); err == nil {
			h.seen, h.binAt = words[:cells:cells], words[cells:]
			unmap := h.unmap
			h.unmap = func() error { return errors.Join(unmap(), free()) }
			return
		}
	}
	h.seen, h.binAt = make([]uint32, cells), make([]uint32, bins)
}

// chained returns the end of the consecutive bins that start at an offset.
func (h *Hive) chained(from, end uint32) (uint32, error) {
	for from < end {
		if err := h.load(baseSize+int(from), binHeader); err != nil {
			return 0, err
		}
		b := h.data[baseSize+int(from) : baseSize+int(end)]
		if !isBin(b, int64(from)) {
			break
		}
		from += u32(b[8:])
	}
	return from, nil
}

// cellHeader returns the number of bytes before the payload of a cell. Windows NT 3.1 has a
// second word there. Sources disagree whether version 1.2 has it too, and a base block that
// fails its checksum can claim any version, so that the root key decides: a second word,
// the place of a cell, never looks like its signature.
func (h *Hive) cellHeader() (uint32, error) {
	if h.minor >= 3 || uint64(h.root)+8 > uint64(len(h.bins)) {
		return 4, nil
	}
	if err := h.load(baseSize+int(h.root), 8); err != nil {
		return 0, err
	}
	if u16(h.bins[h.root+4:]) == sigNK {
		return 4, nil
	}
	return 8, nil
}

// ancient reports whether the hive is laid out as in Windows NT 3.1: names are UTF-16
// throughout, and a title index takes the place of today's flags and access bits.
func (h *Hive) ancient() bool { return h.cellHdr == 8 }

// Close releases the hive. Its keys and values must not be used afterwards.
func (h *Hive) Close() error {
	h.data, h.bins, h.seen, h.binAt, h.edit = nil, nil, nil, nil, nil
	h.root = nilCell
	unmap := h.unmap
	h.unmap, h.lazy, h.resident, h.file, h.view = nil, nil, nil, nil, nil
	if unmap != nil {
		if err := unmap(); err != nil {
			return h.opError("close", "", -1, err)
		}
	}
	return nil
}

// Header returns the base block as it is in memory.
func (h *Hive) Header() Header {
	hdr, _ := ParseHeader(h.data)
	return hdr
}

// BaseBlock returns a copy of the 4,096 bytes of the base block.
func (h *Hive) BaseBlock() []byte {
	if len(h.data) < baseSize {
		return nil
	}
	return append([]byte(nil), h.data[:baseSize]...)
}

// Name returns the name the hive was opened by, or "".
func (h *Hive) Name() string { return h.name }

// Minor returns the minor version, 0 to 6.
func (h *Hive) Minor() int { return int(h.minor) }

// Mode returns the mode the hive was opened in.
func (h *Hive) Mode() Mode { return h.mode }

// Dirty reports whether the hive was dirty when it was opened.
func (h *Hive) Dirty() bool { return h.dirty }

// Layered reports whether layer semantics have a meaning in this hive: minor version 6
// and the flag in the base block. In other hives the byte that holds them may be anything
// (docs/spec/registry.md, "Keys"), and in hives of Windows NT 4 so may the flag. Merge
// uses the flag alone, as offreg does.
func (h *Hive) Layered() bool { return h.layered }

// Root returns the root key. In Salvage mode it may be invalid; see Key.Valid.
func (h *Hive) Root() Key {
	if h.root == nilCell {
		return Key{}
	}
	return Key{h: h, off: h.root}
}

// Key finds a key by its path below the root, without the root's name. "" is the
// root. See [Key.Open].
func (h *Hive) Key(path string) (Key, error) {
	if h.bins == nil {
		return Key{}, h.opError("open key", path, -1, ErrClosed)
	}
	if path == "" {
		if r := h.Root(); r.Valid() {
			return r, nil
		}
		return Key{}, h.opError("open key", path, -1, ErrNotFound)
	}
	return h.Root().Open(path)
}

// Value finds a value by the path of its key and its name; see [Hive.Key] and [Key.Value].
func (h *Hive) Value(path, name string) (Value, error) {
	k, err := h.Key(path)
	if err != nil {
		return Value{}, err
	}
	return k.Value(name)
}

// KeyAt returns the key whose cell is at an offset, as returned by Key.Offset. Its level is
// the number of its parents up to the root.
func (h *Hive) KeyAt(off uint32) (Key, error) {
	if _, _, err := h.nk(off); err != nil {
		return Key{}, h.opError("open key", "", int64(off), err)
	}
	k := Key{h: h, off: off}
	for p := k; p.off != h.root && k.level < MaxDepth; k.level++ {
		next, ok := p.Parent()
		if !ok {
			break
		}
		p = next
	}
	return k, nil
}

func now() winfs.Filetime {
	t, err := winfs.FiletimeFromTime(timeNow())
	if err != nil {
		return 0
	}
	return t
}
