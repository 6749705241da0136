package inventory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// An executable of 256 KiB, by what is done with it; the file without signature has two
// digests for catalogs, the signed one has its own and the signature verified.
func BenchmarkExecutable(b *testing.B) {
	rsaKey, _ := testKeys()
	plain := append(makePE(peOptions{version: sampleVersion()}), make([]byte, 256<<10)...)
	signed := newSigner(b, rsaKey, "Contoso").attach(b, plain)
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	run("sha256", func() { sha256.Sum256(plain) })
	run("version", func() {
		p, err := openPE(bytes.NewReader(plain), int64(len(plain)))
		if err != nil {
			b.Fatal(err)
		}
		if v, err := p.version(); err != nil || v.file == "" {
			b.Fatal(err)
		}
	})
	for _, c := range []struct {
		name string
		file []byte
	}{{"unsigned", plain}, {"signed", signed}} {
		x := newExecutables(AllExecutables)
		run(c.name, func() {
			f := File{Path: `Files\a.exe`, Size: int64(len(c.file)), Content: bytes.NewReader(c.file)}
			if _, faults := x.component(b.Context(), &f); faults != nil {
				b.Fatal(faults)
			}
		})
	}
}

// A catalog with 1000 members, read and its signature verified.
func BenchmarkCatalog(b *testing.B) {
	rsaKey, _ := testKeys()
	var members [][]byte
	for i := range 1000 {
		sum := sha256.Sum256(binary.LittleEndian.AppendUint32(nil, uint32(i)))
		members = append(members, member(sum[:], oidSHA256, sum[:]))
	}
	cat := newSigner(b, rsaKey, "Contoso").catalog(b, members...)
	b.SetBytes(int64(len(cat)))
	b.ReportAllocs()
	for b.Loop() {
		var c catalogSet
		if err := c.add("a.cat", cat); err != nil || len(c.members) != 1000 {
			b.Fatal(err)
		}
	}
}
