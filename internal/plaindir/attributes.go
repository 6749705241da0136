package plaindir

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The extended attributes have the names that the mount of package fusefs, and ntfs-3g,
// give them, in the name space user: hosts keep no others for programs. An alternate
// stream is user.NAME, as it is there.
const (
	userPrefix    = "user."
	attrSecurity  = userPrefix + "ntfs_acl"          // self-relative descriptor
	attrBits      = userPrefix + "ntfs_attrib"       // 32 bits, little-endian
	attrTimes     = userPrefix + "ntfs_times"        // creation, write, access, change: FILETIMEs, little-endian
	attrEAs       = userPrefix + "ntfs_ea"           // list of FILE_FULL_EA_INFORMATION
	attrReparse   = userPrefix + "ntfs_reparse_data" // whole REPARSE_DATA_BUFFER
	attrObjectID  = userPrefix + "ntfs_object_id"    // 64 bytes
	ownAttributes = "ntfs_"                          // begins the names that no stream may take

	maxAttribute     = 64 << 10 // XATTR_SIZE_MAX of Linux
	maxAttributeName = 255
)

var (
	// errNoAttributes says that the host or the file system has no extended attributes.
	errNoAttributes = errors.New("no extended attributes")
	// errNoRoom says that the file system does not take an attribute of that size.
	errNoRoom = errors.New("no room for an extended attribute")
)

// keep writes the metadata of an entry to the attributes of an open file or directory, and
// counts what they cannot hold.
func (w *Writer) keep(f *os.File, e *layer.Entry) error {
	if !w.opts.Attributes {
		w.count(e)
		return nil
	}
	set := func(name string, value []byte) error {
		if len(value) == 0 {
			return nil
		}
		return w.setAttribute(f, name, value)
	}
	var times []byte
	if e.Times != (winfs.Times{}) {
		for _, t := range []winfs.Filetime{e.Times.Creation, e.Times.LastWrite, e.Times.LastAccess, e.Times.Change} {
			times = binary.LittleEndian.AppendUint64(times, uint64(t))
		}
	}
	var bits, eas []byte
	if e.Attributes != 0 {
		bits = binary.LittleEndian.AppendUint32(nil, uint32(e.Attributes))
	}
	if len(e.EAs) > 0 {
		var err error
		if eas, err = winfs.EncodeEAs(e.EAs); err != nil {
			return err
		}
	}
	for _, a := range []struct {
		name  string
		value []byte
	}{
		{attrBits, bits}, {attrTimes, times}, {attrSecurity, e.Security}, {attrReparse, e.Reparse}, {attrObjectID, e.ObjectID}, {attrEAs, eas},
	} {
		err := set(a.name, a.value)
		switch {
		case errors.Is(err, errNoAttributes):
			w.opts.Attributes = false // nor has the rest of the file system
			if w.link {
				w.lost.Reparse++
			}
			w.count(e)
			return nil
		case errors.Is(err, errNoRoom):
			w.lost.NoRoom++
		case err != nil:
			return err
		}
	}
	return nil
}

// keepOfDir is keep for the directory of the current entry.
func (w *Writer) keepOfDir(e *layer.Entry) error {
	if !w.opts.Attributes {
		w.count(e)
		return nil
	}
	f, err := w.root.Open(w.path)
	if err != nil {
		return err
	}
	return errors.Join(w.keep(f, e), f.Close())
}

func (w *Writer) setAttribute(f *os.File, name string, value []byte) error {
	if len(value) > maxAttribute {
		return errNoRoom
	}
	return setXattr(f, name, value)
}

// collect prepares to keep an alternate stream as an attribute; false if it has no place
// in one.
func (w *Writer) collect(s *layer.Stream) bool {
	if !w.opts.Attributes || s.Size > maxAttribute || len(userPrefix)+len(s.Name) > maxAttributeName ||
		strings.HasPrefix(strings.ToLower(s.Name), ownAttributes) || strings.Contains(s.Name, "\x00") {
		return false
	}
	w.stream, w.data = s.Name, w.data[:0]
	return true
}

// keepStream writes the collected stream to an attribute of the current entry.
func (w *Writer) keepStream(name string) error {
	f := w.file
	if f == nil {
		info, err := w.root.Lstat(w.path)
		if err != nil {
			return err
		}
		if !info.IsDir() { // a symbolic link has no attributes of its own
			w.lost.Streams++
			return nil
		}
		if f, err = w.root.Open(w.path); err != nil {
			return err
		}
		defer f.Close()
	}
	err := w.setAttribute(f, userPrefix+name, w.data)
	switch {
	case errors.Is(err, errNoAttributes):
		w.lost.Streams++
	case errors.Is(err, errNoRoom):
		w.lost.NoRoom++
	default:
		return err
	}
	return nil
}

// rooted returns the target of a link that names an absolute path, relative to the
// directory of the link, or "" if it leads to another drive or the link is not below a
// directory Files, which is the drive.
func (w *Writer) rooted(link, substitute string) string {
	drive := ""
	for _, root := range []string{"Files", `UtilityVM\Files`} {
		if winfs.Under(link, root) {
			drive = root
		}
	}
	target := strings.TrimPrefix(substitute, `\??\`)
	if len(target) >= 2 && strings.EqualFold(target[:2], "C:") {
		target = target[2:]
	}
	if drive == "" || !strings.HasPrefix(target, `\`) || strings.HasPrefix(target, `\\`) {
		return ""
	}
	path := drive
	for part := range strings.SplitSeq(target, `\`) {
		switch part {
		case "", ".":
		case "..":
			return ""
		default:
			path = winfs.JoinPath(path, part)
		}
	}
	host, err := w.spell(path)
	if err != nil {
		return ""
	}
	relative, err := filepath.Rel(filepath.Dir(w.path), host)
	if err != nil {
		return ""
	}
	return relative
}
