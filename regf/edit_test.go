package regf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// shadow is a key in memory, against which edits are simulated.
type shadow struct {
	name   string
	class  string
	sd     string
	values map[string]shadowValue // by folded name
	kids   map[string]*shadow     // by folded name
}

type shadowValue struct {
	name string
	typ  Type
	data string
}

func newShadow(name, sd string) *shadow {
	return &shadow{name: name, sd: sd, values: map[string]shadowValue{}, kids: map[string]*shadow{}}
}

func (s *shadow) clone() *shadow {
	c := newShadow(s.name, s.sd)
	c.class = s.class
	for k, v := range s.values {
		c.values[k] = v
	}
	for k, kid := range s.kids {
		c.kids[k] = kid.clone()
	}
	return c
}

// same compares a hive with its shadow.
func (s *shadow) same(k Key) error {
	if k.Name() != s.name {
		return fmt.Errorf("name %q, want %q", k.Name(), s.name)
	}
	if c, err := k.ClassBytes(); err != nil || string(c) != s.class {
		return fmt.Errorf("%s: class %q %v, want %q", k.Path(), c, err, s.class)
	}
	if sd, err := k.Security(); err != nil || string(sd) != s.sd {
		return fmt.Errorf("%s: other descriptor, %v", k.Path(), err)
	}
	n := 0
	for v, err := range k.Values() {
		if err != nil {
			return err
		}
		n++
		want, ok := s.values[winfs.Fold(v.Name())]
		data, err := v.Data()
		if !ok || err != nil || want.name != v.Name() || want.typ != v.Type() || want.data != string(data) {
			return fmt.Errorf("%s: value %q of %d bytes, want %v %d, %v", k.Path(), v.Name(), len(data), ok, len(want.data), err)
		}
		if found, err := k.Value(strings.ToUpper(v.Name())); err == nil && found.Offset() != v.Offset() {
			return fmt.Errorf("%s: lookup of value %q finds another", k.Path(), v.Name())
		}
	}
	if n != len(s.values) {
		return fmt.Errorf("%s: %d values, want %d", k.Path(), n, len(s.values))
	}
	n = 0
	prev := ""
	for kid, err := range k.Subkeys() {
		if err != nil {
			return err
		}
		name := kid.Name()
		if n > 0 && winfs.CompareFold(prev, name) >= 0 {
			return fmt.Errorf("%s: %q comes before %q", k.Path(), prev, name)
		}
		prev = name
		n++
		want := s.kids[winfs.Fold(name)]
		if want == nil {
			return fmt.Errorf("%s: key %q should not exist", k.Path(), name)
		}
		if found, err := k.Subkey(strings.ToLower(name)); winfs.EqualFold(strings.ToLower(name), name) && (err != nil || found.Offset() != kid.Offset()) {
			return fmt.Errorf("%s: lookup of key %q: %v", k.Path(), name, err)
		}
		if err := want.same(kid); err != nil {
			return err
		}
	}
	if n != len(s.kids) {
		return fmt.Errorf("%s: %d subkeys, want %d", k.Path(), n, len(s.kids))
	}
	return nil
}

// shadowOf reads a hive into memory.
func shadowOf(t *testing.T, k Key) *shadow {
	t.Helper()
	sd, err := k.Security()
	if err != nil {
		t.Fatal(err)
	}
	s := newShadow(k.Name(), string(sd))
	class, err := k.ClassBytes()
	if err != nil {
		t.Fatal(err)
	}
	s.class = string(class)
	for v, err := range k.Values() {
		if err != nil {
			t.Fatal(err)
		}
		data, err := v.Data()
		if err != nil {
			t.Fatal(err)
		}
		s.values[winfs.Fold(v.Name())] = shadowValue{v.Name(), v.Type(), string(data)}
	}
	for kid, err := range k.Subkeys() {
		if err != nil {
			t.Fatal(err)
		}
		s.kids[winfs.Fold(kid.Name())] = shadowOf(t, kid)
	}
	return s
}

// heirOf returns the descriptor that a key inherits.
func heirOf(sd string) string {
	b, err := winsec.Inherit([]byte(sd), nil, winsec.KeyRights)
	if err != nil {
		return sd
	}
	return string(b)
}

// pick walks down at random.
func pick(r *rand.Rand, h *Hive, s *shadow) (Key, *shadow, []*shadow) {
	k, above := h.Root(), []*shadow{}
	for len(s.kids) > 0 && r.IntN(3) > 0 {
		names := make([]string, 0, len(s.kids))
		for n := range s.kids {
			names = append(names, n)
		}
		sort.Strings(names)
		n := names[r.IntN(len(names))]
		next, err := k.Subkey(s.kids[n].name)
		if err != nil {
			panic(err)
		}
		above = append(above, s)
		k, s = next, s.kids[n]
	}
	return k, s, above
}

var testDescriptors = func() []string {
	base := string(defaultSecurity())
	out := []string{base}
	for i := range 4 {
		b := []byte(base)
		b[len(b)-1-16] ^= byte(i + 1) // another access right
		out = append(out, string(b), string(b)+strings.Repeat("\x00", 8*i+4))
	}
	return out
}()

func randomName(r *rand.Rand, limit int) string {
	switch r.IntN(12) {
	case 0:
		return strings.Repeat("long", 1+r.IntN(limit/4))
	case 1:
		return fmt.Sprintf("Ünï%d", r.IntN(50))
	case 2:
		return fmt.Sprintf("\u0434\u0416%d", r.IntN(50))
	case 3:
		return fmt.Sprintf("nul\x00in/side%d", r.IntN(9))
	case 4:
		return fmt.Sprintf("lone\xed\xa0\x80%d", r.IntN(9))
	}
	return fmt.Sprintf("%c%d", "aBcDeXyZ"[r.IntN(8)], r.IntN(300))
}

func randomData(r *rand.Rand) []byte {
	sizes := []int{0, 1, 3, 4, 5, 8, 12, 100, 1000, 4000, segmentSize - 1, segmentSize, segmentSize + 1, 40000,
		2*segmentSize - 1, 2 * segmentSize, 2*segmentSize + 1, 3*segmentSize + 4}
	n := sizes[r.IntN(len(sizes))]
	if r.IntN(3) > 0 {
		n = r.IntN(64)
	}
	b := make([]byte, n)
	seed := r.Uint32()
	for i := range b {
		b[i] = byte(seed>>(i%4*8)) + byte(i)
	}
	if n >= 2 && r.IntN(4) == 0 {
		copy(b, "db")
	}
	return b
}

// step makes one random change to a hive and its shadow.
func step(r *rand.Rand, h *Hive, root *shadow) error {
	k, s, above := pick(r, h, root)
	want := func(err, is error) error {
		if !errors.Is(err, is) {
			return fmt.Errorf("error %v, want %v", err, is)
		}
		return nil
	}
	switch op := r.IntN(20); {
	case op < 6:
		name := randomName(r, MaxKeyName)
		if len(above) > 20 {
			return nil
		}
		_, created, err := k.Create(name)
		if err != nil {
			return err
		}
		if had := s.kids[winfs.Fold(name)] != nil; had == created {
			return fmt.Errorf("created is %v", created)
		}
		if created {
			s.kids[winfs.Fold(name)] = newShadow(name, heirOf(s.sd))
		}
	case op < 12:
		name, data, typ := randomName(r, 400), randomData(r), Type(r.Uint32N(14))
		if r.IntN(10) == 0 {
			name = ""
		}
		if err := k.SetValue(name, typ, data); err != nil {
			return err
		}
		v := s.values[winfs.Fold(name)]
		if v == (shadowValue{}) {
			v.name = name
		}
		v.typ, v.data = typ, string(data)
		s.values[winfs.Fold(name)] = v
	case op < 14:
		name := randomName(r, 400)
		for n := range s.values { // any
			if len(s.values) == 1 {
				name = s.values[n].name
			}
		}
		err := k.DeleteValue(name)
		if _, ok := s.values[winfs.Fold(name)]; !ok {
			return want(err, ErrNotFound)
		}
		delete(s.values, winfs.Fold(name))
		return err
	case op < 15:
		if len(above) == 0 {
			return want(k.DeleteTree(), ErrInvalid)
		}
		if len(s.kids) > 0 {
			if err := want(k.Delete(), ErrHasSubkeys); err != nil {
				return err
			}
		}
		delete(above[len(above)-1].kids, winfs.Fold(s.name))
		return k.DeleteTree()
	case op < 16:
		class := string(randomData(r)[:0])
		if r.IntN(2) == 0 {
			class = strings.Repeat("c\x00", r.IntN(20))
		}
		s.class = class
		return k.SetClass([]byte(class))
	case op < 17:
		s.sd = testDescriptors[r.IntN(len(testDescriptors))]
		return k.SetSecurity([]byte(s.sd))
	case op < 19:
		name := randomName(r, MaxKeyName)
		if len(above) == 0 {
			_, err := k.Rename(name)
			return want(err, ErrInvalid)
		}
		siblings := above[len(above)-1].kids
		if siblings[winfs.Fold(name)] != nil { // its own name in another case too
			_, err := k.Rename(name)
			return want(err, ErrExists)
		}
		n, err := k.Rename(name)
		if err != nil {
			return err
		}
		delete(siblings, winfs.Fold(s.name))
		s.name = name
		siblings[winfs.Fold(name)] = s
		if n.Name() != name {
			return fmt.Errorf("renamed key is %q", n.Name())
		}
	default:
		to, ts, tabove := pick(r, h, root)
		name := randomName(r, MaxKeyName)
		inside := ts == s
		for _, a := range tabove {
			inside = inside || a == s
		}
		_, err := k.CopyTo(to, name)
		switch {
		case inside:
			return want(err, ErrInvalid)
		case ts.kids[winfs.Fold(name)] != nil:
			return want(err, ErrExists)
		case err != nil:
			return err
		}
		c := s.clone()
		c.name = name
		ts.kids[winfs.Fold(name)] = c
	}
	return nil
}

// Random edits agree with a shadow in memory, in every version, and keep every invariant;
// the same edits produce the same bytes.
func TestEditsAgreeWithShadow(t *testing.T) {
	seeds := 6
	if os.Getenv("MULLION_LONG") != "" {
		seeds = 200
	}
	run := func(t *testing.T, seed uint64, minor int) []byte {
		r := rand.New(rand.NewPCG(seed, 1))
		tick := winfs.Filetime(1)
		opt := &Options{Clock: func() winfs.Filetime { tick++; return tick }}
		h := New(opt)
		if minor != 5 {
			b, err := h.Compact(&CompactOptions{Minor: minor})
			if err != nil {
				t.Fatal(err)
			}
			if h, err = OpenBytes(b, opt); err != nil {
				t.Fatal(err)
			}
		}
		root := newShadow("ROOT", testDescriptors[0])
		for i := range 600 {
			if err := step(r, h, root); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, i, err)
			}
			if i%100 == 99 {
				requireClean(t, h)
				if err := root.same(h.Root()); err != nil {
					t.Fatalf("seed %d step %d: %v", seed, i, err)
				}
			}
		}
		image, err := h.Image()
		if err != nil {
			t.Fatal(err)
		}
		compacted, err := h.Compact(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{image, compacted} {
			again, err := OpenBytes(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			requireClean(t, again)
			if err := root.same(again.Root()); err != nil {
				t.Fatal(err)
			}
		}
		return image
	}
	for seed := range uint64(seeds) {
		for _, minor := range []int{3, 4, 5, 6} {
			t.Run(fmt.Sprintf("%d/1.%d", seed, minor), func(t *testing.T) {
				if a, b := run(t, seed, minor), run(t, seed, minor); !bytes.Equal(a, b) {
					t.Error("same edits, other bytes")
				}
			})
		}
	}
}

// Edits of genuine hives agree with a shadow too.
func TestEditGenuineHives(t *testing.T) {
	for _, g := range corpus(t) {
		if g.damaged() || imperfect[g.name] != "" || g.keys > 5000 {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			h, err := Open(g.path, &Options{AllowDirty: true, EditDirty: true})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			before, err := os.ReadFile(g.path)
			if err != nil {
				t.Fatal(err)
			}
			root := shadowOf(t, h.Root())
			r := rand.New(rand.NewPCG(7, 7))
			for i := range 150 {
				if err := step(r, h, root); err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
			}
			requireClean(t, h)
			if err := root.same(h.Root()); err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(g.path)
			if err != nil || !bytes.Equal(before, after) {
				t.Fatal("the file that was opened has changed", err)
			}
		})
	}
}

// Many subkeys: lists split, stay in order and shrink again.
func TestManySubkeys(t *testing.T) {
	for _, order := range []string{"ascending", "descending", "random"} {
		t.Run(order, func(t *testing.T) {
			const n = 3000
			perm := rand.New(rand.NewPCG(1, 2)).Perm(n)
			h := New(nil)
			for i := range n {
				switch order {
				case "descending":
					i = n - 1 - i
				case "random":
					i = perm[i]
				}
				if _, created, err := h.Root().Create(fmt.Sprintf("key%d", i)); err != nil || !created {
					t.Fatal(created, err)
				}
			}
			requireClean(t, h)
			if got := h.Root().SubkeyCount(); got != n {
				t.Fatal(got)
			}
			for i := range n {
				k, err := h.Root().SubkeyAt(i)
				if err != nil {
					t.Fatal(i, err)
				}
				if found, err := h.Key(k.Name()); err != nil || found.Offset() != k.Offset() {
					t.Fatal(k.Name(), err)
				}
			}
			if _, err := h.Root().SubkeyAt(n); !errors.Is(err, ErrorNoMoreItems) {
				t.Error(err)
			}
			for _, i := range perm {
				if err := h.Root().DeleteSubkey(fmt.Sprintf("KEY%d", i)); err != nil {
					t.Fatal(err)
				}
			}
			requireClean(t, h)
			image, err := h.Image()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(image, []byte("key1")) {
				t.Error("names of deleted keys are left in free cells")
			}
		})
	}
}

func TestSaveIsAtomic(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "hive")
	h := New(nil)
	if err := h.WriteCompactFile(name, nil); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteCompactFile(name, nil); !errors.Is(err, ErrExists) || !errors.Is(err, ErrorFileExists) || !errors.Is(err, fs.ErrExist) {
		t.Errorf("saving over a file: %v", err)
	}
	if err := h.WriteCompactFile(name, &CompactOptions{Overwrite: true}); err != nil {
		t.Error(err)
	}
	o, err := Open(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := o.Root().SetValue("v", RegSZ, []byte("x\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	if err := o.WriteImageFile(name, &WriteOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	// Storing an edited hive does not change the permissions of the file, and never widens
	// them for a moment.
	if runtime.GOOS != "windows" {
		for _, mode := range []fs.FileMode{0o600, 0o666, 0o444} {
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
			if err := o.WriteImageFile(name, &WriteOptions{Overwrite: true}); err != nil {
				t.Fatal(err)
			}
			if st, err := os.Stat(name); err != nil || st.Mode().Perm() != mode {
				t.Errorf("%o has become %v: %v", mode, st.Mode(), err)
			}
		}
	}
	again, err := Open(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.Root().Value("V"); err != nil {
		t.Error(err)
	}
	if hdr := again.Header(); hdr.Primary != 2 || hdr.Secondary != 2 {
		t.Errorf("sequence numbers %d and %d", hdr.Primary, hdr.Secondary)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left: %v %v", len(left), left, err)
	}
	if err := h.WriteCompactFile(filepath.Join(dir, "none", "hive"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("saving into a directory that does not exist: %v", err)
	}
}

// A dirty hive is not edited or saved unless the caller insists.
func TestDirtyHiveIsRefused(t *testing.T) {
	name := testenv.Corpus(t, "hives", "mkorman90_regipy", "SECURITY")
	if _, err := Open(name, nil); !errors.Is(err, ErrDirty) || !errors.Is(err, ErrorNotRegistryFile) {
		t.Errorf("open: %v", err)
	}
	h, err := Open(name, &Options{AllowDirty: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Root().SetValue("v", RegSZ, nil); !errors.Is(err, ErrDirty) {
		t.Errorf("edit: %v", err)
	}
	if _, err := h.Compact(nil); !errors.Is(err, ErrDirty) {
		t.Errorf("save: %v", err)
	}
	if _, err := h.Image(); !errors.Is(err, ErrDirty) {
		t.Errorf("store: %v", err)
	}
	if h, err = Open(name, &Options{AllowDirty: true, EditDirty: true}); err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Root().SetValue("v", RegSZ, nil); err != nil {
		t.Error(err)
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := OpenBytes(b, nil); err != nil || again.Dirty() {
		t.Error("edited hive is dirty", err)
	}
}

// Values whose data has become empty may keep its cell. Whatever happens to them,
// the cell goes with the last of them, and one that is another's stays.
func TestEditOfValuesThatKeepACell(t *testing.T) {
	made := func(empty ...string) *Hive {
		h := New(&Options{Clock: func() winfs.Filetime { return 1 }})
		for _, p := range []string{`a\b`, `c`} {
			k, err := h.CreatePath(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range []string{"x", "y", "z"} {
				if err := k.SetValue(v, RegBinary, []byte("data of "+p+v)); err != nil {
					t.Fatal(err)
				}
			}
		}
		cells := map[string][]byte{}
		for k, err := range h.Root().Walk() {
			if err != nil {
				t.Fatal(err)
			}
			for v := range k.Values() {
				b, err := v.node()
				if err != nil {
					t.Fatal(err)
				}
				cells[k.Path()+`\`+v.Name()] = b
			}
		}
		for i := 0; i < len(empty); i += 2 {
			put32(cells[empty[i]][vkDataSize:], 0)
			put32(cells[empty[i]][vkData:], u32(cells[empty[i+1]][vkData:]))
		}
		b, err := h.Image()
		if err != nil {
			t.Fatal(err)
		}
		if h, err = OpenBytes(b, &Options{Clock: func() winfs.Filetime { return 1 }}); err != nil {
			t.Fatal(err)
		}
		return h
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key := func(h *Hive, path string) Key {
		k, err := h.Key(path)
		must(err)
		return k
	}
	edits := map[string]func(h *Hive){
		"delete the value":  func(h *Hive) { must(key(h, `a\b`).DeleteValue("x")) },
		"set it, inline":    func(h *Hive) { must(key(h, `a\b`).SetValue("x", RegDword, []byte{1, 2, 3, 4})) },
		"set it":            func(h *Hive) { must(key(h, `a\b`).SetValue("x", RegBinary, []byte("a longer datum than before"))) },
		"delete the key":    func(h *Hive) { must(key(h, `a\b`).Delete()) },
		"delete the tree":   func(h *Hive) { must(key(h, `a`).DeleteTree()) },
		"delete everything": func(h *Hive) { must(key(h, `a`).DeleteTree()); must(key(h, `c`).DeleteTree()) },
	}
	for name, edit := range edits {
		for _, empty := range [][]string{
			{`a\b\x`, `a\b\x`},                   // its own cell
			{`a\b\x`, `a\b\x`, `c\y`, `a\b\x`},   // one cell of two
			{`a\b\x`, `a\b\x`, `a\b\y`, `a\b\x`}, // the same in one key, where that of y leaks
			{`a\b\x`, `a\b\x`, `a\b\z`, `a\b\z`}, // a cell each
			{`a\b\x`, `a\b\x`, `c\x`, `c\x`},     // in two keys
			{`a\b\z`, `a\b\z`, `a\b\x`, `a\b\z`}, // the last one first
			{`a\b\x`, `a\b\x`, `a\b\x`, `c\x`},   // the cell of another, which has data
			{`a\b\x`, `a\b\x`, `a\b\x`, `a\b\z`}, // that of a neighbour
			{`c\x`, `c\x`, `c\y`, `a\b\x`},       // an empty one points at data
		} {
			h := made(empty...)
			leaks := len(checked(h))
			edit(h)
			for _, v := range []string{"x", "y", "z"} {
				c, err := h.Key(`c`)
				if err != nil {
					break // deleted
				}
				v, err := c.Value(v)
				must(err)
				if d, err := v.Data(); err != nil || len(d) > 0 && string(d) != `data of c`+v.Name() {
					t.Errorf("%s, %v: %s is %q, %v", name, empty, v.Name(), d, err)
				}
			}
			if f := checked(h); len(f) > leaks {
				t.Errorf("%s, %v: %v", name, empty, f)
			}
		}
	}
}

// A copy has the descriptors of its source, and the keys below a symbolic link, where no
// new key can be made.
func TestCopyOfLink(t *testing.T) {
	src, dst := New(nil), New(nil)
	k, err := src.CreatePath(`link\below`)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.SetSecurity([]byte(testDescriptors[2])); err != nil {
		t.Fatal(err)
	}
	link, err := src.Key("link")
	if err != nil {
		t.Fatal(err)
	}
	if err := link.SetFlags(link.Flags() | KeySymlink); err != nil {
		t.Fatal(err)
	}
	if _, _, err := link.Create("new"); !errors.Is(err, ErrSymlink) {
		t.Errorf("made below a link: %v", err)
	}
	if _, err := link.CopyTo(dst.Root(), "link"); err != nil {
		t.Fatal(err)
	}
	for d, err := range Compare(src, dst, CompareOptions{}) {
		t.Errorf("%v, %v", d, err)
	}
	requireClean(t, dst)
}

// Edits of a differencing hive keep its rules: a new key below a key that supersedes its
// tree does so too, a tombstone has no contents, and one that is created again hides the
// keys that it hid.
func TestEditLayered(t *testing.T) {
	h := New(nil)
	if err := h.SetLayered(true); err != nil {
		t.Fatal(err)
	}
	tree, err := h.CreatePath("tree")
	if err != nil {
		t.Fatal(err)
	}
	gone, err := h.CreatePath("gone")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tree.SetLayer(LayerSupersedeTree, false), gone.SetLayer(LayerTombstone, false)); err != nil {
		t.Fatal(err)
	}
	if k, err := h.CreatePath(`tree\new\newer`); err != nil || k.Layer() != LayerSupersedeTree {
		t.Error(k.Layer(), err)
	}
	is(t, "value of a tombstone", gone.SetValue("v", RegSZ, nil), ErrDeleted, ErrorKeyDeleted)
	is(t, "value tombstone of a tombstone", gone.SetValueTombstone("v"), ErrDeleted)
	is(t, "class of a tombstone", gone.SetClass([]byte("C\x00")), ErrDeleted)
	_, _, err = gone.Create("below")
	is(t, "key below a tombstone", err, ErrNotFound)
	_, err = tree.CopyTo(h.Root(), "gone")
	is(t, "copy to a tombstone", err, ErrExists)
	plain := New(nil)
	_, err = gone.CopyTo(plain.Root(), "copy")
	is(t, "copy of a tombstone to a hive without layers", err, ErrInvalid)
	requireClean(t, h)
	again, created, err := h.Root().Create("GONE")
	if err != nil || !created || again.Layer() != LayerSupersedeTree {
		t.Error(again.Layer(), created, err)
	}
	if _, created, err := h.Root().Create("gone"); err != nil || created {
		t.Error(created, err)
	}
	if err := again.SetValueTombstone("dead"); err != nil {
		t.Error(err)
	}
	if k, err := h.CreatePath(`gone\below`); err != nil || k.Layer() != LayerSupersedeTree {
		t.Error(k.Layer(), err)
	}
	_, err = again.CopyTo(plain.Root(), "copy")
	is(t, "copy of a value tombstone to a hive without layers", err, ErrInvalid)
	if k, err := plain.Root().CopyTo(tree, "copied"); err != nil || k.Layer() != LayerSupersedeTree {
		t.Error(k.Layer(), err)
	}
	requireClean(t, h)
	base := New(nil)
	if _, err := base.CreatePath(`gone\old`); err != nil {
		t.Fatal(err)
	}
	m, err := Merge(t.Context(), []*Hive{base, h}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Key(`gone\old`); !errors.Is(err, ErrNotFound) {
		t.Errorf("what a tombstone hid came back: %v", err)
	}
	if _, err := m.Key(`gone\below`); err != nil {
		t.Error(err)
	}
}

// In a hive without layers the layer bits mean nothing, for any value.
func TestStrayLayerBits(t *testing.T) {
	h := New(nil)
	k, err := h.CreatePath("key")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.SetValue("v", RegSZ, StringData("kept")); err != nil {
		t.Fatal(err)
	}
	stray := func() {
		t.Helper()
		v, err := k.Value("v")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := v.node()
		put16(b[vkFlags:], u16(b[vkFlags:])|vkTombstone)
		b, _ = k.node()
		b[nkLayer] = byte(LayerTombstone)
	}
	kept := func(k Key, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
			return
		}
		v, err := k.Value("v")
		if err != nil {
			t.Error(err)
			return
		}
		if s, err := v.AsString(); err != nil || s != "kept" || v.Tombstone() || k.Layer() != LayerMerge {
			t.Error(s, v.Tombstone(), k.Layer(), err)
		}
	}
	stray()
	kept(k.CopyTo(h.Root(), "copy"))
	layered := New(nil)
	if err := layered.SetLayered(true); err != nil {
		t.Fatal(err)
	}
	kept(k.CopyTo(layered.Root(), "copy"))
	if err := h.SetLayered(true); err != nil {
		t.Fatal(err)
	}
	kept(h.Key("key"))
	kept(h.Key("copy"))
	requireClean(t, h)
	requireClean(t, layered)
}
