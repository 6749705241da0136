package regf

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
)

// faultyHive is a hive whose bytes a test changes.
type faultyHive struct {
	t *testing.T
	h *Hive // of the sound bytes, to find places
	b []byte
}

// deepest is the path of a key at the last level that is created.
var deepest = "v" + strings.Repeat(`\v`, maxCreateDepth-1)

// soundHive makes the hive without faults that TestEveryRule breaks: a neighbour of all
// broken ones.
func soundHive(t *testing.T, minor int) []byte {
	t.Helper()
	h := New(nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if minor == 6 {
		must(h.SetLayered(true))
	}
	for _, path := range []string{`one`, `two\sub1`, `two\sub2\leaf\and\three\more`, `early\a`, "w\u0434", deepest} {
		_, err := h.CreatePath(path)
		must(err)
	}
	for _, path := range []string{"one", "two"} {
		k, err := h.Key(path)
		must(err)
		must(k.SetValue("in", RegDword, []byte{1, 2, 3, 4}))
		must(k.SetValue("v", RegBinary, []byte("some data for v, 32 bytes of it.")))
		must(k.SetValue("w", RegBinary, []byte("some data for w, 32 bytes of it.")))
	}
	k, err := h.Key("one")
	must(err)
	must(k.SetClass(StringData("class")))
	must(k.SetSecurity([]byte(testDescriptors[2])))
	must(k.SetValue("big", RegBinary, bytes.Repeat([]byte{0xAB}, 17000)))
	if minor == 6 {
		must(k.SetValueTombstone("gone"))
	}
	link, err := h.CreatePath("link")
	must(err)
	must(link.SetFlags(link.Flags() | KeySymlink))
	must(link.SetValue("SymbolicLinkValue", RegLink, StringData(`\REGISTRY\MACHINE\one`)))
	b, err := h.Compact(&CompactOptions{Minor: minor})
	must(err)
	return b
}

// key returns the record of a key, after the size of its cell, and its offset.
func (f *faultyHive) key(path string) (record []byte, off uint32) {
	f.t.Helper()
	k := f.h.Root()
	if path != "" {
		var err error
		if k, err = f.h.Key(path); err != nil {
			f.t.Fatal(err)
		}
	}
	return f.at(uint32(k.off)), uint32(k.off)
}

// value returns the record of a value.
func (f *faultyHive) value(path, name string) (record []byte, off uint32) {
	f.t.Helper()
	k, err := f.h.Key(path)
	if err != nil {
		f.t.Fatal(err)
	}
	v, err := k.Value(name)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.at(v.off), v.off
}

// at returns the bytes of the cell at off.
func (f *faultyHive) at(off uint32) []byte { return f.b[baseSize+off+4:] }

// list returns the list of the subkeys of a key.
func (f *faultyHive) list(path string) []byte {
	k, _ := f.key(path)
	return f.at(u32(k[nkList:]))
}

// size returns the field with the size of a cell.
func (f *faultyHive) size(off uint32) []byte { return f.b[baseSize+off:] }

// big returns the record of the large data, and segment the cell of one of its segments.
func (f *faultyHive) big() []byte {
	v, _ := f.value("one", "big")
	return f.at(u32(v[vkData:]))
}

func (f *faultyHive) segment(i int) uint32 {
	return u32(f.at(u32(f.big()[4:]))[4*i:])
}

// told returns the rules of all findings that checking, reading and repairing a hive have.
func told(t *testing.T, b []byte) map[string]bool {
	t.Helper()
	rules := map[string]bool{}
	note := func(found []finding.Finding) {
		for _, f := range found {
			rules[f.Rule] = true
		}
	}
	open := func() *Hive {
		// Salvage alone opens a hive whose base block is not one, or leads to no root.
		var h *Hive
		for _, mode := range []Mode{Report, Salvage} {
			var err error
			if h, err = OpenBytes(bytes.Clone(b), &Options{Mode: mode, AllowDirty: true, EditDirty: true}); err == nil {
				break
			} else if mode == Salvage {
				t.Fatal(err)
			}
		}
		return h
	}
	h := open()
	note(checked(h))
	for k, err := range h.Root().Walk() {
		if err != nil {
			break
		}
		k.ClassBytes()
		k.Security()
		for v, err := range k.Values() {
			if err == nil {
				v.Data()
			}
		}
	}
	note(h.Findings())
	if omitted, err := finding.Collect(open().Omitted()); err == nil {
		note(omitted)
	}
	if r, err := open().Repair(t.Context(), &RepairOptions{AllowLoss: true}); err == nil {
		note(r.Mended)
		note(r.Lost)
	}
	return rules
}

// TestEveryRule: each rule is broken by a change of a sound hive.
func TestEveryRule(t *testing.T) {
	sound := map[int][]byte{}
	for _, minor := range []int{3, 5, 6} {
		sound[minor] = soundHive(t, minor)
		if rules := told(t, sound[minor]); len(rules) > 0 {
			t.Fatalf("the sound hive of version 1.%d has %v", minor, rules)
		}
	}
	head := func(field int, v uint32) func(f *faultyHive) {
		return func(f *faultyHive) { put32(f.b[field:], v) }
	}
	nk := func(path string, field int, v uint32) func(f *faultyHive) {
		return func(f *faultyHive) {
			k, _ := f.key(path)
			put32(k[field:], v)
		}
	}
	vk := func(field int, v uint32) func(f *faultyHive) {
		return func(f *faultyHive) {
			x, _ := f.value("one", "v")
			put32(x[field:], v)
		}
	}
	data := func(f *faultyHive, name string) uint32 {
		v, _ := f.value("one", name)
		return u32(v[vkData:])
	}
	security := func(f *faultyHive) []byte {
		k, _ := f.key("one")
		return f.at(u32(k[nkSecurity:]))
	}
	broken := map[string]bool{}
	for _, c := range []struct {
		rule  *finding.Rule
		minor int // 0 for 5
		edit  func(f *faultyHive)
	}{
		// The file and its base block.
		{ruleBaseBlock, 0, func(f *faultyHive) { clear(f.b[:baseSize]) }},
		{RuleTruncated, 0, func(f *faultyHive) { f.b = f.b[:len(f.b)-pageSize] }},
		{ruleTail, 0, func(f *faultyHive) { f.b = append(f.b, 1, 2, 3) }},
		{ruleBinsSize, 0, head(hdrBins, 12345)},
		{ruleChecksum, 0, func(f *faultyHive) { f.b[hdrChecksum]++ }},
		{ruleDirty, 0, func(f *faultyHive) { f.b[hdrPrimary]++ }},
		{ruleFormat, 0, head(hdrFormat, 2)},
		{ruleClustering, 0, head(hdrCluster, 2)},
		{ruleHeaderFlags, 6, head(hdrFlags, HeaderLayered|0x80)},
		{ruleRootKey, 0, func(f *faultyHive) { put32(f.b[hdrRoot:], u32(f.b[hdrRoot:])+8) }},
		// Bins and cells.
		{ruleBinHeader, 0, func(f *faultyHive) { f.b[baseSize]++ }},
		{ruleCellAlign, 0, vk(vkData, 0x1234)},
		{ruleCellNone, 0, vk(vkData, nilCell)},
		{ruleCellRange, 0, vk(vkData, 0x7FFFFFF8)},
		{ruleCellFree, 0, func(f *faultyHive) {
			s := f.size(data(f, "v"))
			put32(s, -u32(s))
		}},
		{ruleCellLeak, 0, func(f *faultyHive) {
			k, _ := f.key("one")
			put32(k[nkClass:], nilCell)
			put16(k[nkClassLen:], 0)
		}},
		{ruleCellOverlap, 0, func(f *faultyHive) {
			v := data(f, "v")
			put32(f.size(v+8), 0xFFFFFFF0) // a cell of 16 bytes in the data
			w, _ := f.value("one", "w")
			put32(w[vkData:], v+8)
			put32(w[vkDataSize:], 12)
		}},
		{ruleCellShared, 0, func(f *faultyHive) {
			k, _ := f.key("one")
			put32(k[nkClass:], data(f, "v"))
		}},
		{ruleCellSize, 0, func(f *faultyHive) { put32(f.size(data(f, "v")), 0xFFFFFFDC) }},
		{ruleFreeUnmerged, 0, func(f *faultyHive) {
			v := f.size(data(f, "v"))
			n := -u32(v)
			put32(v, 16)
			put32(v[16:], n-16)
		}},
		// Keys.
		{ruleNk, 0, func(f *faultyHive) { k, _ := f.key("early"); k[0]++ }},
		{ruleNkName, 0, func(f *faultyHive) { k, _ := f.key("one"); k[nkNameAt+1] = '\\' }},
		{ruleNameOdd, 0, func(f *faultyHive) { k, _ := f.key("one"); k[nkFlags] &^= flagNameLatin }},
		{ruleNkParent, 0, nk("one", nkParent, 0x28)},
		{ruleNkDuplicate, 0, func(f *faultyHive) { k, _ := f.key(`two\sub2`); k[nkNameAt+3] = '1' }},
		{ruleNkCycle, 0, func(f *faultyHive) { _, root := f.key(""); put32(f.list("early")[4:], root) }},
		{ruleNkTwice, 0, func(f *faultyHive) { _, sub := f.key(`two\sub1`); put32(f.list("early")[4:], sub) }},
		{ruleNkLost, 0, nk("two", nkList, nilCell)},
		{ruleClassSize, 0, func(f *faultyHive) { k, _ := f.key("one"); put16(k[nkClassLen:], 2000) }},
		{ruleDepth, 0, func(f *faultyHive) { // the deepest key gets the subkeys of another
			deep, off := f.key(deepest)
			two, _ := f.key("two")
			for _, sub := range []string{`two\sub1`, `two\sub2`} {
				k, _ := f.key(sub)
				put32(k[nkParent:], off)
			}
			put32(deep[nkSubkeys:], u32(two[nkSubkeys:]))
			put32(deep[nkList:], u32(two[nkList:]))
			put32(two[nkSubkeys:], 0)
			put32(two[nkList:], nilCell)
		}},
		{ruleSubkeyCount, 0, nk("two", nkSubkeys, 1)},
		{ruleLongestSubkey, 0, nk("", nkMaxName, 0)},
		{ruleLongestClass, 0, nk("", nkMaxClass, 0)},
		{ruleLongestValueName, 0, nk("one", nkMaxValName, 0)},
		{ruleLongestValueData, 0, nk("one", nkMaxValData, 0)},
		// Lists of subkeys.
		{ruleList, 0, func(f *faultyHive) { f.list("two")[0] = 'x' }},
		{ruleListCount, 0, func(f *faultyHive) { put16(f.list("two")[2:], 5000) }},
		{ruleListEmpty, 0, func(f *faultyHive) { put16(f.list("two")[2:], 0) }},
		{ruleListHash, 0, func(f *faultyHive) { f.list("two")[8]++ }},
		{ruleListHint, 0, func(f *faultyHive) { f.list("two")[1] = 'f' }}, // with hashes for hints
		{ruleListOrder, 0, func(f *faultyHive) {
			l := f.list("two")
			first := bytes.Clone(l[4:12])
			copy(l[4:], l[12:20])
			copy(l[12:], first)
		}},
		{ruleListNone, 0, nk("two", nkList, nilCell)},
		{ruleListShared, 0, func(f *faultyHive) {
			k, _ := f.key("early")
			from, _ := f.key("two")
			put32(k[nkList:], u32(from[nkList:]))
		}},
		{ruleListLong, 0, func(f *faultyHive) {
			s := f.segment(0)
			l := f.at(s)
			_, sub := f.key(`early\a`)
			copy(l, "lh")
			put16(l[2:], 2000)
			for i := range 2000 {
				put32(l[4+8*i:], sub)
			}
			k, _ := f.key("early")
			put32(k[nkList:], s)
		}},
		{ruleListNested, 0, func(f *faultyHive) {
			k, _ := f.key("early")
			outer, inner := data(f, "v"), data(f, "w")
			copy(f.at(outer), "ri\x01\x00")
			put32(f.at(outer)[4:], inner)
			copy(f.at(inner), "ri\x01\x00")
			put32(f.at(inner)[4:], u32(k[nkList:]))
			put32(k[nkList:], outer)
		}},
		// Values.
		{ruleVk, 0, func(f *faultyHive) { v, _ := f.value("one", "v"); v[0]++ }},
		{ruleVkName, 0, func(f *faultyHive) { v, _ := f.value("one", "v"); put16(v[vkNameLen:], 2000) }},
		{ruleVkDuplicate, 0, func(f *faultyHive) { v, _ := f.value("one", "v"); v[vkNameAt] = 'w' }},
		{ruleVkTwice, 0, func(f *faultyHive) {
			k, _ := f.key("one")
			_, other := f.value("two", "v")
			put32(f.at(u32(k[nkValueList:])), other)
		}},
		{ruleValueCount, 0, nk("one", nkValues, 1000)},
		{ruleValueListShared, 0, func(f *faultyHive) {
			one, _ := f.key("one")
			two, _ := f.key("two")
			put32(two[nkValueList:], u32(one[nkValueList:]))
		}},
		{ruleDataInline, 0, vk(vkDataSize, inlineBit|5)},
		{ruleDataSize, 0, vk(vkDataSize, 1000)},
		{ruleDataShared, 0, func(f *faultyHive) { w, _ := f.value("one", "w"); put32(w[vkData:], data(f, "v")) }},
		{ruleDb, 0, func(f *faultyHive) { f.big()[0]++ }},
		{ruleDbCount, 0, func(f *faultyHive) { put16(f.big()[2:], 1) }},
		{ruleDbFlat, 3, func(f *faultyHive) { put32(f.b[hdrMinor:], 5) }},
		{ruleDbSegment, 0, func(f *faultyHive) { put32(f.size(f.segment(1)), 0xFFFFFFF0) }},
		{ruleDbShort, 0, func(f *faultyHive) { // the last segment holds its part of the data and no more
			s := f.size(f.segment(1))
			n, want := -u32(s), round8(17000-segmentSize+4)
			put32(s, -want)
			put32(s[want:], n-want)
		}},
		{ruleSymlinkValue, 0, func(f *faultyHive) { v, _ := f.value("link", "SymbolicLinkValue"); v[vkNameAt] = 'T' }},
		// Descriptors.
		{ruleSk, 0, func(f *faultyHive) { security(f)[0]++ }},
		{ruleSkSize, 0, func(f *faultyHive) { put32(security(f)[skLen:], 1<<20) }},
		{ruleSkDescriptor, 0, func(f *faultyHive) { security(f)[skBytes] = 9 }},
		{ruleSkRefs, 0, func(f *faultyHive) { security(f)[skRefs]++ }},
		{ruleSkRing, 0, func(f *faultyHive) { put32(security(f)[skBlink:], 0x20) }},
		// Layers.
		{ruleLayerTombstone, 6, func(f *faultyHive) { k, _ := f.key("two"); k[nkLayer] = byte(LayerTombstone) }},
		{ruleLayerTree, 6, func(f *faultyHive) { k, _ := f.key("two"); k[nkLayer] = byte(LayerSupersedeTree) }},
		{ruleLayerValue, 6, func(f *faultyHive) { v, _ := f.value("one", "gone"); put32(v[vkType:], uint32(RegDword)) }},
	} {
		broken[c.rule.ID] = true
		minor := c.minor
		if minor == 0 {
			minor = 5
		}
		b := bytes.Clone(sound[minor])
		h, err := OpenBytes(sound[minor], nil)
		if err != nil {
			t.Fatal(err)
		}
		f := &faultyHive{t, h, b}
		c.edit(f)
		if c.rule != ruleChecksum && c.rule != ruleBaseBlock {
			put32(f.b[hdrChecksum:], HeaderChecksum(f.b))
		}
		if rules := told(t, f.b); !rules[c.rule.ID] {
			t.Errorf("%v is not found, but %v", c.rule, rules)
		}
	}

	// No bytes bring about an error that is not about them; a check that meets one says so.
	h, err := OpenBytes(sound[5], nil)
	if err != nil {
		t.Fatal(err)
	}
	c := newChecker(h)
	c.fault(ErrDeleted, 0x20, h.Root(), "key")
	if f := c.v.Findings(); len(f) == 1 && f[0].Rule == ruleRead.ID {
		broken[ruleRead.ID] = true
	}
	for _, r := range Rules() {
		if !broken[r.ID] {
			t.Errorf("nothing breaks %s", r.ID)
		}
	}
}
