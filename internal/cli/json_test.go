package cli

import (
	"encoding/json"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

func mustReparse(t *testing.T, encode func(string) ([]byte, error), target string) []byte {
	t.Helper()
	b, err := encode(target)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestJSONEntry(t *testing.T) {
	sddl := "O:SYG:SYD:(A;;FA;;;SY)"
	d, err := winsec.ParseSDDL(sddl)
	if err != nil {
		t.Fatal(err)
	}
	sd, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		entry layer.Entry
		want  string
	}{
		{layer.Entry{Path: `Files\a`, Kind: layer.File, Attributes: winfs.AttrArchive | winfs.AttrHidden, Size: 3, Security: sd,
			Times: winfs.Times{Creation: 1, LastWrite: 10_000_000}, EAs: []winfs.EA{{Name: "E", Value: []byte{1, 0xAB}, Flags: 0x80}}},
			`{"path":"Files\\a","kind":"file","attributes":{"value":34,"names":["HIDDEN","ARCHIVE"]},` +
				`"created":"1601-01-01T00:00:00.0000001Z","written":"1601-01-01T00:00:01.0000000Z","owner":"NT AUTHORITY\\SYSTEM",` +
				`"security":"` + sddl + `","size":3,"eas":[{"name":"E","value":"01ab","flags":128}]}`},
		{layer.Entry{Path: `d`, Kind: layer.Dir, Attributes: winfs.AttrDirectory}, `{"path":"d","kind":"directory","attributes":{"value":16,"names":["DIRECTORY"]}}`},
		{layer.Entry{Path: `f`, Kind: layer.File}, `{"path":"f","kind":"file","attributes":{"value":0,"names":[]},"size":0}`},
		{layer.Entry{Path: `f`, Kind: layer.File, Size: -1}, `{"path":"f","kind":"file","attributes":{"value":0,"names":[]}}`},
		{layer.Entry{Path: `h`, Kind: layer.Link, Target: "f\xed\xa0\x80"}, `{"path":"h","kind":"link","target":"f\ud800","attributes":{"value":0,"names":[]}}`},
		{layer.Entry{Path: `w`, Kind: layer.Whiteout}, `{"path":"w","kind":"whiteout","attributes":{"value":0,"names":[]}}`},
		{layer.Entry{Path: `o`, Kind: layer.Opaque}, `{"path":"o","kind":"opaque","attributes":{"value":0,"names":[]}}`},
		{layer.Entry{Path: `s`, Kind: layer.Dir, Attributes: winfs.AttrDirectory | winfs.AttrReparsePoint, Reparse: mustReparse(t, winfs.EncodeSymlink, "x")},
			`{"path":"s","kind":"symlink","attributes":{"value":1040,"names":["DIRECTORY","REPARSE_POINT"]},` +
				`"reparse":{"tag":2684354572,"tagName":"SYMLINK","target":"x","data":"0c0000a0140000000000020004000200010000007800000078000000"}}`},
		{layer.Entry{Path: `x`, Kind: layer.File, Security: []byte{1}, Reparse: []byte{1, 2}}, `{"path":"x","kind":"file","attributes":{"value":0,"names":[]},"size":0,"reparse":{"tag":0,"tagName":"","data":"0102"}}`},
	} {
		b, err := json.Marshal(entryOf(&c.entry))
		if err != nil || string(b) != c.want {
			t.Errorf("%s\n%s\nwant\n%s\n%v", c.entry.Path, b, c.want, err)
		}
	}
	junction := layer.Entry{Path: "j", Kind: layer.Dir, Reparse: mustReparse(t, winfs.EncodeMountPoint, `C:\x`)}
	if e := entryOf(&junction); e.Kind != "junction" || e.Reparse.Target != `C:\x` {
		t.Errorf("%+v, %+v", e, e.Reparse)
	}
}

func TestJSONValue(t *testing.T) {
	for _, c := range []struct {
		value jsonValue
		want  string
	}{
		{jsonValue{Name: "a", Type: regf.RegSZ, Data: []byte("h\x00i\x00\x00\x00")}, `{"name":"a","type":{"value":1,"name":"REG_SZ"},"data":"680069000000","decoded":"hi"}`},
		{jsonValue{Type: regf.RegSZ, Data: []byte("\x00\xd8")}, `{"name":"","type":{"value":1,"name":"REG_SZ"},"data":"00d8"}`},
		{jsonValue{Type: regf.RegMultiSZ, Data: []byte("a\x00\x00\x00\x00\xd8\x00\x00\x00\x00")}, `{"name":"","type":{"value":7,"name":"REG_MULTI_SZ"},"data":"6100000000d800000000"}`},
		{jsonValue{Type: regf.RegSZ, Data: []byte("abc")}, `{"name":"","type":{"value":1,"name":"REG_SZ"},"data":"616263"}`},
		{jsonValue{Type: regf.RegMultiSZ, Data: []byte("a\x00\x00\x00b\x00\x00\x00\x00\x00")}, `{"name":"","type":{"value":7,"name":"REG_MULTI_SZ"},"data":"61000000620000000000","decoded":["a","b"]}`},
		{jsonValue{Type: regf.RegMultiSZ, Data: []byte{0, 0}}, `{"name":"","type":{"value":7,"name":"REG_MULTI_SZ"},"data":"0000","decoded":[]}`},
		{jsonValue{Type: regf.RegDword, Data: []byte{1, 2, 0, 0x80}}, `{"name":"","type":{"value":4,"name":"REG_DWORD"},"data":"01020080","decoded":2147484161}`},
		{jsonValue{Type: regf.RegDword, Data: []byte{1}}, `{"name":"","type":{"value":4,"name":"REG_DWORD"},"data":"01"}`},
		{jsonValue{Type: regf.RegDwordBigEndian, Data: []byte{0, 0, 1, 2}}, `{"name":"","type":{"value":5,"name":"REG_DWORD_BIG_ENDIAN"},"data":"00000102","decoded":258}`},
		{jsonValue{Type: regf.RegQword, Data: []byte{255, 255, 255, 255, 255, 255, 255, 255}}, `{"name":"","type":{"value":11,"name":"REG_QWORD"},"data":"ffffffffffffffff","decoded":18446744073709551615}`},
		{jsonValue{Type: 0x12345, Tombstone: true}, `{"name":"","type":{"value":74565,"name":"0x00012345"},"data":"","tombstone":true}`},
	} {
		b, err := json.Marshal(c.value)
		if err != nil || string(b) != c.want {
			t.Errorf("%s\nwant\n%s\n%v", b, c.want, err)
		}
	}
}
