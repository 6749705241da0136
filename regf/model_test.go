package regf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/winfs"
)

// model is a key in memory, the naive twin of a hive in the tests of layers.
type model struct {
	name   string
	layer  byte // as in the node: semantics and InheritClass
	time   winfs.Filetime
	class  string
	sd     byte // names one of a few descriptors
	values []modelValue
	kids   []*model
	patch  func(nk []byte) // changes the written node
}

type modelValue struct {
	name string
	typ  uint32
	data string
	dead bool
}

// String shows a tree, one line for each key.
func (m *model) String() string {
	var b strings.Builder
	m.print(&b, 0, false)
	return b.String()
}

// unordered is String without the order of values, which layers do not define in
// every case.
func (m *model) unordered() string {
	var b strings.Builder
	m.print(&b, 0, true)
	return b.String()
}

func (m *model) print(b *strings.Builder, depth int, sorted bool) {
	fmt.Fprintf(b, "%*s%s layer=%#x time=%d class=%q sd=%d", depth, "", m.name, m.layer, m.time, m.class, m.sd)
	var vals []string
	for _, v := range m.values {
		vals = append(vals, fmt.Sprintf("%q:%x:%x:%v", v.name, v.typ, v.data, v.dead))
	}
	if sorted {
		slices.Sort(vals)
	}
	fmt.Fprintf(b, " [%s]\n", strings.Join(vals, " "))
	for _, k := range m.kids {
		k.print(b, depth+1, sorted)
	}
}

func (m *model) sortKids() {
	slices.SortFunc(m.kids, func(a, b *model) int { return winfs.CompareFold(a.name, b.name) })
	for _, k := range m.kids {
		k.sortKids()
	}
}

// modelSD returns a descriptor without a DACL whose owner differs.
func modelSD(n byte) []byte {
	sd := make([]byte, 20, 44)
	sd[0] = 1
	binary.LittleEndian.PutUint16(sd[2:], 0x8000)
	binary.LittleEndian.PutUint32(sd[4:], 20)
	binary.LittleEndian.PutUint32(sd[8:], 32)
	sid := []byte{1, 1, 0, 0, 0, 0, 0, 5, 18 + n, 0, 0, 0}
	return append(append(sd, sid...), sid...)
}

// hive writes the model as a hive, straight from docs/spec/registry.md, "Bins and
// cells": all cells in one bin in the order in which they are made.
func (m *model) hive(minor int, layered bool) []byte {
	bins := make([]byte, 32)
	cell := func(b []byte) uint32 {
		off := uint32(len(bins))
		size := (len(b) + 4 + 7) &^ 7
		bins = binary.LittleEndian.AppendUint32(bins, uint32(-int32(size)))
		bins = append(bins, b...)
		bins = append(bins, make([]byte, size-4-len(b))...)
		return off
	}
	u32at := func(cell uint32, off int, v uint32) { binary.LittleEndian.PutUint32(bins[int(cell)+4+off:], v) }
	stored := func(name string) ([]byte, bool) {
		units := winfs.AppendUTF16(nil, name)
		latin := make([]byte, 0, len(units))
		for _, u := range units {
			if u > 0xFF {
				return winfs.AppendUTF16LE(nil, name), false
			}
			latin = append(latin, byte(u))
		}
		return latin, true
	}
	sks := map[byte]uint32{}
	refs := map[byte]uint32{}
	var order []byte
	var write func(m *model, parent uint32) uint32
	write = func(m *model, parent uint32) uint32 {
		name, latin := stored(m.name)
		nk := make([]byte, 76+len(name))
		copy(nk, "nk")
		if latin {
			nk[2] = 0x20
		}
		binary.LittleEndian.PutUint64(nk[4:], uint64(m.time))
		nk[13] = m.layer
		binary.LittleEndian.PutUint32(nk[16:], parent)
		binary.LittleEndian.PutUint32(nk[20:], uint32(len(m.kids)))
		for _, off := range []int{28, 32, 40, 48} {
			binary.LittleEndian.PutUint32(nk[off:], 0xFFFFFFFF)
		}
		binary.LittleEndian.PutUint32(nk[36:], uint32(len(m.values)))
		binary.LittleEndian.PutUint16(nk[72:], uint16(len(name)))
		var maxName, maxClass, maxValue, maxData int
		for _, k := range m.kids {
			maxName = max(maxName, 2*winfs.UTF16Len(k.name))
			maxClass = max(maxClass, 2*len(k.class))
		}
		for _, v := range m.values {
			maxValue = max(maxValue, 2*winfs.UTF16Len(v.name))
			maxData = max(maxData, len(v.data))
		}
		binary.LittleEndian.PutUint16(nk[52:], uint16(maxName))
		binary.LittleEndian.PutUint32(nk[56:], uint32(maxClass))
		binary.LittleEndian.PutUint32(nk[60:], uint32(maxValue))
		binary.LittleEndian.PutUint32(nk[64:], uint32(maxData))
		copy(nk[76:], name)
		if m.patch != nil {
			m.patch(nk)
		}
		at := cell(nk)
		sk, ok := sks[m.sd]
		if !ok {
			sd := modelSD(m.sd)
			b := make([]byte, 20)
			copy(b, "sk")
			binary.LittleEndian.PutUint32(b[16:], uint32(len(sd)))
			sk = cell(append(b, sd...))
			sks[m.sd] = sk
			order = append(order, m.sd)
		}
		refs[m.sd]++
		u32at(at, 44, sk)
		if m.class != "" {
			c := winfs.AppendUTF16LE(nil, m.class)
			u32at(at, 48, cell(c))
			binary.LittleEndian.PutUint16(bins[int(at)+4+74:], uint16(len(c)))
		}
		if len(m.values) > 0 {
			list := cell(make([]byte, 4*len(m.values)))
			u32at(at, 40, list)
			for i, v := range m.values {
				name, latin := stored(v.name)
				vk := make([]byte, 20+len(name))
				copy(vk, "vk")
				binary.LittleEndian.PutUint16(vk[2:], uint16(len(name)))
				binary.LittleEndian.PutUint32(vk[12:], v.typ)
				if latin {
					vk[16] = 1
				}
				if v.dead {
					vk[16] |= 2
				}
				switch {
				case v.data == "":
					binary.LittleEndian.PutUint32(vk[8:], 0xFFFFFFFF)
				case len(v.data) <= 4:
					binary.LittleEndian.PutUint32(vk[4:], uint32(len(v.data))|1<<31)
					copy(vk[8:12], v.data)
				default:
					binary.LittleEndian.PutUint32(vk[4:], uint32(len(v.data)))
					binary.LittleEndian.PutUint32(vk[8:], cell([]byte(v.data)))
				}
				copy(vk[20:], name)
				u32at(list, 4*i, cell(vk))
			}
		}
		if len(m.kids) > 0 {
			lh := make([]byte, 4+8*len(m.kids))
			copy(lh, "lh")
			binary.LittleEndian.PutUint16(lh[2:], uint16(len(m.kids)))
			list := cell(lh)
			u32at(at, 28, list)
			for i, k := range m.kids {
				u32at(list, 4+8*i, write(k, at))
				h := uint32(0)
				for _, u := range winfs.AppendUTF16(nil, k.name) {
					h = h*37 + uint32(winfs.Upcase(u))
				}
				u32at(list, 8+8*i, h)
			}
		}
		return at
	}
	root := write(m, 0xFFFFFFFF)
	for i, id := range order {
		u32at(sks[id], 4, sks[order[(i+1)%len(order)]])
		u32at(sks[id], 8, sks[order[(i+len(order)-1)%len(order)]])
		u32at(sks[id], 12, refs[id])
	}
	if rest := (4096 - len(bins)%4096) % 4096; rest > 0 {
		free := make([]byte, rest)
		binary.LittleEndian.PutUint32(free, uint32(rest))
		bins = append(bins, free...)
	}
	copy(bins, "hbin")
	binary.LittleEndian.PutUint32(bins[8:], uint32(len(bins)))
	base := make([]byte, 4096)
	copy(base, "regf")
	binary.LittleEndian.PutUint32(base[0x14:], 1)
	binary.LittleEndian.PutUint32(base[0x18:], uint32(minor))
	binary.LittleEndian.PutUint32(base[0x20:], 1)
	binary.LittleEndian.PutUint32(base[0x24:], root)
	binary.LittleEndian.PutUint32(base[0x28:], uint32(len(bins)))
	binary.LittleEndian.PutUint32(base[0x2C:], 1)
	if layered {
		binary.LittleEndian.PutUint32(base[0x90:], 2)
	}
	setBase(base, 1, 1, 0)
	return append(base, bins...)
}

// modelOf reads a hive back.
func modelOf(t testing.TB, h *Hive) *model {
	t.Helper()
	var read func(k Key) *model
	read = func(k Key) *model {
		m := &model{name: k.Name(), time: k.LastWrite()}
		if h.Layered() {
			m.layer = k.LayerByte()
		}
		var err error
		if m.class, err = k.Class(); err != nil {
			t.Fatal(err)
		}
		sd, err := k.Security()
		if err != nil {
			t.Fatal(err)
		}
		m.sd = 0xFF
		for n := range byte(4) {
			if bytes.Equal(sd, modelSD(n)) {
				m.sd = n
			}
		}
		for v, err := range k.Values() {
			if err != nil {
				t.Fatal(err)
			}
			data, err := v.Data()
			if err != nil {
				t.Fatal(err)
			}
			m.values = append(m.values, modelValue{v.Name(), uint32(v.Type()), string(data), v.Tombstone()})
		}
		for sub, err := range k.Subkeys() {
			if err != nil {
				t.Fatal(err)
			}
			m.kids = append(m.kids, read(sub))
		}
		return m
	}
	return read(h.Root())
}

func (m *model) open(t testing.TB, minor int, layered bool) *Hive {
	t.Helper()
	h, err := OpenBytes(m.hive(minor, layered), nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var (
	modelNames = []string{"a", "B", "cc", "Über", "straße", "日本", "\xed\xa0\x80lone", "x\x00y"}
	modelSpell = map[string]string{"a": "A", "B": "b", "cc": "Cc", "Über": "üBER"}
)

func randomLayerName(r *rand.Rand) string {
	n := modelNames[r.IntN(len(modelNames))]
	if other, ok := modelSpell[n]; ok && r.IntN(8) == 0 {
		return other
	}
	return n
}

// randomModel makes a tree; as a delta its nodes get layer semantics.
func randomModel(r *rand.Rand, depth int, delta bool) *model {
	m := &model{name: "ROOT", time: winfs.Filetime(r.IntN(50) + 1), sd: byte(r.IntN(4))}
	m.fill(r, depth, delta, false)
	m.sortKids()
	return m
}

func (m *model) fill(r *rand.Rand, depth int, delta, super bool) {
	if delta && r.IntN(3) > 0 {
		m.layer |= inheritClass
	} else if r.IntN(3) == 0 {
		m.class = []string{"C", "Klasse", "日"}[r.IntN(3)]
	}
	seen := map[string]bool{}
	for range r.IntN(5) {
		v := modelValue{name: randomLayerName(r), typ: []uint32{0, 1, 4, 0xFFFF000B}[r.IntN(4)], data: strings.Repeat("d", r.IntN(9))}
		if r.IntN(6) == 0 {
			v.name = ""
		}
		if seen[winfs.Fold(v.name)] {
			continue
		}
		seen[winfs.Fold(v.name)] = true
		if delta && !super && m.layer&3 == 0 && r.IntN(4) == 0 {
			v = modelValue{name: v.name, dead: true}
		}
		m.values = append(m.values, v)
	}
	if depth == 0 {
		return
	}
	kids := map[string]bool{}
	for range r.IntN(5) {
		k := &model{name: randomLayerName(r), time: winfs.Filetime(r.IntN(50) + 1), sd: byte(r.IntN(4))}
		if kids[winfs.Fold(k.name)] {
			continue
		}
		kids[winfs.Fold(k.name)] = true
		m.kids = append(m.kids, k)
		if !delta {
			k.fill(r, depth-1, false, false)
			continue
		}
		switch n := r.IntN(8); {
		case n == 0:
			k.layer, k.time = byte(LayerTombstone), 0
		case super || n == 1:
			k.layer = byte(LayerSupersedeTree)
			k.fill(r, depth-1, true, true)
		case n == 2:
			k.layer = byte(LayerSupersedeLocal)
			k.fill(r, depth-1, true, super)
		default:
			k.fill(r, depth-1, true, super)
		}
	}
}

// naiveMerge merges layers, the base first, by the words of the rules.
func naiveMerge(layers ...*model) *model {
	stack := make([]naiveNode, len(layers))
	for i, m := range layers {
		c := *m
		if c.layer&3 == byte(LayerTombstone) {
			c.layer |= byte(LayerSupersedeTree)
		}
		stack[len(layers)-1-i] = naiveNode{model: &c}
	}
	out := naiveKey(stack)
	out.name, out.class = "ROOT", ""
	return out
}

// naiveNode is a key of one layer. tree is set if it is below one that supersedes.
type naiveNode struct {
	*model
	tree bool
}

func (n naiveNode) kind() Layer {
	if l := Layer(n.layer & 3); l != LayerMerge || !n.tree {
		return l
	}
	return LayerSupersedeTree
}

// naiveKey makes one key of its nodes, topmost first, or nil.
func naiveKey(stack []naiveNode) *model {
	for i, n := range stack {
		if n.kind() == LayerTombstone {
			stack = stack[:i]
			break
		}
		if n.kind() == LayerSupersedeTree {
			stack = stack[:i+1]
			break
		}
	}
	if len(stack) == 0 {
		return nil
	}
	chain := stack
	for i, n := range stack {
		if n.kind() == LayerSupersedeLocal {
			chain = stack[:i+1]
			break
		}
	}
	top := stack[0]
	out := &model{name: top.name, time: top.time, sd: chain[len(chain)-1].sd}
	seen := map[string]bool{}
	for _, n := range chain {
		for _, v := range n.values {
			if !seen[winfs.Fold(v.name)] && !v.dead {
				out.values = append(out.values, v)
			}
			seen[winfs.Fold(v.name)] = true
		}
	}
	for _, n := range chain {
		if n.layer&inheritClass == 0 || n.kind() != LayerMerge {
			out.class = n.class
			break
		}
	}
	done := map[string]bool{}
	for _, n := range chain {
		for _, named := range n.kids {
			if done[winfs.Fold(named.name)] {
				continue
			}
			done[winfs.Fold(named.name)] = true
			var kids []naiveNode
			for _, n := range stack {
				for _, k := range n.kids {
					if winfs.EqualFold(k.name, named.name) {
						kids = append(kids, naiveNode{k, n.kind() == LayerSupersedeTree || n.tree})
					}
				}
			}
			if k := naiveKey(kids); k != nil {
				out.kids = append(out.kids, k)
			}
		}
	}
	out.sortKids()
	return out
}
