package wintar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
)

// checkBoth checks an archive with the audit beside the decoding and with one goroutine, and
// reports another finding or order. It returns the findings.
func checkBoth(t testing.TB, what string, b []byte, opts ...Option) []finding.Finding {
	t.Helper()
	var found [2][]finding.Finding
	var errs [2]error
	for i := range found {
		each := func(e *layer.Entry, data io.Reader, report func(finding.Finding)) {
			if strings.HasSuffix(e.Path, "7") || e.Kind == layer.Link { // some, between others
				report(RuleSparse.At(e.Path, -1, "told by each"))
			}
			io.CopyN(io.Discard, data, 10)
		}
		all := append([]Option{Each(each), Below(&layer.Below{}), func(o *options) { o.serial = i == 1 }}, opts...)
		for f, err := range Check(t.Context(), bytes.NewReader(b), all...) {
			if err != nil {
				errs[i] = err
				break
			}
			found[i] = append(found[i], f)
		}
	}
	if fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
		t.Errorf("%s: the errors are %v and, of one goroutine, %v", what, errs[0], errs[1])
	}
	if !slices.Equal(found[0], found[1]) {
		for i := range max(len(found[0]), len(found[1])) {
			if i == len(found[0]) || i == len(found[1]) || found[0][i] != found[1][i] {
				t.Errorf("%s: finding %d of %d and, of one goroutine, %d is another: %v, %v", what, i, len(found[0]), len(found[1]),
					found[0][i:min(i+1, len(found[0]))], found[1][i:min(i+1, len(found[1]))])
				break
			}
		}
	}
	return found[0]
}

// manyFaults is a layer of n files with faults that the decoder and the audit find, and
// alternate streams. Some are found a thousand times in one batch.
func manyFaults(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	add := func(e layer.Entry, streams ...string) {
		t.Helper()
		e.Attributes |= 32
		err := w.Add(&e)
		for _, s := range streams {
			if err == nil {
				err = w.AddStream(&layer.Stream{Name: s, Size: 1})
			}
			if err == nil {
				_, err = w.Write([]byte{1})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add(layer.Entry{Path: "Files", Kind: layer.Dir})
	for i := range n {
		dir := fmt.Sprintf(`Files\dir%d`, i/97)
		if i%97 == 0 {
			add(layer.Entry{Path: dir, Kind: layer.Dir})
		}
		e := layer.Entry{Path: fmt.Sprintf(`%s\file%d`, dir, i), Kind: layer.File, Size: 1}
		switch i % 11 {
		case 3:
			add(e, "", "one", "two")
			continue
		case 5:
			e.Path = fmt.Sprintf(`%s\con`, dir)
		case 8:
			e.Security = []byte{1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0} // its DACL is cut
		}
		add(e, "")
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	// The layer twice in one archive has each entry again, which is one more finding for each.
	end := (len(bytes.TrimRight(b.Bytes(), "\x00")) + blockSize - 1) / blockSize * blockSize
	return append(bytes.Clone(b.Bytes()[:end]), b.Bytes()...)
}

// The findings and their order are those of a check in one goroutine.
func TestAuditOrder(t *testing.T) {
	for _, n := range []int{0, 1, 100, 254, 255, 256, 257, 5000} {
		b := manyFaults(t, n)
		found := checkBoth(t, fmt.Sprint(n, " files"), b, Base())
		if len(found) < n {
			t.Errorf("%d files: %d findings", n, len(found))
		}
		checkBoth(t, fmt.Sprint(n, " files, cut"), b[:len(b)*2/3], HasParents())
		checkBoth(t, fmt.Sprint(n, " files, limited"), b, WithLimits(layer.Limits{Entries: int64(n/2 + 1)}))
		damaged := bytes.Clone(b)
		for i := 4096; i < len(damaged); i += 40_961 {
			damaged[i] ^= 0x15
		}
		checkBoth(t, fmt.Sprint(n, " files, damaged"), damaged)
	}
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		b, err := c.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		checkBoth(t, c.Name, b)
	}
}

// A check that is stopped, cancelled, or left by a panic ends its goroutine, whose audit is
// then still.
func TestAuditEnds(t *testing.T) {
	b := manyFaults(t, 3000)
	for _, stop := range []int{1, 300, 4000} {
		n, below := 0, &layer.Below{}
		for range Check(t.Context(), bytes.NewReader(b), Below(below)) {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("there are only %d findings", n)
		}
		below.Find("Files")
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was lost")
				}
			}()
			n := 0
			for range Check(t.Context(), bytes.NewReader(b), Below(below)) {
				if n++; n == stop {
					panic("of the caller")
				}
			}
		}()
		below.Find("Files")
		ctx, cancel := context.WithCancel(t.Context())
		var last error
		n = 0
		for _, err := range Check(ctx, bytes.NewReader(b)) {
			if n++; n == stop {
				cancel()
			}
			last = err
		}
		cancel()
		if stop < 4000 && !errors.Is(last, context.Canceled) {
			t.Errorf("cancelled at finding %d: %v", stop, last)
		}
	}
}
