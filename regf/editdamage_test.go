package regf

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// readable lists everything that tolerant reading finds in a hive, an entry for each key,
// value, class and descriptor, with its number of occurrences: damage can make two keys
// have one path.
func readable(t testing.TB, b []byte) map[string]int {
	t.Helper()
	h, err := OpenBytes(b, &Options{Mode: Report, AllowDirty: true})
	if err != nil {
		return nil
	}
	all := make(map[string]int)
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		path := k.Path()
		all["key "+path]++
		if c, err := k.ClassBytes(); err == nil && c != nil {
			all[fmt.Sprintf("class %s %x", path, c)]++
		}
		if sd, err := k.Security(); err == nil {
			all[fmt.Sprintf("security %s %x", path, sd)]++
		}
		for v, err := range k.Values() {
			if err != nil {
				t.Fatal(err)
			}
			data, err := v.Data()
			all[fmt.Sprintf("value %s\\%s %v %v %x", path, v.Name(), v.Type(), err == nil, data)]++
		}
	}
	return all
}

// damagedCopy returns a hive with one field changed: sizes of cells most often, because
// they decide which cells are free.
func damagedCopy(r *rand.Rand, b []byte) []byte {
	b = append([]byte(nil), b...)
	for range 1 + r.IntN(2) {
		at := baseSize + 4*r.IntN((len(b)-baseSize)/4)
		if r.IntN(3) > 0 { // the size of a cell, found by walking a bin
			bins := b[baseSize:]
			var cells []int
			page := r.IntN(len(bins)/pageSize) * pageSize
			for page > 0 && string(bins[page:page+4]) != "hbin" {
				page -= pageSize
			}
			end := min(page+int(u32(bins[page+8:])), len(bins))
			for off := page + binHeader; off+4 <= end; {
				n := int(int32(u32(bins[off:])))
				cells = append(cells, off)
				if n = max(n, -n); n < 8 {
					break
				}
				off += n
			}
			if len(cells) > 0 {
				at = baseSize + cells[r.IntN(len(cells))]
			}
		}
		old := u32(b[at:])
		switch r.IntN(6) {
		case 0:
			b[at+r.IntN(4)] ^= 1 << r.IntN(8)
		case 1:
			put32(b[at:], -old)
		case 2:
			put32(b[at:], old-8*uint32(1+r.IntN(16)))
		case 3:
			put32(b[at:], old+8*uint32(1+r.IntN(16)))
		case 4: // the content of another field of the hive
			put32(b[at:], u32(b[baseSize+4*r.IntN((len(b)-baseSize)/4):]))
		default:
			put32(b[at:], uint32(binHeader+8*r.IntN(len(b)/8)))
		}
	}
	return b
}

// An edit that succeeds loses nothing that could be read before it, after any damage.
func TestEditsOfDamagedHivesLoseNothing(t *testing.T) {
	hives := map[string][]byte{"1.3": small(t, 3), "1.5": small(t, 5), "1.6": small(t, 6)}
	h := New(nil)
	for i := range 300 {
		k, err := h.CreatePath(fmt.Sprintf(`k%d\sub%d`, i%7, i))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetValue("v", RegBinary, bytes.Repeat([]byte{byte(i)}, i)); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			if err := k.SetSecurity([]byte(testDescriptors[i%len(testDescriptors)])); err != nil {
				t.Fatal(err)
			}
		}
		if i%11 == 10 {
			if err := k.DeleteTree(); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	hives["made"] = b
	for _, name := range []string{"mkorman90_regipy/SAM", "JimDude7404_WSA-Windows-10/Registry.dat", "buildpacks_imgutil/BCD"} {
		path := testenv.Root(t) + "/../shared/corpus/hives/" + name
		if os.Getenv("MULLION_CORPUS") != "" || os.Getenv("MULLION_REQUIRE_CORPUS") != "" {
			path = testenv.Corpus(t, "hives", name)
		}
		if b, err := os.ReadFile(path); err == nil {
			hives[name] = b
		}
	}
	rounds := 1500
	if os.Getenv("MULLION_LONG") != "" {
		rounds = 100000
	}
	for name, whole := range hives {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(9, uint64(len(whole))))
			edited, refused := 0, 0
			for i := range rounds * 8192 / max(len(whole), 8192) {
				b := damagedCopy(r, whole)
				mode := []Mode{Strict, Report}[i%2]
				did, err := additions(r, b, mode)
				if err != nil {
					refused++
				}
				if did == nil {
					continue
				}
				edited++
				after := readable(t, did)
				for entry, n := range readable(t, b) {
					if after[entry] < n {
						t.Fatalf("round %d, %v: %.200q is lost", i, mode, entry)
					}
				}
			}
			if edited == 0 || refused == 0 {
				t.Errorf("%d hives edited, %d edits refused: the test tests nothing", edited, refused)
			}
			t.Logf("%d hives edited, %d edits refused", edited, refused)
		})
	}
}

// additions makes edits that only add, and returns the hive after those that succeeded,
// nil where none did, and the last error.
func additions(r *rand.Rand, b []byte, mode Mode) ([]byte, error) {
	h, err := OpenBytes(b, &Options{Mode: mode, AllowDirty: true, EditDirty: true, Clock: func() winfs.Filetime { return 1 }})
	if err != nil {
		return nil, err
	}
	done := false
	var last error
	note := func(err error) {
		if err != nil {
			last = err
		} else {
			done = true
		}
	}
	k := h.Root()
	for r.IntN(3) > 0 && k.SubkeyCount() > 0 {
		next, err := k.SubkeyAt(r.IntN(min(k.SubkeyCount(), 1000)))
		if err != nil {
			break
		}
		k = next
	}
	for i := range 1 + r.IntN(12) {
		var n Key
		var err error
		if r.IntN(2) == 0 {
			n, _, err = k.Create(fmt.Sprintf("zz new %d", i))
		} else {
			n, _, err = h.Root().Create(fmt.Sprintf("aa new %d", i))
		}
		note(err)
		if err != nil {
			if errors.Is(err, ErrNeedsRepair) {
				break // no edit goes
			}
			continue
		}
		note(n.SetValue("v", RegBinary, make([]byte, []int{3, 60, 400, 5000, 20000}[r.IntN(5)])))
		note(k.SetValue(fmt.Sprintf("zz new %d", i), RegBinary, make([]byte, r.IntN(200))))
		if r.IntN(3) == 0 {
			note(n.SetSecurity([]byte(testDescriptors[r.IntN(len(testDescriptors))])))
		}
	}
	if !done {
		return nil, last
	}
	out, err := h.Image()
	if err != nil {
		return nil, err
	}
	return out, last
}
