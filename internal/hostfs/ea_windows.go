package hostfs

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/mullion/mullion/layer"
)

var queryEaFile = windows.NewLazySystemDLL("ntdll.dll").NewProc("NtQueryEaFile")

// maxEAs is more than all extended attributes of a file can have together: NTFS keeps
// their size in 16 bits, and the form in which they are returned pads each to four bytes.
const maxEAs = 1 << 18

// ExtendedAttributes returns the extended attributes of a file as records of
// FILE_FULL_EA_INFORMATION (MS-FSCC 2.4.15), nil if it has none. BackupRead has them
// behind the data of the file, where they are too late for its entry.
func ExtendedAttributes(f *os.File, limit int64) ([]byte, error) {
	if queryEaFile.Find() != nil {
		return nil, nil
	}
	words := make([]uint32, maxEAs/4) // records begin at multiples of four bytes
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), maxEAs)
	var status windows.IO_STATUS_BLOCK
	r, _, _ := queryEaFile.Call(f.Fd(), uintptr(unsafe.Pointer(&status)), uintptr(unsafe.Pointer(&b[0])), maxEAs,
		0, 0, 0, 0, 1)
	switch s := windows.NTStatus(uint32(r)); {
	case s == windows.STATUS_SUCCESS:
	case s == windows.STATUS_NO_EAS_ON_FILE, s == windows.STATUS_EAS_NOT_SUPPORTED, s == windows.STATUS_NOT_IMPLEMENTED,
		s == windows.STATUS_INVALID_DEVICE_REQUEST, s == windows.STATUS_NONEXISTENT_EA_ENTRY:
		return nil, nil
	default:
		return nil, fmt.Errorf("query extended attributes: %w", errors.Join(s))
	}
	n := int64(status.Information)
	if n > limit {
		return nil, &layer.LimitError{Limit: "MetadataLen", Max: limit}
	}
	return b[:min(n, maxEAs)], nil
}
