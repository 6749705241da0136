package winsec_test

import (
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
	fmt.Println(len(raw), "bytes,", len(winsec.Check(raw)), "problems")
	for _, p := range winsec.Check(winsec.NullDACL()) {
		fmt.Println(p)
	}
	// Output:
	// (A;OICI;FA;;;SY) NT AUTHORITY\SYSTEM
	// (A;OICI;0x1200a9;;;BU) BUILTIN\Users
	// (A;OICI;GR;;;S-1-5-83-0) NT VIRTUAL MACHINE\Virtual Machines
	// 124 bytes, 0 problems
	// warning sd-no-owner at 0x4: There is no owner.
	// warning sd-no-group at 0x8: There is no group.
	// warning sd-null-dacl at 0x10: The DACL is NULL, which grants everything to everyone.
}
