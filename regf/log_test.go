package regf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

func mustRead(t testing.TB, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(testenv.Corpus(t, append([]string{"hives"}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// naiveCount counts keys and values below a key by docs/spec/registry.md, "Keys",
// alone, without the reader that it checks.
func naiveCount(b []byte, nk uint32, keys, values *int) {
	u32 := func(cell uint32, off int) uint32 {
		return binary.LittleEndian.Uint32(b[4096+4+int(cell)+off:])
	}
	u16 := func(cell uint32, off int) int {
		return int(binary.LittleEndian.Uint16(b[4096+4+int(cell)+off:]))
	}
	*keys++
	if n := u32(nk, 36); u16(nk, 2)&0x40 == 0 {
		*values += int(n)
	}
	var list func(cell uint32)
	list = func(cell uint32) {
		step := 8
		switch sig := u16(cell, 0); sig {
		case 'l' | 'i'<<8, 'r' | 'i'<<8:
			step = 4
		}
		for i := range u16(cell, 2) {
			child := u32(cell, 4+i*step)
			if u16(cell, 0) == 'r'|'i'<<8 {
				list(child)
			} else {
				naiveCount(b, child, keys, values)
			}
		}
	}
	if u32(nk, 20) > 0 {
		list(u32(nk, 28))
	}
}

func countHive(b []byte) (keys, values int) {
	naiveCount(b, binary.LittleEndian.Uint32(b[0x24:]), &keys, &values)
	return keys, values
}

// The counts are those of an independent recovery tool (docs/spec/registry.md,
// "Transaction logs").
func TestRecoverGenuine(t *testing.T) {
	for _, c := range []struct {
		dir, hive                            string
		keys, values, afterKeys, afterValues int
		first, last                          uint32
	}{
		{"mkorman90_regipy", "SYSTEM_B", 33123, 74957, 35595, 78901, 2107, 0},
		{"mkorman90_regipy", "UsrClass.dat", 6205, 12369, 6238, 12531, 287, 0},
		{"AndrewRathbun_DFIRArtifactMuseum", "DEFAULT", 409, 1046, 0, 0, 104, 107},
	} {
		t.Run(c.hive, func(t *testing.T) {
			hive := mustRead(t, c.dir, c.hive)
			log1, log2 := mustRead(t, c.dir, c.hive+".LOG1"), mustRead(t, c.dir, c.hive+".LOG2")
			before := bytes.Clone(hive)
			if k, v := countHive(hive); k != c.keys || v != c.values {
				t.Fatalf("dirty: %d keys, %d values; want %d, %d", k, v, c.keys, c.values)
			}
			got, rep, err := Recover(t.Context(), hive, log1, log2)
			if err != nil {
				t.Fatalf("%v\n%+v", err, rep)
			}
			if !bytes.Equal(hive, before) {
				t.Error("the input was changed")
			}
			k, v := countHive(got)
			if c.afterKeys != 0 && (k != c.afterKeys || v != c.afterValues) {
				t.Errorf("recovered: %d keys, %d values; want %d, %d", k, v, c.afterKeys, c.afterValues)
			}
			if rep.FirstSequence != c.first || c.last != 0 && rep.LastSequence != c.last {
				t.Errorf("sequences %d to %d", rep.FirstSequence, rep.LastSequence)
			}
			if !logBaseValid(got) || u32(got[hdrPrimary:]) != u32(got[hdrSecondary:]) || u32(got[hdrType:]) != 0 {
				t.Error("the result is not a clean primary file")
			}
			t.Logf("%d keys, %d values; %d entries, %d page runs, %d bytes, sequences %d to %d; logs %+v", k, v, rep.Entries, rep.Pages, rep.Bytes, rep.FirstSequence, rep.LastSequence, rep.Logs)
			// The order in which logs are given says nothing.
			swapped, _, err := Recover(t.Context(), hive, log2, log1)
			if err != nil || !bytes.Equal(swapped, got) {
				t.Errorf("swapped logs give another result: %v", err)
			}
			again, rep, err := Recover(t.Context(), got, log1, log2)
			if err != nil || !rep.Clean || !bytes.Equal(again, got) {
				t.Errorf("a recovered hive is not clean: %v %+v", err, rep)
			}
		})
	}
}

// The first entry of this set writes every page of the bins, so that a hive that
// holds nothing but the dirty base block leads to Windows 10's own result.
func TestRecoverLikeWindows10(t *testing.T) {
	const dir = "msuhanov_yarp/NewDirtyHive1"
	want := mustRead(t, dir, "RecoveredHive_Windows10")
	log1, log2 := mustRead(t, dir, "NewDirtyHive.LOG1"), mustRead(t, dir, "NewDirtyHive.LOG2")
	hive := make([]byte, len(want))
	copy(hive, want[:4096])
	setBase(hive, 2, 1, 0)
	got, rep, err := Recover(t.Context(), hive, log1, log2)
	if err != nil {
		t.Fatal(err)
	}
	bins := 4096 + int(rep.BinsSize)
	if !bytes.Equal(got[4096:bins], want[4096:bins]) {
		t.Error("bins differ from those that Windows 10 recovered")
	}
	if rep.Entries != 4 || rep.LastSequence != 5 || len(rep.DummyBins) != 0 {
		t.Errorf("%+v", rep)
	}
	// Windows counts one more write; all else in the base block is the same.
	if u32(want[hdrPrimary:]) != rep.LastSequence+1 {
		t.Errorf("Windows left sequence %d, the last entry is %d", u32(want[hdrPrimary:]), rep.LastSequence)
	}
	masked := bytes.Clone(got[:4096])
	setBase(masked, rep.LastSequence+1, rep.LastSequence+1, 0)
	if !bytes.Equal(masked, want[:4096]) {
		for i := range masked {
			if masked[i] != want[i] {
				t.Errorf("base block differs from Windows 10's at %#x: %#x, want %#x", i, masked[i], want[i])
			}
		}
	}
}

// The dirty half of Windows 7's set is not available: it is made again from the recovered
// file by undoing every third page and logging its former content.
func TestRecoverLikeWindows7(t *testing.T) {
	want := mustRead(t, "msuhanov_yarp/OldDirtyHive", "RecoveredHive_Windows7")
	bins := int(u32(want[hdrBins:]))
	hive := bytes.Clone(want)
	for at := 4096 + 4096; at < 4096+bins; at += 3 * 4096 {
		clear(hive[at : at+4096])
	}
	setBase(hive, 8, 7, 0)
	log := oldLog(hive, want, 8)
	wantSeq := bytes.Clone(want)
	setBase(wantSeq, 8, 8, 0)
	for name, logs := range map[string][][]byte{
		"LOG1 alone":     {log},
		"LOG2 empty":     {log, {}},
		"LOG2":           {nil, log},
		"LOG2 is zeroed": {log, make([]byte, 4096)},
		"LOG2 is newer":  {oldLog(want, hive, 7), log},
		"LOG1 is newer":  {log, oldLog(want, hive, 7)},
	} {
		got, rep, err := Recover(t.Context(), hive, logs...)
		if err != nil {
			t.Errorf("%s: %v %+v", name, err, rep)
			continue
		}
		if !bytes.Equal(got, wantSeq) {
			t.Errorf("%s: result differs", name)
		}
		if k, v := countHive(got); k != 5003 || v != 1 {
			t.Errorf("%s: %d keys, %d values", name, k, v)
		}
	}
	t.Run("base block broken", func(t *testing.T) {
		for _, damage := range []int{0, 0x24, 0x100, 0x1FC} {
			broken := bytes.Clone(hive)
			broken[damage] ^= 0x40
			// The first bin's time must be the log's for the log to be trusted.
			binary.LittleEndian.PutUint64(broken[4096+0x14:], binary.LittleEndian.Uint64(log[0x0C:]))
			got, rep, err := Recover(t.Context(), broken, log)
			if err != nil {
				t.Fatalf("damage at %#x: %v %+v", damage, err, rep)
			}
			copy(got[4096+0x14:], wantSeq[4096+0x14:4096+0x1C])
			if !bytes.Equal(got, wantSeq) || rep.BaseBlockFrom != 0 {
				t.Errorf("damage at %#x: result differs, base block from %d", damage, rep.BaseBlockFrom)
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		otherTime := bytes.Clone(log)
		otherTime[0x0C]++
		setBase(otherTime, 8, 8, 1)
		notFinished := bytes.Clone(log)
		setBase(notFinished, 8, 7, 1)
		badSum := bytes.Clone(log)
		badSum[0x1FC]++
		badBin := bytes.Clone(log)
		at := bytes.Index(badBin[1024:], []byte("hbin")) + 1024
		badBin[at+4]++
		noBin := bytes.Clone(log)
		noBin[at] = 'H'
		noList := bytes.Clone(log)
		noList[512] = 'd'
		for name, l := range map[string][]byte{"other time": otherTime, "not finished": notFinished, "checksum": badSum,
			"bin in the wrong place": badBin, "bin without its signature": noBin, "no DIRT": noList} {
			if _, _, err := Recover(t.Context(), hive, l); !errors.Is(err, ErrNoUsableLog) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Cut at every sector: all pages or none.
		for n := 0; n < len(log); n += 512 {
			if _, _, err := Recover(t.Context(), hive, log[:n]); !errors.Is(err, ErrNoUsableLog) {
				t.Fatalf("cut at %#x: %v", n, err)
			}
		}
	})
}

// Every bin that an old log writes is checked, also those in the middle of a run; data
// inside a bin may look like one.
func TestRecoverOldBins(t *testing.T) {
	two := func(second int, fill byte) []byte { // one bin of two pages, and two of one
		h := tinyHive(4, fill)
		put32(h[baseSize+8:], 2*pageSize)
		put32(h[baseSize+pageSize+4:], uint32(second))
		setBase(h, 9, 9, 0)
		return h
	}
	hive := two(pageSize, '.')
	setBase(hive, 9, 8, 0)
	want := two(0x77777, 'X') // the second page begins with hbin and is none
	got, rep, err := Recover(t.Context(), hive, oldLog(hive, want, 9))
	if err != nil || !bytes.Equal(got, want) || len(rep.DummyBins) != 0 {
		t.Errorf("%v %+v", err, rep)
	}
	for name, damage := range map[string]int{"signature": 0, "offset": 5, "size": 10} {
		bad := two(pageSize, 'X')
		bad[baseSize+3*pageSize+damage] ^= 0x20
		if _, rep, err := Recover(t.Context(), hive, oldLog(hive, bad, 9)); !errors.Is(err, ErrNoUsableLog) || rep.Logs[0].Stop == nil {
			t.Errorf("%s of the last bin: %v %+v", name, err, rep)
		}
		// The same damage in the hive alone is none of the log's.
		mine := bytes.Clone(hive)
		mine[baseSize+3*pageSize+damage] ^= 0x20
		first := two(pageSize, '.')
		first[baseSize+200] = 'X'
		if _, _, err := Recover(t.Context(), mine, oldLog(two(pageSize, '.'), first, 9)); err != nil {
			t.Errorf("%s of a bin that the log does not write: %v", name, err)
		}
	}
}

// fourEntries returns a dirty hive and two interleaved logs: 10 and 11 in the
// first, 12 and 13 in the second. Each entry fills one bin with its own letter and
// the last one adds a bin.
func fourEntries(seq uint32) (hive []byte, log1, log2 []byte) {
	hive = tinyHive(4, '.')
	setBase(hive, seq-3, seq-4, 0)
	run := func(i int, c byte) logRun { return logRun{4096 * i, tinyBin(i, c)} }
	log1 = newLog(hive, seq, newLogEntry(seq, 4*4096, run(0, 'A'), run(3, 'A')), newLogEntry(seq+1, 4*4096, run(1, 'B')))
	log2 = newLog(hive, seq+2, newLogEntry(seq+2, 4*4096, run(2, 'C')), newLogEntry(seq+3, 5*4096, run(4, 'D'), run(1, 'D')))
	return hive, log1, log2
}

// letters shows the fill of each bin.
func letters(image []byte) string {
	s := ""
	for at := 4096; at < 4096+int(u32(image[hdrBins:])); at += 4096 {
		s += string(image[at+100])
	}
	return s
}

func TestRecoverInterleaved(t *testing.T) {
	// The second group starts so that the numbers wrap around at 2^32 inside the
	// first log, between the logs, and inside the second one.
	for _, seq := range []uint32{10, 1<<32 - 1, 1<<32 - 2, 1<<32 - 3, 0, 2} {
		hive, log1, log2 := fourEntries(seq)
		flipped := func(l []byte, at int) []byte {
			l = bytes.Clone(l)
			l[at] ^= 1
			return l
		}
		second := 512 + int(binary.LittleEndian.Uint32(log1[512+4:]))
		for _, c := range []struct {
			name string
			logs [][]byte
			want string
			last uint32
		}{
			{"both", [][]byte{log1, log2}, "ADCAD", seq + 3},
			{"both, swapped", [][]byte{log2, log1}, "ADCAD", seq + 3},
			{"first alone", [][]byte{log1, nil}, "AB.A", seq + 1},
			{"second alone", [][]byte{nil, log2}, ".DC.D", seq + 3},
			{"first cut after its first entry: the second does not follow", [][]byte{flipped(log1, second+24), log2}, "A..A", seq},
			{"second entry's pages damaged", [][]byte{flipped(log1, second+600), log2}, "A..A", seq},
			{"first log's base block damaged", [][]byte{flipped(log1, 0x1FC), log2}, ".DC.D", seq + 3},
		} {
			got, rep, err := Recover(t.Context(), hive, c.logs...)
			if err != nil {
				t.Errorf("%#x: %s: %v %+v", seq, c.name, err, rep)
				continue
			}
			if letters(got) != c.want || rep.LastSequence != c.last || u32(got[hdrPrimary:]) != c.last {
				t.Errorf("%#x: %s: %s, last %#x; want %s, %#x", seq, c.name, letters(got), rep.LastSequence, c.want, c.last)
			}
		}
		// A first log that lost its very first entry leaves nothing that the second
		// could follow.
		if _, rep, err := Recover(t.Context(), hive, flipped(log1, 512+24), log2); !errors.Is(err, ErrNoUsableLog) {
			t.Errorf("%#x: the second log was applied over a gap: %v %+v", seq, err, rep)
		}
	}
}

func TestRecoverBrokenBaseBlock(t *testing.T) {
	hive, log1, log2 := fourEntries(10)
	hive[0x50] ^= 0xFF // the checksum is wrong now
	got, rep, err := Recover(t.Context(), hive, log1, log2)
	if err != nil {
		t.Fatal(err)
	}
	// Only the log with the latest entries is used.
	if letters(got) != ".DC.D" || rep.BaseBlockFrom != 1 || rep.Logs[0].Applied != 0 || rep.Logs[0].Stop == nil {
		t.Errorf("%s %+v", letters(got), rep)
	}
	clear(hive[:4096])
	if got, _, err = Recover(t.Context(), hive, log1); err != nil || letters(got) != "AB.A" || string(got[:4]) != "regf" {
		t.Errorf("no base block: %v", err)
	}
}

func TestRecoverRefuses(t *testing.T) {
	hive, log1, log2 := fourEntries(10)
	older := newLog(hive, 5, newLogEntry(5, 4*4096, logRun{0, tinyBin(0, 'X')}))
	huge := newLog(hive, 10, newLogEntry(10, 1<<30, logRun{0, tinyBin(0, 'X')}))
	outside := newLog(hive, 10, newLogEntry(10, 4*4096, logRun{4 * 4096, tinyBin(4, 'X')}))
	odd := newLog(hive, 10, newLogEntry(10, 4*4096+512, logRun{0, tinyBin(0, 'X')}))
	noFirst := newLog(hive, 10, newLogEntry(11, 4*4096, logRun{0, tinyBin(0, 'X')}))
	for name, logs := range map[string][][]byte{
		"none": nil, "empty": {nil, {}}, "a hive": {tinyHive(4, 'X')}, "older": {older}, "huge bins": {huge},
		"page outside": {outside}, "odd bins": {odd}, "first entry missing": {noFirst}, "text": {[]byte("not a log")},
	} {
		got, rep, err := Recover(t.Context(), hive, logs...)
		if !errors.Is(err, ErrNoUsableLog) || got != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, l := range rep.Logs {
			if l.Stop == nil {
				t.Errorf("%s: log %d was turned down without a reason", name, i)
			}
		}
	}
	// A clean hive is newer than any log next to it.
	clean := tinyHive(4, '.')
	got, rep, err := Recover(t.Context(), clean, log1, log2)
	if err != nil || !rep.Clean || !bytes.Equal(got, clean) {
		t.Errorf("clean: %v %+v", err, rep)
	}
}

// A page that comes from a log and is no bin becomes an empty bin.
func TestRecoverDummyBin(t *testing.T) {
	hive, _, _ := fourEntries(10)
	bad := tinyBin(2, 'X')
	bad[0] = 'H'
	log := newLog(hive, 10, newLogEntry(10, 4*4096, logRun{2 * 4096, bad}, logRun{3 * 4096, tinyBin(3, 'Y')}))
	got, rep, err := Recover(t.Context(), hive, log)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(rep.DummyBins) != "[8192]" {
		t.Errorf("%+v", rep)
	}
	bin := got[3*4096:]
	if !isBin(bin, 2*4096) || binary.LittleEndian.Uint32(bin[32:]) != 4096-32 || bin[100] != 0 {
		t.Errorf("% x", bin[:48])
	}
}

// Logs that were cut short lead to a state that the hive once had: that after
// some whole number of entries, and never an error except before the first.
func TestRecoverCutEverywhere(t *testing.T) {
	const dir = "mkorman90_regipy"
	hive := mustRead(t, dir, "UsrClass.dat")
	log1, log2 := mustRead(t, dir, "UsrClass.dat.LOG1"), mustRead(t, dir, "UsrClass.dat.LOG2")
	whole := parseLog(t.Context(), log1, int64(len(hive))+growthSlack)
	ends := map[int]int{} // log offset at which an entry ends, to entries so far
	off := 512
	for i := range whole.entries {
		off += int(binary.LittleEndian.Uint32(log1[off+4:]))
		ends[off] = i + 1
	}
	good, states := 0, map[int]uint32{}
	for cut := 0; cut <= off; cut += 512 {
		if n, ok := ends[cut]; ok {
			good = n
		}
		got, rep, err := Recover(t.Context(), hive, log1[:cut])
		if good == 0 {
			if !errors.Is(err, ErrNoUsableLog) {
				t.Fatalf("cut at %#x: %v", cut, err)
			}
			continue
		}
		if err != nil || rep.Entries != good {
			t.Fatalf("cut at %#x: %d entries, want %d: %v", cut, rep.Entries, good, err)
		}
		sum := marvinLike(got)
		if first, ok := states[good]; ok && first != sum {
			t.Fatalf("cut at %#x: another state after the same %d entries", cut, good)
		}
		states[good] = sum
	}
	if good != len(whole.entries) || good == 0 {
		t.Errorf("%d of %d entries", good, len(whole.entries))
	}
	// With LOG1 cut before its end, LOG2 does not follow and must not be applied.
	if _, rep, err := Recover(t.Context(), hive, log1[:off-512], log2); err != nil || rep.Logs[1].Applied != 0 || rep.Logs[1].Stop == nil {
		t.Errorf("LOG2 was applied over a gap: %v %+v", err, rep)
	}
}

// marvinLike is a cheap digest for comparing states.
func marvinLike(b []byte) uint32 {
	h := uint32(2166136261)
	for i := 0; i+4 <= len(b); i += 4 {
		h = (h ^ binary.LittleEndian.Uint32(b[i:])) * 16777619
	}
	return h
}

// Each flipped byte of a hash, of the header and of the first page references
// ends replay at its entry.
func TestRecoverFlippedHash(t *testing.T) {
	const dir = "mkorman90_regipy"
	hive := mustRead(t, dir, "UsrClass.dat")
	log1 := mustRead(t, dir, "UsrClass.dat.LOG1")
	off := 512
	for entry := range 3 {
		size := int(binary.LittleEndian.Uint32(log1[off+4:]))
		for at := off; at < off+entryHeaderBytes+16; at++ {
			bad := bytes.Clone(log1)
			bad[at] ^= 0x10
			p := parseLog(t.Context(), bad, int64(len(hive))+growthSlack)
			if len(p.entries) != entry {
				t.Fatalf("byte %#x flipped: %d entries are believed, want %d", at, len(p.entries), entry)
			}
			if entry > 0 && p.stop == nil && at >= off+4 {
				t.Errorf("byte %#x flipped: nothing is said", at)
			}
		}
		bad := bytes.Clone(log1)
		bad[off+24] ^= 1
		_, rep, err := Recover(t.Context(), hive, bad)
		if entry == 0 {
			if !errors.Is(err, ErrNoUsableLog) {
				t.Errorf("first entry damaged: %v", err)
			}
		} else if err != nil || rep.Entries != entry {
			t.Errorf("entry %d damaged: %v %+v", entry, err, rep)
		}
		off += size
	}
}

func FuzzRecover(f *testing.F) {
	hive, log1, log2 := fourEntries(10)
	f.Add(hive, log1, log2)
	old := bytes.Clone(hive)
	setBase(old, 9, 8, 0)
	f.Add(old, oldLog(old, tinyHive(4, 'Z'), 9), []byte{})
	broken := bytes.Clone(hive)
	clear(broken[:512])
	f.Add(broken, log1, log2)
	f.Fuzz(func(t *testing.T, hive, log1, log2 []byte) {
		// Hashes and checksums are made right, or the fuzzer never gets past them.
		for _, l := range [][]byte{log1, log2} {
			if len(l) < 512 || string(l[:4]) != "regf" {
				continue
			}
			binary.LittleEndian.PutUint32(l[0x1FC:], HeaderChecksum(l))
			for off := 512; off+40 <= len(l) && string(l[off:off+4]) == "HvLE"; {
				size := int(binary.LittleEndian.Uint32(l[off+4:]))
				if size < 40 || off+size > len(l) {
					break
				}
				sealEntry(l[off : off+size])
				off += size
			}
		}
		got, rep, err := Recover(t.Context(), hive, log1, log2)
		if err != nil {
			// The complete part of a truncated hive is returned with the error.
			if (got != nil) != errors.Is(err, ErrTruncated) || rep == nil {
				t.Fatalf("%d bytes, a report %v, and %v", len(got), rep != nil, err)
			}
			return
		}
		if int64(len(got)) > int64(len(hive)+len(log1)+len(log2)+baseSize+growthSlack) {
			t.Fatalf("%d bytes from %d", len(got), len(hive)+len(log1)+len(log2))
		}
		if rep.Clean {
			return
		}
		again, rep2, err := Recover(t.Context(), got)
		if err != nil || !rep2.Clean || !bytes.Equal(again, got) {
			t.Fatalf("the result is not clean: %v", err)
		}
	})
}
