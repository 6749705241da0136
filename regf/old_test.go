package regf

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// oldHive is a hive of version 1.1, laid out by hand: cells have a second header
// word and are aligned to 16 bytes, names are UTF-16, lists are li, and the fields
// that later became flags hold a title index.
func oldHive() []byte {
	b := make([]byte, baseSize+pageSize)
	copy(b, "regf")
	put32(b[hdrPrimary:], 7)
	put32(b[hdrSecondary:], 7)
	put32(b[hdrMajor:], 1)
	put32(b[hdrMinor:], 1)
	put32(b[hdrFormat:], 1)
	put32(b[hdrRoot:], 0x20)
	put32(b[hdrBins:], pageSize)
	put32(b[hdrCluster:], 1)
	put32(b[hdrChecksum:], HeaderChecksum(b))
	bins := b[baseSize:]
	copy(bins, "hbin")
	put32(bins[8:], pageSize)
	next := uint32(0x20)
	cell := func(n uint32) (uint32, []byte) {
		off, size := next, (n+8+15)&^15
		put32(bins[off:], -size)
		put32(bins[off+4:], 0xFFFFFFFF) // "Last"
		next += size
		put32(bins[next:], pageSize-next)
		return off, bins[off+8 : off+size]
	}
	key := func(name string, parent uint32) (uint32, []byte) {
		raw := winfs.AppendUTF16LE(nil, name)
		off, k := cell(uint32(nkSize + len(raw)))
		put16(k, sigNK)
		put64(k[nkTime:], 0x01B0000000000000)
		put32(k[nkAccess:], 0x1234) // title index
		put32(k[nkParent:], parent)
		put32(k[nkList:], nilCell)
		put32(k[nkVolList:], nilCell)
		put32(k[nkValueList:], nilCell)
		put32(k[nkClass:], nilCell)
		put16(k[nkNameLen:], uint16(len(raw)))
		copy(k[nkNameAt:], raw)
		return off, k
	}
	root, rk := key("Root", nilCell)
	skOff, sk := cell(uint32(skSize + len(defaultSecurity())))
	put16(sk, sigSK)
	put32(sk[skFlink:], skOff)
	put32(sk[skBlink:], skOff)
	put32(sk[skRefs:], 2)
	put32(sk[skLen:], uint32(len(defaultSecurity())))
	copy(sk[skBytes:], defaultSecurity())
	sub, kk := key("Software", root)
	put32(rk[nkSecurity:], skOff)
	put32(kk[nkSecurity:], skOff)
	li, l := cell(8)
	put16(l, sigLI)
	put16(l[2:], 1)
	put32(l[4:], sub)
	put32(rk[nkSubkeys:], 1)
	put32(rk[nkList:], li)
	put32(rk[nkMaxName:], 16)
	name := winfs.AppendUTF16LE(nil, "Path")
	vOff, v := cell(uint32(vkSize + len(name)))
	put16(v, sigVK)
	put16(v[vkNameLen:], uint16(len(name)))
	data := StringData(`C:\Windows`)
	dOff, d := cell(uint32(len(data)))
	copy(d, data)
	put32(v[vkDataSize:], uint32(len(data)))
	put32(v[vkData:], dOff)
	put32(v[vkType:], uint32(RegSZ))
	put32(v[vkFlags:], 0x55) // title index
	copy(v[vkNameAt:], name)
	vl, list := cell(4)
	put32(list, vOff)
	put32(kk[nkValues:], 1)
	put32(kk[nkValueList:], vl)
	put32(kk[nkMaxValName:], uint32(len(name)))
	put32(kk[nkMaxValData:], uint32(len(data)))
	return b
}

func TestOldVersion(t *testing.T) {
	h, err := OpenBytes(oldHive(), nil)
	if err != nil {
		t.Fatal(err)
	}
	requireClean(t, h)
	read := func(h *Hive) {
		t.Helper()
		k, err := h.Key("SOFTWARE")
		if err != nil {
			t.Fatal(err)
		}
		v, err := k.Value("path")
		if err != nil {
			t.Fatal(err)
		}
		if s, err := v.AsString(); err != nil || s != `C:\Windows` || k.Name() != "Software" {
			t.Error(s, err, k.Name())
		}
	}
	read(h)
	if err := h.Root().SetValue("v", RegSZ, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("edit: %v", err)
	}
	b, err := h.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	requireClean(t, s)
	if s.Minor() != 3 {
		t.Errorf("saved as 1.%d", s.Minor())
	}
	read(s)
}

// According to its sources, version 1.2, of Windows NT 3.5, has the cells of 1.1 or those
// of 1.3; and a base block that fails its checksum can claim to be of any version. The root
// key reveals the form of cells, and with them of names and flags.
func TestOldVersionByItsCells(t *testing.T) {
	h := New(nil)
	k, err := h.CreatePath("Größe\\日本")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.SetValue("Änderung", RegSZ, StringData("x")), k.SetUserFlags(1)); err != nil {
		t.Fatal(err)
	}
	modern, err := h.Compact(&CompactOptions{Minor: 3})
	if err != nil {
		t.Fatal(err)
	}
	claim := func(b []byte, minor uint32, sum bool) []byte {
		b = bytes.Clone(b)
		put32(b[hdrMinor:], minor)
		if sum {
			put32(b[hdrChecksum:], HeaderChecksum(b))
		}
		return b
	}
	for name, b := range map[string][]byte{
		"1.2": claim(modern, 2, true), "1.2, broken": claim(modern, 2, false), "1.1, broken": claim(modern, 1, false),
	} {
		h, err := OpenBytes(b, &Options{AllowDirty: true, EditDirty: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		k, err := h.Key("GRÖßE\\日本")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v, err := k.Value("änderung"); err != nil || v.Name() != "Änderung" || k.UserFlags() != 1 {
			t.Errorf("%s: %v %q", name, err, v.Name())
		}
		saved, err := h.Compact(nil)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := OpenBytes(saved, nil); err != nil || s.Minor() != 3 {
			t.Errorf("%s: saved: %v", name, err)
		} else if k, err := s.Key("Größe\\日本"); err != nil || k.UserFlags() != 1 {
			t.Errorf("%s: saved: %v", name, err)
		}
	}
	// Names of the old layout are UTF-16 for any flags.
	b := claim(oldHive(), 2, false)
	root := b[baseSize+0x20+8:]
	put16(root[nkFlags:], 0x20)
	put32(b[hdrChecksum:], HeaderChecksum(b))
	o, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	requireClean(t, o)
	if k, err := o.Key("software"); err != nil || k.Name() != "Software" || o.Root().Name() != "Root" {
		t.Error(err, o.Root().Name())
	}
}

// Readers work side by side; the race detector watches.
func TestConcurrentReaders(t *testing.T) {
	h, err := OpenBytes(small(t, 5), &Options{Mode: Report})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if _, _, err := count(h); err != nil {
					t.Error(err)
				}
				if _, err := h.Key(`DEEP`); err != nil {
					t.Error(err)
				}
				h.Root().Subkey("missing")
			}
		})
	}
	wg.Wait()
}
