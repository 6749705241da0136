package compare

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Fields returns what differs, for a Changed or Renamed file. The names are those of
// [layer.Aspect], of [Security], and "stream NAME" and "ea NAME".
func (c *FileChange) Fields() []Field {
	a, b := c.Before, c.After
	if a == nil || b == nil {
		return nil
	}
	var out []Field
	if c.Kind == Renamed {
		out = append(out, Field{Name: "path", Before: a.Path, After: b.Path})
	}
	text := func(aspect layer.Aspect, x, y string) {
		if c.What&aspect != 0 {
			out = append(out, Field{Name: aspect.String(), Before: x, After: y})
		}
	}
	text(layer.AspectKind, a.Kind.String(), b.Kind.String())
	if c.Kind == Changed {
		text(layer.AspectName, a.Path, b.Path)
	}
	if c.What&layer.AspectAttributes != 0 {
		out = append(out, attributes(a.Attributes, b.Attributes))
	}
	text(layer.AspectCreation, moment(a.Times.Creation), moment(b.Times.Creation))
	text(layer.AspectLastAccess, moment(a.Times.LastAccess), moment(b.Times.LastAccess))
	text(layer.AspectLastWrite, moment(a.Times.LastWrite), moment(b.Times.LastWrite))
	text(layer.AspectChange, moment(a.Times.Change), moment(b.Times.Change))
	if c.What&layer.AspectSecurity != 0 {
		out = append(out, Security(a.Security, b.Security)...)
	}
	if c.What&layer.AspectEAs != 0 {
		out = append(out, eas(a.EAs, b.EAs)...)
	}
	text(layer.AspectReparse, reparse(a.Reparse), reparse(b.Reparse))
	text(layer.AspectObjectID, hex.EncodeToString(a.ObjectID), hex.EncodeToString(b.ObjectID))
	text(layer.AspectSize, strconv.FormatInt(a.Size, 10), strconv.FormatInt(b.Size, 10))
	if a.Kind != layer.Dir && b.Kind != layer.Dir {
		text(layer.AspectContent, "sha256:"+hex.EncodeToString(a.Sum[:]), "sha256:"+hex.EncodeToString(b.Sum[:]))
	}
	if c.What&layer.AspectStreams != 0 {
		out = append(out, streams(a.Streams, b.Streams)...)
	}
	text(layer.AspectLinks, linked(a), linked(b))
	return out
}

// Describe returns all properties of a file that it has, on the second side.
func Describe(f *File) []Field {
	none := &File{Entry: layer.Entry{Path: f.Path, Kind: f.Kind}, Links: f.Links}
	c := &FileChange{Kind: Changed, Before: none, After: f}
	for _, x := range []struct {
		aspect layer.Aspect
		has    bool
	}{
		{layer.AspectAttributes, f.Attributes != 0}, {layer.AspectCreation, f.Times.Creation != 0},
		{layer.AspectLastAccess, f.Times.LastAccess != 0}, {layer.AspectLastWrite, f.Times.LastWrite != 0},
		{layer.AspectChange, f.Times.Change != 0}, {layer.AspectSecurity, len(f.Security) > 0}, {layer.AspectEAs, len(f.EAs) > 0},
		{layer.AspectReparse, len(f.Reparse) > 0}, {layer.AspectObjectID, len(f.ObjectID) > 0}, {layer.AspectStreams, len(f.Streams) > 0},
		{layer.AspectSize | layer.AspectContent, f.Kind == layer.File}, {layer.AspectLinks, f.Target != ""},
	} {
		if x.has {
			c.What |= x.aspect
		}
	}
	out := []Field{{Name: layer.AspectKind.String(), After: f.Kind.String()}}
	for _, field := range c.Fields() {
		switch field.Name {
		case layer.AspectSize.String(), layer.AspectContent.String(), layer.AspectLinks.String():
			field.Before = "" // what an empty file has
		}
		out = append(out, field)
	}
	return out
}

// attributeNames are the bits of MS-FSCC 2.6 without FILE_ATTRIBUTE_.
var attributeNames = []string{
	"READONLY", "HIDDEN", "SYSTEM", "0x8", "DIRECTORY", "ARCHIVE", "0x40", "NORMAL", "TEMPORARY", "SPARSE_FILE",
	"REPARSE_POINT", "COMPRESSED", "OFFLINE", "NOT_CONTENT_INDEXED", "ENCRYPTED",
}

// AttributeNames returns the names of the bits that are set, hexadecimal for those without.
func AttributeNames(a winfs.Attributes) []string {
	var list []string
	for i := range 32 {
		switch bit := winfs.Attributes(1) << i; {
		case a&bit == 0:
		case i < len(attributeNames):
			list = append(list, attributeNames[i])
		default:
			list = append(list, fmt.Sprintf("%#x", uint32(bit)))
		}
	}
	return list
}

func attributes(a, b winfs.Attributes) Field {
	return Field{Name: layer.AspectAttributes.String(), Removed: AttributeNames(a &^ b), Added: AttributeNames(b &^ a)}
}

func moment(t winfs.Filetime) string {
	if t == 0 {
		return ""
	}
	return t.String()
}

// reparse describes a reparse point: the name of its tag and the target of a link, or else
// its data.
func reparse(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	p, err := winfs.ParseReparse(b)
	if err != nil {
		return hex.EncodeToString(b)
	}
	name := winfs.ReparseTagName(p.Tag)
	if p.Substitute == "" && p.Print == "" {
		return name + " " + hex.EncodeToString(p.Data)
	}
	s := name + " " + p.Target()
	if p.Target() != p.Substitute {
		s += " (" + p.Substitute + ")"
	}
	if p.Relative {
		s += ", relative"
	}
	return s
}

func linked(f *File) string {
	if f.Target != "" {
		return "link to " + f.Target
	}
	if f.Links > 1 {
		return fmt.Sprintf("%d names", f.Links)
	}
	return "no link"
}

func eas(a, b []winfs.EA) []Field {
	var out []Field
	describe := func(list []winfs.EA, name string) string {
		var parts []string
		for _, ea := range list {
			if strings.EqualFold(ea.Name, name) {
				parts = append(parts, fmt.Sprintf("flags %d, %x", ea.Flags, ea.Value))
			}
		}
		return strings.Join(parts, "; ")
	}
	var seen []string
	for _, ea := range slices.Concat(a, b) {
		if slices.Contains(seen, ea.Name) {
			continue
		}
		seen = append(seen, ea.Name)
		if x, y := describe(a, ea.Name), describe(b, ea.Name); x != y {
			out = append(out, Field{Name: "ea " + ea.Name, Before: x, After: y})
		}
	}
	return out
}

// streams compares lists that are in the order of names.
func streams(a, b []Stream) []Field {
	var out []Field
	describe := func(s *Stream) string { return fmt.Sprintf("%d bytes, sha256:%x", s.Size, s.Sum[:]) }
	for len(a) > 0 || len(b) > 0 {
		order := 0
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		default:
			order = winfs.CompareFold(a[0].Name, b[0].Name)
		}
		var f Field
		if order <= 0 {
			f.Name, f.Before = "stream "+a[0].Name, describe(&a[0])
		}
		if order >= 0 {
			f.Name, f.After = "stream "+b[0].Name, describe(&b[0])
		}
		if order != 0 || f.Before != f.After || a[0].Name != b[0].Name {
			out = append(out, f)
		}
		if order <= 0 {
			a = a[1:]
		}
		if order >= 0 {
			b = b[1:]
		}
	}
	return out
}
