//go:build linux || darwin

package fusefs

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// described is the metadata of an object of an overlay.
type described struct {
	t *overlay.Tree
	i overlay.Info
}

func (d described) Attributes() winfs.Attributes { return d.i.Attributes }
func (d described) Times() winfs.Times           { return d.i.Times }
func (d described) EAs() ([]byte, error)         { return d.i.EAs, nil }
func (d described) Security() ([]byte, error)    { return d.t.Security(d.i.ID) }
func (d described) Reparse() ([]byte, error)     { return d.t.Reparse(d.i.ID) }

func (v *writable) ListXAttr(_ <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	id := v.id(h.NodeId)
	i, err := v.t.Stat(id)
	if err != nil {
		return 0, v.status("list attributes", id, err)
	}
	list, err := listMetadata(described{v.t, i})
	if err != nil {
		return 0, v.status("list attributes", id, err)
	}
	streams, err := v.t.Streams(id)
	if err != nil {
		return 0, v.status("list attributes", id, err)
	}
	for _, s := range streams {
		list = appendStreamName(list, s.Name, s.Size)
	}
	n, errno := answer(dest, list)
	return n, fuse.Status(errno)
}

func (v *writable) GetXAttr(_ <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	id := v.id(h.NodeId)
	fail := func(err error) (uint32, fuse.Status) { return 0, v.status("get attribute", id, err) }
	if m := findMetadata(name); m != nil {
		i, err := v.t.Stat(id)
		if err != nil {
			return fail(err)
		}
		b, err := m.get(described{v.t, i})
		if err != nil {
			return fail(err)
		}
		if b == nil {
			return 0, fuse.Status(errNoAttr)
		}
		n, errno := answer(dest, b)
		return n, fuse.Status(errno)
	}
	stream, ok := strings.CutPrefix(name, streamPrefix)
	if !ok {
		return 0, fuse.Status(errNoAttr)
	}
	b, err := v.t.ReadStream(id, stream, maxXattr)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, fuse.Status(errNoAttr)
	case errors.Is(err, overlay.ErrTooLarge):
		return 0, fuse.Status(syscall.E2BIG)
	case err != nil:
		return fail(err)
	}
	n, errno := answer(dest, b)
	return n, fuse.Status(errno)
}

// The flags of setxattr.
const (
	xattrCreate  = 1
	xattrReplace = 2
)

func (v *writable) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	id := v.id(in.NodeId)
	if stream, ok := strings.CutPrefix(name, streamPrefix); ok {
		if in.Flags&(xattrCreate|xattrReplace) != 0 {
			_, err := v.t.ReadStream(id, stream, maxXattr)
			there := !errors.Is(err, fs.ErrNotExist)
			switch {
			case there && in.Flags&xattrCreate != 0:
				return fuse.Status(syscall.EEXIST)
			case !there && in.Flags&xattrReplace != 0:
				return fuse.Status(errNoAttr)
			}
		}
		return v.status("set attribute", id, v.t.WriteStream(id, stream, data))
	}
	m := findMetadata(name)
	if m == nil {
		return fuse.Status(syscall.EOPNOTSUPP)
	}
	i, err := v.t.Stat(id)
	if err != nil {
		return v.status("set attribute", id, err)
	}
	if in.Flags&(xattrCreate|xattrReplace) != 0 {
		b, err := m.get(described{v.t, i})
		switch {
		case err != nil:
			return v.status("set attribute", id, err)
		case b != nil && in.Flags&xattrCreate != 0:
			return fuse.Status(syscall.EEXIST)
		case b == nil && in.Flags&xattrReplace != 0:
			return fuse.Status(errNoAttr)
		}
	}
	var c overlay.Change
	if !m.set(&c, &i, data) {
		return fuse.EINVAL
	}
	if c.Reparse != nil {
		if status := v.mayReparse(&i); !status.Ok() {
			return status
		}
	}
	return v.status("set attribute", id, v.t.Set(id, c))
}

// mayReparse refuses reparse data on a directory that is not empty, as NTFS does.
func (v *writable) mayReparse(i *overlay.Info) fuse.Status {
	if i.Kind != overlay.Directory {
		return fuse.OK
	}
	list, err := v.t.ReadDir(i.ID)
	if err == nil && len(list) > 0 {
		err = overlay.ErrNotEmpty
	}
	return v.status("set attribute", i.ID, err)
}

func (v *writable) RemoveXAttr(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	id := v.id(h.NodeId)
	if stream, ok := strings.CutPrefix(name, streamPrefix); ok {
		err := v.t.RemoveStream(id, stream)
		if errors.Is(err, fs.ErrNotExist) {
			return fuse.Status(errNoAttr)
		}
		return v.status("remove attribute", id, err)
	}
	m := findMetadata(name)
	if m == nil {
		return fuse.Status(errNoAttr)
	}
	i, err := v.t.Stat(id)
	if err != nil {
		return v.status("remove attribute", id, err)
	}
	b, err := m.get(described{v.t, i})
	if err != nil {
		return v.status("remove attribute", id, err)
	}
	if b == nil {
		return fuse.Status(errNoAttr)
	}
	var c overlay.Change
	if m.clear == nil {
		return fuse.EPERM // attributes and times cannot be absent
	}
	m.clear(&c)
	return v.status("remove attribute", id, v.t.Set(id, c))
}

// settable are the attribute bits that a program may set. COMPRESSED and ENCRYPTED describe
// storage on NTFS, which does not apply here.
const settable = winfs.AttrReadOnly | winfs.AttrHidden | winfs.AttrSystem | winfs.AttrArchive | winfs.AttrNormal |
	winfs.AttrTemporary | winfs.AttrSparse | winfs.AttrOffline | winfs.AttrNotContentIndexed

func setAttributes(c *overlay.Change, i *overlay.Info, v uint32) bool {
	fixed := ^settable
	a := winfs.Attributes(v)
	// An existing attribute may be written back.
	if (a^i.Attributes)&fixed&a != 0 {
		return false
	}
	a = a&settable | i.Attributes&fixed
	c.Attributes = &a
	return true
}

func setSecurity(c *overlay.Change, _ *overlay.Info, b []byte) bool {
	if _, err := winsec.Parse(b); err != nil {
		return false
	}
	c.Security = &b
	return true
}

func setEAs(c *overlay.Change, _ *overlay.Info, b []byte) bool {
	list, err := winfs.DecodeEAs(b)
	if err != nil || winfs.PackedEASize(list) > winfs.MaxPackedEAs {
		return false
	}
	if b, err = winfs.EncodeEAs(list); err != nil {
		return false
	}
	c.EAs = &b
	return true
}

func setReparse(c *overlay.Change, _ *overlay.Info, b []byte) bool {
	if _, err := winfs.ParseReparse(b); err != nil {
		return false
	}
	c.Reparse = &b
	return true
}

// setTimes sets as many of the four times as the value has.
func setTimes(c *overlay.Change, _ *overlay.Info, b []byte) bool {
	if len(b) == 0 || len(b)%8 != 0 || len(b) > 32 {
		return false
	}
	for n, to := range []**winfs.Filetime{&c.Creation, &c.LastWrite, &c.LastAccess, &c.Change} {
		if len(b) < 8*n+8 {
			break
		}
		f := winfs.Filetime(binary.LittleEndian.Uint64(b[8*n:]))
		*to = &f
	}
	return true
}
