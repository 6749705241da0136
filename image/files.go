package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// Files is the tree of a container with files that can be read at random: the tree of the
// topmost CIM that [Image.UnpackStore] writes with [cimlayer.LeaveMissing], without writing
// it. Names and metadata come from the indexes in the cache. What is read of a file is
// decompressed then, together with what lies around it, and put into a temporary file; see
// [blob.Spool].
//
// There are three differences. A name that several layers spell in different ways is spelled
// as in the topmost of them, as in [Image.Tree], and in a CIM as in the lowest. All names of a
// file are those of one file, while in a CIM a hard link of one layer to a file of another can
// separate it from further names. And a file that is all hole has the attribute SPARSE in a
// CIM even if the layer does not say so.
type Files struct {
	img    *Image
	ctx    context.Context
	cancel context.CancelFunc

	names   *layerindex.Tree
	sources []*layerindex.Source
	tars    []*blob.Spool
	// Of a file with several names the first one counts.
	first map[filePlace]int32
	made  []madeFile // have the numbers after those of the names
	hives *mergedHives

	inRoot, inHives []madeName // sorted
	hivesDir        uint64     // ID
	linked          map[filePlace]bool
}

var _ overlay.Lower = (*Files)(nil)

// filePlace is an entry of a layer.
type filePlace struct {
	layer   int
	ordinal int32
}

// madeName is a name that no layer has, and the file at it.
type madeName struct {
	name string
	id   uint64
}

// madeFile is a file that is at no name of a layer: one that unpacking makes, or the hive
// of the base layer where the layers above hide it.
type madeFile struct {
	dir   bool
	size  int64
	open  func() (io.ReaderAt, error)
	place filePlace // of the hive; layer -1 for none
}

// spoolBytes is what the temporary files of one tree may take on disk.
const spoolBytes = 16 << 30

// Files returns the tree of a container, nil if the image has no cache, or one that keeps
// nothing. A layer without an index is read first, to its end, and ctx ends that; the tree
// stays readable after ctx is done. The caller closes it before the image.
func (i *Image) Files(ctx context.Context) (_ *Files, err error) {
	if i.opts.cache == nil || len(i.layers) == 0 {
		return nil, nil
	}
	t := &Files{img: i, first: map[filePlace]int32{}, linked: map[filePlace]bool{}}
	t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	// The hives that are merged are kept when a layer is read for the first time.
	sources, done := i.keepingSources(ctx, "", func(path string) bool {
		_, form, ok := hives.Match(path)
		return ok && form != hives.Base && len(i.layers) > 1
	})
	defer func() { err = errors.Join(err, done()) }()
	if t.names, err = i.treeFor(ctx, t.ctx, sources); t.names == nil || err != nil {
		t.cancel()
		return nil, err
	}
	budget := blob.NewSpoolBudget(spoolBytes)
	for n, s := range i.entrySources(t.ctx) {
		x := s.(*layerindex.Source)
		tar := x.Index().Map().NewSpool(t.ctx, &i.layers[n].parts, "", budget)
		t.tars, t.sources = append(t.tars, tar), append(t.sources, x.WithTar(tar))
	}
	if t.hives, err = i.mergedHives(ctx, t.ctx, t.sources, sources); err != nil {
		return nil, err
	}
	return t, t.arrange(ctx)
}

// treeFor returns the names of the merged tree, those in the cache or new ones of the layers
// that reading yields. It returns nil if there are too many to be kept, or if a layer has no
// index after it was read.
func (i *Image) treeFor(ctx, serve context.Context, reading []layer.Source) (*layerindex.Tree, error) {
	t, v, err := i.namesOrView(ctx, serve, reading)
	if t != nil || err != nil {
		return t, err
	}
	defer v.Close()
	sources := i.entrySources(serve)
	if sources == nil {
		return nil, nil
	}
	var b bytes.Buffer
	if err := layerindex.EncodeTree(&b, v, i.treeChain(), sources); err != nil {
		var limit *layer.LimitError
		if errors.As(err, &limit) {
			err = nil
		}
		return nil, err
	}
	return layerindex.OpenTree(&b, int64(b.Len()), i.treeChain(), sources)
}

// arrange finds the files with several names, and gives the files that unpacking makes their
// places.
func (t *Files) arrange(ctx context.Context) error {
	hiveRow := int32(-1) // of the directory Hives
	if k, ok := t.names.Find(0, hives.HivesDir); ok {
		hiveRow = k
	}
	base := map[int32]int32{} // ordinal of a base hive to its first name
	for _, h := range t.hives.all {
		if h.link {
			base[h.ordinal] = -1
			t.linked[filePlace{0, h.ordinal}] = true
		}
	}
	for k := range t.names.Len() {
		if k%(1<<16) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		number, ordinal := t.names.PlaceAt(k)
		if t.names.KindAt(k) == layer.Dir || number < 0 {
			continue
		}
		p := filePlace{number, ordinal}
		if _, there := t.first[p]; t.names.LinksAt(k) > 1 && !there {
			t.first[p] = k
		}
		if at, is := base[ordinal]; is && number == 0 && at < 0 {
			base[ordinal] = k
		}
	}
	if hiveRow >= 0 {
		t.hivesDir = uint64(hiveRow) + 1
	} else {
		t.hivesDir = t.add(madeFile{dir: true, place: filePlace{-1, -1}})
		t.inRoot = append(t.inRoot, madeName{hives.HivesDir, t.hivesDir})
	}
	text := strings.NewReader(cimlayer.LayoutText)
	layout := t.add(madeFile{size: text.Size(), open: func() (io.ReaderAt, error) { return text, nil }, place: filePlace{-1, -1}})
	t.inRoot = append(t.inRoot, madeName{cimlayer.LayoutName, layout})
	for _, h := range t.hives.all {
		_, name := winfs.SplitPath(h.path)
		var id uint64
		switch k, is := base[h.ordinal]; {
		case !h.link:
			id = t.add(madeFile{size: h.size, open: h.open, place: filePlace{-1, -1}})
		case is && k >= 0:
			id = uint64(k) + 1
		default:
			id = t.add(madeFile{place: filePlace{0, h.ordinal}})
		}
		t.inHives = append(t.inHives, madeName{name, id})
	}
	for _, list := range [][]madeName{t.inRoot, t.inHives} {
		slices.SortFunc(list, func(a, b madeName) int { return winfs.CompareFold(a.name, b.name) })
	}
	return nil
}

func (t *Files) add(f madeFile) uint64 {
	t.made = append(t.made, f)
	return uint64(t.names.Len()) + uint64(len(t.made))
}

// Root implements overlay.Lower.
func (t *Files) Root() (overlay.File, error) { return t.File(1) }

// Identity implements overlay.Lower.
func (t *Files) Identity() string { return "image " + t.img.treeChain() }

// File implements overlay.Lower.
func (t *Files) File(id uint64) (overlay.File, error) {
	switch n := uint64(t.names.Len()); {
	case id == 0 || id > n+uint64(len(t.made)):
		return nil, fs.ErrNotExist
	case id > n:
		return t.madeFile(id, &t.made[id-n-1])
	}
	row := int32(id - 1)
	it, err := t.names.ItemAt(row)
	if err != nil {
		return nil, err
	}
	f := &imageFile{t: t, id: id, row: row, links: 1, entry: &it.Entry}
	f.place.layer, f.place.ordinal = t.names.PlaceAt(row)
	if it.Kind == layer.File {
		f.id = t.fileID(row)
		f.links = it.Links
		if t.linked[f.place] {
			f.links++
		}
	}
	return f, nil
}

func (t *Files) madeFile(id uint64, m *madeFile) (overlay.File, error) {
	f := &imageFile{t: t, id: id, row: -1, links: 1, place: m.place, open: m.open}
	switch {
	case m.dir:
		f.entry = &layer.Entry{Kind: layer.Dir}
	case m.place.layer < 0:
		f.entry = &layer.Entry{Kind: layer.File, Attributes: winfs.AttrNormal, Size: m.size}
	default:
		e, err := t.sources[m.place.layer].EntryAt(m.place.ordinal)
		if err != nil {
			return nil, err
		}
		f.entry = e
	}
	return f, nil
}

// fileID returns the ID of the file at a name.
func (t *Files) fileID(row int32) uint64 {
	if t.names.LinksAt(row) > 1 {
		number, ordinal := t.names.PlaceAt(row)
		if k, ok := t.first[filePlace{number, ordinal}]; ok {
			row = k
		}
	}
	return uint64(row) + 1
}

// Close removes the temporary files. The tree is not used any more.
func (t *Files) Close() error {
	t.cancel()
	var errs []error
	for _, s := range t.tars {
		errs = append(errs, s.Close())
	}
	if t.hives != nil {
		errs = append(errs, t.hives.Close())
	}
	return errors.Join(errs...)
}

// imageFile is a file of the tree.
type imageFile struct {
	t     *Files
	id    uint64
	row   int32 // of the names, -1 for a made file
	links int
	entry *layer.Entry
	place filePlace // of the entry; layer -1 for none
	open  func() (io.ReaderAt, error)
}

func (f *imageFile) ID() uint64             { return f.id }
func (f *imageFile) IsDir() bool            { return f.entry.Kind == layer.Dir }
func (f *imageFile) NumLinks() (int, error) { return f.links, nil }
func (f *imageFile) Times() winfs.Times     { return f.entry.Times }

func (f *imageFile) Size() int64 {
	if f.IsDir() {
		return 0
	}
	return max(f.entry.Size, 0)
}

// cimAttributes are those that a CIM keeps.
const cimAttributes = winfs.AttrReadOnly | winfs.AttrHidden | winfs.AttrSystem | winfs.AttrArchive | winfs.AttrSparse

func (f *imageFile) Attributes() winfs.Attributes {
	a := f.entry.Attributes
	if a == 0 && !f.IsDir() {
		a = winfs.AttrArchive
	}
	a &= cimAttributes
	if f.IsDir() {
		a |= winfs.AttrDirectory
	}
	if len(f.entry.Reparse) > 0 {
		a |= winfs.AttrReparsePoint
	}
	return a
}

// Security returns the descriptor that a CIM has for files without one. Its root has none.
func (f *imageFile) Security() ([]byte, error) {
	if len(f.entry.Security) == 0 {
		if f.id == 1 {
			return nil, nil
		}
		return cimfs.NullDACL(), nil
	}
	return f.entry.Security, nil
}

func (f *imageFile) Reparse() ([]byte, error) {
	if len(f.entry.Reparse) == 0 {
		return nil, nil
	}
	return f.entry.Reparse, nil
}

// EAs omits the hashes of executables, as the tree of a CIM does.
func (f *imageFile) EAs() ([]byte, error) {
	var list []winfs.EA
	for _, a := range f.entry.EAs {
		if !cimfs.IsImageHash(a.Name) {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	b, err := winfs.EncodeEAs(list)
	if err != nil {
		return nil, err
	}
	// The last one is not padded there.
	last := &list[len(list)-1]
	return b[:len(b)-(-(8+len(last.Name)+1+len(last.Value))&3)], nil
}

// extra returns the names that the directory has besides those of the layers.
func (f *imageFile) extra() []madeName {
	switch f.id {
	case 1:
		return f.t.inRoot
	case f.t.hivesDir:
		return f.t.inHives
	}
	return nil
}

func (f *imageFile) Child(name string) (overlay.File, error) {
	if !f.IsDir() {
		return nil, fs.ErrNotExist
	}
	for _, m := range f.extra() {
		if winfs.EqualFold(m.name, name) {
			return f.t.File(m.id)
		}
	}
	if f.row < 0 {
		return nil, fs.ErrNotExist
	}
	k, ok := f.t.names.Find(f.row, name)
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f.t.File(uint64(k) + 1)
}

func (f *imageFile) Entries() iter.Seq2[overlay.Entry, error] {
	return func(yield func(overlay.Entry, error) bool) {
		extra := f.extra()
		var first, last int32
		if f.row >= 0 {
			first, last = f.t.names.NamesIn(f.row)
		}
		for k := first; k < last; k++ {
			name, err := f.t.names.NameAt(k)
			if err != nil {
				yield(overlay.Entry{}, err)
				return
			}
			for len(extra) > 0 && winfs.CompareFold(extra[0].name, name) < 0 {
				if !yield(overlay.Entry{Name: extra[0].name, ID: extra[0].id}, nil) {
					return
				}
				extra = extra[1:]
			}
			id := uint64(k) + 1
			if f.t.names.KindAt(k) == layer.File {
				id = f.t.fileID(k)
			}
			if !yield(overlay.Entry{Name: name, ID: id}, nil) {
				return
			}
		}
		for _, m := range extra {
			if !yield(overlay.Entry{Name: m.name, ID: m.id}, nil) {
				return
			}
		}
	}
}

// Open opens the main stream.
func (f *imageFile) Open() (overlay.Stream, error) {
	if f.IsDir() {
		return nil, overlay.ErrIsDirectory
	}
	s := &imageStream{f: f, size: f.Size()}
	return s, s.find()
}

func (f *imageFile) Streams() ([]overlay.Stream, error) {
	if f.place.layer < 0 {
		return nil, nil
	}
	all, err := f.t.sources[f.place.layer].StreamsAt(f.place.ordinal)
	if err != nil {
		return nil, err
	}
	var list []overlay.Stream
	for n, s := range all {
		if s.Name != "" {
			list = append(list, &imageStream{f: f, number: n, name: strings.Clone(s.Name), size: s.Size})
		}
	}
	return list, nil
}

// imageStream is the content of a file.
type imageStream struct {
	f      *imageFile
	number int // of the streams in the layer
	name   string
	size   int64

	once sync.Once
	at   io.ReaderAt
	err  error
}

func (s *imageStream) Name() string { return s.name }
func (s *imageStream) Size() int64  { return s.size }

func (s *imageStream) ReadAt(p []byte, off int64) (int, error) {
	if err := s.find(); err != nil {
		return 0, err
	}
	return s.at.ReadAt(p, off)
}

// find finds out where the content is.
func (s *imageStream) find() error {
	s.once.Do(func() { s.at, s.err = s.content() })
	return s.err
}

func (s *imageStream) content() (io.ReaderAt, error) {
	f, t := s.f, s.f.t
	switch {
	case f.open != nil:
		r, err := f.open()
		if err != nil {
			return nil, err
		}
		return io.NewSectionReader(r, 0, s.size), nil
	case s.size == 0 || f.place.layer < 0:
		return bytes.NewReader(nil), nil
	}
	off, ok, err := t.sources[f.place.layer].TarOffset(f.place.ordinal, s.number)
	if err != nil {
		return nil, err
	}
	if ok {
		return io.NewSectionReader(t.tars[f.place.layer], off, s.size), nil
	}
	return t.copyOut(f.place, s.number, s.size)
}

// copyOut copies a stream that cannot be read at random, because it is sparse, into a
// temporary file, which ends with the result. Holes use no space in it.
func (t *Files) copyOut(p filePlace, number int, size int64) (_ io.ReaderAt, err error) {
	r, err := t.sources[p.layer].OpenAt(p.ordinal)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if _, err := r.Next(); err != nil {
		return nil, err
	}
	for range number + 1 {
		if _, err := r.NextStream(); err != nil {
			return nil, err
		}
	}
	temp, err := tempfile.Create("", "mullion-stream-")
	if err != nil {
		return nil, err
	}
	if err := copyExtents(t.ctx, temp, r, size); err != nil {
		return nil, errors.Join(err, temp.Close())
	}
	c := &copiedStream{temp}
	runtime.AddCleanup(c, func(f *tempfile.File) { f.Close() }, temp)
	return c, nil
}

// copiedStream is a stream in a temporary file.
type copiedStream struct{ file *tempfile.File }

func (c *copiedStream) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.file.ReadAt(p, off)
	runtime.KeepAlive(c)
	return n, err
}

// copyExtents copies the current stream of r, its data only, to a file that has size bytes
// then.
func copyExtents(ctx context.Context, w *tempfile.File, r layer.Reader, size int64) error {
	x, ok := r.(layer.ExtentReader)
	if !ok {
		return fmt.Errorf("%w: the layer is not read in extents", layer.ErrUnsupported)
	}
	buf := make([]byte, 256<<10)
	for {
		e, err := x.NextExtent()
		if err == io.EOF {
			return w.Truncate(size)
		}
		if err != nil {
			return err
		}
		for at := e.Offset; ; {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := r.Read(buf)
			if _, werr := w.WriteAt(buf[:n], at); werr != nil {
				return werr
			}
			at += int64(n)
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
		}
	}
}
