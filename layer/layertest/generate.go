package layertest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Feature is a set of features that a layer can have and a format may be unable to hold.
type Feature uint32

// The features.
const (
	Whiteouts      Feature = 1 << iota
	Opaques                // opaque whiteouts
	Links                  // hard links
	AltStreams             // alternate streams of files
	DirStreams             // alternate streams of directories
	LinkStreams            // alternate streams of symbolic links
	Security               // descriptors
	EAs                    // extended attributes
	EAFlags                // with flags
	Symlinks               // to files and directories
	MountPoints            // junctions
	RawReparse             // other reparse points, and links that are not made from their target alone
	ObjectIDs              // object identifiers
	Sparse                 // sparse streams, compared by content; see Extents
	Extents                // the positions of the holes of sparse streams
	LoneSurrogates         // in names
	AllTimes               // times outside of 1678 to 2262
	NoAttributes           // unset attributes
	NoMain                 // Entry.NoMain
	LinkMetadata           // attributes and times of hard link entries
	UtilityVM              // a tree under UtilityVM\Files
	Hives                  // files under Hives
	AllFeatures    Feature = 1<<iota - 1
)

// Shape controls the output of Random.
type Shape struct {
	Entries int     // approximate number, 60 if 0
	Without Feature // features to omit
	MaxSize int     // of a stream, 200 KiB if 0
	Base    bool    // a base layer: neither whiteouts nor links to parents
}

// Random makes a valid layer: directories before their contents, link targets before links.
// The same seed and shape produce the same layer.
func Random(seed uint64, shape Shape) *Layer {
	if shape.Entries == 0 {
		shape.Entries = 60
	}
	if shape.MaxSize == 0 {
		shape.MaxSize = 200 << 10
	}
	if shape.Base {
		shape.Without |= Whiteouts | Opaques
	}
	g := &generator{rand: rand.New(rand.NewPCG(seed, 0x6d756c6c696f6e)), shape: shape, used: map[string]bool{}}
	g.run()
	return &g.out
}

type generator struct {
	rand  *rand.Rand
	shape Shape
	out   Layer
	dirs  []string
	files []string
	used  map[string]bool
}

func (g *generator) may(f Feature) bool { return g.shape.Without&f == 0 }
func (g *generator) chance(n int) bool  { return g.rand.IntN(n) == 0 }

func (g *generator) run() {
	g.dir("Files", true)
	if g.may(Hives) {
		g.dir("Hives", false)
	}
	if g.may(UtilityVM) && g.chance(2) {
		g.dir("UtilityVM", false)
		g.dir(`UtilityVM\Files`, true)
	}
	for len(g.out.Items) < g.shape.Entries {
		parent := g.dirs[g.rand.IntN(len(g.dirs))]
		p := parent + `\` + g.name()
		if g.used[winfs.Fold(p)] || winfs.UTF16Len(p) > 4000 {
			continue
		}
		switch n := g.rand.IntN(20); {
		case n < 4:
			g.dir(p, true)
		case n < 5 && g.may(Whiteouts):
			g.add(layer.Entry{Path: p, Kind: layer.Whiteout})
		case n < 6 && g.may(Opaques):
			if d := g.dirs[g.rand.IntN(len(g.dirs))]; !g.used["opq"+d] {
				g.used["opq"+d] = true
				g.out.Items = append(g.out.Items, Item{Entry: layer.Entry{Path: d, Kind: layer.Opaque}})
			}
		case n < 8 && g.may(Links) && len(g.files) > 0:
			e := layer.Entry{Path: p, Kind: layer.Link, Target: g.files[g.rand.IntN(len(g.files))]}
			if g.may(LinkMetadata) {
				e.Attributes, e.Times = winfs.AttrArchive|winfs.AttrReadOnly, g.times()
			}
			g.add(e)
		case n < 10:
			g.link(p)
		default:
			g.file(p)
		}
	}
	if g.may(Hives) {
		for _, n := range []string{"System_Delta", "Software_Delta", "Sam_Delta"} {
			e := layer.Entry{Path: `Hives\` + n, Kind: layer.File, Attributes: winfs.AttrArchive, Times: g.times()}
			g.addFile(e, Stream{Data: g.bytes(8192)})
		}
	}
}

func (g *generator) add(e layer.Entry, streams ...Stream) {
	g.used[winfs.Fold(e.Path)] = true
	g.out.Items = append(g.out.Items, Item{Entry: e, Streams: streams})
}

func (g *generator) addFile(e layer.Entry, main Stream, more ...Stream) {
	e.Size = int64(len(main.Data))
	g.add(e, append([]Stream{main}, more...)...)
	g.files = append(g.files, e.Path)
}

func (g *generator) dir(p string, parent bool) {
	e := layer.Entry{Path: p, Kind: layer.Dir, Attributes: winfs.AttrDirectory | g.attributes()}
	g.metadata(&e)
	var streams []Stream
	if g.may(DirStreams) && g.chance(6) {
		streams = g.alternates()
	}
	g.add(e, streams...)
	if parent {
		g.dirs = append(g.dirs, p)
	}
}

func (g *generator) attributes() winfs.Attributes {
	all := []winfs.Attributes{winfs.AttrReadOnly, winfs.AttrHidden, winfs.AttrSystem, winfs.AttrNotContentIndexed}
	var a winfs.Attributes
	for _, b := range all {
		if g.chance(4) {
			a |= b
		}
	}
	return a
}

func (g *generator) file(p string) {
	e := layer.Entry{Path: p, Kind: layer.File, Attributes: winfs.AttrArchive | g.attributes()}
	if g.may(NoAttributes) && g.chance(10) {
		e.Attributes = 0
	}
	g.metadata(&e)
	main := Stream{}
	switch {
	case g.may(Sparse) && g.chance(8):
		main = g.sparse()
		e.Attributes |= winfs.AttrArchive | winfs.AttrSparse
	case g.chance(5):
		e.NoMain = g.may(NoMain) && g.chance(2)
	case g.chance(8):
		main.Data = g.bytes(g.shape.MaxSize)
	default:
		main.Data = g.bytes(2000)
	}
	if g.may(RawReparse) && g.chance(12) {
		e.Reparse = g.placeholder()
		e.Attributes |= winfs.AttrArchive | winfs.AttrReparsePoint
	}
	var more []Stream
	if g.may(AltStreams) && g.chance(4) {
		more = g.alternates()
	}
	g.addFile(e, main, more...)
}

// link adds a symbolic link or a junction.
func (g *generator) link(p string) {
	e := layer.Entry{Path: p, Kind: layer.File, Attributes: winfs.AttrReparsePoint, NoMain: true}
	targets := []string{`a`, `..\b\c`, `C:\Windows`, `\\server\share\x`, `\rooted`, `ünï`}
	target := targets[g.rand.IntN(len(targets))]
	var err error
	switch {
	case g.may(MountPoints) && g.chance(3):
		e.Kind = layer.Dir
		e.Reparse, err = winfs.EncodeMountPoint([]string{`C:\d`, `\\?\Volume{01234567-89ab-cdef-0123-456789abcdef}\`}[g.rand.IntN(2)])
	case !g.may(Symlinks):
		return
	case g.may(RawReparse) && g.chance(3):
		e.Reparse, err = (&winfs.ReparsePoint{Tag: winfs.ReparseTagSymlink, Substitute: `\??\C:\real`, Print: []string{"", "shown", `with/slash`}[g.rand.IntN(3)]}).Bytes()
	default:
		e.Reparse, err = winfs.EncodeSymlink(target)
	}
	if err != nil {
		panic(err) // the texts above are valid
	}
	if e.Kind == layer.File && g.chance(2) {
		e.Kind = layer.Dir
	}
	g.metadata(&e)
	var streams []Stream
	if e.Kind == layer.Dir {
		e.Attributes |= winfs.AttrDirectory
		e.NoMain = false
	} else {
		streams = append(streams, Stream{})
	}
	if g.may(LinkStreams) && g.chance(5) {
		streams = append(streams, g.alternates()...)
	}
	g.add(e, streams...)
}

// placeholder is a reparse point that is not a link.
func (g *generator) placeholder() []byte {
	tags := []uint32{winfs.ReparseTagWCI, winfs.ReparseTagAppExecLink, winfs.ReparseTagWOF}
	b, err := (&winfs.ReparsePoint{Tag: tags[g.rand.IntN(len(tags))], Data: g.bytes(60)}).Bytes()
	if err != nil {
		panic(err)
	}
	return b
}

func (g *generator) alternates() []Stream {
	var list []Stream
	for i := range 1 + g.rand.IntN(3) {
		s := Stream{Name: fmt.Sprintf("%s%d", []string{"Zone.Identifier", "s", "with space", "é"}[g.rand.IntN(4)], i), Data: g.bytes(500)}
		if g.chance(4) {
			s.Data = nil
		}
		if g.may(Sparse) && g.chance(8) {
			n := s.Name
			s = g.sparse()
			s.Name = n
		}
		list = append(list, s)
	}
	return list
}

// sparse makes a stream of several units of 64 KiB, in which data and holes start at such
// units, as NTFS allocates them.
func (g *generator) sparse() Stream {
	const unit = 64 << 10
	s := Stream{Sparse: true, Data: make([]byte, unit*(1+g.rand.IntN(24))+g.rand.IntN(unit))}
	for at := 0; at < len(s.Data); at += unit {
		if g.chance(2) {
			continue
		}
		end := min(at+unit, len(s.Data))
		for i := at; i < end; i++ {
			s.Data[i] = byte(i>>8) | 1
		}
		n := len(s.Extents)
		if n > 0 && s.Extents[n-1].Offset+s.Extents[n-1].Length == int64(at) {
			s.Extents[n-1].Length += int64(end - at)
		} else {
			s.Extents = append(s.Extents, layer.Extent{Offset: int64(at), Length: int64(end - at)})
		}
	}
	return s
}

func (g *generator) bytes(most int) []byte {
	b := make([]byte, 1+g.rand.IntN(most))
	for i := range b {
		b[i] = byte(g.rand.Uint32())
	}
	return b
}

func (g *generator) metadata(e *layer.Entry) {
	e.Times = g.times()
	if g.may(Security) && !g.chance(5) {
		e.Security = descriptors[g.rand.IntN(len(descriptors))]
	}
	if g.may(EAs) && g.chance(6) {
		for i := range 1 + g.rand.IntN(3) {
			ea := winfs.EA{Name: fmt.Sprintf("EA.%d", i), Value: g.bytes(40)}
			if g.may(EAFlags) && g.chance(3) {
				ea.Flags = winfs.EANeed
			}
			e.EAs = append(e.EAs, ea)
		}
	}
	if g.may(ObjectIDs) && g.chance(10) {
		e.ObjectID = make([]byte, 64)
		for i := range e.ObjectID {
			e.ObjectID[i] = byte(g.rand.Uint32())
		}
	}
}

func (g *generator) times() winfs.Times {
	one := func() winfs.Filetime {
		if g.may(AllTimes) && g.chance(6) {
			odd := []winfs.Filetime{0, 1, -1, -504911232000000000, 1<<62 + 7, 9_999_999, 116_444_736_000_000_000}
			return odd[g.rand.IntN(len(odd))]
		}
		return winfs.Filetime(125_000_000_000_000_000 + g.rand.Int64N(10_000_000_000_000_000))
	}
	return winfs.Times{Creation: one(), LastAccess: one(), LastWrite: one(), Change: one()}
}

func (g *generator) name() string {
	switch n := g.rand.IntN(24); {
	case n == 0:
		return strings.Repeat("n", 200+g.rand.IntN(56))
	case n == 1:
		return fmt.Sprintf("ünïcödé-%d-Ж-漢字-😀", g.rand.IntN(1000))
	case n == 2 && g.may(LoneSurrogates):
		return fmt.Sprintf("half-%d-\xed\xa0\x80", g.rand.IntN(1000))
	case n == 3:
		return fmt.Sprintf("with space & %d (x).txt", g.rand.IntN(1000))
	}
	return fmt.Sprintf("File%d.Ext%d", g.rand.IntN(100000), g.rand.IntN(10))
}

// descriptors are small valid ones: owner Administrators, group System, and a
// DACL with one entry, with two, and with none.
var descriptors = [][]byte{
	descriptor(0x1f01ff),
	descriptor(0x1f01ff, 0x1200a9),
	descriptor(),
}

func descriptor(masks ...uint32) []byte {
	admins := []byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0}
	system := []byte{1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}
	acl := []byte{2, 0, byte(8 + 24*len(masks)), 0, byte(len(masks)), 0, 0, 0}
	for _, m := range masks {
		acl = append(acl, 0, 0, 24, 0, byte(m), byte(m>>8), byte(m>>16), byte(m>>24))
		acl = append(acl, admins...)
	}
	b := []byte{1, 0, 4, 0x80, 20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0}
	b = append(b, admins...)
	b = append(b, system...)
	return append(b, acl...)
}
