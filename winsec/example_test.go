package winsec_test

import (
	"context"
	"fmt"

	"github.com/mullion/mullion/winsec"
)

// A descriptor from text, made readable for virtual machines, and checked.
func Example() {
	d, err := winsec.ParseSDDL("O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)")
	if err != nil {
		fmt.Println(err)
		return
	}
	d.Grant(winsec.VirtualMachines, winsec.GenericRead, winsec.ObjectInherit|winsec.ContainerInherit)
	raw, err := d.Bytes()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, ace := range d.DACL.ACEs {
		fmt.Printf("%s %s\n", ace.SDDL(), ace.SID.Name())
	}
	fmt.Println(len(raw), "bytes")
	for _, sd := range [][]byte{raw, winsec.NullDACL()} {
		for f, err := range winsec.Check(context.Background(), sd) {
			fmt.Println(f, err)
		}
	}
	// Output:
	// (A;OICI;FA;;;SY) NT AUTHORITY\SYSTEM
	// (A;OICI;0x1200a9;;;BU) BUILTIN\Users
	// (A;OICI;GR;;;S-1-5-83-0) NT VIRTUAL MACHINE\Virtual Machines
	// 124 bytes
	// warning sd-no-owner at 0x4: there is no owner <nil>
	// warning sd-no-group at 0x8: there is no group <nil>
	// warning sd-null-dacl at 0x10: the DACL is NULL, which grants everything to everyone <nil>
}
