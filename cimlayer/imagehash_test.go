package cimlayer_test

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/winfs"
)

// executable is the smallest file that is expanded: headers and one section.
func executable() string {
	b := []byte("MZ" + strings.Repeat("\x00", 0x3A) + "\x40\x00\x00\x00PE\x00\x00\x64\x86\x01\x00")
	b = append(b, make([]byte, 4096-len(b))...)
	le := binary.LittleEndian
	le.PutUint16(b[0x54:], 0xF0) // size of the optional header
	opt := b[0x58:]
	le.PutUint16(opt, 0x20B)
	le.PutUint32(opt[32:], 0x1000)
	le.PutUint32(opt[36:], 0x200)
	le.PutUint32(opt[56:], 0x2000)
	le.PutUint32(opt[60:], 0x400)
	section := opt[0xF0:]
	le.PutUint32(section[8:], 0xC00)
	le.PutUint32(section[12:], 0x1000)
	le.PutUint32(section[16:], 0xC00)
	le.PutUint32(section[20:], 0x400)
	return string(b)
}

// The hashes of an executable are in the image and not in the layer that is read from
// it, and those of a layer are not in the image.
func TestImageHashesAreNoPartOfALayer(t *testing.T) {
	folder := t.TempDir()
	exe := file("a.exe", executable())
	keep := winfs.EA{Name: "KEEP", Value: []byte("value")}
	exe.EAs = []winfs.EA{{Name: "$KERNEL.PURGE.IMAGEHASH.SHA256", Value: make([]byte, 32)}, keep}
	if err := build(t, folder, "a.cim", "", cimfs.Options{}, exe); err != nil {
		t.Fatal(err)
	}
	im, err := cimfs.Open(folder, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	f, err := im.Lookup("a.exe")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := f.EAs()
	if err != nil {
		t.Fatal(err)
	}
	list, err := winfs.DecodeEAs(stored)
	if err != nil || f.StreamType() != cimfs.ImageStream || len(list) != 3 || list[0].Name != "KEEP" || len(list[1].Value) != 20 ||
		len(list[2].Value) != 32 || string(list[2].Value) == string(make([]byte, 32)) {
		t.Errorf("the image has %v, %v", list, err)
	}
	r := cimlayer.NewImageReader(im)
	defer r.Close()
	found := false
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Path == "a.exe" {
			found = true
			if len(e.EAs) != 1 || e.EAs[0].Name != "KEEP" {
				t.Errorf("the layer has %v", e.EAs)
			}
		}
	}
	if !found {
		t.Error("no executable")
	}
}
