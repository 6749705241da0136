//go:build linux || darwin

package fusefs

import (
	"context"
	"encoding/binary"
	"io"
	"strings"
	"syscall"

	"github.com/mullion/mullion/winfs"
)

// maxXattr is the largest attribute that Linux hands out (XATTR_SIZE_MAX).
const maxXattr = 64 << 10

// streamPrefix stands before the name of an alternate stream.
const streamPrefix = "user."

// metadata are the attributes that are not streams. A nil value is absent.
var metadata = []struct {
	name string
	get  func(File) ([]byte, error)
}{
	{"system.ntfs_acl", File.Security},
	{"system.ntfs_attrib", func(f File) ([]byte, error) {
		return binary.LittleEndian.AppendUint32(nil, uint32(f.Attributes())), nil
	}},
	{"system.ntfs_attrib_be", func(f File) ([]byte, error) {
		return binary.BigEndian.AppendUint32(nil, uint32(f.Attributes())), nil
	}},
	{"system.ntfs_crtime", func(f File) ([]byte, error) { return appendTimes(f.Times().Creation), nil }},
	{"system.ntfs_ea", File.EAs},
	{"system.ntfs_reparse_data", File.Reparse},
	{"system.ntfs_times", func(f File) ([]byte, error) {
		t := f.Times()
		return appendTimes(t.Creation, t.LastWrite, t.LastAccess, t.Change), nil
	}},
}

func appendTimes(times ...winfs.Filetime) []byte {
	var b []byte
	for _, t := range times {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
	}
	return b
}

func (n *node) Listxattr(_ context.Context, dest []byte) (uint32, syscall.Errno) {
	var list []byte
	for _, m := range metadata {
		b, err := m.get(n.file)
		if err != nil {
			return 0, n.view.errno("list attributes", n.path, err)
		}
		if b != nil {
			list = append(append(list, m.name...), 0)
		}
	}
	streams, err := n.file.Streams()
	if err != nil {
		return 0, n.view.errno("list attributes", n.path, err)
	}
	for _, s := range streams {
		// Linux has no name longer than 255 bytes and no larger value.
		if len(s.Name())+len(streamPrefix) <= 255 && s.Size() <= maxXattr && !strings.Contains(s.Name(), "\x00") {
			list = append(append(list, streamPrefix+s.Name()...), 0)
		}
	}
	return answer(dest, list)
}

func (n *node) Getxattr(_ context.Context, name string, dest []byte) (uint32, syscall.Errno) {
	for _, m := range metadata {
		if m.name != name {
			continue
		}
		b, err := m.get(n.file)
		if err != nil {
			return 0, n.view.errno("get attribute", n.path, err)
		}
		if b == nil {
			return 0, errNoAttr
		}
		return answer(dest, b)
	}
	stream, ok := strings.CutPrefix(name, streamPrefix)
	if !ok {
		return 0, errNoAttr
	}
	streams, err := n.file.Streams()
	if err != nil {
		return 0, n.view.errno("get attribute", n.path, err)
	}
	for _, s := range streams {
		if !winfs.EqualFold(s.Name(), stream) {
			continue
		}
		if s.Size() > maxXattr {
			return 0, syscall.E2BIG
		}
		b := make([]byte, s.Size())
		if _, err := s.ReadAt(b, 0); err != nil && err != io.EOF {
			return 0, n.view.errno("get attribute", n.path, err)
		}
		return answer(dest, b)
	}
	return 0, errNoAttr
}

// answer copies a value if it fits and tells its size in any case.
func answer(dest, value []byte) (uint32, syscall.Errno) {
	if len(dest) < len(value) {
		return uint32(len(value)), syscall.ERANGE
	}
	copy(dest, value)
	return uint32(len(value)), 0
}
