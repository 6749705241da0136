package cli

import (
	"encoding/hex"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// The types whose names begin with json are the parts that the documents of --json share,
// so that a field has one name and one form in all of them. docs/json.md describes the
// documents, docs/schema has a schema for each. Fields without a value are left out.

// jsonTime is a time in RFC 3339 with seven decimals. With the option omitzero a field
// that is not set is left out.
type jsonTime winfs.Filetime

// MarshalText implements encoding.TextMarshaler.
func (t jsonTime) MarshalText() ([]byte, error) { return []byte(winfs.Filetime(t).String()), nil }

// jsonTimes are the four times of an entry.
type jsonTimes struct {
	Created  jsonTime `json:"created,omitzero"`
	Written  jsonTime `json:"written,omitzero"`
	Accessed jsonTime `json:"accessed,omitzero"`
	Changed  jsonTime `json:"changed,omitzero"`
}

func timesOf(t winfs.Times) jsonTimes {
	return jsonTimes{jsonTime(t.Creation), jsonTime(t.LastWrite), jsonTime(t.LastAccess), jsonTime(t.Change)}
}

// jsonAttributes are Win32 file attributes, as a number and as the names of the bits that
// have one.
type jsonAttributes struct {
	Value uint32   `json:"value"`
	Names []string `json:"names"`
}

// attributeNames are the names of MS-FSCC 2.6 without FILE_ATTRIBUTE_, in bit order.
var attributeNames = []struct {
	bit  winfs.Attributes
	name string
}{
	{winfs.AttrReadOnly, "READONLY"}, {winfs.AttrHidden, "HIDDEN"}, {winfs.AttrSystem, "SYSTEM"},
	{winfs.AttrDirectory, "DIRECTORY"}, {winfs.AttrArchive, "ARCHIVE"}, {winfs.AttrNormal, "NORMAL"},
	{winfs.AttrTemporary, "TEMPORARY"}, {winfs.AttrSparse, "SPARSE_FILE"}, {winfs.AttrReparsePoint, "REPARSE_POINT"},
	{winfs.AttrCompressed, "COMPRESSED"}, {winfs.AttrOffline, "OFFLINE"},
	{winfs.AttrNotContentIndexed, "NOT_CONTENT_INDEXED"}, {winfs.AttrEncrypted, "ENCRYPTED"},
}

func attributesOf(a winfs.Attributes) jsonAttributes {
	out := jsonAttributes{Value: uint32(a), Names: []string{}}
	for _, n := range attributeNames {
		if a&n.bit != 0 {
			out.Names = append(out.Names, n.name)
		}
	}
	return out
}

// jsonEA is an extended attribute of NTFS; Value is in lower-case hexadecimal.
type jsonEA struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Flags byte   `json:"flags"`
}

func easOf(list []winfs.EA) []jsonEA {
	var out []jsonEA
	for _, ea := range list {
		out = append(out, jsonEA{ea.Name, hex.EncodeToString(ea.Value), ea.Flags})
	}
	return out
}

// jsonReparse is a reparse point. Target is absent for tags whose data names none, Data is
// the whole REPARSE_DATA_BUFFER in lower-case hexadecimal.
type jsonReparse struct {
	Tag     uint32 `json:"tag"`
	TagName string `json:"tagName"`
	Target  wtf8   `json:"target,omitempty"`
	Data    string `json:"data"`
}

// reparseOf returns nil if there is no reparse point. A buffer that cannot be parsed has
// only data.
func reparseOf(b []byte) *jsonReparse {
	if len(b) == 0 {
		return nil
	}
	out := &jsonReparse{Data: hex.EncodeToString(b)}
	if r, err := winfs.ParseReparse(b); err == nil {
		out.Tag, out.TagName, out.Target = r.Tag, winfs.ReparseTagName(r.Tag), wtf8(r.Target())
	}
	return out
}

// jsonStream is an alternate data stream. SHA256 is in lower-case hexadecimal, absent where
// the content was not read and for a sparse stream, which is all zeros.
type jsonStream struct {
	Name   wtf8   `json:"name"`
	Size   int64  `json:"size"`
	Sparse bool   `json:"sparse,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// jsonLayer is the layer of an image that something comes from. Index counts from 0, the
// base; Digest is that of the blob, absent where the layer is not one of an image.
type jsonLayer struct {
	Index  int    `json:"index"`
	Digest string `json:"digest,omitempty"`
}

// The kinds of entries in JSON. A reparse point that is neither a symbolic link nor a
// junction keeps the kind file or directory.
const (
	kindFile      = "file"
	kindDirectory = "directory"
	kindLink      = "link" // a further name of a file
	kindWhiteout  = "whiteout"
	kindOpaque    = "opaque"
	kindSymlink   = "symlink"
	kindJunction  = "junction"
)

// kindOf returns the kind of an entry with that reparse buffer, which may be nil.
func kindOf(k layer.Kind, reparse []byte) string {
	if len(reparse) > 0 && (k == layer.File || k == layer.Dir) {
		if r, err := winfs.ParseReparse(reparse); err == nil {
			switch r.Tag {
			case winfs.ReparseTagSymlink:
				return kindSymlink
			case winfs.ReparseTagMountPoint:
				return kindJunction
			}
		}
	}
	switch k {
	case layer.Dir:
		return kindDirectory
	case layer.Link:
		return kindLink
	case layer.Whiteout:
		return kindWhiteout
	case layer.Opaque:
		return kindOpaque
	}
	return kindFile
}

// jsonEntry is an entry of a layer or of a merged view.
type jsonEntry struct {
	Path       wtf8           `json:"path"`
	Kind       string         `json:"kind"`
	Target     wtf8           `json:"target,omitempty"` // the file that a link names again
	Attributes jsonAttributes `json:"attributes"`
	jsonTimes
	Owner    string       `json:"owner,omitempty"`    // name or SID
	Security string       `json:"security,omitempty"` // SDDL
	Size     *int64       `json:"size,omitempty"`     // of the main stream of a file
	Streams  []jsonStream `json:"streams,omitempty"`
	EAs      []jsonEA     `json:"eas,omitempty"`
	Reparse  *jsonReparse `json:"reparse,omitempty"`
	ObjectID string       `json:"objectID,omitempty"` // lower-case hexadecimal
	Links    int          `json:"links,omitempty"`    // names of the file, if known
	Layer    *jsonLayer   `json:"layer,omitempty"`
}

// entryOf returns the entry without what it does not hold: streams, links and layer.
func entryOf(e *layer.Entry) *jsonEntry {
	var d describedSecurity
	d.owner, d.sddl = securityOf(e.Security)
	return describeEntry(e, d)
}

// describeEntry is entryOf where it is known what the descriptor says.
func describeEntry(e *layer.Entry, d describedSecurity) *jsonEntry {
	out := &jsonEntry{
		Path: wtf8(e.Path), Kind: kindOf(e.Kind, e.Reparse), Target: wtf8(e.Target),
		Attributes: attributesOf(e.Attributes), jsonTimes: timesOf(e.Times), EAs: easOf(e.EAs),
		Reparse: reparseOf(e.Reparse), ObjectID: hex.EncodeToString(e.ObjectID),
	}
	if e.Kind == layer.File && e.Size >= 0 {
		size := e.Size
		out.Size = &size
	}
	out.Owner, out.Security = d.owner, d.sddl
	return out
}

// securityOf returns the owner of a self-relative descriptor, as the name of a well-known
// account or as a SID, and the descriptor as SDDL. Both are "" for a descriptor that is
// absent or cannot be parsed.
func securityOf(b []byte) (owner, sddl string) {
	if len(b) == 0 {
		return "", ""
	}
	d, err := winsec.Parse(b)
	if err != nil {
		return "", ""
	}
	return ownerName(d), d.SDDL()
}
