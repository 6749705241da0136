package winfs

import "strings"

// Attributes is the Win32 file attribute word (MS-FSCC 2.6). Zero means that the source has
// no attributes; NTFS then applies its default, ARCHIVE for a file.
type Attributes uint32

// The attribute bits that NTFS stores.
const (
	AttrReadOnly          Attributes = 0x00000001
	AttrHidden            Attributes = 0x00000002
	AttrSystem            Attributes = 0x00000004
	AttrDirectory         Attributes = 0x00000010
	AttrArchive           Attributes = 0x00000020
	AttrNormal            Attributes = 0x00000080
	AttrTemporary         Attributes = 0x00000100
	AttrSparse            Attributes = 0x00000200
	AttrReparsePoint      Attributes = 0x00000400
	AttrCompressed        Attributes = 0x00000800
	AttrOffline           Attributes = 0x00001000
	AttrNotContentIndexed Attributes = 0x00002000
	AttrEncrypted         Attributes = 0x00004000
)

// attributeLetters are the letters of the Windows attrib command, in bit order; D, L and
// the rest are for bits that attrib doesn't show.
var attributeLetters = []struct {
	bit    Attributes
	letter byte
}{
	{AttrDirectory, 'D'}, {AttrReparsePoint, 'L'}, {AttrArchive, 'A'}, {AttrReadOnly, 'R'},
	{AttrHidden, 'H'}, {AttrSystem, 'S'}, {AttrSparse, 'P'}, {AttrCompressed, 'C'},
	{AttrNotContentIndexed, 'I'}, {AttrOffline, 'O'}, {AttrTemporary, 'T'}, {AttrEncrypted, 'E'},
}

// String returns a fixed-width listing such as "D-A-HS------".
func (a Attributes) String() string {
	var b strings.Builder
	for _, l := range attributeLetters {
		if a&l.bit != 0 {
			b.WriteByte(l.letter)
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}
