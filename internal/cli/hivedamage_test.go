package cli

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/mullion/mullion/regf"
	"github.com/rogpeppe/go-internal/testscript"
)

// bulk makes a hive long: some hundred keys with values.
func bulk(ts *testscript.TestScript, _ bool, args []string) {
	h, err := regf.Open(ts.MkAbs(args[0]), nil)
	ts.Check(err)
	defer h.Close()
	for i := range 300 {
		k, err := h.CreatePath(fmt.Sprintf(`Bulk\Key%03d`, i))
		ts.Check(err)
		ts.Check(k.SetValue("v", regf.RegBinary, make([]byte, 100)))
	}
	ts.Check(h.WriteImageFile(ts.MkAbs(args[0]), &regf.WriteOptions{Overwrite: true}))
}

// hivedamage breaks a hive in one of several ways:
//
//	order FILE KEY        the list of the key's subkeys is in the reverse order
//	list FILE KEY         it is wiped
//	unlist FILE KEY       the root does not list the key any more
//	data FILE KEY VALUE   the data of the value are wiped
//	cut FILE              the second half of the file is not there
func hivedamage(ts *testscript.TestScript, _ bool, args []string) { damageHive(ts, args) }

// stage is the part of a script that makes files. A test has one too.
type stage interface {
	Check(error)
	Fatalf(format string, a ...any)
	MkAbs(name string) string
}

func damageHive(ts stage, args []string) {
	name := ts.MkAbs(args[1])
	b, err := os.ReadFile(name)
	ts.Check(err)
	le := binary.LittleEndian
	cell := func(off uint32) []byte { return b[4096+off+4:] }
	h, err := regf.OpenBytes(b, nil)
	ts.Check(err)
	var k regf.Key
	if len(args) > 2 {
		k, err = h.Key(args[2])
		ts.Check(err)
	}
	entries := func(k regf.Key) (list, e []byte) {
		list = cell(le.Uint32(cell(k.Offset())[0x1C:]))
		return list, list[4:][:8*int(le.Uint16(list[2:]))]
	}
	switch args[0] {
	case "order":
		_, e := entries(k)
		for i, j := 0, len(e)-8; i < j; i, j = i+8, j-8 {
			x := string(e[i : i+8])
			copy(e[i:i+8], e[j:j+8])
			copy(e[j:j+8], x)
		}
	case "list":
		list, e := entries(k)
		clear(list[:4+len(e)])
	case "unlist":
		list, e := entries(h.Root())
		for i := 0; i < len(e); i += 8 {
			if le.Uint32(e[i:]) == k.Offset() {
				copy(e[i:], e[i+8:])
				le.PutUint16(list[2:], uint16(len(e)/8-1))
				le.PutUint32(cell(h.Root().Offset())[0x14:], uint32(len(e)/8-1))
				break
			}
		}
	case "data":
		v, err := k.Value(args[3])
		ts.Check(err)
		data, err := v.Data()
		ts.Check(err)
		for i := range b { // Data is in place
			if &b[i] == &data[0] {
				clear(b[i-4 : i+len(data)])
				break
			}
		}
	case "cut":
		b = b[:len(b)/2]
	default:
		ts.Fatalf("hivedamage %s", args[0])
	}
	ts.Check(os.WriteFile(name, b, 0o644))
}
