package cimfs

import (
	"context"
	"errors"
	"maps"
	"os"
	"reflect"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/winfs"
)

// smallImage has a bit of everything in few bytes.
func smallImage(t testing.TB, v Version) (set memOpener, want model) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", &Options{Version: v})
	b.dir("d", Meta{Security: sampleSD(3), Times: sampleTimes(1)})
	b.file(`d\a`, Meta{EAs: sampleEA(), Attributes: winfs.AttrArchive}, []byte("short"))
	b.file(`d\b`, Meta{Reparse: sampleReparse()}, nil)
	b.file("c", Meta{}, bytesOf(5, 1030))
	b.stream("c", "s", []byte("an alternate stream of some length"))
	b.link("e", `d\a`)
	b.file("x.exe", Meta{}, buildPE(0x1000, []int{0x800, 0x400}, 3))
	b.commit(dir, "a.cim")
	return readSet(t, dir), b.m
}

// outcome opens, walks and checks an image; nothing of it may panic, whatever the
// bytes are. It returns the content if everything was in order.
func outcome(set memOpener) (model, error) {
	im, err := OpenFiles(set, "a.cim", Limits{})
	if err != nil {
		return nil, err
	}
	defer im.Close()
	m, err := dump(im)
	found, checkErr := finding.Collect(im.Check(context.Background(), CheckOptions{}))
	if len(found) > 0 {
		checkErr = errors.New(found[0].String())
	}
	return m, errors.Join(err, checkErr)
}

// damaged tells whether a damage was noticed or did no harm.
func damaged(t *testing.T, set memOpener, want model, what string, args ...any) {
	t.Helper()
	got, err := outcome(set)
	if err == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("unnoticed: "+what, args...)
		want.diff(t, got)
	}
}

// A change is what is done to one file of a set.
type change struct {
	name string
	at   int
	flip byte // of the byte at at; 0 cuts the file off there
}

// changed makes one change after the other, on all processors, each in an otherwise
// good copy of the set.
func changed(good memOpener, changes []change, fn func(set memOpener, c change)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			set := memOpener{}
			for name, b := range good {
				set[name] = slices.Clone(b)
			}
			for {
				i := int(next.Add(1)) - 1
				if i >= len(changes) {
					return
				}
				c := changes[i]
				b := set[c.name]
				if c.flip == 0 {
					set[c.name] = b[:c.at]
				} else {
					b[c.at] ^= c.flip
				}
				fn(set, c)
				if set[c.name] = b; c.flip != 0 {
					b[c.at] ^= c.flip
				}
			}
		})
	}
	wg.Wait()
}

func TestEveryByteFlipped(t *testing.T) {
	long := os.Getenv("MULLION_LONG") != ""
	for _, v := range []Version{V1, V3} {
		set, want := smallImage(t, v)
		im, err := OpenFiles(set, "a.cim", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		upcase, meta := im.upcaseAt.Offset(), regionName(im.guid, 0)
		im.Close()
		var flips []change
		for _, name := range slices.Sorted(maps.Keys(set)) {
			good := set[name]
			for i := range good {
				inUpcase := name == meta && int64(i) >= upcase && int64(i) < upcase+winfs.UpcaseTableSize
				switch {
				case inUpcase && i%2053 != 0 && (!long || v == V1):
					continue // it is the same table in both versions: once is enough
				case long:
				case i > 0x30 && i%3 != 0:
					continue
				case good[i] == 0 && i > 0 && i < len(good)-1 && good[i-1] == 0 && good[i+1] == 0 && i%61 != 0:
					continue // long runs of zeros: a sample of them
				}
				flips = append(flips, change{name, i, 0xFF})
				if long || i <= 0x30 {
					flips = append(flips, change{name, i, 0x01})
				}
			}
		}
		changed(set, flips, func(set memOpener, c change) {
			damaged(t, set, want, "version %d, %s, byte %#x ^ %#x", v, c.name, c.at, c.flip)
		})
		t.Logf("version %d: %d flips", v, len(flips))
	}
}

func TestEveryTruncation(t *testing.T) {
	long := os.Getenv("MULLION_LONG") != ""
	set, _ := smallImage(t, V3)
	var cuts []change
	for _, name := range slices.Sorted(maps.Keys(set)) {
		good := set[name]
		for n := range good {
			if long || n <= 300 || n%11 == 0 && (n <= 5000 || n%509 == 0 || n >= len(good)-600) {
				cuts = append(cuts, change{name: name, at: n})
			}
		}
	}
	changed(set, cuts, func(set memOpener, c change) {
		if got, err := outcome(set); err == nil {
			t.Errorf("%s cut to %d bytes is accepted: %d files", c.name, c.at, len(got))
		}
	})
	t.Logf("%d truncations", len(cuts))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		good := set[name]
		delete(set, name)
		if _, err := outcome(set); err == nil {
			t.Errorf("nobody misses %s", name)
		}
		set[name] = good
	}
}

// reseal makes the digests of the objects around byte at of region 0 right again,
// so that only the meaning of a change is wrong.
func reseal(set memOpener, at int) {
	im, err := OpenFiles(set, "a.cim", Limits{})
	if err != nil {
		return // too broken to have any digests
	}
	defer im.Close()
	name := objectIDName(im.guid, 0)
	region, table := set[regionName(im.guid, 0)], set[name]
	var list []object
	im.objects(0, func(o object) bool { list = append(list, o); return true })
	for i := range list {
		if o := &list[i]; o.length <= uint64(len(region)) && o.at.Offset() <= int64(len(region))-int64(o.length) && o.at.Offset() <= int64(at) && int64(at) < o.at.Offset()+int64(o.length) {
			o.digest = digestOf(region[o.at.Offset():][:o.length])
		}
	}
	slices.SortFunc(list, func(a, b object) int { return a.compare(&b) })
	out := slices.Clone(table[:objectHeaderSize])
	for i := range list {
		out = list[i].append(out)
	}
	set[name] = out
}

// allocated returns all bytes ever allocated on the heap.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// TestHostileTables flips every byte of the tables at the end of region 0, with
// right digests: what only a look at the meaning can find.
func TestHostileTables(t *testing.T) {
	for _, v := range []Version{V1, V3} {
		set, _ := smallImage(t, v)
		im, err := OpenFiles(set, "a.cim", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		meta, first := regionName(im.guid, 0), int(im.upcaseAt.Offset())+winfs.UpcaseTableSize
		im.Close()
		good := maps.Clone(set)
		for i := regionHeaderSize; i < len(good[meta]); i++ {
			if i == 0x400 && i < first {
				i = first
			}
			for k, x := range []byte{0xFF, 0x01, 0x80, 0x10} {
				if k != i%4 && os.Getenv("MULLION_LONG") == "" {
					continue
				}
				set := maps.Clone(good)
				bad := slices.Clone(good[meta])
				bad[i] ^= x
				set[meta] = bad
				reseal(set, i)
				before := allocated()
				outcome(set)
				if n := allocated() - before; n > 200<<20 {
					t.Errorf("byte %#x ^ %#x: %d MiB allocated", i, x, n>>20)
				}
			}
		}
	}
}

func TestCycles(t *testing.T) {
	set, _ := smallImage(t, V1)
	im, err := OpenFiles(set, "a.cim", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := im.Lookup("d")
	if err != nil {
		t.Fatal(err)
	}
	meta := set[regionName(im.guid, 0)]
	at := RegionOffset(d.rec.data.offset).Offset()
	im.Close()
	for _, id := range []uint32{1, 2} { // the root and itself
		le.PutUint32(meta[at+8:], id)
		reseal(set, int(at))
		if _, err := outcome(set); err == nil {
			t.Error("a cycle goes unnoticed")
		}
		im, err := OpenFiles(set, "a.cim", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if err := im.Walk(func(string, *File) error { return nil }); !errors.Is(err, ErrCorrupt) {
			t.Errorf("walk: %v", err)
		}
		im.Close()
	}
}

func TestNotImages(t *testing.T) {
	set, _ := smallImage(t, V3)
	good := set["a.cim"]
	for _, c := range []struct {
		what string
		want error
		b    []byte
	}{
		{"empty", ErrNotImage, nil},
		{"other magic", ErrNotImage, append([]byte("cimfile1"), good[8:]...)},
		{"a region", ErrNotImage, append(slices.Clone(good[:0xC]), append([]byte{1}, good[0xD:]...)...)},
		{"version 4", ErrVersion, append(slices.Clone(good[:0x10]), append([]byte{4}, good[0x11:]...)...)},
		{"minor version", ErrVersion, append(slices.Clone(good[:0x14]), append([]byte{1}, good[0x15:]...)...)},
	} {
		set["a.cim"] = c.b
		if _, err := OpenFiles(set, "a.cim", Limits{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}
