package image

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// The offsets of the MS-DOS header and of the header of a PE file (PE Format, "MS-DOS Stub"
// and "COFF File Header").
const (
	dosHeader = 64
	peOffset  = 60 // u32 in the MS-DOS header
	peHeader  = 6  // the signature and the machine
	// farthestPE bounds the head of a file that is read. Linkers write the header within
	// the first page.
	farthestPE = 4096
)

// Machines of PE files.
const (
	machine386   = 0x14C
	machineARM   = 0x1C4 // ARMNT
	machineAMD64 = 0x8664
	machineARM64 = 0xAA64
)

var machineNames = map[uint16]string{
	machine386: "386", machineARM: "arm", machineAMD64: "amd64", machineARM64: "arm64", 0x200: "ia64", 0x1C0: "arm before ARMv7",
}

// machines lists which machines' programs Windows of an architecture runs, its own first.
// Those of others run under WOW64 or in emulation, drivers do not.
var machines = map[string][]uint16{
	"amd64": {machineAMD64, machine386},
	"arm64": {machineARM64, machineAMD64, machine386, machineARM},
	"arm":   {machineARM},
	"386":   {machine386},
}

// HasMachines reports whether CheckMachine knows an architecture.
func HasMachines(architecture string) bool { return machines[architecture] != nil }

// machineOf reads the machine from the head of a PE file. ok is false for any other file.
func machineOf(r io.Reader) (machine uint16, ok bool) {
	head := make([]byte, dosHeader, 512)
	if _, err := io.ReadFull(r, head); err != nil || head[0] != 'M' || head[1] != 'Z' {
		return 0, false
	}
	at := int64(binary.LittleEndian.Uint32(head[peOffset:]))
	if at < dosHeader || at > farthestPE-peHeader {
		return 0, false
	}
	rest := make([]byte, at+peHeader-dosHeader)
	if _, err := io.ReadFull(r, rest); err != nil {
		return 0, false
	}
	pe := rest[at-dosHeader:]
	if string(pe[:4]) != "PE\x00\x00" {
		return 0, false
	}
	return binary.LittleEndian.Uint16(pe[4:]), true
}

// CheckMachine reports a program, library or driver that Windows of an architecture, such as
// amd64, does not load (RuleMachine). It reads the head of data, the main stream of e. Of an
// architecture that it does not know it reports nothing.
func CheckMachine(e *layer.Entry, data io.Reader, architecture string, report func(finding.Finding)) {
	if e.Kind != layer.File || len(e.Path) < 4 || e.Size < dosHeader {
		return
	}
	ext := e.Path[len(e.Path)-4:]
	driver := winfs.EqualFold(ext, ".sys")
	if !driver && !winfs.EqualFold(ext, ".exe") && !winfs.EqualFold(ext, ".dll") {
		return
	}
	runs, known := machines[architecture]
	if !known {
		return
	}
	machine, ok := machineOf(data)
	if !ok {
		return
	}
	name := machineNames[machine]
	if name == "" {
		name = fmt.Sprintf("machine %#x", machine)
	}
	switch {
	case driver && machine != runs[0]:
		report(RuleMachine.At(e.Path, -1, "the driver is for %s, and the platform is %s", name, architecture))
	case !driver && !slices.Contains(runs, machine):
		report(RuleMachine.Lesser().At(e.Path, -1, "the file is for %s, and the platform is %s", name, architecture))
	}
}
