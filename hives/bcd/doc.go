// Package bcd reads and edits boot configuration data: the file BCD in the boot
// folder of a Windows volume, and in the utility VM of a container base layer.
//
// # Stores
//
// A BCD store is a registry hive. Its key Objects contains one key for each object, named
// by a GUID in braces: the boot manager, a boot loader, a set of settings that others
// inherit, the options of a device. An object has a type, in Description, and elements:
// keys named by an element type as eight hexadecimal digits, each with one value,
// Element, whose registry type follows from the element's format. The root's own
// Description marks the hive as a store (docs/spec/registry.md, "Boot configuration").
//
// [Open] returns the [Store] in a hive. [Store.Objects] yields the objects that bcdedit
// /enum lists, [Store.Set] and [Store.Delete] change elements, and the hive is saved with
// its own methods.
//
// # Devices
//
// The value of a device element is binary. The descriptions "boot", "locate" by an element
// and a partition of a GPT disk occur in genuine stores and can be made; every other is
// kept byte for byte and cannot be made. In particular there is no public encoding of the
// devices from which Windows boots a CimFS image: for those the error is
// [ErrDeviceEncoding].
//
// # Proven, inferred, unknown
//
//	object and element keys, registry types      proven by genuine stores
//	names of elements                            documented by Microsoft
//	devices boot, locate, gpt_partition          proven by genuine stores
//	devices cimfs, composite, vmbus, MBR, file   unknown: kept when read, refused when set
package bcd
