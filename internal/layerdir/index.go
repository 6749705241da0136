package layerdir

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The file .mullion/index holds entries that have no file of their own (links by
// their names, whiteouts, names that the host cannot have), and all records
// where the file system keeps no extended attributes.
//
//	00 8  magic
//	08 u32 version, 1
//	0C u32 reserved, 0
//	10    items, each uvarint length (never 0) and that many bytes:
//	         u8 kind, uvarint length and bytes of a path or name, and
//	         for a link: uvarint length and bytes of the target, record
//	         for an entry: record
//	      u8 0, the end of the items
//	      u32 flags
//	      u64 number of files and directories that are entries of the layer
//	      u32 CRC-32C of everything before
//
// Items are in the order in which the layer was written.
const (
	IndexName       = "index"
	indexMagic      = "MULLION\x1a"
	indexVersion    = 1
	indexHeaderSize = 0x10
	indexTailSize   = 4 + 8 + 4
)

type indexFlag uint32

const (
	IndexXattr     indexFlag = 1 << iota // records are extended attributes
	IndexBase                            // final directory of a layer without parents
	IndexCloned                          // UtilityVM holds the parent's files as well
	IndexTransport                       // transport directory
	IndexNative                          // NTFS keeps the metadata, there are no records
	indexKnown     = IndexNative<<1 - 1
)

// ItemKind is the kind of an item in the index.
type ItemKind byte

const (
	itemEntry    ItemKind = iota + 1 // path and record of a file or directory
	itemLink                         // path, target and record (attributes, times) of a hard link
	ItemWhiteout                     // path
	ItemOpaque                       // path
	itemName                         // a name that is spelled on the host
	ItemOwn                          // path of a file or directory that is an entry, its record elsewhere
	itemBelow                        // path of a link to a file of a lower layer, at whose target this layer has something later
)

// indexWriter appends to .mullion/index. Without items there is no file, unless finish is
// called with always.
type indexWriter struct {
	Open    func() (hostfs.File, error)
	f       hostfs.File
	w       *bufio.Writer
	crc     hash.Hash32
	buf     []byte
	Flags   indexFlag
	Entries int64
	spelled map[string]bool
}

func (w *indexWriter) start() error {
	if w.f != nil {
		return nil
	}
	f, err := w.Open()
	if err != nil {
		return err
	}
	w.f, w.crc = f, crc32.New(castagnoli)
	w.w = bufio.NewWriterSize(io.MultiWriter(f, w.crc), 64<<10)
	b := make([]byte, 0, indexHeaderSize)
	b = append(b, indexMagic...)
	b = binary.LittleEndian.AppendUint32(b, indexVersion)
	b = binary.LittleEndian.AppendUint32(b, 0)
	_, err = w.w.Write(b)
	return err
}

// Item appends an item.
func (w *indexWriter) Item(kind ItemKind, path, target string, record []byte) error {
	if err := w.start(); err != nil {
		return err
	}
	b := append(w.buf[:0], byte(kind))
	b = appendText(b, path)
	if kind == itemLink {
		b = appendText(b, target)
	}
	b = append(b, record...)
	w.buf = b
	var n [binary.MaxVarintLen64]byte
	if _, err := w.w.Write(binary.AppendUvarint(n[:0], uint64(len(b)))); err != nil {
		return err
	}
	_, err := w.w.Write(b)
	return err
}

// name stores the item of a spelled name, once.
func (w *indexWriter) name(name string) error {
	if w.spelled[name] {
		return nil
	}
	if w.spelled == nil {
		w.spelled = make(map[string]bool)
	}
	w.spelled[name] = true
	return w.Item(itemName, name, "", nil)
}

// finish ends the file. Where nothing needs one, always decides.
func (w *indexWriter) finish(always, sync bool) error {
	if w.f == nil {
		if !always {
			return nil
		}
		if err := w.start(); err != nil {
			return err
		}
	}
	b := append(w.buf[:0], 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(w.Flags))
	b = binary.LittleEndian.AppendUint64(b, uint64(w.Entries))
	_, err := w.w.Write(b)
	if err == nil {
		err = w.w.Flush()
	}
	if err == nil {
		_, err = w.f.Write(binary.LittleEndian.AppendUint32(nil, w.crc.Sum32()))
	}
	if err == nil && sync {
		err = w.f.Sync()
	}
	return hostfs.FirstError(err, w.close())
}

func (w *indexWriter) close() error {
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return f.Close()
}

// index is the loaded form: a tree of the names in it, in which the value of an
// entry or link is the offset of its item.
type index struct {
	Tree    *Tree
	Names   Names
	Flags   indexFlag
	Entries int64
	below   []NodeID // links that come before the entry at their target

	f      hostfs.File
	window []byte // bytes of the file from windowAt on
	at     int64
}

// LoadIndex reads .mullion/index in the folder store. Kinds for which want is
// false are left out. It keeps the file open.
func LoadIndex(store hostfs.Directory, limits layer.Limits, want func(ItemKind) bool) (x *index, err error) {
	f, err := store.Open(IndexName)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			err = fmt.Errorf("%s/%s: %w", StoreName, IndexName, err)
		}
	}()
	x = &index{Tree: NewTree(), Names: Names{}, f: f}
	crc := crc32.New(castagnoli)
	r := &indexReader{r: bufio.NewReaderSize(f, 256<<10), crc: crc}
	head := make([]byte, indexHeaderSize)
	if err := r.full(head); err != nil {
		return nil, err
	}
	if string(head[:8]) != indexMagic || binary.LittleEndian.Uint32(head[12:]) != 0 {
		return nil, fmt.Errorf("%w: not an index", hostfs.ErrMetadata)
	}
	if v := binary.LittleEndian.Uint32(head[8:]); v != indexVersion {
		return nil, fmt.Errorf("%w: version %d is unknown", hostfs.ErrMetadata, v)
	}
	var items int64
	for {
		offset := r.n
		b, err := r.item(limits.MetadataLen)
		if err != nil {
			return nil, err
		}
		if b == nil {
			break
		}
		if items++; items > limits.Entries {
			return nil, &layer.LimitError{Limit: "Entries", Max: limits.Entries}
		}
		if err := x.load(b, offset, want); err != nil {
			return nil, err
		}
	}
	tail := make([]byte, indexTailSize)
	if err := r.full(tail[:12]); err != nil {
		return nil, err
	}
	sum := crc.Sum32()
	if err := r.full(tail[12:]); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(tail[12:]) != sum {
		return nil, fmt.Errorf("%w: wrong checksum", hostfs.ErrMetadata)
	}
	if _, err := r.r.ReadByte(); err != io.EOF {
		return nil, fmt.Errorf("%w: bytes after the end", hostfs.ErrMetadata)
	}
	x.Flags = indexFlag(binary.LittleEndian.Uint32(tail))
	x.Entries = int64(binary.LittleEndian.Uint64(tail[4:]))
	if x.Flags&^indexKnown != 0 {
		return nil, fmt.Errorf("%w: unknown flags %#x", hostfs.ErrMetadata, uint32(x.Flags))
	}
	return x, nil
}

// indexFlagsOf reads the flags of the index in a layer directory, if it has one. Whether
// the index is whole is seen when it is loaded.
func indexFlagsOf(root hostfs.Directory) (flags indexFlag, ok bool, err error) {
	store, err := OpenStore(root)
	if err != nil || store == nil {
		return 0, false, err
	}
	f, err := store.Open(IndexName)
	if err == nil {
		flags, ok, err = tailFlags(f)
		err = hostfs.FirstError(err, f.Close())
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return flags, ok, hostfs.FirstError(err, store.Close())
}

func tailFlags(f hostfs.File) (flags indexFlag, ok bool, err error) {
	fi, err := f.Stat()
	if err != nil || fi.Size() < indexHeaderSize+1+indexTailSize {
		return 0, false, err
	}
	var b [4]byte
	if _, err := f.ReadAt(b[:], fi.Size()-indexTailSize); err != nil {
		return 0, false, hostfs.NoEOF(err)
	}
	return indexFlag(binary.LittleEndian.Uint32(b[:])), true, nil
}

// load puts one item into the tree.
func (x *index) load(b []byte, offset int64, want func(ItemKind) bool) error {
	d := decoder{b: b}
	kind, path := ItemKind(d.u8()), d.text()
	if d.err != nil {
		return d.err
	}
	if kind == itemName {
		if err := winfs.ValidateComponent(path); err != nil {
			return fmt.Errorf("%w: %w", hostfs.ErrMetadata, err)
		}
		x.Names[Spell(path)] = path
		return d.finish()
	}
	if err := winfs.ValidatePath(path); err != nil {
		return fmt.Errorf("%w: %w", hostfs.ErrMetadata, err)
	}
	if path == "" || kind < itemEntry || kind > itemBelow || kind == itemName {
		return fmt.Errorf("%w: item of kind %d at offset %#x", hostfs.ErrMetadata, kind, offset)
	}
	if want != nil && !want(kind) {
		return nil
	}
	id := x.Tree.AddPath(path)
	n := x.Tree.At(id)
	var flag nodeFlag
	switch kind {
	case itemEntry:
		// The record says whether it is a directory; either way it is an object.
		flag, n.Value = NodeOwn|NodeFile, offset
	case ItemOwn:
		flag = NodeOwn | NodeFile
	case itemLink:
		flag, n.Value = NodeOwn|NodeLink, offset
	case itemBelow:
		flag = nodeBelow
		x.below = append(x.below, id)
	case ItemWhiteout:
		flag = NodeWhiteout
	case ItemOpaque:
		flag = NodeOpaque
	}
	if n.Flags&flag != 0 {
		return fmt.Errorf("%w: second item for %q", hostfs.ErrMetadata, path)
	}
	n.Flags |= flag
	return nil
}

// TakeWhiteouts returns the paths of all whiteouts and forgets these.
func (x *index) TakeWhiteouts() []string {
	var list []string
	for id := NodeID(1); int(id) < x.Tree.Count; id++ {
		if n := x.Tree.At(id); n.Flags&NodeWhiteout != 0 {
			n.Flags &^= NodeWhiteout
			list = append(list, x.Tree.Path(id))
		}
	}
	return list
}

// item reads the item of a node again.
func (x *index) item(id NodeID) (target string, rec Record, err error) {
	want := x.Tree.At(id).Value
	b, err := x.bytes(want)
	if err != nil {
		return "", Record{}, err
	}
	d := decoder{b: b}
	kind := ItemKind(d.u8())
	d.text()
	if kind == itemLink {
		target = d.text()
	}
	if d.err != nil {
		return "", Record{}, d.err
	}
	rec, err = ParseRecord(d.b)
	return target, rec, err
}

// bytes returns the body of the item at an offset. Neighbours are mostly asked
// for in turn, so a window of the file is kept.
func (x *index) bytes(offset int64) ([]byte, error) {
	const window = 64 << 10
	for try := 0; ; try++ {
		if offset >= x.at && offset < x.at+int64(len(x.window)) {
			b := x.window[offset-x.at:]
			if n, w := binary.Uvarint(b); w > 0 && n <= uint64(len(b)-w) {
				return b[w : w+int(n)], nil
			} else if w > 0 && try > 0 && n < 1<<30 {
				p := make([]byte, n)
				_, err := x.f.ReadAt(p, offset+int64(w))
				return p, hostfs.NoEOF(err)
			}
		}
		if try > 0 {
			return nil, fmt.Errorf("%w: no item at offset %#x", hostfs.ErrMetadata, offset)
		}
		if x.window == nil {
			x.window = make([]byte, window)
		}
		n, err := x.f.ReadAt(x.window[:window], offset)
		if err != nil && err != io.EOF {
			return nil, err
		}
		x.window, x.at = x.window[:n], offset
	}
}

func (x *index) Close() error {
	if x == nil || x.f == nil {
		return nil
	}
	f := x.f
	x.f = nil
	return f.Close()
}

// indexReader counts and sums what it reads.
type indexReader struct {
	r   *bufio.Reader
	crc hash.Hash32
	n   int64
	buf []byte
	one [1]byte
}

func (r *indexReader) full(p []byte) error {
	_, err := io.ReadFull(r.r, p)
	if err != nil {
		return hostfs.NoEOF(err)
	}
	r.crc.Write(p)
	r.n += int64(len(p))
	return nil
}

// ReadByte makes an io.ByteReader for binary.ReadUvarint.
func (r *indexReader) ReadByte() (byte, error) {
	err := r.full(r.one[:])
	return r.one[0], err
}

// item returns the next item, nil at the end of the items.
func (r *indexReader) item(limit int64) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, hostfs.NoEOF(err)
	}
	if n == 0 {
		return nil, nil
	}
	if n > uint64(limit) {
		return nil, &layer.LimitError{Limit: "MetadataLen", Max: limit}
	}
	if uint64(cap(r.buf)) < n {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	return b, r.full(b)
}

// OpenStore opens the folder of this package's files in a layer directory, nil
// if there is none.
func OpenStore(root hostfs.Directory) (hostfs.Directory, error) {
	d, err := root.Enter(StoreName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return d, err
}
