package winsec

// must builds the descriptors of this file.
func must(sddl string, l Layout) []byte {
	d, err := ParseSDDL(sddl)
	if err != nil {
		panic(err)
	}
	d.SetLayout(l)
	b, err := d.Bytes()
	if err != nil {
		panic(err)
	}
	return b
}

// NullDACL returns the descriptor that CimFS writers use for files without one: a NULL
// DACL, which grants everything to everyone (docs/spec/layers.md, "Security
// descriptors"). The caller owns the result, as with all functions here.
func NullDACL() []byte {
	return []byte{sdHeader - 1: 0, sdRevisionAt: sdRevision, sdControlAt: byte(DACLPresent), sdControlAt + 1: byte(SelfRelative >> 8)}
}

// BuilderDirectory returns the descriptor that builders of Windows layers on other
// systems set on directories (docs/spec/layers.md, "Security descriptors"): 216 bytes,
// owner first, as recorded there.
func BuilderDirectory() []byte {
	return must("O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)"+
		"(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)", OwnerFirst)
}

// BuilderFile is [BuilderDirectory] for files: 124 bytes.
func BuilderFile() []byte {
	return must("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)", OwnerFirst)
}

// RegistryDefault returns the descriptor that the offline registry library of Windows
// sets on the root key of a new hive (docs/spec/registry.md, "Security"): 144 bytes.
// Recent versions put the list first, as here; version 6.2 puts the owner first.
func RegistryDefault() []byte {
	return must("O:BAG:BAD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;WD)(A;CI;KR;;;RC)", ACLFirst)
}
