package plaincim

import "github.com/mullion/mullion/winfs"

// Tree is an image, read whole.
type Tree struct {
	Major, Minor uint32
	GUID         winfs.GUID
	Parents      []RegionSet // as listed in the image
	Own          RegionSet
	Upcase       [65536]uint16
	// Files are the records by file ID, from 1; those that no directory names
	// are nil.
	Files []*File
	Root  *Node
	// Inherited is the last file ID of the tables that are a parent's, 0 without any.
	Inherited uint32

	bodies  []body             // every region, parents' first
	reached map[place]reaching // objects that the tree refers to
}

// RegionSet is a GUID and the number of its regions.
type RegionSet struct {
	GUID  winfs.GUID
	Count int
}

// Node is one name of a file or directory.
type Node struct {
	Name     string // WTF-8; "" for the root
	File     *File
	Children []*Node // in stored order
}

// File is one file record with everything it points to.
type File struct {
	ID                              uint32
	Flags                           uint16
	Creation, Write, Change, Access winfs.Filetime
	Directory                       bool
	Main                            Stream
	Security                        []byte // nil if the record has none
	EA                              []byte // as stored
	ReparseTag                      uint32
	Reparse                         []byte // nil if the record has none
	Streams                         []Stream
	Parent                          uint32 // v2 and later
	Base                            uint16 // v2 and later
	Links                           []Link // v3: parent links in stored order
}

// Link is an entry of a link table of file IDs.
type Link struct {
	ID   uint32
	Name string
}

// Stream is a data stream. Data is nil for an empty and for a sparse one.
type Stream struct {
	Name     string
	Type     uint8
	Sparse   bool
	Size     uint64
	Data     []byte
	Mappings []Mapping // of an expanded executable
}

// Mapping says by how much the bytes from a file offset on were moved.
type Mapping struct{ Offset, Delta uint32 }

// Walk calls visit for every name, parents first, with its path; the root's is
// the empty string.
func (t *Tree) Walk(visit func(path string, n *Node)) { walk("", t.Root, visit) }

func walk(path string, n *Node, visit func(string, *Node)) {
	visit(path, n)
	for _, c := range n.Children {
		p := c.Name
		if path != "" {
			p = path + `\` + c.Name
		}
		walk(p, c, visit)
	}
}

// Upper maps every unit of a path through the image's own table.
func (t *Tree) Upper(path string) string {
	units := winfs.AppendUTF16(nil, path)
	for i, u := range units {
		if u != '\\' {
			units[i] = t.Upcase[u]
		}
	}
	return winfs.DecodeUTF16(units)
}
