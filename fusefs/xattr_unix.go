//go:build linux || darwin

package fusefs

import (
	"encoding/binary"
	"strings"
	"syscall"

	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// maxXattr is the largest attribute that Linux returns (XATTR_SIZE_MAX).
const maxXattr = 64 << 10

// streamPrefix precedes the name of an alternate stream.
const streamPrefix = "user."

// metadataSource is the source of the attributes: a File, or an object of an overlay.
type metadataSource interface {
	Attributes() winfs.Attributes
	Times() winfs.Times
	Security() ([]byte, error)
	EAs() ([]byte, error)
	Reparse() ([]byte, error)
}

// metadatum is an attribute that is not a stream.
type metadatum struct {
	name string
	get  func(metadataSource) ([]byte, error) // nil: absent
	// set applies a value to the change; it returns false for an invalid value.
	set   func(*overlay.Change, *overlay.Info, []byte) bool
	clear func(*overlay.Change) // nil: cannot be absent
}

var metadata = []metadatum{
	{
		"system.ntfs_acl", metadataSource.Security, setSecurity,
		func(c *overlay.Change) { c.Security = new([]byte) },
	},
	{
		"system.ntfs_attrib",
		func(f metadataSource) ([]byte, error) {
			return binary.LittleEndian.AppendUint32(nil, uint32(f.Attributes())), nil
		},
		func(c *overlay.Change, i *overlay.Info, b []byte) bool {
			return len(b) == 4 && setAttributes(c, i, binary.LittleEndian.Uint32(b))
		}, nil,
	},
	{
		"system.ntfs_attrib_be",
		func(f metadataSource) ([]byte, error) {
			return binary.BigEndian.AppendUint32(nil, uint32(f.Attributes())), nil
		},
		func(c *overlay.Change, i *overlay.Info, b []byte) bool {
			return len(b) == 4 && setAttributes(c, i, binary.BigEndian.Uint32(b))
		}, nil,
	},
	{
		"system.ntfs_crtime",
		func(f metadataSource) ([]byte, error) { return appendTimes(f.Times().Creation), nil },
		func(c *overlay.Change, i *overlay.Info, b []byte) bool { return len(b) == 8 && setTimes(c, i, b) }, nil,
	},
	{
		"system.ntfs_ea", packedEAs, setEAs,
		func(c *overlay.Change) { c.EAs = new([]byte) },
	},
	{
		"system.ntfs_reparse_data", metadataSource.Reparse, setReparse,
		func(c *overlay.Change) { c.Reparse = new([]byte) },
	},
	{
		"system.ntfs_times",
		func(f metadataSource) ([]byte, error) {
			t := f.Times()
			return appendTimes(t.Creation, t.LastWrite, t.LastAccess, t.Change), nil
		},
		setTimes, nil,
	},
}

// packedEAs returns the extended attributes in the same form for every form of a layer:
// images store them without the padding after the last one, other forms with it.
func packedEAs(f metadataSource) ([]byte, error) {
	b, err := f.EAs()
	if err != nil || len(b) == 0 {
		return b, err
	}
	list, err := winfs.DecodeEAs(b)
	if err != nil || len(list) == 0 {
		return b, nil // unchanged, since it is not a list
	}
	if b, err = winfs.EncodeEAs(list); err != nil {
		return nil, err
	}
	last := list[len(list)-1]
	const header = 8 // bytes before the name, which is followed by a NUL
	padding := -(header + len(last.Name) + 1 + len(last.Value)) & 3
	return b[:len(b)-padding], nil
}

func findMetadata(name string) *metadatum {
	for i := range metadata {
		if metadata[i].name == name {
			return &metadata[i]
		}
	}
	return nil
}

// listMetadata returns the names of the attributes that are present, each followed by a
// NUL.
func listMetadata(f metadataSource) ([]byte, error) {
	var list []byte
	for i := range metadata {
		b, err := metadata[i].get(f)
		if err != nil {
			return nil, err
		}
		if b != nil {
			list = append(append(list, metadata[i].name...), 0)
		}
	}
	return list, nil
}

// appendStreamName appends the attribute of a stream. Linux has no name longer than 255
// bytes and no value larger than maxXattr.
func appendStreamName(list []byte, name string, size int64) []byte {
	if len(name)+len(streamPrefix) <= 255 && size <= maxXattr && !strings.Contains(name, "\x00") {
		list = append(append(list, streamPrefix+name...), 0)
	}
	return list
}

func appendTimes(times ...winfs.Filetime) []byte {
	var b []byte
	for _, t := range times {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
	}
	return b
}

// answer copies a value if it fits and returns its size in any case.
func answer(dest, value []byte) (uint32, syscall.Errno) {
	if len(dest) < len(value) {
		return uint32(len(value)), syscall.ERANGE
	}
	copy(dest, value)
	return uint32(len(value)), 0
}
