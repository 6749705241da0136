package bcd

import (
	"errors"
	"fmt"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// The objects and devices of a utility VM that boots from a CimFS image
// (docs/spec/layers.md, "Booting a utility VM from its image"): device options for the
// image, device options that combine the scratch disk and the image, the device of the
// image, and the share in which the host offers its images.
var (
	CimFSOptions     = mustGUID("763e9fea-502d-434f-aad9-5fabe9c91a7b")
	CompositeOptions = mustGUID("e1787220-d17f-49e7-977a-d8fe4c8537e2")
	CimFSDevice      = mustGUID("b890454c-80de-4e98-a7ab-56b74b4fbd0c")
	VMBusDevice      = mustGUID("c63c9bdf-5fa5-4208-b03f-6b458b365592")
)

func mustGUID(s string) winfs.GUID {
	g, err := winfs.ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}

// The paths from which a utility VM starts when its tree is in a CimFS image.
const (
	cimLoaderPath = `\UtilityVM\Files\Windows\System32\winload.efi`
	cimSystemRoot = `\UtilityVM\Files\Windows`
)

// EnableCimBoot changes the boot configuration of a utility VM as hcsshim did, so that it
// boots from the CimFS image at the path image in the share of images, as in
// \cim-layers\NAME.cim.
//
// Three devices, composite, cimfs and vmbus, have no public encoding, and the composite one
// names a partition of the disk that is created by the machine that starts the VM. If
// template, a store prepared by bcdedit, has them, they are copied from it. The remaining
// changes are returned as arguments of bcdedit, one command each, to be run on Windows;
// DISK and PARTITION are placeholders for the GUIDs of that partition.
func EnableCimBoot(s *Store, image string, template *Store) (left []string, err error) {
	loader, err := s.Resolve("{default}")
	if err != nil {
		return nil, err
	}
	for _, o := range []struct {
		id          winfs.GUID
		description string
	}{{CimFSOptions, "CimFS Device Options"}, {CompositeOptions, "Composite Device Options"}} {
		if err := s.Create(o.id, TypeDevice); err != nil && !errors.Is(err, regf.ErrExists) {
			return nil, err
		}
		if err := s.Set(o.id, Description, TextValue(o.description)); err != nil {
			return nil, err
		}
	}
	for _, e := range []struct {
		id winfs.GUID
		t  ElementType
		v  Value
	}{
		{loader, RestartOnFailure, BoolValue(true)},
		{CimFSOptions, CimFSRootDirectory, TextValue(image)},
		{loader, ApplicationPath, TextValue(cimLoaderPath)},
		{loader, SystemRoot, TextValue(cimSystemRoot)},
	} {
		if err := s.Set(e.id, e.t, e.v); err != nil {
			return nil, err
		}
	}
	theirs := winfs.GUID{}
	if template != nil {
		if theirs, err = template.Resolve("{default}"); err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
	}
	composite := fmt.Sprintf("composite=0,{%v}", CompositeOptions)
	for _, e := range []struct {
		from, to winfs.GUID
		t        ElementType
		command  string
	}{
		{CimFSOptions, CimFSOptions, CimFSParentDevice, fmt.Sprintf("/set {%v} cimfsparentdevice vmbus={%v}", CimFSOptions, VMBusDevice)},
		{CompositeOptions, CompositeOptions, PrimaryDevice, fmt.Sprintf("/set {%v} primarydevice gpt_partition={DISK};{PARTITION}", CompositeOptions)},
		{CompositeOptions, CompositeOptions, SecondaryDevice, fmt.Sprintf("/set {%v} secondarydevice cimfs={%v},{%v}", CompositeOptions, CimFSDevice, CimFSOptions)},
		{theirs, loader, ApplicationDevice, "/set {default} device " + composite},
		{theirs, loader, OSDevice, "/set {default} osdevice " + composite},
	} {
		if template == nil {
			left = append(left, e.command)
			continue
		}
		o, err := template.Object(e.from)
		if err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
		v, err := o.Element(e.t)
		if err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
		if err := s.Set(e.to, e.t, v); err != nil {
			return nil, err
		}
	}
	return left, nil
}
