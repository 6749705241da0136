package bcd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// ErrDeviceEncoding reports that the encoding of a device is not public. This includes the
// devices with which Windows boots from CimFS (cimfs, composite, vmbus): bcdedit on Windows
// must write those.
var ErrDeviceEncoding = errors.New("the encoding of this BCD device is not public")

// DeviceKind is the 32-bit kind of a device, the first word of its description.
type DeviceKind uint32

// The kinds. Partition, boot and locate devices occur in genuine stores and can be made;
// for a composite device only the number is public.
const (
	DeviceFile      DeviceKind = 0 // a file on another device, such as a RAM disk image
	DeviceBoot      DeviceKind = 5 // the device that the system boots from
	DevicePartition DeviceKind = 6
	DeviceLocate    DeviceKind = 8 // searched for by the path in another element
	DeviceComposite DeviceKind = 10
)

// Device is a device element. Raw is the stored value; saving a store preserves all of it.
type Device struct {
	// Options is the device options object, the zero GUID if there is none.
	Options winfs.GUID
	Kind    DeviceKind
	// Disk and Partition identify a GPT partition, for DevicePartition.
	Disk, Partition winfs.GUID
	// Element is the path element by which a DeviceLocate is found.
	Element ElementType
	Raw     []byte
}

// Layout of a device element, derived from genuine stores (corpus: BCD stores of Windows 7
// to 11): the GUID of the device options, then a description that starts with kind, flags
// and length. The length counts from the kind.
const (
	deviceOptionsAt = 0x00 // GUID
	deviceKindAt    = 0x10 // u32
	deviceLengthAt  = 0x18 // u32, after flags of 4 bytes
	deviceMinimum   = 0x20

	devicePartitionAt = 0x20 // GUID of the partition, for GPT
	deviceTableAt     = 0x34 // u32, 0 for GPT, 1 for MBR
	deviceDiskAt      = 0x38 // GUID of the disk, for GPT
	devicePlainLength = 0x48 // of a boot or partition description, zero padded

	deviceLocateAt     = 0x20 // u32, 0: by element
	deviceElementAt    = 0x24 // u32
	deviceLocateLength = 0x1E
)

func decodeDevice(b []byte) (Device, error) {
	if len(b) < deviceMinimum {
		return Device{}, ErrBadElement
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	guid := func(at int) winfs.GUID { return winfs.GUIDFromWindows([16]byte(b[at : at+16])) }
	if n := u32(deviceLengthAt); uint64(n) > uint64(len(b)-deviceKindAt) {
		return Device{}, ErrBadElement
	}
	d := Device{Options: guid(deviceOptionsAt), Kind: DeviceKind(u32(deviceKindAt)), Raw: b}
	switch {
	case d.Kind == DevicePartition && len(b) >= deviceDiskAt+16 && u32(deviceTableAt) == 0:
		d.Disk, d.Partition = guid(deviceDiskAt), guid(devicePartitionAt)
	case d.Kind == DeviceLocate && len(b) >= deviceElementAt+4 && u32(deviceLocateAt) == 0:
		d.Element = ElementType(u32(deviceElementAt))
	}
	return d, nil
}

func newDevice(kind DeviceKind, length int) Device {
	raw := make([]byte, deviceKindAt+length)
	binary.LittleEndian.PutUint32(raw[deviceKindAt:], uint32(kind))
	binary.LittleEndian.PutUint32(raw[deviceLengthAt:], uint32(length))
	return Device{Kind: kind, Raw: raw}
}

// BootDevice is the device that bcdedit writes as "boot".
func BootDevice() Device { return newDevice(DeviceBoot, devicePlainLength) }

// PartitionDevice is a partition of a GPT disk: gpt_partition={disk};{partition}.
func PartitionDevice(disk, partition winfs.GUID) Device {
	d := newDevice(DevicePartition, devicePlainLength)
	d.Disk, d.Partition = disk, partition
	b := partition.Windows()
	copy(d.Raw[devicePartitionAt:], b[:])
	b = disk.Windows()
	copy(d.Raw[deviceDiskAt:], b[:])
	return d
}

// LocateDevice is the device that has the file named by the given path element of the same
// object: locate=custom:12000002.
func LocateDevice(path ElementType) Device {
	d := newDevice(DeviceLocate, deviceLocateLength)
	d.Element = path
	binary.LittleEndian.PutUint32(d.Raw[deviceElementAt:], uint32(path))
	return d
}

// ParseDevice reads a device as [Device.String] prints it: boot, locate=custom:xxxxxxxx or
// gpt_partition={disk};{partition}. Other words of bcdedit are ErrDeviceEncoding.
func ParseDevice(s string) (Device, error) {
	switch word, rest, _ := strings.Cut(s, "="); word {
	case "boot":
		if s == "boot" {
			return BootDevice(), nil
		}
	case "locate":
		hex, ok := strings.CutPrefix(rest, "custom:")
		if n, err := strconv.ParseUint(hex, 16, 32); ok && err == nil {
			return LocateDevice(ElementType(n)), nil
		}
	case "gpt_partition":
		disk, partition, _ := strings.Cut(rest, ";")
		d, err := winfs.ParseGUID(disk)
		if err != nil {
			return Device{}, err
		}
		p, err := winfs.ParseGUID(partition)
		if err != nil {
			return Device{}, err
		}
		return PartitionDevice(d, p), nil
	}
	return Device{}, fmt.Errorf("device %q: %w", s, ErrDeviceEncoding)
}

// String returns the device in the words of bcdedit where it has some.
func (d Device) String() string {
	var s string
	switch d.Kind {
	case DeviceFile:
		s = "file"
	case DeviceBoot:
		s = "boot"
	case DevicePartition:
		s = "partition"
		if d.Disk != (winfs.GUID{}) {
			s = fmt.Sprintf("gpt_partition={%v};{%v}", d.Disk, d.Partition)
		}
	case DeviceLocate:
		s = "locate"
		if d.Element != 0 {
			s = fmt.Sprintf("locate=custom:%08x", uint32(d.Element))
		}
	case DeviceComposite:
		s = "composite"
	default:
		s = fmt.Sprintf("device kind %d", uint32(d.Kind))
	}
	if d.Options != (winfs.GUID{}) {
		s += "," + Alias(d.Options)
	}
	return s
}

// encode returns the stored bytes of a device that was read or made by this
// package.
func (d Device) encode() ([]byte, error) {
	if len(d.Raw) < deviceMinimum {
		return nil, ErrDeviceEncoding
	}
	return d.Raw, nil
}
