package hello

import (
	"bytes"
	"encoding/binary"
)

// The program is a PE file made by hand, so that its bytes depend on nothing but
// this file. Layout (Microsoft PE format, PE32+):
//
//	0x000  DOS header, then the PE headers and two section headers
//	0x200  .text   at 0x1000 in memory: the code
//	0x400  .rdata  at 0x2000: text, then imports of KERNEL32.dll
const (
	imageBase   = 0x140000000
	headerSize  = 0x200
	sectionSize = 0x200 // of each section in the file
	textAddress = 0x1000
	dataAddress = 0x2000
	imageSize   = 0x3000
)

// imported are the functions that the program calls, in the order of its import
// table.
var imported = []string{"ExitProcess", "GetStdHandle", "WriteFile"}

// program returns a console program for x64 that prints text and exits with 0.
func program(text string) []byte {
	data, imports, thunks := programData(text)
	code := programCode(len(text), thunks)
	out := make([]byte, headerSize+2*sectionSize)
	copy(out, programHeaders(imports, len(code), len(data), thunks[imported[0]]))
	copy(out[headerSize:headerSize+sectionSize], code)
	copy(out[headerSize+sectionSize:], data)
	return out
}

// programData makes .rdata: the text, an import directory, and the table of function
// addresses that the loader fills in. It returns where in memory the import
// directory and each function's place in the table are.
func programData(text string) (data []byte, imports uint32, thunks map[string]uint32) {
	le := binary.LittleEndian
	b := append([]byte(text), make([]byte, 16-len(text)%16)...)
	imports = dataAddress + uint32(len(b))
	lookup := imports + 40 // after one descriptor and the empty one that ends the list
	table := 8 * uint32(len(imported)+1)
	addresses := lookup + table
	name := addresses + table
	names := append([]byte("KERNEL32.dll"), 0, 0)
	var entries []byte
	thunks = map[string]uint32{}
	for i, f := range imported {
		entries = le.AppendUint64(entries, uint64(name)+uint64(len(names)))
		names = append(append(names, 0, 0), f...) // hint 0, name
		names = append(names, make([]byte, 2-len(f)%2)...)
		thunks[f] = addresses + 8*uint32(i)
	}
	entries = le.AppendUint64(entries, 0)
	for _, v := range []uint32{lookup, 0, 0, name, addresses, 0, 0, 0, 0, 0} {
		b = le.AppendUint32(b, v)
	}
	b = append(b, entries...) // names, for the loader to look up
	b = append(b, entries...) // the same, which it overwrites with addresses
	return append(b, names...), imports, thunks
}

// programCode makes .text.
func programCode(length int, thunks map[string]uint32) []byte {
	le := binary.LittleEndian
	var b []byte
	emit := func(op ...byte) { b = append(b, op...) }
	// relative appends the distance from the next instruction to an address.
	relative := func(address uint32) {
		b = le.AppendUint32(b, address-(textAddress+uint32(len(b))+4))
	}
	call := func(f string) { emit(0xFF, 0x15); relative(thunks[f]) } // call [rip+f]

	emit(0x48, 0x83, 0xEC, 0x38)           // sub rsp, 0x38: room for arguments, aligned
	emit(0xB9, 0xF5, 0xFF, 0xFF, 0xFF)     // mov ecx, -11: STD_OUTPUT_HANDLE
	call("GetStdHandle")                   //
	emit(0x48, 0x89, 0xC1)                 // mov rcx, rax
	emit(0x48, 0x8D, 0x15)                 // lea rdx, [rip+text]
	relative(dataAddress)                  //
	emit(0x41, 0xB8)                       // mov r8d, length
	b = le.AppendUint32(b, uint32(length)) //
	emit(0x4C, 0x8D, 0x4C, 0x24, 0x28)     // lea r9, [rsp+0x28]: bytes written
	emit(0x48, 0xC7, 0x44, 0x24, 0x20)     // mov qword [rsp+0x20], 0: no OVERLAPPED
	b = le.AppendUint32(b, 0)              //
	call("WriteFile")                      //
	emit(0x31, 0xC9)                       // xor ecx, ecx
	call("ExitProcess")                    // does not return
	emit(0xCC)                             // int3
	return b
}

// programHeaders makes everything before the first section. The times are 0.
func programHeaders(imports uint32, code, data int, addresses uint32) []byte {
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			binary.Write(&b, binary.LittleEndian, v) // to memory: cannot fail
		}
	}
	dos := make([]byte, 64)
	copy(dos, "MZ")
	dos[0x3C] = 64 // where the PE headers begin
	put(dos, []byte("PE\x00\x00"))
	// File header: x64, two sections, executable and aware of large addresses.
	put(uint16(0x8664), uint16(2), uint32(0), uint32(0), uint32(0), uint16(112+16*8), uint16(0x0022))
	// Optional header, PE32+.
	put(uint16(0x20B), uint8(14), uint8(0), uint32(sectionSize), uint32(sectionSize), uint32(0), uint32(textAddress), uint32(textAddress))
	put(uint64(imageBase), uint32(0x1000), uint32(sectionSize))                      // alignment in memory and in the file
	put(uint16(6), uint16(0), uint16(0), uint16(0), uint16(6), uint16(0), uint32(0)) // OS and subsystem 6.0
	put(uint32(imageSize), uint32(headerSize), uint32(0), uint16(3), uint16(0x0100)) // console, NX
	put(uint64(1<<20), uint64(0x1000), uint64(1<<20), uint64(0x1000), uint32(0), uint32(16))
	directories := [16][2]uint32{
		1:  {imports, 40},                            // imports
		12: {addresses, 8 * uint32(len(imported)+1)}, // import addresses
	}
	put(directories)
	section := func(name string, address uint32, size int, at, flags uint32) {
		var n [8]byte
		copy(n[:], name)
		put(n, uint32(size), address, uint32(sectionSize), at, uint32(0), uint32(0), uint32(0), flags)
	}
	section(".text", textAddress, code, headerSize, 0x60000020)              // code, execute, read
	section(".rdata", dataAddress, data, headerSize+sectionSize, 0xC0000040) // data, read, write: import addresses
	return b.Bytes()
}
