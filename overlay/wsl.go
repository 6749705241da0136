package overlay

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// POSIX is the owner and mode of a file.
type POSIX struct {
	UID, GID uint32
	Mode     uint32 // the low 12 bits
}

// DefaultPOSIX are the owner and mode of a file without such attributes.
var DefaultPOSIX = POSIX{Mode: 0o755}

// The extended attributes in which WSL stores them, each a little-endian u32; the mode
// includes the type of the file (Microsoft, "File permissions for WSL").
const (
	eaUID  = "$LXUID"
	eaGID  = "$LXGID"
	eaMode = "$LXMOD"
)

const modeBits = 0o7777

// ReadPOSIX reads owner and mode from extended attributes. Those that cannot be decoded
// count as absent.
func ReadPOSIX(eas []byte) POSIX {
	p := DefaultPOSIX
	if len(eas) == 0 {
		return p
	}
	list, err := winfs.DecodeEAs(eas)
	if err != nil {
		return p
	}
	for i := range list {
		if len(list[i].Value) != 4 {
			continue
		}
		v := binary.LittleEndian.Uint32(list[i].Value)
		switch strings.ToUpper(list[i].Name) {
		case eaUID:
			p.UID = v
		case eaGID:
			p.GID = v
		case eaMode:
			p.Mode = v & modeBits
		}
	}
	return p
}

// typeBits returns the file type bits of st_mode.
func (k Kind) typeBits() uint32 {
	switch k {
	case Directory:
		return 0o040000
	case Symlink:
		return 0o120000
	}
	return 0o100000
}

// WritePOSIX returns extended attributes with owner and mode in them, omitting those that
// are the default. The other attributes do not change.
func WritePOSIX(eas []byte, p POSIX, k Kind) ([]byte, error) {
	list, err := winfs.DecodeEAs(eas)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(ea winfs.EA) bool {
		n := strings.ToUpper(ea.Name)
		return n == eaUID || n == eaGID || n == eaMode
	})
	add := func(name string, v, byDefault uint32) {
		if v != byDefault {
			list = append(list, winfs.EA{Name: name, Value: binary.LittleEndian.AppendUint32(nil, v)})
		}
	}
	add(eaUID, p.UID, 0)
	add(eaGID, p.GID, 0)
	add(eaMode, k.typeBits()|p.Mode&modeBits, k.typeBits()|DefaultPOSIX.Mode)
	if winfs.PackedEASize(list) > winfs.MaxPackedEAs {
		return nil, ErrTooLarge
	}
	return winfs.EncodeEAs(list)
}
