package mend_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"slices"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/mend"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// faulty makes a layer tar of headers without data, most of which have the attributes that
// the specification demands.
func faulty(t *testing.T, list []tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range list {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEveryFix: for each rule that says what --fix changes there is a layer that breaks the
// rule before, and not after.
func TestEveryFix(t *testing.T) {
	records := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	dir := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir} }
	file := func(name string, pairs ...string) tar.Header {
		return tar.Header{Name: name, PAXRecords: records(pairs...)}
	}
	link := func(name, target string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}
	}
	over := func(list ...tar.Header) []tar.Header {
		return append([]tar.Header{dir("Files"), dir("Hives")}, list...)
	}
	wci, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagWCI, Data: []byte{1, 2, 3, 4}}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	sd := base64.StdEncoding.EncodeToString([]byte{1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2, 0, 8, 0, 0, 0, 0, 0})
	patched := func(list []tar.Header, change func(b []byte) []byte) func(*testing.T) []byte {
		return func(t *testing.T) []byte { return change(faulty(t, list)) }
	}
	plain := func(list []tar.Header) func(*testing.T) []byte {
		return func(t *testing.T) []byte { return faulty(t, list) }
	}
	// typed changes the typeflag or size of the last header, before two blocks of zeros.
	last := func(change func(block []byte)) func(b []byte) []byte {
		return func(b []byte) []byte {
			block := b[len(b)-3*512:][:512]
			change(block)
			copy(block[148:156], "        ")
			sum := 0
			for _, x := range block {
				sum += int(x)
			}
			for i := 153; i >= 148; i-- {
				block[i] = '0' + byte(sum&7)
				sum >>= 3
			}
			block[154], block[155] = 0, ' '
			return b
		}
	}
	base, parents := mend.Options{Base: true}, mend.Options{HasParents: true}
	cases := map[string]struct {
		opts mend.Options
		make func(*testing.T) []byte
	}{
		"missing-parent":                 {parents, plain(over(file("Files/d/x")))},
		"missing-hives-or-files-root":    {parents, plain([]tar.Header{dir("Files")})},
		"root-name-case":                 {parents, plain([]tar.Header{dir("files"), dir("Hives")})},
		"duplicate-entry":                {parents, plain(over(dir("Files/d"), dir("Files/d")))},
		"whiteout-same-layer":            {parents, plain(over(file("Files/.wh.a"), file("Files/a")))},
		"whiteout-in-base":               {base, plain(over(file("Files/.wh.a")))},
		"utility-vm-whiteout-missing":    {parents, plain(over(dir("UtilityVM"), dir("UtilityVM/Files"), file("UtilityVM/Files/.wh.x")))},
		"utility-vm-metadata":            {parents, plain(over(tar.Header{Name: "UtilityVM", Typeflag: tar.TypeDir, PAXRecords: records("MSWINDOWS.rawsd", sd)}))},
		"forward-link":                   {parents, plain(over(link("Files/l", "Files/new"), file("Files/new")))},
		"link-to-link":                   {parents, plain(over(file("Files/a"), link("Files/b", "Files/a"), link("Files/c", "Files/b")))},
		"link-target-case":               {parents, plain(over(file("Files/a"), link("Files/b", "Files/A")))},
		"go-zero-time":                   {parents, plain(over(tar.Header{Name: "Files/a", AccessTime: layer.GoZeroTime.Time()}))},
		"odd-whiteout":                   {parents, plain(over(dir("Files/.wh.a")))},
		"root-entry":                     {parents, plain(append([]tar.Header{dir("./")}, over()...))},
		"data-after-end":                 {parents, patched(over(), func(b []byte) []byte { return append(b, bytes.Repeat([]byte("x"), 512)...) })},
		"stale-record":                   {parents, plain(over(file("Files/x", "MULLION.reparse", base64.StdEncoding.EncodeToString(wci))))},
		"missing-fileattr":               {parents, plain(over(file("Files/a"), link("Files/l", "Files/a")))},
		"creation-time-unpadded":         {parents, plain(over(file("Files/a", "LIBARCHIVE.creationtime", "1591142400.0")))},
		"wrapped-time":                   {parents, plain(over(file("Files/a", "LIBARCHIVE.creationtime", "6802270473.709551616")))},
		"sparse-entry":                   {parents, sparseEntry},
		"machine-alias":                  {parents, plain(over(file("Files/a", "MSWINDOWS.sd", "O:LAG:SYD:(A;;FA;;;SY)")))},
		"global-header":                  {parents, plain(append([]tar.Header{{Typeflag: tar.TypeXGlobalHeader, PAXRecords: records("uname", "x")}}, over()...))},
		"trailing-slash-on-file":         {parents, patched(over(file("Files/a")), last(func(b []byte) { copy(b, "Files/a/\x00") }))},
		"size-without-data":              {parents, patched(over(dir("Files/d")), last(func(b []byte) { copy(b[124:], "00000001000\x00") }))},
		"reparse-attribute-without-data": {parents, plain(over(file("Files/a", "MSWINDOWS.fileattr", "1056")))},
		"utility-vm-name":                {parents, plain(over(dir("./UtilityVM")))},
		"stream-of-slashed-directory":    {parents, plain(over(dir("Files/d/"), file("Files/d:s")))},
	}
	lower := parse("d Files", "d Hives", "d UtilityVM", `d UtilityVM\Files`)
	rulesOf := func(data []byte, opts mend.Options) (ids []string) {
		place := []wintar.Option{wintar.Base()}
		if opts.HasParents {
			place = []wintar.Option{wintar.HasParents(), wintar.Below(below(t, lower))}
		}
		for f, err := range wintar.Check(t.Context(), bytes.NewReader(data), place...) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, f.Rule)
		}
		return ids
	}
	for _, r := range append(layer.Rules(), wintar.Rules()...) {
		c, ok := cases[r.ID]
		if r.Fix == "" {
			if ok || slices.Contains(mend.Rules(), r.ID) || slices.Contains(wintar.Rewritten(), r.ID) {
				t.Errorf("%s does not say what is corrected", r.ID)
			}
			continue
		}
		if !ok {
			t.Errorf("%s: no layer breaks it", r.ID)
			continue
		}
		if !slices.Contains(mend.Rules(), r.ID) && !slices.Contains(wintar.Rewritten(), r.ID) {
			t.Errorf("%s is not in the list of its package", r.ID)
		}
		opts := c.opts
		opts.FileAttributes = winfs.AttrArchive
		if opts.HasParents {
			opts.Below = below(t, lower)
		}
		data := c.make(t)
		before := rulesOf(data, opts)
		if !slices.Contains(before, r.ID) {
			t.Errorf("%s is not broken, but %q", r.ID, before)
			continue
		}
		out, err := mendTar(t.Context(), data, opts)
		if err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		after := rulesOf(out, opts)
		if slices.Contains(after, r.ID) {
			t.Errorf("%s stays", r.ID)
		}
		for _, id := range after {
			if !slices.Contains(before, id) && id != layer.RuleNoDescriptor.ID {
				t.Errorf("%s: the correction breaks %s", r.ID, id)
			}
		}
	}
}

// sparseEntry makes a layer with a file that is one hole, as GNU tar writes it. The writer of
// the standard library refuses its records, which are therefore written under other keys of
// the same length.
func sparseEntry(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	holes := make([]byte, 512)
	copy(holes, "0\n")
	for _, h := range []tar.Header{
		{Name: "Files", Typeflag: tar.TypeDir}, {Name: "Hives", Typeflag: tar.TypeDir},
		{Name: "Files/a", Typeflag: tar.TypeReg, Size: 512, PAXRecords: map[string]string{"XNU.sparse.major": "1", "XNU.sparse.minor": "0", "XNU.sparse.realsize": "4096"}},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write(holes); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("XNU.sparse"), []byte("GNU.sparse"))
}
